"""Every check fails for one change and for nothing else, and the shipped data pass them all."""

import archives
import numpy as np
import pytest
from archives import column, metadata, row

from twobody.archive.container import Container
from twobody.check.laws import CHECKS, WARNINGS
from twobody.check.verify import verify
from twobody.encodings.published import amplitudes_of
from twobody.pairs import empty_rows


def findings(path, *, warnings=False):
    """Return the findings of an archive by check."""
    with Container(path) as archive, np.errstate(all="ignore"):  # as check_npz.py does
        checks = verify(archive)
    return {c.law: c.findings for c in checks if c.findings and c.warning == warnings}


def consistent(small):
    """Let images and dicts follow from the numbers again, as a build would have written them."""
    small["images"] = archives.images(small)
    small["labels"], small["metadata"] = archives.dicts(small)
    return small


def add(values, i, amount):
    values[i] += amount


def put(values, i, value):
    values[i] = value


def both(*changes):
    def change(small):
        for each in changes:
            each(small)

    return change


def label(name, change, pair, value):
    return lambda small: change(column(small, name), row(small, pair), value)


def meta(name, change, pair, value):
    return lambda small: change(metadata(small, name), row(small, pair), value)


def number(member, place, change, pair, value):
    """Change a number of a pair that images are drawn from."""

    def apply(small):
        change(small[member][row(small, pair)], place, value)
        redraw(small)

    return apply


def redraw(small):
    rows = empty_rows(len(small["pair_names"]))
    for name in ("orbital_populations", "atom_populations", "charges"):
        rows[name] = small[name]
    rows["dipole"] = np.stack([metadata(small, f"dipole_{axis}") for axis in "xyz"], axis=1)
    small["image_amplitudes"] = amplitudes_of(rows)


def geometry(atom, k, change, pair, value):
    return lambda small: change(small["geometries"][:, atom, k], row(small, pair), value)


def rename(small):
    small["pair_names"][row(small, "H_H")] = "H_Ha"


def turn_order(small):
    n = len(small["pair_names"])
    for name, values in small.items():
        if values.shape[:1] == (n,) and name != "channels":
            small[name] = values[::-1].copy()


def text_label(small):
    small["text_label_values"][row(small, "H_Li"), 0] = "H_Na"


def swap_homo_and_lumo(small):
    """Exchange the two columns for a pair with a gap, with all that follows from them."""
    i = row(small, "Al_N")
    for first, second in (("e_homo_ev", "e_lumo_ev"), ("i_ev", "a_ev")):
        a, b = column(small, first), column(small, second)
        a[i], b[i] = b[i], a[i]
    for name, value in (("e_g_ev", 0), ("eta_ev", 0), ("softness_evinv", np.nan)):
        column(small, name)[i] = value
    column(small, "electrophilicity_ev")[i] = np.nan


def turn_dipole(small):
    """Turn the dipole moment of a pair round, in labels and metadata."""
    for values in (metadata(small, "dipole_z"), column(small, "dipole_z_d")):
        values[row(small, "H_Li")] *= -1


