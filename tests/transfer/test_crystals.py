"""Elemental crystals: ASE's tables, vectors of elements, and each element predicted from others."""

import sys

import numpy as np
import pytest
from click.testing import CliRunner

import benchmark
from twobody.archive import read
from twobody.archive.layout import SHIPPED
from twobody.benchmark.task import all_samples
from twobody.errors import ParseError
from twobody.transfer import commands, scores
from twobody.transfer import crystals as module
from twobody.transfer.crystals import (
    MODELS,
    QUANTITIES,
    crystals,
    elements_of,
    probed,
    published_folder,
    read_vectors,
    vectors_of,
    vectors_without_network,
)

WITHOUT_NETWORK = {
    name: info
    for name, info in MODELS.items()
    if name not in module.PUBLISHED and not name.startswith(("gcn", "mlp", "schnet"))
}


@pytest.fixture(scope="module")
def pairs():
    return read(SHIPPED)


def test_the_tables_of_ase_are_read_with_their_units():
    pytest.importorskip("ase")
    found = crystals(["Li", "H", "At", "C"])
    assert list(found) == list(QUANTITIES)
    # WIEN2k: 20.2191 Å^3 per atom and 13.839 GPa; 1.63 eV after Kittel.
    assert np.exp(found["ln_volume"][0]) == pytest.approx(20.2191)
    assert np.exp(found["ln_bulk_modulus"][0]) == pytest.approx(13.839)
    assert np.exp(found["ln_volume_exp"][0]) == pytest.approx(20.4119, abs=1e-4)
    assert found["cohesive_energy_ev"][0] == 1.63
    assert np.isnan([found["ln_volume_exp"][1], found["cohesive_energy_ev"][1]]).all()  # H
    assert np.isnan([values[2] for values in found.values()]).all()  # At
    assert found["cohesive_energy_ev"][3] == 7.37


def test_74_of_the_75_elements_have_a_crystal(pairs):
    pytest.importorskip("ase")
    elements = elements_of(pairs)
    assert len(elements) == 74
    assert set(np.unique(pairs.elements).tolist()) - set(elements) == {"At"}
    counts = {name: int(np.isfinite(v).sum()) for name, v in crystals(elements).items()}
    assert counts == {
        "ln_volume": 71,
        "ln_bulk_modulus": 71,
        "ln_volume_exp": 58,
        "ln_bulk_modulus_exp": 58,
        "cohesive_energy_ev": 72,
    }


def test_without_ase_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ase.collections", None)
    with pytest.raises(ParseError, match=r"ase: expected the package ase .*pip install"):
        crystals(["Li"])
    result = CliRunner().invoke(benchmark.main, ["crystals", "--archive", str(SHIPPED)])
    assert result.exit_code == 1
    assert "expected the package ase" in result.output.splitlines()[-1]


def test_vectors_are_read_from_a_table_less_what_is_known_of_the_crystal(tmp_path):
    path = tmp_path / "vectors.csv"
    path.write_text("element,Number,GSvolume_pa,Row\nH,1.0,6.6,1\nHe,2,12.3,1e0\n", "utf-8")
    vectors = read_vectors(path)
    assert {symbol: v.tolist() for symbol, v in vectors.items()} == {"H": [1, 1], "He": [2, 1]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "1: expected the column element, then numbers, found ''"),
        ("symbol,0\nH,1\n", "1: expected the column element, then numbers, found 'symbol,0'"),
        ("element,0\nH,1,2\n", "2: expected 2 cells, found 3"),
        ("element,0\nH,1\nHe,x\n", "3: expected 0, a number, found 'x'"),
        ("element,0\nH,1\nH,2\n", "3: expected an element once, found H again"),
    ],
)
def test_a_damaged_table_of_vectors_is_refused(tmp_path, text, message):
    path = tmp_path / "vectors.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(ParseError) as caught:
        read_vectors(path)
    assert str(caught.value) == f"{path}:{message}"


def test_published_vectors_are_those_of_the_installed_package(pairs):
    if published_folder() is None:
        with pytest.raises(ParseError, match="expected the package elementembeddings"):
            vectors_of("magpie", 0, pairs)
        return
    assert {name: len(vectors_of(name, 0, pairs)["Fe"]) for name in module.PUBLISHED} == {
        "magpie": 19,
        "mat2vec": 200,
    }


def test_each_element_is_predicted_from_the_others_alone():
    rng = np.random.default_rng(0)
    elements = ["H", "He", "Li", "Be", "B", "C", "N", "O", "F", "Ne"]
    vectors = {symbol: rng.normal(size=2) for symbol in elements}
    linear = np.array([3 + vectors[s] @ [1.0, -2.0] for s in elements])
    holes = linear.copy()
    holes[2] = np.nan
    found = probed(vectors, elements, {"linear": linear, "holes": holes})
    assert found["linear"] == pytest.approx(linear, abs=1e-3)
    assert np.isnan(found["holes"][2])
    assert np.isfinite(np.delete(found["holes"], 2)).all()
    changed = linear.copy()
    changed[4] = 99.0
    assert probed(vectors, elements, {"y": changed})["y"][4] == found["linear"][4]
    with pytest.raises(ParseError, match="expected one of Na, found none"):
        probed(vectors, [*elements, "Na"], {"y": np.zeros(11)})


