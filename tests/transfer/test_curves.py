"""Learning curves: what is run, what is kept, how it is scored, and the command."""

import gzip
import json
import sys
from dataclasses import asdict, replace

import md17_files as raw
import numpy as np
import pytest
from click.testing import CliRunner
from shipped import ROOT

import benchmark
from twobody import ParseError
from twobody.archive.layout import SHIPPED
from twobody.transfer import QM9, SPATIAL, commands, curves, finetune
from twobody.transfer.curve_scores import (
    chosen_rate,
    curves_table,
    ratios_table,
    read_cells,
    reference_table,
)
from twobody.transfer.pretrain import weights_sha256
from twobody.transfer.records import (
    Outcome,
    Run,
    read_outcome,
    read_values,
    run_file,
    values_file,
    write_outcome,
    write_values,
)
from twobody.transfer.scores import with_tables
from twobody.transfer.structures import Source, Structures

RUN = Run("qm9", "schnet", "scratch", 500, 1e-3, 0)
OUTCOME = Outcome(
    {"E_g_eV": np.array([1.0, 2.5, -3.12346])}, [[10, 0.5], [20, 0.4]], None, "5a", 7, 1.5, "cpu"
)


def test_an_outcome_comes_back_with_four_decimals(tmp_path):
    write_outcome(tmp_path, RUN, OUTCOME)
    path = tmp_path / "qm9-schnet-scratch-500-0.001-0.csv.gz"
    assert path == run_file(tmp_path, RUN)
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    assert lines[1:] == ["E_g_eV", "1.0000", "2.5000", "-3.1235"]
    assert json.loads(lines[0].removeprefix("# "))["n_train"] == 500
    run, outcome = read_outcome(path)
    assert run == RUN
    assert outcome.predictions["E_g_eV"].tolist() == [1.0, 2.5, -3.1235]
    assert replace(outcome, predictions={}) == replace(OUTCOME, predictions={})
    assert outcome.validation_error == 0.4


def test_the_same_outcome_is_the_same_file(tmp_path):
    for folder in (tmp_path / "one", tmp_path / "other"):
        write_outcome(folder, RUN, OUTCOME)
    one, other = (run_file(tmp_path / name, RUN).read_bytes() for name in ("one", "other"))
    assert one == other


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (gzip.compress(b"", mtime=0)[:10] + bytes(30), "expected predictions in CSV, compressed"),
        (gzip.compress(b"\xff\n", mtime=0), "expected predictions in CSV, compressed"),
        (b"no gzip", "expected predictions in CSV, compressed, found"),
        (gzip.compress(b"# {}\nE_g_eV\n1\n"), ":1: expected what is said of a run"),
        (gzip.compress(b"E_g_eV\n1\n"), ":1: expected what is said of a run"),
        (gzip.compress(b"# 5\nE_g_eV\n1\n"), ":1: expected what is said of a run"),
    ],
    ids=["cut", "no text", "not compressed", "nothing said", "no head", "a number"],
)
def test_a_damaged_file_is_one_clear_error(data, message, tmp_path):
    path = run_file(tmp_path, RUN)
    path.write_bytes(data)
    with pytest.raises(ParseError, match=message):
        read_outcome(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", "1"),
        ("rate", "0.001"),
        ("weights", None),
        ("weights", 5),
        ("curve", None),
        ("curve", []),
        ("curve", [1, 2]),
        ("curve", [[1, "x"]]),
        ("device", 0),
    ],
    ids=str,
)
def test_what_is_said_of_a_run_has_its_type(name, value, tmp_path):
    said = {**asdict(RUN), **asdict(OUTCOME), "version": "0", name: value}
    del said["predictions"]
    path = run_file(tmp_path, RUN)
    path.write_bytes(gzip.compress(f"# {json.dumps(said)}\nE_g_eV\n1\n".encode()))
    with pytest.raises(ParseError, match=":1: expected what is said of a run, found"):
        read_outcome(path)


def test_an_infinite_prediction_is_refused_and_a_missing_one_is_not_a_number(tmp_path):
    for value in (np.inf, np.nan):
        write_outcome(tmp_path, RUN, replace(OUTCOME, predictions={"E_g_eV": np.array([value])}))
        if value == np.inf:
            with pytest.raises(ParseError, match="expected finite predictions"):
                read_outcome(run_file(tmp_path, RUN))
    assert np.isnan(read_outcome(run_file(tmp_path, RUN))[1].predictions["E_g_eV"]).all()


