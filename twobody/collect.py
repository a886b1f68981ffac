"""The labels of a pair folder, worked out from all three of its files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from twobody.dftbplus import DetailedOut, Levels, read_band_out
from twobody.errors import ParseError
from twobody.files import InputDigest
from twobody.label_files import PairLabels
from twobody.labels import derive_labels
from twobody.pairs import BAND_OUT, read_pair


def collect_pair(folder: Path) -> tuple[PairLabels | None, list[ParseError]]:
    """Return geometry and labels of the pair in `folder`, or everything that is wrong with it.

    Pairs whose SCC did not converge are taken: a label says so.
    """
    pair, errors = read_pair(folder, InputDigest(), allow_unconverged=True)
    try:
        levels = read_band_out(folder / BAND_OUT)
        if pair is not None:
            _check_levels(levels, pair.detailed, folder / BAND_OUT)
    except ParseError as error:
        errors.append(error)
    if pair is None or errors:
        return None, errors
    labels = derive_labels(pair.name, pair.detailed, levels, pair.bond_length)
    return PairLabels(pair.geometry, labels), []


def _check_levels(levels: Levels, detailed: DetailedOut, path: Path) -> None:
    """Check that every spin and k-point has as many levels as there are (spin) orbitals."""
    if detailed.orbitals is None:
        return
    non_collinear = len(detailed.spin_channels) == 4
    expected = len(detailed.orbitals.atom) * (2 if non_collinear else 1)
    blocks = Counter(zip(levels.k_points.tolist(), levels.spins.tolist(), strict=True))
    for (k_point, spin), n in blocks.items():
        if n != expected:
            what = f"{expected} levels, one an orbital, for k-point {k_point}, spin {spin}"
            raise ParseError(path, None, what, f"{n}")
