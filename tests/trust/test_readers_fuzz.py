"""A reader of a damaged file returns what stands in it, or raises ParseError.

Damage inside lines is judged by a second reading (`standing`). Damage that only drops, doubles,
moves or cuts lines leaves no right values but those of the whole file.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import layouts
import numpy as np
import pytest
import standing
from damage import IN_LINES, OF_LINES, damaged, damages
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from judge import assert_stands, plain
from mode import LONG

from twobody import ParseError
from twobody.dftbplus import parse_band_out, parse_detailed_out, parse_geo_end_xyz
from twobody.encodings.published import amplitudes_of
from twobody.errors import NO_PAIR
from twobody.files import InputDigest
from twobody.labels import NUMERIC_LABELS, TEXT_LABELS
from twobody.raw_data.derive import collect_pair
from twobody.raw_data.folders import read_pairs
from twobody.raw_data.label_csv import BONDS_FILE, LABELS_FILE, read_label_files
from twobody.text import decode

pytestmark = pytest.mark.trust

RAW_DATA = layouts.RAW_DATA
NAMES = sorted(path.name for path in RAW_DATA.iterdir() if (path / "band.out").exists())

examples = settings(
    max_examples=20_000 if LONG else 1_000,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)

pair_names = st.sampled_from(NAMES)
in_lines = damages(IN_LINES, 3)
of_lines = damages(OF_LINES, 3)
of_any_kind = damages(IN_LINES + OF_LINES, 4)


@cache
def real(pair: str, file: str) -> bytes:
    return (RAW_DATA / pair / file).read_bytes()


@pytest.fixture(scope="module")
def outcomes():
    """Count what became of the damaged files of each test."""
    return Counter()


@pytest.fixture(autouse=True)
def listed(outcomes, report):
    outcomes.clear()
    yield
    if outcomes:
        report(f"{outcomes.total()} mutations, {outcomes['refused']} refused")


def read(outcomes, parse: Any, data: bytes) -> tuple[Any, str]:
    """Return what a reader makes of a file and the file's text; None if it is refused."""
    try:
        text = decode(data, "damaged")
        result = parse(text)
    except ParseError:
        outcomes["refused"] += 1
        return None, ""
    outcomes["read"] += 1
    return result, text


# ---- detailed.out ----


@examples
@given(pair_names, in_lines)
def test_values_of_a_damaged_detailed_out_stand_in_it(outcomes, pair, damage):
    data = damaged(real(pair, "detailed.out"), damage)
    detailed, text = read(outcomes, parse_detailed_out, data)
    if detailed is not None:
        assert_stands(detailed, text, strict=True)


@examples
@given(pair_names, of_any_kind)
def test_values_of_a_disordered_detailed_out_stand_in_it(outcomes, pair, damage):
    data = damaged(real(pair, "detailed.out"), damage)
    detailed, text = read(outcomes, parse_detailed_out, data)
    if detailed is not None:
        assert_stands(detailed, text, strict=False)


LAYOUTS = {
    "24.1": lambda text: text,
    "17.1": layouts.version_17_1,
    "static": layouts.static,
    "spin-polarised": layouts.spin_polarised,
    "non-collinear": layouts.non_collinear,
    "without SCC": layouts.without_scc,
    "several steps": lambda text: layouts.unfinished(text.replace("step: ", "step: 1")) + text,
}


@pytest.mark.parametrize("layout", LAYOUTS)
@examples
@given(st.sampled_from(NAMES[::57]), of_lines)
def test_values_of_a_detailed_out_with_lines_lost_or_out_of_place_are_those_of_the_whole(
    outcomes, layout, pair, damage
):
    whole = LAYOUTS[layout](real(pair, "detailed.out").decode())
    detailed, _ = read(outcomes, parse_detailed_out, damaged(whole.encode(), damage))
    if detailed is None:
        return
    right = {name: {None, value} for name, value in plain(parse_detailed_out(whole)).items()}
    if layout == "several steps":  # the first may be the last that is left
        right["geometry_step"] |= set(standing.detailed_out(whole)["geometry_step"])
    # Nothing says how many atoms may move: a row that is lost is one of an atom that may not.
    moved = plain(parse_detailed_out(whole))["moved_positions"] or ()
    right["moved_positions"] |= {(row,) for row in moved}
    for name, value in plain(detailed).items():
        assert value in right[name], name


# ---- geo_end.xyz and band.out ----


