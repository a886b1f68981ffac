"""Predictions of measured molecules: what a fold may see, what is stored, what is printed."""

import csv
import gzip
import io
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from molecules_csv import line

import benchmark
from twobody.archive import read
from twobody.archive.layout import SHIPPED
from twobody.elements import COVALENT_RADII
from twobody.errors import ParseError
from twobody.transfer import commands, diatomics, scores
from twobody.transfer.diatomics import columns_of, features_of, fold_rows, folds, rows_of
from twobody.transfer.spectroscopy import installed_file, read_ground_states

SYMBOLS = ("H", "Li", "B", "C", "N", "O", "F", "Na", "Mg", "Al", "Si", "P", "S", "Cl")
WITHOUT_NETWORK = {
    name: row
    for name, row in diatomics.MODELS.items()
    if not set(row.columns) & set(diatomics.NETWORKS)
}


@pytest.fixture(scope="module")
def pairs():
    return read(SHIPPED)


@pytest.fixture
def source(database):
    """Return a database of 91 molecules: R_e is 0.9 times the sum of covalent radii."""
    lines = []
    for i, one in enumerate(SYMBOLS):
        for other in SYMBOLS[i + 1 :]:
            r = 0.9 * (COVALENT_RADII[one] + COVALENT_RADII[other])
            lines.append(line(one + other, omega=round(2000 / r), x=10, r=f"{r:.4f}", d0=6 - r))
    return database(*lines)


@pytest.fixture
def states(source, pairs):
    return read_ground_states(source, pairs.elements.ravel().tolist())


def test_the_folds_by_pair_test_every_molecule_once_in_each_repeat(states):
    by_pair = [fold for fold in folds(states.names) if fold.split == "pair"]
    assert [fold.pretraining for fold in by_pair[4:6]] == ["pair-1", "pair-2"]
    for repeat in (1, 2, 3):
        tested = [fold.test for fold in by_pair if fold.repeat == repeat]
        assert sorted(np.concatenate(tested).tolist()) == list(range(91))
        assert {len(test) for test in tested} == {18, 19}
    for fold in by_pair:
        assert sorted([*fold.train, *fold.test]) == list(range(91))
        assert set(fold.parts) == {"C1"}
        assert not fold.elements


def test_the_folds_by_element_train_on_none_of_their_elements(states):
    by_element = [fold for fold in folds(states.names) if fold.split == "element"]
    assert [fold.pretraining for fold in by_element[4:6]] == ["element-1-5", "element-2-1"]
    held = sorted(symbol for fold in by_element for symbol in fold.elements)
    assert held == sorted(3 * SYMBOLS)  # each element once in each of three repeats
    counts = Counter(part for fold in by_element for part in fold.parts.tolist())
    assert counts["C2"] + 2 * counts["C3"] == 3 * 2 * 91  # each atom of a molecule, too
    for fold in by_element:
        for k in fold.train:
            assert not fold.elements & set(states.names[k].split("_"))
        for k, part in zip(fold.test, fold.parts, strict=True):
            assert part == f"C{1 + len(fold.elements & set(states.names[k].split('_')))}"


def test_the_folds_are_the_same_every_time():
    names = np.array(["Al_H", "C_O", "F_H", "H_Li", "N_O", "O_S"])
    tested = [names[fold.test].tolist() for fold in folds(names)][:5]
    # SHA-256 of 1:H_Li, ...: 5cf17a, 627f95 O_S, 958268 N_O, ab9e7d F_H, ae7d90 C_O, d830dc Al_H;
    # dealt out to five folds in turn.
    assert tested == [["Al_H", "H_Li"], ["O_S"], ["N_O"], ["F_H"], ["C_O"]]


def test_a_network_is_pretrained_without_measured_pairs_and_new_elements(
    states, pairs, monkeypatch
):
    frozen = pytest.importorskip("twobody.transfer.frozen")
    seen = []

    def record(_network, samples, seed, _how, split, **_):
        seen.append((set(samples.names.tolist()), seed, split))
        return SimpleNamespace(hidden=lambda samples: np.zeros((len(samples), 3)))

    monkeypatch.setattr(frozen, "frozen", record)
    all_folds = list(folds(states.names))
    rows = rows_of(states.names, pairs)
    for fold in (all_folds[6], all_folds[-1]):
        seen.clear()
        features_of(fold, pairs, rows)
        assert len(seen) == len(diatomics.NETWORKS)
        for names, seed, split in seen:
            assert (seed, split) == (fold.repeat, fold.split)
            assert names == {
                name
                for name in pairs.names.tolist()
                if name not in states.names and not fold.elements & set(name.split("_"))
            }