def test_a_truncated_file_is_one_clear_error(tmp_path):
    write_outcome(tmp_path, RUN, OUTCOME)
    path = run_file(tmp_path, RUN)
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(ParseError, match="expected predictions in CSV, compressed"):
        read_outcome(path)


def test_a_file_under_the_name_of_another_run_is_refused(tmp_path):
    write_outcome(tmp_path, RUN, OUTCOME)
    other = run_file(tmp_path, replace(RUN, seed=1))
    run_file(tmp_path, RUN).rename(other)
    with pytest.raises(ParseError, match=r"expected the run .*-1, found .*-0"):
        read_outcome(other)


def source_of(values):
    n = len(values)
    structures = Structures(
        np.array([f"m{k}" for k in range(n)]),
        np.arange(n + 1),
        np.ones(n, np.int64),
        np.zeros((n, 3)),
        {"E_g_eV": np.array(values)},
    )
    rows = np.arange(n)
    return Source("qm9", structures, frozenset(), rows[:0], rows[:0], rows)


def test_the_values_of_a_test_are_written_once_and_never_replaced(tmp_path):
    write_values(tmp_path, source_of([1.0, 2.00004, np.nan]))
    there = read_values(values_file(tmp_path, "qm9"))
    assert there["name"].tolist() == ["m0", "m1", "m2"]
    np.testing.assert_array_equal(there["E_g_eV"], [1.0, 2.0, np.nan])
    write_values(tmp_path, source_of([1.0, 2.0, np.nan]))
    with pytest.raises(ParseError, match="expected the test part of these data, found another"):
        write_values(tmp_path, source_of([1.0, 2.1, np.nan]))


def test_names_that_are_numbers_and_values_half_way_are_found_again(tmp_path):
    source = source_of([1.23455, 2.67545, np.nan])
    numbered = replace(source.structures, names=np.array(["7", "12", "0"]))
    source = replace(source, name="md17-ethanol-1", structures=numbered)
    write_values(tmp_path, source)
    write_values(tmp_path, source)
    there = read_values(values_file(tmp_path, source.name))
    assert there["name"].tolist() == ["7", "12", "0"]


def test_values_of_other_targets_are_refused(tmp_path):
    write_values(tmp_path, source_of([1.0, 2.0]))
    source = source_of([1.0, 2.0])
    other = replace(source.structures, targets={"U0_eV": np.ones(2)})
    with pytest.raises(ParseError, match="expected the test part of these data, found another"):
        write_values(tmp_path, replace(source, structures=other))


def outcome_with(errors, validation=0.4):
    truth = np.arange(4.0)
    return replace(
        OUTCOME, predictions={"E_g_eV": truth + errors}, curve=[[10, 1.0], [20, validation]]
    )


@pytest.fixture
def stored(tmp_path):
    """Two seeds from scratch, two pretrained, whose errors are half of these on every structure."""
    write_values(tmp_path, source_of(np.arange(4.0)))
    errors = np.array([[0.1, 0.2, 0.3, 0.2], [0.3, 0.2, 0.1, 0.6]])
    for seed, of_seed in enumerate(errors):
        write_outcome(tmp_path, replace(RUN, seed=seed), outcome_with(of_seed))
        better = replace(RUN, arm="pretrained", seed=seed)
        write_outcome(tmp_path, better, outcome_with(of_seed / 2))
    # Another rate, better on the test and worse on validation: it was tried, and not chosen.
    write_outcome(tmp_path, replace(RUN, rate=2e-3), outcome_with(errors[0] / 10, validation=0.5))
    return tmp_path


def test_results_without_a_training_are_one_clear_error(tmp_path):
    with pytest.raises(ParseError, match=r"qm9\.csv\.gz: expected a readable file, found No such"):
        read_cells(tmp_path, "qm9")
    write_values(tmp_path, source_of(np.arange(4.0)))
    with pytest.raises(ParseError, match=r"expected outcomes of trainings, qm9-.*, found none"):
        read_cells(tmp_path, "qm9")
    result = CliRunner().invoke(benchmark.main, ["curves", "--results", str(tmp_path)])
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")


@pytest.mark.parametrize("predictions", [{"E_g_eV": np.ones(3)}, {"U0_eV": np.ones(4)}])
def test_an_outcome_of_another_test_part_is_one_clear_error(predictions, stored):
    write_outcome(stored, replace(RUN, seed=7), replace(OUTCOME, predictions=predictions))
    with pytest.raises(ParseError, match=r"-7.csv.gz: expected 4 predictions of each of E_g_eV"):
        read_cells(stored, "qm9")


