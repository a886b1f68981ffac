"""The folder that gets published: the archive, loaders that need nothing else, card, checksums.

Formats: dataset cards of Hugging Face (https://huggingface.co/docs/hub/datasets-cards), checksums
of GNU coreutils.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from importlib.resources import files
from pathlib import Path
from string import Template

from twobody import __version__
from twobody.analysis import ANALYSIS, ANALYSIS_FILES
from twobody.archive.layout import ARCHIVE, SHIPPED
from twobody.archive.reader import read
from twobody.archive.writer import write_numbers
from twobody.encodings import get_encoding
from twobody.errors import ParseError
from twobody.files import publish_folder, sha256, staging
from twobody.labels import LABELS
from twobody.pairs import Pairs
from twobody.publish.croissant import KEYWORDS, describe
from twobody.publish.schema_tables import channel_table, label_table, member_table
from twobody.text import read_text

NAME = "TwoBody"
LOADERS = ("pytorch_dataset.py", "pytorch_geometric_dataset.py")
LOADER_MODULES = (  # what the loaders need of the package, and `load_labels`
    *("__init__.py", "analysis.py", "elements.py", "errors.py", "graphs.py", "labels.py"),
    *("pairs.py", "samples.py", "text.py", "encodings/*.py", "encodings/*.npz"),
    *("archive/__init__.py", "archive/container.py", "archive/layout.py", "archive/original.py"),
    *("archive/pickles.py", "archive/reader.py"),
)
LICENCE, CITATION = "LICENSE", "CITATION.cff"
CARD, CROISSANT, SUMS = "README.md", "croissant.json", "SHA256SUMS"


def check_release(folder: Path, source: Path) -> None:
    """Refuse, by a ParseError, a place that holds anything else, and what is no checkout."""
    for name in (*LOADERS, LICENCE, CITATION):
        if not (source / name).is_file():
            raise ParseError(source / name, None, "a checkout of the repository", "no such file")
    release_date(source / CITATION)
    for place in (folder, *folder.absolute().parents):
        if os.path.lexists(place) and not place.is_dir():
            raise ParseError(place, None, "a folder, or nothing", "a file")
    target = folder / NAME
    others = _files(target) if target.is_dir() else {NAME}
    if (sums := target / SUMS).is_file():
        text = sums.read_text(encoding="utf-8", errors="replace")
        others -= {SUMS, *re.findall(r"(?m)^[0-9a-f]{64}  (.+)$", text)}
    if os.path.lexists(target) and others:
        expected = f"nothing, or only what {SUMS} there lists"
        raise ParseError(target, None, expected, ", ".join(sorted(others)[:3]))


def write_release(folder: Path, archive: Path, source: Path) -> Path:
    """Write the folder ``TwoBody`` into `folder`, whole or not at all; one of before is replaced.

    ``analysis/`` is beside `archive`; `source` is a checkout of the repository: loaders, the
    package, licence, citation. Returns the folder ``TwoBody``.

    Raises
    ------
    ParseError
        As `check_release`.
    """
    check_release(folder, source)
    folder.mkdir(parents=True, exist_ok=True)
    modules = [path for name in LOADER_MODULES for path in sorted(source.glob(f"twobody/{name}"))]
    copied = [*(source / name for name in (LICENCE, CITATION, *LOADERS)), *modules]
    tables = [archive.parent / ANALYSIS / name for name in ANALYSIS_FILES]
    origins = {path.relative_to(source): path for path in copied}
    origins |= {Path(ANALYSIS, path.name): path for path in tables if path.exists()}
    with staging(folder) as staged:
        release = staged / NAME
        for name, origin in (origins | {Path(ARCHIVE): archive}).items():
            (release / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(origin, release / name)
        pairs = read(release / ARCHIVE)
        with (release / "twobody" / SHIPPED.name).open("wb") as shipped:
            write_numbers(shipped, pairs)  # the loaders open it where no path is given
        citation = source / CITATION
        metadata = describe(release, len(pairs), release_date(citation), address(citation))
        croissant = json.dumps(metadata, indent=2, ensure_ascii=False) + "\n"
        for file, text in ((CARD, card(pairs)), (CROISSANT, croissant)):
            (release / file).write_text(text, encoding="utf-8", newline="\n")
        sums = [f"{sha256(release / name)}  {name}\n" for name in sorted(_files(release))]
        (release / SUMS).write_text("".join(sums), encoding="utf-8", newline="\n")
        publish_folder(release, folder / NAME)
    return folder / NAME


def release_date(citation: Path) -> str:
    """Return the date in the citation file, ``YYYY-MM-DD``.

    Raises a ParseError where there is none, or another version than the package has.
    """
    text = read_text(citation)
    (version,) = re.findall(r"(?m)^version: (.+)$", text)[:1] or ["none"]
    if version != __version__:
        raise ParseError(citation, None, f"version: {__version__}", version)
    dates: list[str] = re.findall(r"(?m)^date-released: (\d{4}-\d\d-\d\d)$", text)
    if not dates:
        raise ParseError(citation, None, "date-released: YYYY-MM-DD", "none")
    return dates[0]


def address(citation: Path) -> str | None:
    """Return the address of the dataset's DOI; None where the citation file has none yet."""
    doi = re.search(r"(?m)^doi: (\S+)$", read_text(citation))
    return f"https://doi.org/{doi[1]}" if doi else None


def card(pairs: Pairs) -> str:
    """Return the dataset card; its header is what the Hugging Face hub reads."""
    template = (files("twobody.publish") / "templates" / "card.md").read_text(encoding="utf-8")
    encoding = get_encoding(pairs.encoding)
    limits = ("1K", "10K", "100K", "1M", "10M", "100M", "1B")  # the hub's numbers of examples
    k = max(len(str(len(pairs))) - 3, 0)
    return Template(template).substitute(
        version=__version__,
        n_pairs=f"{len(pairs):,}",
        n_labels=len(LABELS),
        tags="\n".join(f"- {keyword}" for keyword in KEYWORDS),
        size_category=f"{limits[k - 1]}<n<{limits[k]}" if k else "n<1K",
        members=member_table(encoding),
        labels=label_table(),
        encoding=encoding.name,
        channels=channel_table(encoding),
        legend=encoding.legend,
    )


def _files(folder: Path) -> set[str]:
    """Return the files below `folder`, with slashes; not what Python leaves there when it runs."""
    paths = (path.relative_to(folder) for path in folder.rglob("*") if not path.is_dir())
    return {path.as_posix() for path in paths if "__pycache__" not in path.parts}