def test_what_is_measured_of_tested_molecules_has_no_part_in_predictions(
    states, pairs, monkeypatch
):
    monkeypatch.setattr(diatomics, "MODELS", WITHOUT_NETWORK)
    columns = columns_of(pairs, rows_of(states.names, pairs))
    for fold in list(folds(states.names))[::7]:
        before = fold_rows(fold, states, columns)
        changed = {name: values.copy() for name, values in states.measured.items()}
        for values in changed.values():
            values[fold.test] = 99.0
        after = fold_rows(fold, replace(states, measured=changed), columns)
        for model, by_target in before.items():
            for target, values in by_target.items():
                assert np.array_equal(values, after[model][target], equal_nan=True), (model, target)


def test_models_predict_what_they_say(states, pairs, monkeypatch):
    monkeypatch.setattr(diatomics, "MODELS", WITHOUT_NETWORK)
    fold = next(iter(folds(states.names)))
    found = fold_rows(fold, states, columns_of(pairs, rows_of(states.names, pairs)))
    names = states.names[fold.test].tolist()
    radii = np.array([sum(COVALENT_RADII[s] for s in name.split("_")) for name in names])
    assert found["radii"]["r_e_ang"] == pytest.approx(radii)
    assert found["radii, fitted"]["r_e_ang"] == pytest.approx(0.9 * radii, abs=2e-3)
    rows = rows_of(states.names[fold.test], pairs)
    assert found["DFTB"]["r_e_ang"] == pytest.approx(pairs.label("distance_ang")[rows])
    assert np.isnan(found["DFTB"]["d_e_ev"]).all()
    median = np.median(states.measured["d_e_ev"][fold.train])
    assert found["median"]["d_e_ev"] == pytest.approx(np.full(len(names), median))


def test_the_energy_of_a_pair_comes_less_the_mean_of_its_homonuclear_pairs(pairs):
    rows = rows_of(np.array(["Cl_Na", "H_H"]), pairs)
    energy = dict(zip(pairs.names.tolist(), pairs.label("total_energy_ev").tolist(), strict=True))
    bond = energy["Cl_Na"] - (energy["Cl_Cl"] + energy["Na_Na"]) / 2
    assert columns_of(pairs, rows)["labels"][:, 5] == pytest.approx([bond, 0.0])
    assert bond < -1  # the bond of an ionic molecule is stronger than the mean (Pauling)


def test_features_come_from_networks_that_are_trained(states, pairs):
    pytest.importorskip("twobody.transfer.frozen")
    fold = list(folds(states.names))[-1]
    small = pairs.take(np.isin(pairs.elements, SYMBOLS).all(axis=1))
    rows = rows_of(states.names, small)
    features = features_of(fold, small, rows, quick=True)
    again = features_of(fold, small, rows, quick=True)
    assert all(np.array_equal(features[name], again[name]) for name in diatomics.NETWORKS)
    found = fold_rows(fold, states, columns_of(small, rows) | features)
    assert found.keys() == diatomics.MODELS.keys()
    for name in ("mlp", "schnet", "mlp, permuted", "mlp, untrained", "schnet, untrained"):
        assert found[name]["r_e_ang"].shape == (len(fold.test),)
        assert np.isfinite(found[name]["r_e_ang"]).all()
    assert not np.allclose(found["mlp"]["ln_k"], found["mlp, untrained"]["ln_k"])
    assert not np.allclose(found["mlp"]["ln_k"], found["mlp, permuted"]["ln_k"])


@pytest.fixture
def run(monkeypatch, tmp_path, source):
    monkeypatch.setattr(diatomics, "features_of", lambda *_, **__: {})
    monkeypatch.setattr(diatomics, "MODELS", WITHOUT_NETWORK)

    def invoke(*options, results="results", database=source):
        options = ["--diatomics", str(database), *map(str, options)]
        options += ["--results", str(tmp_path / results), "--archive", str(SHIPPED)]
        return CliRunner().invoke(benchmark.main, ["diatomics", *options])

    return invoke