def test_vectors_without_a_network_are_of_the_element(pairs):
    found = vectors_without_network(pairs)
    tabular = found["period and group"]["Fe"]  # period 4, group 8, block d
    assert np.flatnonzero(tabular).tolist() == [3, 7 + 7, 7 + 18 + 2]
    own = found["labels of A2"]["Fe"]
    place = pairs.names.tolist().index("Fe_Fe")
    assert own[0] == pairs.label("e_g_ev")[place]
    assert own[6] == pytest.approx(pairs.label("repulsive_energy_ev")[place] ** 0.5)
    with_gap = found["labels of A2"]["Ag"][7]
    assert with_gap == pytest.approx(
        np.log(pairs.label("softness_evinv")[pairs.names == "Ag_Ag"][0])
    )
    with_fe = (pairs.elements == "Fe").any(axis=1)
    homo = pairs.label("e_homo_ev")[with_fe]
    assert (len(homo), found["labels of pairs"]["Fe"][1]) == (75, pytest.approx(homo.mean()))


@pytest.mark.parametrize(("name", "width"), [("gcn", 128), ("mlp", 48), ("schnet", 128)])
def test_the_embedding_is_what_a_network_adds_for_the_name_of_an_element(pairs, name, width):
    frozen = pytest.importorskip("twobody.transfer.frozen")
    small = pairs.take(np.isin(pairs.elements, ("H", "C", "O", "Fe")).all(axis=1))
    samples = all_samples(small, "geometry")
    model = frozen.frozen(name, samples, 0, "trained", "pair", quick=True)
    vectors = frozen.embeddings(model)
    assert {s: v.shape for s, v in vectors.items()} == dict.fromkeys(vectors, (width,))
    assert sorted(vectors) == ["C", "Fe", "H", "O"]
    first = next(m for n, m in model.net.named_modules() if n.endswith(("atom", "embedding")))
    nodes = model._batch(samples)["nodes"][:1, :1]
    without = nodes.clone()
    without[..., :4] = 0  # no name
    added = (first(nodes) - first(without)).detach().numpy()[0, 0]
    assert added == pytest.approx(vectors[str(samples.elements[0, 0])], abs=1e-5)
    again = frozen.embeddings(frozen.frozen(name, samples, 0, "trained", "pair", quick=True))
    assert np.array_equal(again["Fe"], vectors["Fe"])
    permuted = frozen.embeddings(frozen.frozen(name, samples, 0, "permuted", "pair", quick=True))
    assert not np.array_equal(permuted["Fe"], vectors["Fe"])


def test_the_page_has_the_tables_of_the_stored_predictions(pairs):
    pytest.importorskip("ase")
    elements = elements_of(pairs)
    predictions = module.store(pairs, commands.SOURCE / "results").read()
    cells, r_squared = scores.crystal_errors(predictions, elements, crystals(elements))
    assert list(cells) == list(MODELS)
    tables = {
        "crystals": scores.crystals_table(cells, r_squared),
        "crystals_comparison": scores.crystals_comparison(cells),
    }
    page = commands.PAGE.read_text(encoding="utf-8")
    assert scores.with_tables(page, tables) == page
    assert tables["crystals"] in page


def test_the_command_prints_errors_and_a_stopped_run_ends_the_same(tmp_path, monkeypatch):
    pytest.importorskip("ase")
    monkeypatch.setattr(module, "MODELS", WITHOUT_NETWORK)
    monkeypatch.setattr(module, "published_folder", lambda: None)

    def run(results):
        options = ["--results", str(tmp_path / results), "--archive", str(SHIPPED)]
        return CliRunner().invoke(benchmark.main, ["crystals", *options])

    def stops(vectors, *arguments):
        if len(vectors["H"]) == 15:
            raise OSError("no space left on the device")
        return probed(vectors, *arguments)

    whole = run("whole")
    assert whole.exit_code == 0, whole.output
    message = "elementembeddings is not installed: no published vectors"
    assert message in whole.output
    assert message not in run("whole").output  # what is stored does not depend on it
    assert "| `period and group` | a number for each period, group and block | " in whole.output
    monkeypatch.setattr(module, "probed", stops)
    assert run("results").output.splitlines()[-1] == "Error: no space left on the device"
    monkeypatch.setattr(module, "probed", probed)
    assert run("results").output == whole.output
    for name in ("crystals.csv.gz", "crystals.toml"):
        one, other = (tmp_path / folder / "transfer" / name for folder in ("whole", "results"))
        assert one.read_bytes() == other.read_bytes()
