"""The site of the documentation: it builds without a warning, and says what the code says."""

import html
import inspect
import re
import subprocess
import sys
from dataclasses import fields

import pytest
from pages import ROOT

from twobody.dftbplus import DetailedOut

pytest.importorskip("mkdocstrings_handlers.python", reason="needs the extra docs")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return folder


def text_of(markup):
    """Return what a reader sees, a piece of text a line."""
    text = html.unescape(re.sub(r"<[^>]+>", "\n", markup))
    return [line.strip() for line in text.splitlines() if line.strip()]


def test_each_field_of_detailed_out_is_there_with_what_the_source_says_of_it(site):
    page = (site / "api" / "dftbplus" / "index.html").read_text(encoding="utf-8")
    source = inspect.getsource(DetailedOut)
    comments = dict(re.findall(r"(?m)^    (\w+): [^#\n]+  # (.*)$", source))
    assert comments["band_energy"] == "H, summed over spins"
    assert len(comments) > 10
    for field in fields(DetailedOut):
        _, _, after = page.partition(f'id="twobody.dftbplus.DetailedOut.{field.name}"')
        entry = text_of(after.partition('<div class="doc doc-object')[0])
        assert any(line.startswith(field.name) for line in entry)
        if field.name in comments:
            assert comments[field.name] in entry


def test_the_pages_of_the_api_show_no_private_name(site):
    pages = sorted((site / "api").glob("**/index.html"))
    assert len(pages) == 5
    for page in pages:
        anchors = re.findall(r'<h[2-6] id="([\w.]+)"', page.read_text(encoding="utf-8"))
        assert [a for a in anchors if re.search(r"\._(?!_)", a)] == []


def test_formulas_are_set(site):
    for name, n in (("data", 20), ("encodings", 40)):
        page = (site / name / "index.html").read_text(encoding="utf-8")
        assert page.count("<math") > n
        assert "merror" not in page
        assert not [line for line in text_of(page) if "$" in line]


def test_it_is_dark_where_the_reader_wants_it(site):
    page = (site / "index.html").read_text(encoding="utf-8")
    assert re.search(r'prefers-color-scheme: dark\)" data-md-color-scheme="slate"', page)


def test_nothing_is_fetched_from_elsewhere(site):
    for page in site.glob("**/*.html"):
        text = page.read_text(encoding="utf-8")
        assert (
            re.findall(r"<(?:script|img|link|iframe)[^>]*(?:src|href)=\"?https?:[^>]*>", text) == []
        )
