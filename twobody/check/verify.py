"""Whether an archive is right: its layout, its numbers, its images, and what it holds twice."""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from twobody.analysis import ANALYSIS, GEOMETRY_CSV, LABELS_CSV
from twobody.archive.container import Container
from twobody.archive.reader import is_original, layout_faults, origin_of, pairs_in
from twobody.archive.writer import label_dicts, metadata_dicts
from twobody.check.laws import CHECKS, WARNINGS
from twobody.check.tables import WIDTH
from twobody.encodings import get_encoding
from twobody.errors import Finding
from twobody.labels import NUMERIC_LABELS, TEXT_LABELS
from twobody.pairs import METADATA_NAMES, Columns, Image, Pairs
from twobody.text import counted, read_bytes

_WARNINGS_SHOWN = 5
_LARGEST_CSV = 1 << 30  # bytes
_BLOCK = 64  # pairs whose images are in memory at a time: 2.6 MB


class Check(NamedTuple):
    """One check, and what it found; the findings of a warning are legal, but suspicious."""

    law: str
    meaning: str
    warning: bool
    findings: list[Finding]


def check(law: Callable[..., Any], findings: Iterable[Finding], *, warning: bool = False) -> Check:
    """Gather the findings of a check under its name and the first line of its docstring."""
    meaning = (law.__doc__ or law.__name__).splitlines()[0]  # python -OO has no docstrings
    return Check(law.__name__.replace("_", " "), meaning, warning, list(findings))


def verify(archive: Container) -> list[Check]:
    """Run every check of an open archive.

    Of archives of the original project only what they hold is checked. Where layout or schema are
    wrong nothing else is looked at. Raises a ParseError where the file is damaged, hostile, not a
    dataset archive, or of a later format.
    """
    checks: list[Check] = []
    original = is_original(archive)
    for each in () if original else (layout, schema):
        checks.append(check(each, each(archive)))
        if checks[-1].findings:
            return checks
    pairs = pairs_in(archive)
    encoding = get_encoding(pairs.encoding)
    blocks = partial(_stored_images, archive, pairs)
    checks += [check(law, law(pairs)) for law in CHECKS]
    # The numbers that images are drawn from are not in archives of the original project.
    image_checks = (encoding.pixels,) if original else encoding.checks
    checks += [check(law, law(pairs, blocks)) for law in image_checks]
    if not original:
        checks.append(check(dicts, dicts(archive, pairs)))
        checks.append(check(analysis, analysis(archive.path.parent / ANALYSIS, pairs)))
    checks += [check(law, law(pairs), warning=True) for law in WARNINGS]
    checks += [check(law, law(pairs, blocks), warning=True) for law in encoding.warnings]
    return checks


def read_whole(archive: Container) -> Pairs:
    """Read everything, also what is not shown, so that damage and hostile pickles are named."""
    pairs = pairs_in(archive)
    for name, member in archive.members.items():
        if member.dtype.hasobject:
            archive.read_objects(name)
        else:
            for _ in archive.blocks(name, _BLOCK):
                pass
    return pairs


def has_errors(checks: Iterable[Check]) -> bool:
    """Tell whether any check failed; warnings are not errors."""
    return any(check.findings and not check.warning for check in checks)


def checks_as_dicts(checks: Iterable[Check]) -> list[dict[str, Any]]:
    """Return checks as JSON has them."""
    return [
        {**check._asdict(), "findings": [finding._asdict() for finding in check.findings]}
        for check in checks
    ]


def format_checks(checks: Sequence[Check]) -> Iterator[str]:
    """Yield what was found, for people: every error, and the first of each warning."""
    total = {False: 0, True: 0}  # errors, warnings
    for law, meaning, warning, findings in checks:
        total[warning] += len(findings)
        status = "ok" if not findings else "warning" if warning else "FAILED"
        count = f" Not so {counted(len(findings), 'time')}." if findings else ""
        summary = f"{status:8} {law}: {meaning}{count}"
        yield from textwrap.wrap(summary, WIDTH, subsequent_indent=" " * 9)
        shown = findings[:_WARNINGS_SHOWN] if warning else findings
        yield from (f"           {pair or 'archive'}: {message}" for pair, message in shown)
        if len(shown) < len(findings):
            yield f"           and {len(findings) - len(shown)} more (--json lists all)"
    found = f"{counted(total[False], 'error')}, {counted(total[True], 'warning')}"
    yield f"{counted(len(checks), 'check')}: {found}"