@examples
@given(pair_names, of_any_kind)
def test_atoms_of_a_damaged_geo_end_xyz_stand_in_it(outcomes, pair, damage):
    data = damaged(real(pair, "geo_end.xyz"), damage)
    geometry, text = read(outcomes, parse_geo_end_xyz, data)
    if geometry is not None:
        columns = [geometry.positions]
        if geometry.populations is not None:
            columns.append(geometry.populations[:, None])
        rows = zip(geometry.symbols, np.hstack(columns).tolist(), strict=True)
        assert [(symbol, *row) for symbol, row in rows] in standing.geo_end_xyz(text)


@examples
@given(pair_names, of_any_kind)
def test_levels_of_a_damaged_band_out_stand_in_it(outcomes, pair, damage):
    levels, text = read(outcomes, parse_band_out, damaged(real(pair, "band.out"), damage))
    if levels is not None:
        found = list(zip(levels.energies.tolist(), levels.occupations.tolist(), strict=True))
        assert found == standing.band_out(text)


@examples
@given(pair_names, of_lines)
def test_no_level_is_lost_with_a_line_of_band_out(outcomes, tmp_path, pair, damage):
    """Beside the orbitals of detailed.out; alone, a file without its last levels looks whole."""
    folder = tmp_path / pair
    folder.mkdir(exist_ok=True)
    for file in ("detailed.out", "geo_end.xyz"):
        (folder / file).write_bytes(real(pair, file))
    (folder / "band.out").write_bytes(damaged(real(pair, "band.out"), damage))
    labels, errors = collect_pair(folder)
    outcomes["refused" if errors else "read"] += 1
    if labels is not None:
        assert labels.labels == collect_pair(RAW_DATA / pair)[0].labels


# ---- truncation and encodings ----

READERS = {
    "detailed.out": parse_detailed_out,
    "geo_end.xyz": parse_geo_end_xyz,
    "band.out": parse_band_out,
}


def same(first: Any, second: Any) -> bool:
    """Compare two results field by field; NaN does not occur."""
    return repr(vars(first)) == repr(vars(second)) and str(first) == str(second)


@pytest.mark.parametrize("file", READERS)
def test_a_file_cut_at_any_byte_is_refused_unless_only_blanks_are_gone(outcomes, file):
    for pair in NAMES[:: 20 if LONG else 570]:
        whole = real(pair, file)
        right = READERS[file](whole.decode())
        for length in range(len(whole)):
            result, _ = read(outcomes, READERS[file], whole[:length])
            if result is not None:
                assert whole[length:].isspace()
                assert same(result, right)


ENCODINGS = ("utf-16", "utf-32", "utf-16-le", "utf-7", "cp037", "cp1252", "utf-8-sig", "hz")
LINE_ENDS = ("\n", "\r\n", "\r", "\v", "\x85", "\u2028")


@pytest.mark.parametrize("file", READERS)
def test_another_encoding_is_refused_or_changes_nothing(outcomes, file):
    text = real("Ag_Al", file).decode()
    for encoding, line_end in product(ENCODINGS, LINE_ENDS):
        data = text.replace("\n", line_end).encode(encoding, errors="replace")
        result, _ = read(outcomes, READERS[file], data)
        if line_end in ("\n", "\r\n") and encoding in ("utf-8-sig", "cp1252"):
            assert result is not None
        if result is not None:
            assert same(result, READERS[file](text))


# ---- the label files ----


def assert_labels_stand(raw_data: Path, changed: str, text: str, outcomes: Counter[str]) -> None:
    names = sorted(path.name for path in raw_data.iterdir() if path.is_dir())
    table, problems = read_label_files(raw_data, names, InputDigest())
    bad = {problem.pair_name for problem in problems}
    outcomes["refused" if bad else "read"] += 1
    if NO_PAIR in bad:
        return
    rows = standing.label_rows(text)
    of_bonds = changed == BONDS_FILE
    labels = [label for label in NUMERIC_LABELS if (label.name == "distance_ang") == of_bonds]
    for i, name in enumerate(names):
        if name in bad:
            continue
        (row,) = rows[name]
        for label in labels:
            value = table.values[i, NUMERIC_LABELS.index(label)]
            cell = row[label.name].strip()
            if not cell:
                assert np.isnan(value), (name, label.name)
            elif label.kind == "flag":
                assert value == {"0": 0, "1": 1, "0.0": 0, "1.0": 1}[cell]
            else:
                assert value == standing.number(cell), (name, label.name)
        if not of_bonds:
            assert table.texts[i].tolist() == [row[label.name] for label in TEXT_LABELS]


