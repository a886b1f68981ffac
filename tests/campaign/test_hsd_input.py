from dataclasses import replace
from pathlib import Path

import hsd
import pytest

from twobody import ParseError
from twobody.campaign.hsd_input import (
    Settings,
    describe,
    input_text,
    ladder,
    read_extra,
    start_distance,
)

REFERENCES = Path(__file__).parents[1] / "data" / "dftb_in"  # of the shipped data


def parsed(settings, elements=("H", "O"), shells=("s", "p")):
    return hsd.load_string(input_text(elements, shells, "../../skf/", settings))


def dftb(settings):
    return parsed(settings)["Hamiltonian"]["DFTB"]


@pytest.mark.parametrize(
    ("pair", "shells"), [("Ag_Al", "dd"), ("C_Th", "pd"), ("Cs_F", "dp"), ("H_H", "ss")]
)
def test_the_default_settings_give_the_inputs_of_the_shipped_data(pair, shells):
    elements = tuple(pair.split("_"))
    reference = hsd.load(str(REFERENCES / f"{pair}.hsd"))
    assert parsed(Settings(), elements, tuple(shells)) == reference


def test_the_start_is_the_sum_of_the_covalent_radii_times_a_factor():
    assert start_distance(("Ag", "Al"), Settings()) == 2.66  # 1.45 Å + 1.21 Å
    assert start_distance(("Ag", "Al"), Settings(start_factor=0.9)) == 2.394


def test_each_setting_reaches_its_place():
    settings = Settings(
        start_factor=1.2,
        temperature=1000.0,
        scc_tolerance=1e-8,
        max_force=1e-5,
        mixing=0.2,
        max_scc_iterations=50,
        max_steps=7,
        optimiser="LBFGS",
    )
    tree = parsed(settings)
    assert tree["Geometry"]["GenFormat"][3] == [2, 2, 0.0, 0.0, 1.164]
    assert tree["Driver"]["LBFGS"]["MaxForceComponent"] == 1e-5
    assert tree["Driver"]["LBFGS"]["MaxSteps"] == 7
    block = tree["Hamiltonian"]["DFTB"]
    assert block["Filling"]["Fermi"] == {"Temperature": 1000.0, "Temperature.attrib": "Kelvin"}
    assert block["SCCTolerance"] == 1e-8
    assert block["MaxSCCIterations"] == 50
    assert block["Mixer"] == {"Anderson": {"MixingParameter": 0.2}}
    assert "SpinPolarisation" not in block


def test_spin_polarisation_is_collinear_with_the_unpaired_electrons_given():
    spin = dftb(Settings(unpaired_electrons=2.0))["SpinPolarisation"]
    assert spin == {"Colinear": {"UnpairedElectrons": 2.0}}


def test_extra_hsd_adds_to_what_is_there_whatever_the_case_of_its_tags():
    extra = "hamiltonian = dftb {\n SpinConstants {\n H = -0.072\n }\n scctolerance = 1e-9\n}"
    block = {tag.lower(): value for tag, value in dftb(Settings(extra=extra)).items()}
    plain = {tag.lower(): value for tag, value in dftb(Settings()).items()}
    assert block == plain | {"spinconstants": {"H": -0.072}, "scctolerance": 1e-9}


def test_another_method_in_extra_hsd_replaces_the_first():
    block = dftb(Settings(extra="Hamiltonian = DFTB { Mixer = Broyden { MixingParameter = 0.1 } }"))
    assert block["Mixer"] == {"Broyden": {"MixingParameter": 0.1}}


def test_the_same_method_in_extra_hsd_is_changed_and_keeps_the_rest():
    extra = "Driver = ConjugateGradient { MaxSteps = 9 }"
    assert parsed(Settings(extra=extra))["Driver"]["ConjugateGradient"] == {
        "MovedAtoms": "1:-1",
        "MaxForceComponent": 1e-4,
        "MaxSteps": 9,
        "OutputPrefix": '"geo_end"',
    }


def test_a_unit_in_extra_hsd_replaces_the_unit():
    extra = "Hamiltonian = DFTB { Filling = Fermi { Temperature [eV] = 0.1 } }"
    fermi = dftb(Settings(extra=extra))["Filling"]["Fermi"]
    assert fermi == {"Temperature": 0.1, "Temperature.attrib": "eV"}


@pytest.mark.parametrize(
    ("text", "line", "found"),
    [
        ("Options {}\nHamiltonian {\n", 2, "a block that is not closed"),
        ("Options {}\n}\n", 2, "a syntax error"),
        ("Options [a", 1, "a syntax error"),
        ("\nOptions { A = 'b\n}\n", 2, "a quotation that is not closed"),
        ("Options\n", 1, "text outside of any block"),
        ("]1=", None, "a syntax error"),
    ],
)
def test_extra_that_is_no_hsd_is_refused_with_its_line(tmp_path, text, line, found):
    path = tmp_path / "extra.hsd"
    path.write_text(text)
    with pytest.raises(ParseError) as caught:
        read_extra(path)
    error = caught.value
    assert (error.path, error.line, error.expected) == (str(path), line, "HSD")
    assert error.found == found


def test_extra_that_includes_another_file_is_refused(tmp_path):
    path = tmp_path / "extra.hsd"
    path.write_text("Options {}\n<<+ 'extra.hsd'\n")
    with pytest.raises(ParseError) as caught:
        read_extra(path)
    expected = "expected HSD that includes no other file, found \"<<+ 'extra.hsd'\""
    assert str(caught.value) == f"{path}:2: {expected}"


def test_the_ladder_changes_one_thing_a_rung_and_the_temperature_last():
    given = Settings()
    mixing = replace(given, mixing=0.01, max_scc_iterations=3000)
    optimiser = replace(mixing, optimiser="LBFGS", max_steps=1000)
    start = replace(optimiser, start_factor=1.15)
    rungs = {
        "as given": given,
        "mixing": mixing,
        "optimiser": optimiser,
        "start": start,
        "temperature": replace(start, temperature=1000.0),
    }
    assert ladder(given) == rungs
    assert list(ladder(given)) == list(rungs)


def test_what_the_ladder_changes_is_said_in_one_line():
    assert describe(("Ag", "Al"), Settings()) == (
        "Anderson 0.05 in 1000 cycles, ConjugateGradient in 200 steps, 300 K, start at 2.660 Å"
    )
    words = describe(("Ag", "Al"), Settings(extra="Options {}"))
    assert words.endswith("start at 2.660 Å, then extra HSD")


def test_a_prefix_with_blanks_is_one_string():
    text = input_text(("H", "H"), ("s", "s"), "../my files/", Settings(extra="Options {}"))
    assert 'Prefix = "../my files/"' in text