def test_the_page_has_the_tables_of_the_stored_predictions(pairs):
    try:
        path = installed_file()
    except ParseError:
        pytest.skip("needs the package diatomics")
    states = read_ground_states(path, pairs.elements.ravel().tolist())
    predictions = diatomics.store(states, pairs, commands.SOURCE / "results").read()
    cells = scores.diatomic_errors(predictions, states)
    page = commands.PAGE.read_text(encoding="utf-8")
    assert scores.diatomics_table(cells) in page
    assert scores.comparison_table(cells) in page
    assert scores.raw_table(scores.raw_errors(states, pairs)) in page


def test_what_is_stored_holds_every_fold_and_model(pairs):
    text = gzip.decompress((commands.SOURCE / "results/transfer/diatomics.csv.gz").read_bytes())
    header, *rows = csv.reader(io.StringIO(text.decode()))
    assert header[:6] == ["split", "repeat", "fold", "part", "pair", "model"]
    names = np.array(sorted({row[4] for row in rows}))
    expected = {
        (fold.split, str(fold.repeat), str(fold.number), part, name, model)
        for fold in folds(names)
        for part, name in zip(fold.parts.tolist(), names[fold.test].tolist(), strict=True)
        for model in diatomics.MODELS
    }
    assert len(rows) == len(expected) == 1346 * len(diatomics.MODELS)
    assert {tuple(row[:6]) for row in rows} == expected
    assert set(names.tolist()) < set(pairs.names.tolist())


def test_the_command_stores_predictions_only_and_prints_errors(run, tmp_path, states):
    result = run()
    assert result.exit_code == 0, result.output
    assert "R_e [Å], heavier atom of period 3" in result.output
    assert "labels + elements – elements" in result.output
    text = gzip.decompress((tmp_path / "results/transfer/diatomics.csv.gz").read_bytes()).decode()
    header, *rows = csv.reader(io.StringIO(text))
    assert header == ["split", "repeat", "fold", "part", "pair", "model", *diatomics.TARGETS]
    n_tested = sum(len(fold.test) for fold in folds(states.names))
    assert len(rows) == n_tested * len(WITHOUT_NETWORK)
    assert states.sha256 in (tmp_path / "results/transfer/diatomics.toml").read_text()


def test_a_stopped_run_ends_with_the_same_files(run, tmp_path, monkeypatch):
    whole = run(results="whole")
    finished = []

    def stops(*arguments, **options):
        if len(finished) == 7:
            raise OSError("no space left on the device")
        finished.append(arguments)
        return fold_rows(*arguments, **options)

    monkeypatch.setattr(diatomics, "fold_rows", stops)
    result = run()
    assert result.exit_code == 1
    assert result.output.strip() == "Error: no space left on the device"
    monkeypatch.setattr(diatomics, "fold_rows", fold_rows)
    assert run().output == whole.output
    for name in ("diatomics.csv.gz", "diatomics.toml"):
        one, other = (tmp_path / folder / "transfer" / name for folder in ("whole", "results"))
        assert one.read_bytes() == other.read_bytes()


def test_results_of_another_database_are_not_scored_with_this_one(run, tmp_path, source):
    assert run().exit_code == 0
    other = tmp_path / "other.csv"
    other.write_bytes(source.read_bytes().replace(b"Physik", b"Chemie"))
    result = run(database=other)
    assert result.exit_code == 1
    assert "expected moleculedata" in result.output
    assert len(result.output.strip().splitlines()) == 1


def test_a_missing_package_or_file_is_one_line(run, tmp_path, monkeypatch):
    result = run(database=tmp_path / "none.csv")
    assert result.exit_code == 1
    found = "expected a readable file, found No such file or directory"
    assert result.output.strip() == f"Error: {tmp_path / 'none.csv'}: {found}"

    def nothing():
        raise ParseError("diatomics", None, "the package diatomics", "neither")

    monkeypatch.setattr(commands, "installed_file", nothing)
    result = CliRunner().invoke(benchmark.main, ["diatomics", "--archive", str(SHIPPED)])
    assert result.exit_code == 1
    assert (
        result.output.strip() == "Error: diatomics: expected the package diatomics, found neither"
    )