def test_a_size_where_the_chosen_rate_was_not_trained_has_no_cell(stored):
    for rate in (3e-3, 4e-3):
        write_outcome(stored, replace(RUN, n_train=2000, rate=rate), outcome_with(np.zeros(4), 0.9))
    assert {size for _, size, _ in read_cells(stored, "qm9")} == {500}


def test_errors_are_means_over_seeds_and_structures(stored):
    cells = read_cells(stored, "qm9")
    assert set(cells) == {("schnet", 500, "scratch"), ("schnet", 500, "pretrained")}
    scratch, pretrained = cells["schnet", 500, "scratch"], cells["schnet", 500, "pretrained"]
    assert [run.seed for run, _ in scratch.runs] == [0, 1]
    assert scratch.mae["E_g_eV"] == pytest.approx(0.25)  # (0.8 + 1.2) / 8
    assert pretrained.mae["E_g_eV"] == pytest.approx(0.125)
    draws = scratch.draws["E_g_eV"]
    assert draws.mean() == pytest.approx(0.25, abs=0.01)
    assert 0.1 <= draws.min() < draws.max() <= 0.6
    # The same draws in every cell: what is half on every structure is half in every draw.
    np.testing.assert_allclose(pretrained.draws["E_g_eV"] / draws, 0.5, atol=2e-3)


def test_the_tables_say_what_is_separable_from_scratch(stored):
    cells = read_cells(stored, "qm9")
    assert "| `schnet` | 500 | pretrained | **0.50** [0.50, 0.50] |" in ratios_table(cells)
    table = curves_table(cells).splitlines()
    assert table[0] == "| model | trained on | arm | rate | seeds | E g [eV] |"
    assert table[2].startswith("| `schnet` | 500 | scratch | 0.001 | 2 | 0.250 [0.")


def test_an_arm_that_diverged_has_no_ratio(stored):
    write_outcome(stored, replace(RUN, arm="pretrained", seed=0), outcome_with(np.nan))
    assert "| `schnet` | 500 | pretrained | – |" in ratios_table(read_cells(stored, "qm9"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "target\n",
        "a,b\n1,2\n",
        "target,n_train,steps,rate,validation_mae,test_mae\nE_g_eV,5,5\n",
    ],
    ids=["empty", "no row", "another table", "a short row"],
)
def test_another_table_is_no_reference(text, tmp_path):
    (tmp_path / "table.csv").write_text(text, encoding="utf-8")
    with pytest.raises(ParseError, match=r"table.csv: expected a table of examples/qm9_schnet.py"):
        reference_table(tmp_path / "table.csv")


def test_curves_of_what_there_is_are_printed(tmp_path):
    folder = tmp_path / "transfer"
    run = replace(RUN, data="qm9-levels")
    call_of_curves = ["curves", "--results", str(tmp_path)]
    result = CliRunner().invoke(benchmark.main, call_of_curves)
    assert "qm9-levels.csv.gz: " in result.output
    write_values(folder, replace(source_of(np.arange(4.0)), name="qm9-levels"))
    write_outcome(folder, run, outcome_with(0.25))
    result = CliRunner().invoke(benchmark.main, call_of_curves)
    assert result.exit_code == 0, result.output
    assert "| `schnet` | 500 | scratch | 0.001 | 1 | 0.250 [0.250, 0.250] |" in result.output


def test_every_network_has_rates_to_choose_from():
    assert tuple(finetune.RATES) == SPATIAL


def test_the_rate_is_chosen_on_validation_where_several_were_tried():
    runs = [
        (replace(RUN, rate=1e-3), outcome_with(np.zeros(4), 0.30)),
        (replace(RUN, rate=2e-3), outcome_with(np.zeros(4), 0.20)),
        (replace(RUN, rate=5e-4), outcome_with(np.zeros(4), 0.40)),
        (replace(RUN, rate=2e-3, n_train=100), outcome_with(np.zeros(4), 0.90)),
        (replace(RUN, rate=1e-3, seed=1), outcome_with(np.zeros(4), 0.01)),
    ]
    assert chosen_rate(runs) == 2e-3


