"""The reader of detailed.out: values, every layout of every version, then damaged files."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import fields

import layouts
import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from layouts import RAW_DATA, orbitals_of, real, replaced

from twobody import ParseError
from twobody.dftbplus import DetailedOut, geometry_step, parse_detailed_out, read_detailed_out
from twobody.dftbplus.geometry_step import Step

H_LI = real("H_Li")
H_LI_LINES = H_LI.split("\n")


def values(detailed: DetailedOut) -> dict[str, object]:
    """Return the fields as plain numbers and tuples, orbitals column by column."""
    plain: dict[str, object] = {}
    for field in fields(detailed):
        value = getattr(detailed, field.name)
        plain[field.name] = tuple(value.tolist()) if isinstance(value, np.ndarray) else value
    if detailed.moved_positions is not None:
        moved = {atom: tuple(xyz.tolist()) for atom, xyz in detailed.moved_positions.items()}
        plain["moved_positions"] = moved
    orbitals = plain.pop("orbitals")
    for name in ("atom", "shell", "l", "m", "population"):
        column = None if orbitals is None else tuple(getattr(orbitals, name).tolist())
        plain[f"orbitals.{name}"] = column
    return plain


def assert_same(detailed: DetailedOut, other: DetailedOut, **different: object) -> None:
    """Compare all fields; `different` says what those are that are not those of `other`."""
    assert values(detailed) == values(other) | different


# ---- values ----


def test_values_of_a_real_file():
    detailed = read_detailed_out(RAW_DATA / "H_Li" / "detailed.out")
    assert values(detailed) == {
        "total_charge": 0.0,
        "gross_charges": (-0.40784956, 0.40784956),
        "atom_populations": (1.40784956, 0.59215044),
        "orbitals.atom": (0, 1, 1, 1, 1),
        "orbitals.shell": (1, 1, 2, 2, 2),
        "orbitals.l": (0, 0, 1, 1, 1),
        "orbitals.m": (0, 0, -1, 0, 1),
        "orbitals.population": (1.40784956, 0.37818234, 0.0, 0.21396810, 0.0),
        "spin_channels": ("up",),
        "fermi_level": -0.1333323056,
        "band_energy": -0.3826903303,
        "total_energy": -0.4885066171,
        "mermin_free_energy": -0.4885066171,
        "repulsive_energy": 0.0004818390,
        "dipole_moment": (0.0, 0.0, 1.36785914),
        "moved_positions": {0: (0.0, 0.0, -0.17458413), 1: (0.0, 0.0, 3.17924845)},
        "geometry_step": 5,
        "scc_iteration": 4,
        "scc_total_electronic": -0.48898846,
        "scc_diff_electronic": -0.59087403e-06,
        "scc_error": 0.16582330e-08,
        "scc_converged": True,
        "geometry_converged": True,
    }


def test_arrays_hold_64_bit_numbers():
    detailed = parse_detailed_out(H_LI)
    assert detailed.gross_charges.dtype == detailed.dipole_moment.dtype == np.float64
    assert detailed.orbitals.population.dtype == np.float64
    assert detailed.orbitals.l.dtype == detailed.orbitals.atom.dtype == np.int64


def test_a_negative_population_is_legal_and_does_not_end_the_table():
    orbitals = parse_detailed_out(real("Au_Cs")).orbitals
    row = (orbitals.atom == 0) & (orbitals.l == 1) & (orbitals.m == 0)
    assert orbitals.population[row].tolist() == [-0.00147870]
    assert len(orbitals.population) == 18


@pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.trust)])
def test_every_real_file_is_read_as_by_column(step):
    for path in sorted(RAW_DATA.glob("*/detailed.out"))[::step]:
        text = path.read_text()
        expected = oracle.detailed_out(text)
        del expected["orbitals.label"]
        assert values(parse_detailed_out(text, path)) == expected | {"spin_channels": ("up",)}, path


# ---- layouts ----


def test_the_rewriting_functions_print_what_dftbplus_prints():
    for pair in ("H_Li", "As_H", "Au_Bi"):
        text = real(pair)
        printed = layouts.populations(orbitals_of(text), "up")
        assert layouts.with_populations(text, printed) == text
        fermi = layouts.energy("Fermi level", oracle.detailed_out(text)["fermi_level"])
        assert fermi in text


@pytest.fixture(params=["H_Li", "Ag_Al", "Au_Bi"])
def text(request):
    return real(request.param)


def test_the_layout_of_17_1(text):
    old = layouts.version_17_1(text)
    for line in (
        " Net atomic charges (e)\n",
        " Atom       Net charge\n",
        " Fermi level: ",
        "Label",
    ):
        assert (line in old) == (line != "Label")
    assert_same(parse_detailed_out(old), parse_detailed_out(text), total_charge=None)


def test_the_net_charge_that_was_printed_between_17_1_and_18_1_is_the_total_charge(text):
    old = replaced(text, " Total charge: ", " Net charge: ")
    assert_same(parse_detailed_out(old), parse_detailed_out(text))


def test_the_layout_of_18_1_has_no_labels(text):
    orbitals = layouts.populations(orbitals_of(text), "up", labels=False)
    old = layouts.with_populations(text, orbitals)
    assert_same(parse_detailed_out(old), parse_detailed_out(text))


def test_labels_are_not_looked_at(text):
    # Up to 22.1 they are wrong for some f orbitals and for a third shell of the same l.
    wrong = re.sub(r"(?m)  (s|p_.|d_\S+)$", "  f_y(3x2-y2)", text)
    assert wrong != text
    assert_same(parse_detailed_out(wrong), parse_detailed_out(text))


@pytest.mark.parametrize(
    ("title", "rows"),
    [
        (" CM5 corrected atomic gross charges (e)\n Atom           Charge", "      -0.35000000"),
        (
            "\n Atomic net (on-site) populations and hybridisation ratios\n Atom Population Hyb.",
            "       1.23000000      0.12000000",
        ),
    ],
    ids=["CM5 charges of 20.1", "on-site populations of 20.2"],
)
def test_sections_that_look_like_the_gross_charges_are_not_them(text, title, rows):
    section = f"{title}\n    1{rows}\n    2{rows}\n\n"
    newer = replaced(text, "Nr. of electrons", section + "Nr. of electrons")
    assert_same(parse_detailed_out(newer), parse_detailed_out(text))


def test_a_spin_polarised_run_adds_its_channels_up(text):
    spin, plain = parse_detailed_out(layouts.spin_polarised(text)), parse_detailed_out(text)
    assert spin.spin_channels == ("up", "down")
    np.testing.assert_allclose(spin.atom_populations, plain.atom_populations, atol=1e-8)
    np.testing.assert_allclose(spin.orbitals.population, plain.orbitals.population, atol=1e-8)
    assert spin.orbitals.m.tolist() == plain.orbitals.m.tolist()
    assert spin.band_energy == pytest.approx(plain.band_energy, abs=1e-9)
    # Of the two Fermi levels the higher one counts: here that of the first channel.
    assert spin.fermi_level == plain.fermi_level
    for name in ("gross_charges", "total_energy", "dipole_moment", "scc_error"):
        assert values(spin)[name] == values(plain)[name]


def test_the_higher_fermi_level_may_be_that_of_the_second_channel():
    text = layouts.spin_polarised(H_LI)
    first, second = re.findall(r"Fermi level:.*\n", text)
    swapped = replaced(replaced(replaced(text, first, "@"), second, first), "@", second)
    assert parse_detailed_out(swapped).fermi_level == -0.1333323056


def test_a_spin_polarised_run_without_mulliken_analysis():
    text = layouts.without_mulliken(layouts.spin_polarised(H_LI))
    detailed = parse_detailed_out(text)
    assert detailed.spin_channels == ()
    assert detailed.fermi_level == -0.1333323056
    assert detailed.band_energy == pytest.approx(-0.3826903303, abs=1e-9)


def test_old_names_of_the_spin_channels(text):
    new = parse_detailed_out(layouts.spin_polarised(text))
    old = parse_detailed_out(layouts.spin_polarised(text, ("spin: 1", "spin: 2")))
    assert_same(old, new, spin_channels=("spin: 1", "spin: 2"))
    one = text.replace("(up)", "(spin: 1)")
    assert_same(parse_detailed_out(one), parse_detailed_out(text), spin_channels=("spin: 1",))


def test_of_a_non_collinear_run_q_is_the_population_and_the_rest_its_magnetisation(text):
    detailed = parse_detailed_out(layouts.non_collinear(text))
    assert_same(detailed, parse_detailed_out(text), spin_channels=("q", "x", "y", "z"))


def test_the_fermi_level_was_once_called_fermi_energy(text):
    old = replaced(text, "Fermi level: ", "Fermi energy:")
    assert_same(parse_detailed_out(old), parse_detailed_out(text))


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("Fermi level", "fermi_level"),
        ("Band energy", "band_energy"),
        ("Total Mermin free energy", "mermin_free_energy"),
        ("Repulsive energy", "repulsive_energy"),
        ("TS", None),
        ("Force related energy", None),
        ("Extrapolated to 0", None),
        ("Total Electronic energy", None),
        ("Input / Output electrons \\(q\\)", None),
    ],
)
def test_what_a_solver_does_not_give_is_none(text, line, name):
    without, n_lines = re.subn(rf"(?m)^{line}:.*\n", "", text)
    assert n_lines == 1
    different = {name: None} if name else {}
    assert_same(parse_detailed_out(without), parse_detailed_out(text), **different)


@pytest.mark.parametrize(
    ("heading", "end", "step", "converged"),
    [
        ("Geometry optimization step: 0", "Geometry converged", 0, True),
        ("Geometry optimization step: 12, Lattice step: 3", "Geometry converged", 12, True),
        ("Geometry optimization step: 12", "!!! Geometry did NOT converge!", 12, False),
        ("MD step: 200", "Molecular dynamics completed", 200, None),
        ("MD step: 7", "!!! Molecular dynamics terminated abnormally!", 7, None),
        ("Difference derivative step: 11", "Second derivatives completed", 11, None),
    ],
)
def test_headings_of_a_step_and_ends_of_a_run(heading, end, step, converged):
    text = re.sub("Geometry optimization step: 5", heading, H_LI)
    text = re.sub("Geometry converged", end, text)
    different = {"geometry_step": step, "geometry_converged": converged}
    assert_same(parse_detailed_out(text), parse_detailed_out(H_LI), **different)


def test_atoms_that_may_not_move_have_no_moved_position():
    text = replaced(H_LI, "    1      0.00000000      0.00000000     -0.17458413\n", "")
    expected = {1: [0.0, 0.0, 3.17924845]}
    moved = parse_detailed_out(text).moved_positions
    assert {atom: position.tolist() for atom, position in moved.items()} == expected


@pytest.mark.parametrize("row", ["    2      0.0      0.0", "    1 0 0 3.2", "    3 0 0 3.2", ""])
def test_a_row_of_moved_atoms_that_is_none_is_refused(row):
    last = "    2      0.00000000      0.00000000      3.17924845\n"
    text = replaced(H_LI, last, f"{row}\n" if row else "")
    if not row:
        text = replaced(text, "    1      0.00000000      0.00000000     -0.17458413\n", "")
    with pytest.raises(ParseError, match=r"expected (a row of moved|atoms counted up)"):
        parse_detailed_out(text)


def test_a_static_geometry_has_no_step_and_no_geometry_status(text):
    detailed = parse_detailed_out(layouts.static(text))
    different = {"geometry_step": None, "geometry_converged": None, "moved_positions": None}
    assert_same(detailed, parse_detailed_out(text), **different)


@pytest.mark.parametrize("status", ["Geometry converged", "!!! Geometry did NOT converge!"])
def test_an_optimisation_without_a_step_has_no_step_and_says_nothing_of_its_geometry(text, status):
    # "Geometry converged" follows from MaxSteps = 0 alone: no force was looked at.
    single_point = replaced(layouts.single_point(text), "Geometry converged", status)
    different = {"geometry_step": None, "geometry_converged": None}
    assert_same(parse_detailed_out(single_point), parse_detailed_out(text), **different)
    without = replaced(layouts.single_point_without_scc(text), "Geometry converged", status)
    expected = parse_detailed_out(layouts.without_scc(text))
    assert_same(parse_detailed_out(without), expected, **different)


def test_a_damaged_heading_of_a_step_is_no_run_without_steps(text):
    damaged = re.sub("Geometry optimization step: [0-9]+", "Geometry optimization step: 5x", text)
    for one in (damaged, layouts.without_scc(damaged)):
        with pytest.raises(ParseError, match="the heading 'Geometry optimization step:"):
            parse_detailed_out(one)


@pytest.mark.parametrize(
    ("layout", "line", "found"),
    [
        (layouts.reks, 1, "REKS"),
        (layouts.delta_dftb, 1, "delta-DFTB"),
        (layouts.xlbomd, 65, "none, as in output of XLBOMD, which is not read"),
    ],
)
def test_layouts_that_are_not_read_are_named(layout, line, found):
    with pytest.raises(ParseError) as caught:
        parse_detailed_out(layout(H_LI))
    assert (caught.value.line, caught.value.found) == (line, found)


@pytest.mark.parametrize("steps", ["optimised", "static"])
def test_a_run_without_scc_has_no_scc_row(text, steps):
    kind = layouts.static(text) if steps == "static" else text
    without = layouts.without_scc(kind)
    if steps == "static":  # the heading of a static geometry is printed with SCC only
        without = replaced(without, "Calculation with static geometry\n", "")
    nothing = ("iteration", "total_electronic", "diff_electronic", "error", "converged")
    different = {f"scc_{name}": None for name in nothing}
    assert_same(parse_detailed_out(without), parse_detailed_out(kind), **different)


def test_scc_that_did_not_converge_is_read_and_says_so(text):
    status = "SCC is NOT converged, maximal SCC iterations exceeded"
    failed = replaced(text, "SCC converged", status)
    assert_same(parse_detailed_out(failed), parse_detailed_out(text), scc_converged=False)


def test_a_file_without_mulliken_analysis_has_no_charges_and_populations(text):
    detailed = parse_detailed_out(layouts.without_mulliken(text))
    nothing = ["total_charge", "gross_charges", "atom_populations"]
    nothing += [f"orbitals.{name}" for name in ("atom", "shell", "l", "m", "population")]
    different = {"spin_channels": (), **dict.fromkeys(nothing)}
    assert_same(detailed, parse_detailed_out(text), **different)


def test_atoms_without_tables_of_their_orbitals(text):
    short = layouts.cut_out(text, "l-shell populations", "Fermi level:")
    different = {f"orbitals.{name}": None for name in ("atom", "shell", "l", "m", "population")}
    assert_same(parse_detailed_out(short), parse_detailed_out(text), **different)


def test_any_number_of_atoms_is_legal(text):
    detailed = parse_detailed_out(layouts.with_third_atom(text))
    plain = parse_detailed_out(text)
    assert detailed.gross_charges.tolist() == [*plain.gross_charges, 0.0]
    assert detailed.atom_populations.tolist() == [*plain.atom_populations, 2.0]
    assert detailed.orbitals.atom[-1] == 2
    assert detailed.orbitals.population.tolist() == [*plain.orbitals.population, 2.0]


# ---- the dipole moment ----


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Dipole moment:", "Dipole moment  :"),
        ("Dipole moment:", " Dipole moment  :"),
        ("\nDipole", "\nWarning: dipole moment is not defined absolutely!\nDipole"),
        ("\nDipole", "\nS0 Dipole moment:    1.00000000    2.00000000    3.00000000 au\nDipole"),
        ("\nGeometry", "\nQuadrupole moment:    1.00000000    2.00000000 au\n\nGeometry"),
        ("\nGeometry", "\nExternal E field:  0.10000000E-02 au  0.51E+09 V/m\nGeometry"),
    ],
    ids=["17.1", "17.1, indented", "warning of 22.1", "S0 of 20.2", "quadrupole of 25.1", "field"],
)
def test_lines_about_the_dipole_moment(old, new):
    text = H_LI.replace(old, new) if "moment  :" in new else H_LI.replace(old, new, 1)
    assert text != H_LI
    assert_same(parse_detailed_out(text), parse_detailed_out(H_LI))


@pytest.mark.parametrize("state", ["S0", "T1", "S1", "Mixed state"])
def test_the_dipole_moment_of_another_state_is_not_ours(state):
    text = H_LI.replace("Dipole moment:", f"{state} Dipole moment:")
    assert_same(parse_detailed_out(text), parse_detailed_out(H_LI), dipole_moment=None)


def test_dipole_components_that_fill_their_columns_need_no_blank_between_them():
    au = (-1000.0, -2000.25, -3000.125)
    lines = "".join(
        f"Dipole moment:{''.join(f'{x * factor:14.8f}' for x in au)} {unit}\n"
        for factor, unit in ((1.0, "au"), (2.541746473, "Debye"))
    )
    assert "-1000.00000000-2000.25000000-3000.12500000 au" in lines
    text = re.sub(r"(Dipole moment:.*\n){2}", lines, H_LI)
    assert_same(parse_detailed_out(text), parse_detailed_out(H_LI), dipole_moment=au)


# ---- the same file in other clothes ----


@pytest.mark.parametrize(
    "data",
    [
        H_LI.replace("\n", "\r\n").encode(),
        b"\xef\xbb\xbf" + H_LI.encode(),
        H_LI.replace("\n", " \t \n").encode(),
        H_LI.removesuffix("\n").encode(),
        H_LI.rstrip().encode(),
        ("\n\n" + H_LI + "\n\n\n").encode(),
    ],
    ids=["CRLF", "BOM", "trailing blanks", "no last newline", "no last line", "empty lines"],
)
def test_line_ends_and_blanks_do_not_matter(tmp_path, data):
    path = tmp_path / "detailed.out"
    path.write_bytes(data)
    assert_same(read_detailed_out(path), parse_detailed_out(H_LI))


@pytest.mark.parametrize(
    ("printed", "value"),
    [("0.16582330E-08", 0.1658233e-8), ("0.16582330-108", 0.1658233e-108), ("0.1D-07", 1e-8)],
)
def test_exponents_are_read_in_each_of_fortrans_ways(printed, value):
    text = replaced(H_LI, "0.16582330E-08", printed)
    assert_same(parse_detailed_out(text), parse_detailed_out(H_LI), scc_error=value)


# ---- several steps, and files that were cut ----

STEP_3 = layouts.unfinished(H_LI.replace("step: 5", "step: 3"))
STEP_4 = layouts.unfinished(H_LI.replace("step: 5", "step: 4"))


def test_of_several_steps_the_last_one_counts():
    assert_same(parse_detailed_out(STEP_3 + STEP_4 + H_LI), parse_detailed_out(H_LI))


def test_scc_cycles_between_the_steps_are_no_steps():
    cycle = layouts.scc_cycle(H_LI)
    for text in (STEP_3 + cycle + cycle + STEP_4 + cycle + H_LI, cycle + H_LI):
        assert_same(parse_detailed_out(text), parse_detailed_out(H_LI))


def test_where_the_last_step_is_cut_the_one_before_counts():
    for length in range(len(" Fermi distribution function"), len(H_LI.rstrip())):
        detailed = parse_detailed_out(STEP_3 + STEP_4 + H_LI[:length])
        assert detailed.geometry_step == 4
        # The run went on after that step, which therefore ends with neither of these.
        assert detailed.dipole_moment is None
        assert detailed.geometry_converged is None


def test_steps_that_are_not_complete_are_passed_over_without_being_indexed(monkeypatch):
    # Each index holds the file up to its step: 30,000 of them would take quadratic time.
    made = []
    monkeypatch.setattr(
        geometry_step, "Step", lambda *arguments: made.append(1) or Step(*arguments)
    )
    with pytest.raises(ParseError, match="the end of the file"):
        parse_detailed_out("MD step: 1\n" * 30_000)
    assert_same(
        parse_detailed_out(STEP_3 + "MD step: 1\n" * 30_000), parse_detailed_out(STEP_3 * 2)
    )
    assert len(made) <= 6


def test_where_every_step_is_cut_there_is_nothing_to_read():
    cycle = layouts.scc_cycle(H_LI)
    with pytest.raises(ParseError) as caught:
        parse_detailed_out(cycle + cycle)
    assert caught.value.line == 2 * cycle.count("\n") - 1
    assert caught.value.found == "the end of the file"


@pytest.mark.parametrize(
    "whole",
    [
        H_LI,
        layouts.version_17_1(H_LI),
        layouts.static(H_LI),
        layouts.single_point(H_LI),
        layouts.single_point_without_scc(H_LI),
        layouts.spin_polarised(H_LI),
    ],
    ids=["24.1", "17.1", "static", "single point", "single point, no SCC", "spin-polarised"],
)
def test_a_file_cut_at_any_byte_is_refused_unless_only_blanks_are_gone(whole):
    expected = parse_detailed_out(whole)
    for length in range(len(whole)):
        if length < len(whole.rstrip()):
            with pytest.raises(ParseError):
                parse_detailed_out(whole[:length])
        else:
            assert_same(parse_detailed_out(whole[:length]), expected)


def test_a_static_geometry_without_a_dipole_moment_must_end_with_its_two_empty_lines():
    # Otherwise nobody can tell it from a file that was cut before the dipole moment.
    text = re.sub(r"(Dipole moment:.*\n){2}\n", "", layouts.static(H_LI))
    assert text.endswith("SCC converged\n\n\n")
    assert parse_detailed_out(text).dipole_moment is None
    with pytest.raises(ParseError, match="expected the two empty lines that close a file"):
        parse_detailed_out(text[:-1])


# ---- damaged files ----

ROW = "    2   2   1   0       0.21396810  p_z"
STARS = "*" * 16


@pytest.mark.parametrize(
    ("old", "new", "line", "expected", "found"),
    [
        (H_LI, "", 1, "DFTB+ output", "''"),
        (H_LI, "\n\nnothing\n", 3, "DFTB+ output", "'nothing'"),
        ("step: 5", "step: five", 67, "the heading 'Geometry optimization step:", "none"),
        ("step: 5", "step: " + "5" * 5000, 67, "the heading 'Geometry optimization", "none"),
        ("Geometry optimization", "MD", 67, "'Molecular dynamics completed' or", "the end"),
        (" iSCC", "iSCCC", 67, "the iSCC heading once in the step", "0 times"),
        ("   -0.48898846E+00", "", 8, "the SCC row, 4 columns", "'4"),
        ("-0.48898846E+00", "0.48898846E+00", 8, "the total electronic energy of the", "'4"),
        ("0.16582330E-08", "-0.1582330E-08", 8, "an SCC error that is not negative", "'4"),
        ("    4   -0", "   -4   -0", 8, "an SCC iteration counted from 1", "'-4"),
        ("    4   -0", "    *   -0", 8, "a value of the SCC row, an integer", "'*'"),
        ("-0.59087403E-06", "NaN", 8, "a value of the SCC row, a number", "'NaN'"),
        ("*\n iSCC", "*\n\n iSCC", 7, "a line of 80 asterisks", "''"),
        ("charge:     0.0", "charge:     0.1", 15, "the sum of the gross charges", "'Total"),
        (" Total charge:", " Total c*arge:", 17, "'Total charge:' above the gross", "none"),
        ("charge:     0.00000000", "charge:" + STARS, 15, "the total charge, a number", STARS),
        (" Atom           Charge\n", "", 18, "the column heading 'Atom Charge'", "'1 "),
        ("    1      -0.40784956\n", "", 19, "the row of atom 1", "'2 "),
        (
            "    1      -0.40784956",
            "    1 " + STARS,
            19,
            "a value of a row of the table, a number",
            STARS,
        ),
        ("    1      -0.40784956", "    1       0.40784956", 15, "0.81569912", "'Total"),
        ("    2       0.40784956", "    3       0.40784956", 20, "the row of atom 2", "'3 "),
        ("    2       0.40784956\n", "", 25, "1 atoms", "2"),
        ("(up):      2.0", "(up):      3.0", 22, "the sum of the atom populations, 2.0", "'Nr."),
        ("\n    2       0.59215044", "", 25, "2 atoms", "1"),
        ("    2       0.59215044", "    2      -0.59215044", 26, "0.59215044, the sum", "'2 "),
        ("    2   2   1       0.21", "    2   2   1      -0.21", 32, "0.21396810, the sum", "'2 "),
        ("    2   2   1       0.21396810\n", "", 31, "a row for each atom or shell", "'2 "),
        (ROW, ROW.replace("0.2139", "-.2139"), 32, "-0.21396810, the sum over", "'2 "),
        (
            ROW,
            ROW.replace("      0.21396810", STARS),
            39,
            "a value of a row of the table, a number",
            STARS,
        ),
        (
            ROW,
            ROW.replace("0.21396810", "NaN"),
            39,
            "a value of a row of the table, a number",
            "'NaN'",
        ),
        (ROW, ROW.replace("0.21396810", "1e-999"), 39, "the range of float64", "'1e-999'"),
        (ROW, ROW[:-5], 39, "a row of the table, 6 columns", "'2   2"),
        (ROW + "\n", "", 39, "orbital m = 0 of atom 2, shell 2, l = 1", "'2   2"),
        (ROW, ROW + "\n" + ROW, 40, "orbital m = 1 of atom 2, shell 2, l = 1", "'2   2"),
        ("    2   2   1   1 ", "    2   2   1   2 ", 40, "orbital m = 1 of atom 2", "'2   2"),
        ("    1   1   0   0 ", "    0   1   0   0 ", 36, "the first orbital of atom 1", "'0   1"),
        ("    2   1   0   0 ", "    3   1   0   0 ", 37, "of atom 1, shell 2 or of atom 2", "'3"),
        ("  p_x\n\n", "  p_x\n", 41, "a value of a row of the table, an integer", "'Fermi'"),
        ("Atom populations (up)", "Atom populations (q)", 23, "up and down", "those of q"),
        ("Atom populations (up)", "Atom populations (down)", 23, "up and down", "of down"),
        ("-3.6282 eV", "3.6282 eV", 42, "in H and the same in eV (-3.6282)", "'Fermi"),
        ("-0.1333323056 H", "0.1333323056 H", 42, "the same in eV (3.6282)", "'Fermi"),
        ("          -10.4135 eV", "", 43, "'Band energy: (number) H (number) eV'", "'Band"),
        ("Total energy: ", "Total energie:", 67, "'Total energy:' in the step", "none"),
        ("\nTotal energy:", "\nFermi level:", 53, "'Fermi level:' 1 times", "2 times"),
        ("-13.2929 eV", "******** eV", 53, "total energy, a number", "'********'"),
        ("SCC converged", "SCC convergd", 67, "'SCC converged' or", "the end of the file"),
        ("SCC converged", "SCC converged\nSCC converged", 61, "once in a step", "a second time"),
        ("SCC converged", "SCC converged\nNon-SCC calculation", 61, "one status", "'Non-SCC"),
        ("   1.36785914 au", "  -1.36785914 au", 65, "in au and Debye alike", "'Dipole"),
        ("    1.36785914", "*" * 14, 64, "a dipole component, a number", "'**************'"),
        ("    1.36785914 au", " au", 64, "three components of the dipole moment", "'Dipole"),
        ("1.36785914 au", "1.36785914 ua", 64, "one dipole moment in 'au' and one in", "'Dip"),
        ("3.47675142 Debye", "3.47675142 au", 65, "one dipole moment in 'au' and one", "'Dip"),
        (H_LI_LINES[63] + "\n", "", 64, "the dipole moment in au and in Debye", "Debye only"),
        (H_LI_LINES[64] + "\n", "", 64, "the dipole moment in au and in Debye", "au only"),
        (H_LI, H_LI + "Orbital populations (down)", 69, "the column heading", "the end of the"),
        ("Geometry converged\n", "", 65, "'Geometry converged' or '!!! Geom", "the end"),
    ],
)
def test_a_fault_is_named_with_its_line(old, new, line, expected, found):
    assert old in H_LI
    with pytest.raises(ParseError) as caught:
        parse_detailed_out(H_LI.replace(old, new, 1), "H_Li/detailed.out")
    error = caught.value
    assert (error.path, error.line) == ("H_Li/detailed.out", line)
    assert expected in error.expected
    assert found in error.found
    assert str(error) == f"H_Li/detailed.out:{line}: expected {error.expected}, found {error.found}"


def test_charges_of_fewer_atoms_than_have_orbitals_are_refused_also_without_populations():
    text = replaced(
        H_LI, "    2       0.40784956\n\nNr. of electrons (up):      2.00000000\n", "\n"
    )
    text = replaced(replaced(text, "Atom populations (up)\n", ""), "-0.40784956", "0.00000000")
    with pytest.raises(ParseError, match="1 atoms, found 2"):
        parse_detailed_out(text)


# ---- laws: damage is found, or does not touch what is read ----

WHOLE = values(parse_detailed_out(H_LI))
NUMBER = re.compile(r"(?<= )-?[0-9]+\.[0-9]+(E[+-][0-9]{2})?(?![^ \n])")


def damaged(text: str) -> dict[str, object] | None:
    """Read a damaged file; None where the reader refuses it with a line of that file."""
    try:
        return values(parse_detailed_out(text))
    except ParseError as error:
        line = error.line
    assert line in range(1, text.count("\n") + 2)
    return None


def assert_read_as_it_stands(text: str) -> None:
    """Check each value: the original's, or what the damaged text says by column at that place.

    So a value is None only where its line or the header of its section is gone.
    """
    standing = oracle.detailed_out(text)
    for name, value in (damaged(text) or {}).items():
        assert value in (WHOLE[name], standing.get(name)), name


@given(st.integers(0, len(H_LI) - 1), st.integers(0, 127))
def test_after_any_change_of_a_byte(at, code):
    assert_read_as_it_stands(H_LI[:at] + chr(code) + H_LI[at + 1 :])


@pytest.mark.parametrize("times", [0, 2], ids=["dropped", "doubled"])
def test_after_any_line_is_dropped_or_doubled(times):
    for i, line in enumerate(H_LI_LINES):
        assert_read_as_it_stands("\n".join(H_LI_LINES[:i] + [line] * times + H_LI_LINES[i + 1 :]))


@given(st.tuples(*[st.integers(3, len(H_LI_LINES) - 1)] * 2))
def test_after_any_two_lines_below_the_heading_of_the_step_are_swapped(places):
    # A heading that moves makes other steps of the file.
    i, j = places
    lines = list(H_LI_LINES)
    lines[i], lines[j] = lines[j], lines[i]
    assert_read_as_it_stands("\n".join(lines))


@pytest.mark.parametrize("broken", ["**********", "NaN", "Infinity", "1e999", ""])
def test_what_is_no_number_is_refused_wherever_a_value_is_read(broken):
    refused = 0
    for number in NUMBER.finditer(H_LI):
        found = damaged(H_LI[: number.start()] + broken + H_LI[number.end() :])
        assert found in (None, WHOLE)
        refused += found is None
    # Read or compared: 3 in the SCC row, 1 + 2 charges, 1 + 2 + 3 + 5 populations, 2 numbers for
    # each of 6 energies, 2 dipole moments and 2 positions of 3 components.
    assert refused == 3 + 3 + 11 + 12 + 6 + 6


def test_a_flipped_sign_is_found_wherever_a_second_print_or_a_sum_shows_it(text):
    # The change of the electronic energy in the last SCC cycle is printed once, with either sign,
    # and so are the positions, which geo_end.xyz repeats.
    whole = values(parse_detailed_out(text))
    for number in NUMBER.finditer(text):
        start, token = number.start(), number[0]
        sign, flipped = (start, " ") if token.startswith("-") else (start - 1, "-")
        found = damaged(text[:sign] + flipped + text[sign + 1 :]) or whole
        for name in found.keys() - {"scc_diff_electronic", "spin_channels", "moved_positions"}:
            # Populations are compared to 1e-4 e, energies to the 1e-4 eV of their second print.
            tolerance = 1e-4 if "population" in name or "charge" in name else 4e-6
            np.testing.assert_allclose(found[name], whole[name], rtol=0, atol=tolerance)


@given(st.text())
def test_any_text_is_a_step_or_a_parse_error(text):
    with suppress(ParseError):
        assert parse_detailed_out(text).total_energy is not None
