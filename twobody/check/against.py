"""Whether an archive says what the raw files say: everything is read again and compared."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from twobody.archive.reader import read_provenance
from twobody.check.compare import only_in_one, shared_quantities
from twobody.check.laws import LABEL_TOLERANCE, Finding
from twobody.check.verify import Check, check
from twobody.columns import Columns, RenderedImages
from twobody.elements import ATOMIC_NUMBERS
from twobody.encodings.published import CHANNEL_NAMES, basis_images
from twobody.errors import PairProblem
from twobody.labels import NUMERIC_LABELS, TEXT_LABELS
from twobody.raw_data.derive import collect_pair
from twobody.raw_data.folders import METADATA_NAMES, read_pair
from twobody.raw_data.read import Sources, read_sources
from twobody.tables import plain


def check_against(columns: Columns, raw_data: Path) -> list[Check]:
    """Read `raw_data` again and compare every value.

    Raises
    ------
    ParseError
        `raw_data` is no such folder, or its CSV files cannot be read at all.
    """
    sources = read_sources(raw_data, allow_unconverged=True)
    raw = as_columns(raw_data, sources)
    return [
        check(raw_pairs, raw_pairs(columns, raw, sources.problems)),
        check(raw_values, raw_values(columns, raw)),
        *_same_input(columns, sources.digest),
        check(derived_labels, derived_labels(columns, raw_data), warning=True),
    ]


def as_columns(raw_data: Path, sources: Sources) -> Columns:
    """Return what an archive of the pairs without problems would be read as."""
    pairs, labels = sources.good()
    numbers = [[ATOMIC_NUMBERS[symbol] for symbol in row] for row in pairs.elements.tolist()]
    return Columns(
        path=raw_data,
        pair_names=pairs.names,
        elements=pairs.elements,
        atomic_numbers=np.array(numbers, np.int64).reshape(-1, 2),
        geometries=pairs.geometries,
        label_names=np.array([label.name for label in NUMERIC_LABELS]),
        label_units=np.array([label.unit for label in NUMERIC_LABELS]),
        label_values=labels.values,
        text_label_names=np.array([label.name for label in TEXT_LABELS]),
        text_label_values=labels.texts.astype(np.str_),
        metadata_names=np.array(METADATA_NAMES),
        metadata_values=pairs.metadata,
        channels=np.array(CHANNEL_NAMES),
        images=RenderedImages(pairs.amplitudes, basis_images()),
        provenance="",
    )


def raw_pairs(columns: Columns, raw: Columns, problems: list[PairProblem]) -> Iterator[Finding]:
    """The archive has every pair that can be read from the raw files, and no other."""
    pairs = only_in_one(columns.pair_names, raw.pair_names)
    for name in pairs["only_in_second"]:
        _, errors = read_pair(raw.path / name)
        if not errors:  # one that did not converge may have been left out
            yield Finding(name, "is not in the archive")
    reasons = {problem.pair_name: str(problem.error) for problem in problems}
    for name in pairs["only_in_first"]:
        yield Finding(name, reasons.get(name, "is not in the raw files"))


def raw_values(columns: Columns, raw: Columns) -> Iterator[Finding]:
    """Every value is that of the raw files."""
    names = np.intersect1d(columns.pair_names, raw.pair_names)
    for quantity in shared_quantities(columns, raw):
        for i in np.flatnonzero(quantity.beyond_rounding):
            here, there = plain(quantity.first[i]), plain(quantity.second[i])
            yield Finding(str(names[i]), f"{quantity.name} is {here}, in the raw files {there}")


def _same_input(columns: Columns, digest: str) -> Iterator[Check]:
    """Check `same_input` where the archive says what it was built from."""
    built_from = (read_provenance(columns) or {}).get("input_sha256")
    if built_from is not None:
        yield check(same_input, same_input(built_from, digest), warning=True)


def same_input(built_from: object, digest: str) -> Iterator[Finding]:
    """The raw files are, byte for byte, those that the archive says it was built from."""
    if built_from != digest:
        yield Finding(None, f"SHA-256 of the raw files is {digest}, not {built_from}")


def derived_labels(columns: Columns, raw_data: Path) -> Iterator[Finding]:
    """Labels are those that follow from the DFTB+ output; the label files may say otherwise."""
    known = {label.name for label in NUMERIC_LABELS}
    rows = zip(columns.pair_names.tolist(), columns.label_values.tolist(), strict=True)
    for name, values in tqdm(list(rows), "deriving", unit="pair", disable=None):
        pair, errors = collect_pair(raw_data / name)
        yield from (Finding(name, str(error)) for error in errors)
        if pair is None:
            continue
        for label, found in zip(columns.label_names.tolist(), values, strict=True):
            if label not in known:
                continue
            derived = pair.labels[label]
            expected = float("nan") if derived is None else float(derived)
            close = np.isclose(
                found, expected, rtol=LABEL_TOLERANCE, atol=LABEL_TOLERANCE, equal_nan=True
            )
            if not close:
                yield Finding(name, f"{label} is {plain(np.float64(found))}, derived {derived}")