@pytest.fixture
def few_steps(monkeypatch):
    monkeypatch.setattr(curves, "n_steps", lambda _: 12)
    monkeypatch.setitem(curves.RATES, "schnet", (1e-3, 2e-3))
    monkeypatch.setattr(finetune, "N_CHECKS", 4)


def call(root, results, *words):
    options = ["--data", "md17", "--root", str(root), "--molecule", "ethanol", "--seeds", "2"]
    options += ["--arm", "scratch", "--arm", "embedding", "--archive", str(SHIPPED)]
    command = ["finetune", "schnet", *options, "--results", str(results), *words]
    return CliRunner().invoke(benchmark.main, command)


@pytest.mark.usefixtures("few_steps")
def test_the_command_trains_what_is_missing_and_a_resumed_run_ends_with_the_same(tmp_path):
    raw.write(tmp_path)
    whole, part = tmp_path / "whole", tmp_path / "part"
    result = call(tmp_path, whole)
    assert result.exit_code == 0, result.output
    whole, part = whole / "transfer", part / "transfer"
    names = sorted(path.name for path in whole.iterdir())
    # Two rates tried with seed 0, and the chosen one with seed 1, of either arm; and the test.
    assert len(names) == 2 * 3 + 1
    assert "md17-ethanol-1.csv.gz" in names
    part.mkdir(parents=True)
    for name in names[:3]:
        (part / name).write_bytes((whole / name).read_bytes())
    before = {path.name: path.stat().st_mtime_ns for path in part.iterdir()}
    assert call(tmp_path, part.parent).exit_code == 0
    assert sorted(path.name for path in part.iterdir()) == names
    for name, time in before.items():
        assert (part / name).stat().st_mtime_ns == time
    for name in names:
        if name != "md17-ethanol-1.csv.gz":
            one, other = (read_outcome(folder / name)[1] for folder in (whole, part))
            np.testing.assert_array_equal(
                one.predictions["energy_eV"], other.predictions["energy_eV"]
            )
            assert one.forces_mae == other.forces_mae > 0
    cells = read_cells(whole, "md17-ethanol-1")
    assert all(len(cell.runs) == 2 for cell in cells.values())


@pytest.mark.usefixtures("few_steps")
def test_an_arm_of_which_a_trial_failed_waits_until_it_has_all_rates(tmp_path, monkeypatch):
    raw.write(tmp_path)
    whole, results = tmp_path / "whole", tmp_path / "results"
    assert call(tmp_path, whole).exit_code == 0

    def failing(run, settings):
        if (run.arm, run.rate) == ("scratch", 1e-3):
            raise RuntimeError("the card is busy")
        return train(run, settings)

    train = curves.train
    monkeypatch.setattr(curves, "train", failing)
    result = call(tmp_path, results)
    assert result.exit_code == 1
    assert "Error: 1 of the trainings failed" in result.output
    stored = [path.name.split("-")[4:] for path in (results / "transfer").glob("*-scratch-*")]
    assert stored == [["scratch", "2", "0.002", "0.csv.gz"]]
    assert len(list((results / "transfer").glob("*-embedding-*"))) == 3
    monkeypatch.setattr(curves, "train", train)
    assert call(tmp_path, results).exit_code == 0
    one, other = (sorted(p.name for p in (f / "transfer").iterdir()) for f in (whole, results))
    assert one == other


@pytest.mark.usefixtures("few_steps")
def test_an_outcome_of_other_weights_is_refused(tmp_path):
    raw.write(tmp_path)
    results = tmp_path / "results"
    assert call(tmp_path, results).exit_code == 0
    one = next((results / "transfer").glob("*-scratch-*"))
    run, outcome = read_outcome(one)
    assert outcome.weights == weights_sha256("schnet")
    write_outcome(one.parent, run, replace(outcome, weights="0" * 64))
    result = call(tmp_path, results)
    assert result.exit_code == 1
    message = f"{one.name}:1: expected weights of SHA-256 {outcome.weights[:12]}…, found 0000"
    assert message in result.output


@pytest.mark.usefixtures("few_steps")
def test_quick_prints_errors_and_writes_nothing(tmp_path):
    raw.write(tmp_path)
    result = call(tmp_path, tmp_path / "results", "--quick")
    assert result.exit_code == 0, result.output
    assert [line.split(":")[0] for line in result.output.splitlines()] == [
        "md17-ethanol-1-schnet-scratch-2-0.002-0",
        "md17-ethanol-1-schnet-embedding-2-0.002-0",
    ]
    assert not (tmp_path / "results").exists()


