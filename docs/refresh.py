"""After a change: tables of the schema into the pages, the tutorial into a notebook, pairs to ship.

``python -m docs.refresh``, where `build_dataset.py` has built ``dataset_combined.npz``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from twobody.archive.layout import ARCHIVE, SHIPPED
from twobody.archive.reader import read
from twobody.archive.writer import write_numbers
from twobody.encodings.means import KNOWN, write_known
from twobody.encodings.published import PUBLISHED
from twobody.files import publish, staging
from twobody.publish.schema_tables import channel_table, label_table, member_table

ROOT = Path(__file__).resolve().parents[1]
PAGES = (ROOT / "docs" / "data.md",)
TUTORIAL = ROOT / "docs" / "tutorial.md"

TABLES: dict[str, Callable[[], str]] = {
    "members": partial(member_table, PUBLISHED),
    "labels": label_table,
    "channels": lambda: typeset(channel_table(PUBLISHED)),
}
_INSTALL = """\
import importlib.util

if importlib.util.find_spec("twobody") is None:  # Colab, which has PyTorch and Matplotlib
    %pip install -q twobody_dataset-*.whl
"""
_LATEX = {  # of the formulas of channels, in this order
    r"\\\|(.+?)\\\|": r"\\lvert \1 \\rvert",
    r"sum over (.+) of ": r"\\sum_{\1} ",
    r"sum p over (.+)": r"\\sum_{\1} p",
    r"sum_orb": r"\\sum_{\\mathrm{orb}}",
    r"sum_i": r"\\sum_i",
    r"\b(exp|cos|rho|theta|mu)\b": r"\\\1",
    r"1e-6": "10^{-6}",
    r"<=": r"\\le",
}
_REGION = re.compile(r"(?ms)^(<!-- table: (\w+) -->\n).*?^(<!-- end -->)$")


def with_tables(page: str) -> str:
    """Return the text of a page with its marked tables as the schema has them now."""
    return _REGION.sub(lambda found: f"{found[1]}\n{TABLES[found[2]]()}\n{found[3]}", page)


def typeset(table: str) -> str:
    """Return a table with the formulas in its last column as LaTeX."""

    def latex(row: re.Match[str]) -> str:
        formula = row[2]
        for pattern, replacement in _LATEX.items():
            formula = re.sub(pattern, replacement, formula)
        return f"{row[1]}${formula}$ |"

    return re.sub(r"(?m)^(\| [0-9] .* \| )(.+) \|$", latex, table)


def notebook(page: str) -> str:
    """Return a page as a Jupyter notebook: each block of Python a cell, the rest text between."""
    text = re.sub(r"(?m)^!\[.*\n\n", "", page)  # the cells draw the pictures
    text = re.sub(r"\[([^]]+)\]\((?!https?:)[^)]+\)", r"\1", text)  # files that are not beside it
    title, *rest = re.split(r"(?ms)^```python\n(.*?)^```\n", text)
    code: dict[str, object] = {"cell_type": "code", "execution_count": None, "outputs": []}
    cells: list[dict[str, object]] = [
        (code if k % 2 else {"cell_type": "markdown"})
        | {"id": f"cell-{k}", "metadata": {}, "source": source.strip()}
        for k, source in enumerate([title, _INSTALL, "", *rest])
        if source.strip()
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    whole = {
        "cells": cells,
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(whole, ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    for path in PAGES:
        old = path.read_text(encoding="utf-8")
        path.write_text(with_tables(old), encoding="utf-8", newline="\n")
    TUTORIAL.with_suffix(".ipynb").write_text(
        notebook(TUTORIAL.read_text(encoding="utf-8")), encoding="utf-8", newline="\n"
    )
    pairs = read(ROOT / ARCHIVE)
    for shipped, write in ((SHIPPED, write_numbers), (KNOWN, write_known)):
        with staging(shipped.parent) as staged:
            with (staged / "new").open("wb") as file:
                write(file, pairs)
            publish([(staged / "new", shipped)], shipped.parent)
