"""The tables of the schema, and the pages that hold them."""

import importlib.util
import json
import re
from pathlib import Path

import pytest
from pages import blocks

from twobody.archive.layout import members
from twobody.encodings.published import PUBLISHED
from twobody.labels import LABELS
from twobody.publish.schema_tables import channel_table, label_table, member_table

ROOT = Path(__file__).resolve().parents[2]
_spec = importlib.util.spec_from_file_location("refresh", ROOT / "docs" / "refresh.py")
refresh = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(refresh)


@pytest.mark.parametrize("page", refresh.PAGES, ids=lambda page: page.name)
def test_the_tables_of_a_page_are_those_of_the_schema(page):
    text = page.read_text(encoding="utf-8")
    assert "<!-- table: " in text
    assert refresh.with_tables(text) == text


def test_the_notebook_is_the_tutorial():
    """Where this fails: python -m docs.refresh."""
    page = refresh.TUTORIAL.read_text(encoding="utf-8")
    text = refresh.TUTORIAL.with_suffix(".ipynb").read_text(encoding="utf-8")
    assert text == refresh.notebook(page)
    cells = json.loads(text)["cells"]
    _, *code = [cell["source"] for cell in cells if cell["cell_type"] == "code"]
    assert code == [block.strip() for block in blocks(refresh.TUTORIAL, "python")]
    prose = "\n".join(cell["source"] for cell in cells if cell["cell_type"] == "markdown")
    assert prose.startswith("# Tutorial\n")
    assert not re.search(r"\]\((?!https?:)", prose)  # no file that is not beside it


def test_an_outdated_table_is_replaced_and_nothing_else():
    page = "before\n<!-- table: channels -->\n| old |\n<!-- end -->\nafter | table |\n"
    new = refresh.with_tables(page)
    channels = refresh.typeset(channel_table(PUBLISHED))
    table = f"<!-- table: channels -->\n\n{channels}\n<!-- end -->\n"
    assert new == f"before\n{table}after | table |\n"


def test_formulas_of_channels_are_typeset():
    lines = refresh.typeset(channel_table(PUBLISHED)).splitlines()
    assert lines[:2] == channel_table(PUBLISHED).splitlines()[:2]
    formulas = [line.split(" | ")[3] for line in lines[2:]]
    assert [formulas[k] for k in (1, 3, 4, 9)] == [
        r"$\sum_i G_i(3) \lvert \sum_{\mathrm{orb}} m p \rvert$ |",
        r"$\exp(-r^2 / 0.5) (1 + \cos 4 \theta) \sum_{l = 2, 3} p$ |",
        r"$\rho \exp(-\rho^2 / 0.4) \lvert \mu \rvert, \rho = r + 10^{-6}$ |",
        r"$\sum_{q_i \le 0} G_i(3.5) 10 \lvert q_i \rvert$ |",
    ]


def test_a_table_that_the_schema_does_not_have_is_refused():
    with pytest.raises(KeyError, match="colours"):
        refresh.with_tables("<!-- table: colours -->\n<!-- end -->\n")


def test_a_row_names_dtype_and_shape():
    row = "| `label_values` | float64 [N, L] | their values; NaN where missing |\n"
    assert row in member_table(PUBLISHED)
    assert "| `provenance` | str | JSON" in member_table(PUBLISHED)


def test_an_encoding_lists_what_it_adds(toy):
    assert "| `image_basis` | float32 [10, 2, size, size] |" in member_table(PUBLISHED)
    assert "image_basis" not in member_table(toy)
    assert "| `images` | float32 [N, 3, size, size] |" in member_table(toy)
    assert member_table(toy).count("\n") == 2 + len(members(toy))


def test_there_is_one_row_for_every_label():
    assert label_table().count("\n") == 2 + len(LABELS)


def test_bars_in_formulas_do_not_split_cells():
    assert "| `com_charge` | 0.1 e | sum_i G_i(4) 10 \\|q_i\\| |\n" in channel_table(PUBLISHED)
