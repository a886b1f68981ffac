"""Whether an archive is right: its layout, its numbers, its images, and what it holds twice."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twobody.analysis import ANALYSIS
from twobody.archive.container import Container
from twobody.archive.layout import FORMAT_VERSION
from twobody.archive.reader import layout_faults, read_any_version, read_provenance
from twobody.check.copies import analysis, as_dataset, dicts
from twobody.check.laws import IMAGE_LAWS, LAWS, SUSPICIONS, Finding, channel_amplitudes
from twobody.columns import Columns, RenderedImages
from twobody.encodings import published as images
from twobody.labels import NUMERIC_LABELS, TEXT_LABELS
from twobody.raw_data.folders import METADATA_NAMES
from twobody.tables import WIDTH
from twobody.text import counted

BASIS_TOLERANCE = 1e-6  # of values up to 2: machines differ in the last bits of exp and cos
_WARNINGS_SHOWN = 5
_BLOCK = 64  # pairs whose images are in memory at a time: 2.6 MB


class Check(NamedTuple):
    """One law, and what breaks it; the findings of a warning are legal, but suspect."""

    law: str
    meaning: str
    warning: bool
    findings: list[Finding]


def check(law: Any, findings: Iterable[Finding], *, warning: bool = False) -> Check:
    """Gather the findings of a law under its name and the first line of its docstring."""
    meaning = (law.__doc__ or law.__name__).splitlines()[0]  # python -OO has no docstrings
    return Check(law.__name__.replace("_", " "), meaning, warning, list(findings))


def verify(path: Path) -> list[Check]:
    """Check every law that the archive at `path` has to keep.

    Laws on what archives of the original project do not hold are left out for these. Where the
    layout is wrong nothing else is looked at.

    Raises
    ------
    ParseError
        The file is damaged, hostile, or no archive of a dataset.
    """
    with Container(path) as archive:
        checks = [check(layout, layout(archive))]
        if checks[0].findings:
            return checks
        columns = read_any_version(path)
        if isinstance(columns.images, RenderedImages):
            checks += [check(schema, schema(columns))]
            if checks[-1].findings:
                return checks
        checks += [check(law, law(columns)) for law in LAWS]
        checks += [check(pixels, pixels(archive, columns))]
        if isinstance(columns.images, RenderedImages):
            checks += [check(products, products(archive, columns))]
            amplitudes = channel_amplitudes(columns.images)
            checks += [check(law, law(columns, amplitudes)) for law in IMAGE_LAWS]
            dataset = as_dataset(columns, columns.images.amplitudes)
            checks += [
                check(basis, basis(columns.images.basis)),
                check(dicts, dicts(archive, dataset)),
                check(analysis, analysis(path.parent / ANALYSIS, dataset)),
            ]
    return checks + [check(law, law(columns), warning=True) for law in SUSPICIONS]


def is_broken(checks: Iterable[Check]) -> bool:
    """Tell whether any law is broken; warnings are not."""
    return any(check.findings and not check.warning for check in checks)


def checks_as_dicts(checks: Iterable[Check]) -> list[dict[str, Any]]:
    """Return checks as JSON has them."""
    return [
        {**check._asdict(), "findings": [finding._asdict() for finding in check.findings]}
        for check in checks
    ]


def format_checks(checks: Sequence[Check]) -> Iterator[str]:
    """Yield what was found, for people: every violation, and the first of each warning."""
    for law, meaning, warning, findings in checks:
        status = "ok" if not findings else "warning" if warning else "BROKEN"
        count = f" Not so {counted(len(findings), 'time')}." if findings else ""
        summary = f"{status:8} {law}: {meaning}{count}"
        yield from textwrap.wrap(summary, WIDTH, subsequent_indent=" " * 9)
        shown = findings[:_WARNINGS_SHOWN] if warning else findings
        yield from (f"           {pair or 'archive'}: {message}" for pair, message in shown)
        if len(shown) < len(findings):
            yield f"           and {len(findings) - len(shown)} more (--json lists all)"
    violations = sum(len(check.findings) for check in checks if not check.warning)
    warnings = sum(len(check.findings) for check in checks if check.warning)
    found = f"{counted(violations, 'violation')}, {counted(warnings, 'warning')}"
    yield f"{counted(len(checks), 'check')}: {found}"


def layout(archive: Container) -> Iterator[Finding]:
    """Members, dtypes and shapes are those of the format."""
    yield from (Finding(None, fault.reason) for fault in layout_faults(archive, {}))


def schema(columns: Columns) -> Iterator[Finding]:
    """Labels, metadata, channels and provenance are those that this version knows."""
    known = {
        "label_names": [label.name for label in NUMERIC_LABELS],
        "label_units": [label.unit for label in NUMERIC_LABELS],
        "text_label_names": [label.name for label in TEXT_LABELS],
        "metadata_names": list(METADATA_NAMES),
        "channels": list(images.CHANNEL_NAMES),
    }
    for name, expected in known.items():
        if (found := getattr(columns, name).tolist()) != expected:
            odd = sorted(set(found).symmetric_difference(expected)) or ["their order"]
            yield Finding(None, f"{name} differ in {', '.join(odd)}")
    provenance = read_provenance(columns) or {}
    stated = {"format_version": FORMAT_VERSION, "encoding": images.ENCODING}
    for name, value in stated.items():
        if provenance.get(name) != value:
            yield Finding(None, f"provenance {name} is {provenance.get(name)!r}, not {value!r}")
    pairs = provenance.get("pairs")
    kept = pairs.get("kept") if isinstance(pairs, dict) else None
    if kept != len(columns.pair_names):
        yield Finding(None, f"provenance speaks of {kept!r} pairs, not {len(columns.pair_names)}")


def basis(found: images.Image) -> Iterator[Finding]:
    """The basis images are those of the formulas."""
    expected = images.basis_images(found.shape[1], found.shape[2])
    for channel, distance in zip(images.CHANNEL_NAMES, np.abs(found - expected), strict=True):
        if not distance.max() <= BASIS_TOLERANCE:
            yield Finding(None, f"{channel} is up to {distance.max():.3g} away from its formula")


def pixels(archive: Container, columns: Columns) -> Iterator[Finding]:
    """Images are finite, and not negative where they cannot be."""
    bounded = np.array([channel.non_negative for channel in images.CHANNELS])
    for start, block in _stored_images(archive, columns):
        yield from _channels_where(~np.isfinite(block), "is not finite", columns, start)
        negative = (block < 0) & bounded[:, None, None]
        yield from _channels_where(negative, "is negative", columns, start)


def products(archive: Container, columns: Columns) -> Iterator[Finding]:
    """Images are amplitudes x basis, bit for bit."""
    for start, block in _stored_images(archive, columns):
        expected = columns.images[start : start + len(block)]
        wrong = block.view(np.uint32) != expected.view(np.uint32)
        yield from _channels_where(wrong, "is not amplitudes x basis", columns, start)


def _channels_where(
    wrong: NDArray[np.bool_], message: str, columns: Columns, start: int
) -> Iterator[Finding]:
    """Yield the channels with a pixel where `wrong` is true; its first row is pair `start`."""
    for i, k in np.argwhere(wrong.any((2, 3))):
        yield Finding(str(columns.pair_names[start + i]), f"{images.CHANNEL_NAMES[k]} {message}")


def _stored_images(
    archive: Container, columns: Columns
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield the images as the file has them, a block at a time, each with its first row."""
    start = 0
    if isinstance(columns.images, RenderedImages):
        for block in archive.blocks("images", _BLOCK):
            yield start, block
            start += len(block)
    else:
        for start in range(0, len(columns.images), _BLOCK):
            yield start, columns.images[start : start + _BLOCK]
