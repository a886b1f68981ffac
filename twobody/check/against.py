"""Whether an archive says what the raw files say: everything is read again and compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from twobody.check.compare import only_in_one, shared_quantities
from twobody.check.tables import plain
from twobody.check.verify import Check, check
from twobody.encodings import get_encoding
from twobody.errors import Finding, PairProblem
from twobody.pairs import Pairs
from twobody.raw_data.derive import collect_pair
from twobody.raw_data.folders import read_pair
from twobody.raw_data.read import LABEL_TOLERANCE, read


def check_against(pairs: Pairs, raw_data: Path) -> list[Check]:
    """Read `raw_data` again and compare every value of an archive with it.

    Raises a ParseError where it is not such a folder, or its CSV files cannot be read at all.
    """
    found = read(raw_data, allow_unconverged=True)
    raw = found.good()
    checks = [
        check(raw_pairs, raw_pairs(pairs, raw, found.problems)),
        check(raw_values, raw_values(pairs, raw)),
    ]
    # Archives of the original project do not say what they were built from.
    if pairs.provenance is not None and "input_sha256" in pairs.provenance:
        findings = same_input(pairs.provenance["input_sha256"], found.digest)
        checks.append(check(same_input, findings, warning=True))
    return [*checks, check(derived_labels, derived_labels(pairs, raw_data), warning=True)]


def raw_pairs(pairs: Pairs, raw: Pairs, problems: Sequence[PairProblem]) -> Iterator[Finding]:
    """The archive has every pair that can be read from the raw files, and no other."""
    names = only_in_one(pairs.names.tolist(), raw.names.tolist())
    for name in names["only_in_second"]:
        _, errors = read_pair(raw.path / name)
        if not errors:  # one that did not converge may have been left out
            yield Finding(name, "is not in the archive")
    reasons = {problem.pair_name: str(problem.error) for problem in reversed(problems)}
    for name in names["only_in_first"]:
        yield Finding(name, reasons.get(name, "is not in the raw files"))


def raw_values(pairs: Pairs, raw: Pairs) -> Iterator[Finding]:
    """Every value is that of the raw files."""
    _, rows, others = np.intersect1d(pairs.names, raw.names, return_indices=True)
    there = raw.take(others)
    images = get_encoding(pairs.encoding).encode(there)
    there = replace(there, encoding=pairs.encoding, provenance=pairs.provenance, images=images)
    for quantity in shared_quantities(pairs.take(rows), there):
        for i in np.flatnonzero(quantity.beyond_rounding):
            values = f"{plain(quantity.first[i])}, in the raw files {plain(quantity.second[i])}"
            yield Finding(str(quantity.pairs[i]), f"{quantity.name} is {values}")


def same_input(built_from: object, digest: str) -> Iterator[Finding]:
    """The raw files are, byte for byte, those that the archive says it was built from."""
    if built_from != digest:
        yield Finding(None, f"SHA-256 of the raw files is {digest}, not {built_from}")


def derived_labels(pairs: Pairs, raw_data: Path) -> Iterator[Finding]:
    """Labels are those that follow from the DFTB+ output; the label files may say otherwise."""
    labels = pairs.label_names.tolist()
    for i, name in enumerate(tqdm(pairs.names.tolist(), "deriving", unit="pair", disable=None)):
        pair, errors = collect_pair(raw_data / name)
        yield from (Finding(name, str(error)) for error in errors)
        derived = {} if pair is None else pair.labels
        for label, found in zip(labels, pairs.label_values[i], strict=True):
            expected = np.array(derived.get(label, found), np.float64)  # None is missing
            if not np.isclose(found, expected, LABEL_TOLERANCE, LABEL_TOLERANCE, equal_nan=True):
                yield Finding(name, f"{label} is {plain(found)}, derived {derived[label]}")