def test_what_is_missing_is_one_clear_line(tmp_path):
    result = call(tmp_path / "nowhere", tmp_path / "results")
    assert result.exit_code == 1
    assert result.output.splitlines()[-1].startswith("Error: ")
    assert "expected a folder, found none" in result.output
    words = ["finetune", "schnet", "--data", "md17", "--archive", str(SHIPPED)]
    result = CliRunner().invoke(benchmark.main, words)
    assert "Error: md17 needs --root, the folder where its files lie" in result.output
    result = CliRunner().invoke(benchmark.main, ["finetune", "--data", "qm9-energy"])
    assert "name models, of schnet, egnn, visnet, dimenet" in result.output
    raw.write(tmp_path)
    result = call(tmp_path, tmp_path / "results", "--train", "3")
    assert "Error: md17-ethanol-1 has 2 structures to train on, not 3" in result.output


@pytest.mark.parametrize("words", [["pretrain"], ["finetune", "schnet", "--data", "qm9-energy"]])
def test_a_device_that_is_not_there_is_one_clear_line(words):
    result = CliRunner().invoke(benchmark.main, [*words, "--device", "toaster"])
    assert result.exit_code == 2
    assert "Error: Invalid value for '--device': " in result.output
    assert "toaster" in result.output.splitlines()[-1]


def test_a_missing_package_is_one_clear_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    result = CliRunner().invoke(benchmark.main, ["finetune", "schnet", "--data", "qm9-energy"])
    assert result.exit_code == 2
    last = result.output.splitlines()[-1]
    assert last.startswith("Error: ")
    assert last.endswith('python -m pip install "twobody-dataset[transfer]"')


def test_pages_are_changed_in_a_clone_alone_and_weights_never_in_the_package(monkeypatch, tmp_path):
    monkeypatch.setattr(commands, "PAGE", tmp_path / "docs" / "transfer_experiments.md")
    for command in ("curves", "crystals", "diatomics"):
        result = CliRunner().invoke(benchmark.main, [command, "--page"])
        assert result.exit_code == 2
        assert "Invalid value for '--page': needs a clone with its documentation" in result.output
    result = CliRunner().invoke(benchmark.main, ["pretrain"])
    assert "Missing option '--output'" in result.output


def test_a_model_or_an_arm_that_is_named_twice_is_trained_once(monkeypatch, tmp_path):
    raw.write(tmp_path)
    seen = []
    monkeypatch.setattr(curves, "learning_curves", lambda *given: seen.append(given[:2]))
    assert call(tmp_path, tmp_path / "results", "schnet", "--arm", "scratch").exit_code == 0
    assert seen == [(("schnet",), ("scratch", "embedding"))]


def test_pretrain_writes_weights_that_load(tmp_path, monkeypatch):
    from twobody.models.graphs import SchNet
    from twobody.models.train import Recipe
    from twobody.transfer.pretrain import pretrained

    monkeypatch.setattr(SchNet, "recipe", Recipe(epochs=1))
    words = ["pretrain", "schnet", "--output", str(tmp_path), "--archive", str(SHIPPED)]
    result = CliRunner().invoke(benchmark.main, words)
    assert result.exit_code == 0, result.output
    assert len(pretrained("schnet", folder=tmp_path).features.elements) == 75


def test_the_page_has_the_tables_of_the_stored_predictions():
    results = ROOT / "results" / "transfer"
    tables = {"qm9-reference": reference_table(results / "qm9_schnet.csv")}
    for data in QM9:
        cells = read_cells(results, data)
        tables |= {f"{data}-errors": curves_table(cells), f"{data}-ratios": ratios_table(cells)}
    page = (ROOT / "docs" / "transfer.md").read_text(encoding="utf-8")
    assert with_tables(page, tables) == page
    assert all(table in page for table in tables.values())


def test_a_training_that_diverged_counts_as_what_it_was_before():
    assert replace(OUTCOME, curve=[[1, 0.9], [2, 0.8], [3, np.nan]]).validation_error == 0.8


def test_a_rate_at_which_all_is_nan_is_never_chosen():
    diverged = replace(OUTCOME, curve=[[1, np.nan], [2, np.nan]])
    assert diverged.validation_error == np.inf
    assert chosen_rate([(RUN, diverged), (replace(RUN, rate=2e-3), OUTCOME)]) == 2e-3