BROKEN = [
    ("names", "H_Ha", "its elements are H and H", rename),
    ("names", "Al_N", "comes after H_H", turn_order),
    ("names", "H_Li", "system_id_guess is another name", text_label),
    ("finite", "H_Li", "its geometry is not", geometry(0, 2, put, "H_Li", np.nan)),
    ("finite", "H_Li", "metadata dipole_x is not", meta("dipole_x", put, "H_Li", np.nan)),
    ("finite", "H_Li", "metadata bond_length is not", meta("bond_length", put, "H_Li", np.nan)),
    ("label values", "H_H", "scc_last_error is inf", label("scc_last_error", put, "H_H", np.inf)),
    ("label values", "H_H", "n_atoms is 3", label("n_atoms", put, "H_H", 3)),
    ("label values", "H_H", "metal_like is 0.5", label("metal_like", put, "H_H", 0.5)),
    ("label values", "H_H", "geom_opt_step is -1", label("geom_opt_step", put, "H_H", -1)),
    ("label values", "H_H", "scc_last_iter is 1.5", label("scc_last_iter", put, "H_H", 1.5)),
    ("two atoms", "H_H", "metadata num_atoms is 3, not 2", meta("num_atoms", put, "H_H", 3)),
    ("bond length", "H_H", "distance_ang", label("distance_ang", add, "H_H", 0.01)),
    ("bond length", "H_H", "metadata bond_length", meta("bond_length", add, "H_H", 0.001)),
    ("label formulas", "Al_N", "e_g_ev of", label("e_g_ev", add, "Al_N", 0.01)),
    ("label formulas", "Al_N", "chi_ev of i_ev, a_ev", label("chi_ev", add, "Al_N", 0.01)),
    ("label formulas", "Al_N", "mu_ev of chi_ev", label("mu_ev", add, "Al_N", 0.01)),
    ("label formulas", "Al_N", "eta_ev of e_g_ev", label("eta_ev", add, "Al_N", 0.01)),
    ("label formulas", "Al_N", "softness", label("softness_evinv", add, "Al_N", 0.01)),
    ("label formulas", "Al_N", "electroph", label("electrophilicity_ev", add, "Al_N", 0.01)),
    (
        "label formulas",
        "H_He",
        "though the formula has none",
        label("softness_evinv", put, "H_He", 1),
    ),
    ("label formulas", "H_Li", "dipole_mag_d", label("dipole_mag_d", add, "H_Li", 0.1)),
    ("gap flags", "Al_N", "is metal_like and has a gap", label("metal_like", put, "Al_N", 1)),
    ("gap flags", "Al_N", "is not metal_like, but LUMO < HOMO", swap_homo_and_lumo),
    ("gap flags", "He_He", "has no virtual level, but a_ev", label("a_ev", put, "He_He", 1)),
    ("gap flags", "He_He", "no e_lumo_ev", label("no_virtual_in_basis", put, "He_He", 0)),
    ("levels", "H_Li", "4 levels, 5 orbitals", label("n_levels", put, "H_Li", 4)),
    (
        *("levels", "H_Li", "5 levels of up to 0.3 e, 2 electrons"),
        label("max_occupancy", put, "H_Li", 0.3),
    ),
    ("labels and metadata", "H_H", "total_energy_ev of", meta("total_energy", add, "H_H", 0.01)),
    ("labels and metadata", "H_H", "fermi_level_ev of", label("fermi_level_ev", add, "H_H", 0.01)),
    ("charges", "H_Li", "q_absmean is", label("q_absmean", add, "H_Li", 0.01)),
    ("charges", "H_Li", "q_maxabs is", label("q_maxabs", add, "H_Li", 0.01)),
    ("charges", "H_Li", "q_std is", label("q_std", add, "H_Li", 0.01)),
    (
        *("charges", "H_H", "the sum of charges is"),
        both(label("total_charge", put, "H_H", 1), meta("total_charge", put, "H_H", 1)),
    ),
    ("populations", "H_Li", "the population of atom 2", geometry(1, 3, add, "H_Li", 0.01)),
    (
        *("populations", "H_Li", "the sum of orbital populations of atom 1"),
        number("orbital_populations", (0, 0), add, "H_Li", 0.01),
    ),
    (
        *("populations", "H_Li", "population + charge of atom 2"),
        number("atom_populations", 1, add, "H_Li", 0.01),
    ),
    # 2.5e-4 D are within what the label may differ by.
    (
        "dipole moment",
        "H_Li",
        "dipole_z [au] is",
        both(meta("dipole_z", add, "H_Li", 1e-4), redraw),
    ),
    ("dipole moment", "H_Li", "dipole_z [au] is", both(turn_dipole, redraw)),
]


@pytest.mark.parametrize(
    ("law", "pair", "message", "change"),
    BROKEN,
    ids=[f"{law}: {what}" for law, _, what, _ in BROKEN],
)
def test_one_change_breaks_one_law_and_is_found_with_its_pair(
    small, tmp_path, law, pair, message, change
):
    change(small)
    broken = findings(archives.write(tmp_path / "changed.npz", consistent(small)))
    assert list(broken) == [law]
    assert {finding.pair for finding in broken[law]} >= {pair}
    assert any(message in text for name, text in broken[law] if name == pair)