@pytest.mark.parametrize("file", [LABELS_FILE, BONDS_FILE])
@examples
@given(damage=of_any_kind)
def test_labels_of_a_damaged_csv_file_stand_in_it(outcomes, small_raw_data, file, damage):
    path = small_raw_data / file
    whole = path.read_bytes()
    data = damaged(whole, damage).replace(b'"', b"'")  # quotes have a law of their own
    path.write_bytes(data)
    assert_labels_stand(small_raw_data, file, data.decode("utf-8-sig", "replace"), outcomes)
    path.write_bytes(whole)


@pytest.mark.parametrize("file", [LABELS_FILE, BONDS_FILE])
def test_a_csv_file_cut_at_any_byte_loses_rows_and_no_more(outcomes, small_raw_data, file):
    path = small_raw_data / file
    whole = path.read_bytes()
    names = sorted(p.name for p in small_raw_data.iterdir() if p.is_dir())
    right, _ = read_label_files(small_raw_data, names, InputDigest())
    for length in range(len(whole) - 1):
        left = whole[:length]
        path.write_bytes(left)
        table, problems = read_label_files(small_raw_data, names, InputDigest())
        bad = {problem.pair_name for problem in problems}
        outcomes["refused" if bad else "read"] += 1
        assert bad
        if NO_PAIR not in bad:
            good = ~np.isin(names, sorted(bad))
            np.testing.assert_array_equal(table.values[good], right.values[good])
            np.testing.assert_array_equal(table.texts[good], right.texts[good])


# ---- whole pairs ----


def assert_pair_stands(name: str, row: Any, detailed: str, geometry: str) -> None:
    """Check the row of a pair against what stands in the two files."""
    # A line of digits alone, as a number broken in two leaves, begins a frame that has no atoms.
    atoms = [frame for frame in standing.geo_end_xyz(geometry) if frame][-1]
    assert [list(atom[1:4]) for atom in atoms] == row["positions"].tolist()
    assert [atom[0] for atom in atoms] == name.split("_")
    there = standing.detailed_out(detailed)
    if len(atoms[0]) == 5:
        assert [atom[4] for atom in atoms] == row["populations"].tolist()
    else:
        assert tuple(enumerate(row["populations"].tolist(), 1)) in there["atom_populations"]
    for quantity in ("total_charge", "fermi_level", "total_energy"):
        if np.isnan(row[quantity]):
            assert there[quantity] == []
        else:
            assert row[quantity] in there[quantity], quantity
    dipole = tuple(row["dipole"].tolist())
    assert dipole in there["dipole_moment"]
    assert row["num_atoms"] == 2
    first, second = (np.array(atom[1:4]) for atom in atoms)
    assert np.isclose(row["bond_length"], np.linalg.norm(second - first), rtol=1e-14)
    tables = ("gross_charges", "atom_populations", "orbitals")
    possible = [
        standing.amplitudes(q, n, dipole, o)
        for q, n, o in zip(*(there[name] for name in tables), strict=False)
        if standing.UNREADABLE not in (q, n, o)
    ]
    found = amplitudes_of(row[None])[0]
    assert any(np.allclose(found, a, rtol=1e-12, atol=1e-12) for a in possible)


@examples
@given(pair_names, in_lines, in_lines, st.sampled_from([1, 2, 3]))
def test_a_damaged_pair_is_read_as_it_stands_and_hurts_no_other(
    outcomes, tmp_path, pair, damage, other_damage, which
):
    beside = ["Al_N", "Zr_Zr"] if pair not in ("Al_N", "Zr_Zr") else ["H_H", "I_Xe"]
    names = sorted([pair, *beside])
    changed = {
        "detailed.out": damage if which & 1 else [],
        "geo_end.xyz": other_damage if which & 2 else [],
    }
    texts = {}
    for name in names:
        (tmp_path / name).mkdir(exist_ok=True)
        for file, how in changed.items():
            data = real(name, file)
            data = damaged(data, how) if name == pair else data
            (tmp_path / name / file).write_bytes(data)
            texts[name, file] = data.decode("utf-8-sig", "replace")
    rows, _, problems = read_pairs(tmp_path, names, InputDigest())
    assert {problem.pair_name for problem in problems} <= {pair}
    outcomes["refused" if problems else "read"] += 1
    for name, row in zip(names, rows, strict=True):
        if name == pair and problems:
            assert np.isnan(row["total_energy"])
        else:
            assert_pair_stands(name, row, texts[name, "detailed.out"], texts[name, "geo_end.xyz"])