def layout(archive: Container) -> Iterator[Finding]:
    """Members, dtypes and shapes are those of the format."""
    yield from (Finding(None, fault.reason) for fault in layout_faults(archive))


def schema(archive: Container) -> Iterator[Finding]:
    """Labels, metadata, channels and provenance are those that this version knows."""
    origin = origin_of(archive)
    known = {
        "label_names": [label.name for label in NUMERIC_LABELS],
        "label_units": [label.unit for label in NUMERIC_LABELS],
        "text_label_names": [label.name for label in TEXT_LABELS],
        "metadata_names": list(METADATA_NAMES),
        "channels": list(origin.encoding.channel_names),
    }
    for name, expected in known.items():
        if (found := archive.read(name).tolist()) != expected:
            odd = sorted(set(found).symmetric_difference(expected)) or ["their order"]
            yield Finding(None, f"{name} differ in {', '.join(odd)}")
    pairs, (n,) = origin.provenance.get("pairs"), archive.members["pair_names"].shape
    kept = pairs.get("kept") if isinstance(pairs, dict) else None
    if kept != n:
        yield Finding(None, f"provenance speaks of {kept!r} pairs, not {n}")


def _stored_images(archive: Container, pairs: Pairs) -> Iterator[tuple[int, Image]]:
    """Yield the images as the file has them, a block at a time, each with its first row."""
    starts = range(0, len(pairs), _BLOCK)
    # The file may have none; in archives of the original project they may be of any dtype, or
    # pickled.
    if is_original(archive) or "images" not in archive.members:
        yield from ((start, pairs.encoded[start : start + _BLOCK]) for start in starts)
    else:
        yield from zip(starts, archive.blocks("images", _BLOCK), strict=True)


def dicts(archive: Container, pairs: Pairs) -> Iterator[Finding]:
    """The dicts of labels and metadata say what the columns say."""
    written = {"labels": label_dicts(pairs), "metadata": metadata_dicts(pairs)}
    for member, rows in written.items():
        if member not in archive.members:  # archives of the original project may lack them
            continue
        stored = archive.read_objects(member).tolist()
        for name, found, expected in zip(pairs.names.tolist(), stored, rows, strict=True):
            if not isinstance(found, dict):
                yield Finding(name, f"{member} is not a dict")
                continue
            odd = found.keys() ^ expected | {
                key
                for key in found.keys() & expected
                # An array, which compares item by item, is never what is written.
                if isinstance(found[key], np.ndarray) or found[key] != expected[key]
            }
            if odd:
                yield Finding(name, f"the dict of {member} differs in {', '.join(sorted(odd))}")


def analysis(folder: Path, pairs: Pairs) -> Iterator[Finding]:
    """The CSV files in analysis/ beside the archive, where there are any, say what it says."""
    geometries = {  # in the precision of the archive
        name: values.astype(np.float32) if name[0] in "xyz" or name.startswith("pop") else values
        for name, values in pairs.geometry_columns().items()
    }
    for file, columns in ((LABELS_CSV, pairs.label_columns()), (GEOMETRY_CSV, geometries)):
        if (folder / file).exists():
            yield from _csv_differences(folder / file, {"pair_name": pairs.names, **columns})


def _csv_differences(path: Path, columns: Columns) -> Iterator[Finding]:
    """Compare a CSV file with the columns that it has to hold."""
    names = columns["pair_name"].tolist()
    try:
        text = read_bytes(path, _LARGEST_CSV).decode()
        header, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
        if header != list(columns) or any(len(row) != len(header) for row in rows):
            yield Finding(None, f"{path.name} has other columns")
        elif [row[0] for row in rows] != names:
            yield Finding(None, f"{path.name} has other pairs, or in another order")
        else:
            cells_of = zip(*rows, strict=True)
            for (column, expected), cells in zip(columns.items(), cells_of, strict=True):
                is_number = expected.dtype.kind == "f"
                numbers = (float(cell or "nan") for cell in cells)
                found = np.array([*numbers], expected.dtype) if is_number else np.array(cells)
                missing = (found != found) & (expected != expected)  # noqa: PLR0124 - NaN
                for i in np.flatnonzero((found != expected) & ~missing):
                    message = f"{column} in {path.name} is {found[i]}, not {expected[i]}"
                    yield Finding(names[i], message)
    except (OSError, ValueError, csv.Error) as error:
        yield Finding(None, f"{path.name} cannot be read: {error}")