def test_the_table_above_breaks_every_law():
    laws = {law.__name__.replace("_", " ") for law in CHECKS}
    assert laws <= {law for law, *_ in BROKEN}


def test_a_missing_label_breaks_no_law_but_is_suspect_where_it_could_be_known(small, tmp_path):
    column(small, "chi_ev")[row(small, "Al_N")] = np.nan
    path = archives.write(tmp_path / "changed.npz", consistent(small))
    assert findings(path) == {}
    assert findings(path, warnings=True)["incomplete labels"] == [("Al_N", "chi_ev is missing")]


@pytest.mark.parametrize("member", ["charges", "atom_populations", "orbital_populations"])
def test_an_infinite_number_of_an_atom_is_found(small, tmp_path, member):
    small[member][row(small, "H_Li")].flat[0] = np.inf
    found = findings(archives.write(tmp_path / "changed.npz", small))["finite"]
    assert found == [("H_Li", f"one of its {member.replace('_', ' ')} is infinite")]


def test_archives_without_orbitals_and_charges_keep_every_law(small, tmp_path):
    """Format 1 has neither, the original project amplitudes neither."""
    first = archives.write(tmp_path / "first.npz", archives.format_1(small))
    assert findings(first) == {}
    column(small, "q_absmean")[row(small, "H_Li")] += 0.01
    first = archives.write(tmp_path / "first.npz", archives.format_1(consistent(small)))
    assert list(findings(first)) == ["charges"]  # which the amplitudes hold
    assert findings(archives.write_original(tmp_path / "original.npz", small)) == {}


def test_the_shipped_pairs_keep_every_law(archive):
    assert findings(archive) == {}


def test_what_is_suspect_in_the_shipped_pairs_is_said(archive):
    suspect = findings(archive, warnings=True)
    known = {law.__name__.replace("_", " ") for law in WARNINGS}
    assert set(suspect) <= {*known, "zero channels"}
    short = dict(suspect["short bonds"])
    assert len(short) == 474
    # Distance of geo_end.xyz over 1.45 + 1.26, 1.45 + 1.32 and 2 x 1.75 Å.
    assert short["Ag_Co"] == "1.838 Å, 0.68 of the sum"
    assert short["Ag_Cu"] == "1.642 Å, 0.59 of the sum"
    assert short["Zr_Zr"] == "2.472 Å, 0.71 of the sum"
    constant = [message.split()[0] for _, message in suspect["constant labels"]]
    assert constant == ["dipole_x_d", "dipole_y_d", "geom_converged", "scc_converged", "n_atoms"]
    assert suspect["zero channels"] == [(None, "o_map_angular is zero in every pair")]


def test_a_short_bond_is_found_by_the_geometry_where_there_is_no_metadata(small, tmp_path):
    i = row(small, "H_H")
    small["geometries"][i, 1, :3] = small["geometries"][i, 0, :3] + [0, 0, 0.25]
    names = ("images", "geometries", "elements", "pair_names")
    path = archives.write(tmp_path / "bare.npz", {name: small[name] for name in names})
    # 0.25 Å over 2 x 0.31 Å.
    assert ("H_H", "0.250 Å, 0.40 of the sum") in findings(path, warnings=True)["short bonds"]


def test_a_negative_entropy_is_suspect(small, tmp_path):
    column(small, "mermin_free_energy_ev")[row(small, "H_H")] += 0.01
    suspect = findings(archives.write(tmp_path / "s.npz", consistent(small)), warnings=True)
    message = "total -18.25483156 eV, free -18.24483156 eV"
    assert suspect["free energy"] == [("H_H", message)]


def test_a_label_that_no_pair_has_is_suspect(small, tmp_path):
    column(small, "band_energy_ev")[:] = np.nan
    path = archives.write(tmp_path / "changed.npz", consistent(small))
    messages = [message for _, message in findings(path, warnings=True)["constant labels"]]
    assert "band_energy_ev is missing in every pair" in messages
