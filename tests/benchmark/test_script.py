"""The script benchmark.py: runs that can be stopped and continued, scores, the table, the list."""

import json
import re
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import fake_models
import pytest
from click.testing import CliRunner
from fake_models import TRAININGS, info

import benchmark
from twobody.benchmark.splits import SPLITS_SHA256
from twobody.benchmark.task import Task
from twobody.models import MODELS, runner

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@pytest.fixture(autouse=True)
def no_trainings():
    TRAININGS.clear()


@pytest.fixture
def invoke(archive, tmp_path):
    def run(*arguments, results="results"):
        options = [] if arguments[0] == "list" else ["--archive", str(archive)]
        options += (
            [] if arguments[0] in ("list", "score") else ["--results", str(tmp_path / results)]
        )
        return CliRunner().invoke(benchmark.main, [*map(str, arguments), *options])

    return run


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_a_run_trains_every_fold_and_seed_and_leaves_predictions_and_a_card(
    invoke, tmp_path, monkeypatch
):
    monkeypatch.setitem(MODELS, "fake", info())
    result = invoke("run", "fake", "--split", "element", "--seeds", "2", "--device", "cpu")
    assert (result.exit_code, result.output) == (0, "")  # silent where it is piped
    results = tmp_path / "results"
    assert files(results) == ["models/fake.toml", "predictions/fake-element-elements.csv.gz"]
    expected = [("element", "cpu", False, seed, 1378, 452) for seed in (0, 1) for _ in range(5)]
    assert expected == TRAININGS
    card = tomllib.loads((results / "models" / "fake.toml").read_text(encoding="utf-8"))
    run = card["element-elements"]
    assert (card["name"], card["sees"]) == ("fake", "elements")
    assert (run["seeds"], run["parameters"], run["device"]) == ([0, 1], 3, "cpu")
    assert (run["splits"], run["encoding"], run["train_pairs"]) == (SPLITS_SHA256, "", 0)
    command = "python benchmark.py run fake --split element --track elements --seeds 2 --device cpu"
    assert run["command"] == command


def test_what_results_hold_is_not_run_again_and_more_seeds_are_added(invoke, tmp_path, monkeypatch):
    monkeypatch.setitem(MODELS, "fake", info())
    file = tmp_path / "results" / "predictions" / "fake-period-elements.csv.gz"
    assert invoke("run", "fake", "--split", "period", "--seeds", "1").exit_code == 0
    first = file.read_bytes()
    assert len(TRAININGS) == 3
    again = invoke("run", "fake", "--split", "period", "--seeds", "1")
    assert (again.exit_code, again.stdout) == (0, "")
    assert again.stderr == f"fake on period-elements: in {file} already\n"
    assert len(TRAININGS) == 3
    assert file.read_bytes() == first
    assert invoke("run", "fake", "--split", "period", "--seeds", "3").exit_code == 0
    assert [seed for *_, seed, _, _ in TRAININGS] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    at_once = invoke("run", "fake", "--split", "period", "--seeds", "3", results="other")
    assert at_once.exit_code == 0
    assert file.read_bytes() == (tmp_path / "other" / "predictions" / file.name).read_bytes()
    # Fewer seeds than there are: nothing to do.
    assert invoke("run", "fake", "--split", "period", "--seeds", "2").exit_code == 0
    assert len(TRAININGS) == 18


def test_a_model_that_no_seed_changes_is_trained_once(invoke, monkeypatch):
    monkeypatch.setitem(MODELS, "fake", info(seeded=False))
    assert invoke("run", "fake", "--split", "pair", "--seeds", "3").exit_code == 0
    assert [seed for *_, seed, _, _ in TRAININGS] == [0] * 5


def test_a_failed_training_is_named_in_a_line_and_the_others_are_kept(
    invoke, tmp_path, monkeypatch
):
    monkeypatch.setitem(MODELS, "fake", info(fails_in=[2]))
    result = invoke("run", "fake", "--split", "pair", "--seeds", "1")
    assert result.exit_code == 1
    assert result.output == (
        "fake on pair-elements, fold 2, seed 0: ZeroDivisionError: a loss of its own\n"
        "Error: 1 of the trainings failed\n"
    )
    kept = [f"partial/fake-pair-elements/{fold}-0.json" for fold in (1, 3, 4, 5)]
    assert files(tmp_path / "results") == kept
    monkeypatch.setitem(MODELS, "fake", info())
    assert invoke("run", "fake", "--split", "pair", "--seeds", "1").exit_code == 0
    assert len(TRAININGS) == 6  # the one that failed alone is trained again
    assert len(files(tmp_path / "results")) == 2


def test_rows_take_turns_and_none_is_lost_where_one_has_more_folds(invoke, tmp_path, monkeypatch):
    def splits():
        return [split for split, *_ in TRAININGS]

    both = ("run", "fake", "--split", "pair", "--split", "period", "--seeds")
    monkeypatch.setitem(MODELS, "fake", info(fails_in=[2, 7]))
    assert invoke(*both, "1").exit_code == 1
    assert splits() == ["pair", "period"] * 3 + ["pair"] * 2
    monkeypatch.setitem(MODELS, "fake", info())
    TRAININGS.clear()
    assert invoke(*both, "1").exit_code == 0
    assert splits() == ["pair", "period"]  # what failed
    assert invoke(*both, "2").exit_code == 0
    assert invoke(*both, "2", results="other").exit_code == 0
    one, other = tmp_path / "results" / "predictions", tmp_path / "other" / "predictions"
    for name in ("fake-pair-elements.csv.gz", "fake-period-elements.csv.gz"):
        assert (one / name).read_bytes() == (other / name).read_bytes()


def children(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""  # empty when dead, not yet buried
    except OSError:
        return False


@pytest.fixture
def slow_command(tmp_path, archive):
    """Return a function that gives the command of a run with a fake model, to be started apart."""

    def command(how, *arguments):
        program = (
            "import sys; sys.path[:0] = sys.argv[1:3]\n"
            "import benchmark, fake_models\n"
            f"benchmark.MODELS['fake'] = fake_models.info({how})\n"
            "if __name__ == '__main__': benchmark.main(sys.argv[3:])\n"
        )
        script = tmp_path / "slow.py"  # which workers import too
        script.write_text(program, encoding="utf-8")
        options = ["--results", tmp_path / "results", "--archive", archive]
        words = [sys.executable, script, ROOT, HERE, "run", "fake", *arguments, *options]
        return [*map(str, words)]

    return command


def test_a_process_that_dies_is_an_error_in_one_line(slow_command, tmp_path):
    command = slow_command("dies_in=[3]", "--split", "element", "--jobs", "2")
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr == (
        "Error: a process died, of too little memory perhaps; what was finished is kept\n"
    )
    assert list((tmp_path / "results" / runner.PARTIAL / "fake-element-elements").glob("*.json"))


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_killed_run_is_taken_up_where_it_ended(jobs, slow_command, invoke, tmp_path, monkeypatch):
    """Its workers end too; what they had finished is not trained again."""
    results = tmp_path / "results"
    command = slow_command("wait=0.4", "--split", "element", "--jobs", str(jobs))
    with subprocess.Popen(command) as process:
        partial = results / runner.PARTIAL / "fake-element-elements"
        while len(list(partial.glob("*.json"))) < 3:
            assert process.poll() is None
            time.sleep(0.02)
        workers = children(process.pid)
        process.send_signal(signal.SIGKILL)
    end = time.monotonic() + 20
    while any(is_alive(worker) for worker in workers):
        assert time.monotonic() < end
        time.sleep(0.05)
    done = {path.name for path in partial.glob("*.json")}
    assert 3 <= len(done) < 15
    assert all(json.loads((partial / name).read_text(encoding="utf-8")) for name in done)
    monkeypatch.setitem(MODELS, "fake", info())
    result = invoke("run", "fake", "--split", "element", "--seeds", "3")
    assert (result.exit_code, result.output) == (0, "")
    assert len(TRAININGS) == 15 - len(done)
    assert files(results) == ["models/fake.toml", "predictions/fake-element-elements.csv.gz"]
    assert invoke("score", results / "predictions" / "fake-element-elements.csv.gz").exit_code == 0


def test_several_processes_give_the_same_files_as_one(invoke, tmp_path):
    for jobs in ("1", "2"):
        result = invoke("run", "additive", "--split", "pair", "--jobs", jobs, results=jobs)
        assert (result.exit_code, result.output) == (0, "")
    name = "predictions/additive-pair-elements.csv.gz"
    assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_results_of_another_archive_are_refused(invoke, tmp_path, monkeypatch):
    monkeypatch.setitem(MODELS, "fake", info(fails_in=[5]))
    assert invoke("run", "fake", "--split", "pair", "--seeds", "1").exit_code == 1
    partial = tmp_path / "results" / "partial" / "fake-pair-elements" / "1-0.json"
    text = partial.read_text(encoding="utf-8")
    digest = json.loads(text)["labels"]
    partial.write_text(text.replace(digest, "0" * 64), encoding="utf-8")
    result = invoke("run", "fake", "--split", "pair", "--seeds", "1")
    assert result.exit_code == 1
    assert (
        "1-0.json: expected labels of SHA-256 fa37226810d6…, found 000000000000…" in result.output
    )
    partial.write_text(text, encoding="utf-8")
    assert invoke("run", "fake", "--split", "pair", "--seeds", "1").exit_code == 0
    card = tmp_path / "results" / "models" / "fake.toml"
    card.write_text(card.read_text(encoding="utf-8").replace(digest, "0" * 64), encoding="utf-8")
    for again in (
        invoke("run", "fake", "--split", "pair", "--seeds", "1"),
        invoke("score", tmp_path / "results/predictions/fake-pair-elements.csv.gz"),
    ):
        assert again.exit_code == 1
        assert again.output.count("\n") == 1
        assert "expected labels of SHA-256" in again.output


@pytest.mark.parametrize("damage", ["", "[]", "{", '{"seconds": 1}'])
def test_a_damaged_outcome_is_refused(invoke, tmp_path, damage):
    partial = tmp_path / "results" / "partial" / "additive-pair-elements" / "1-0.json"
    partial.parent.mkdir(parents=True)
    partial.write_text(damage, encoding="utf-8")
    result = invoke("run", "additive", "--split", "pair")
    assert result.exit_code == 1
    assert "1-0.json: expected the outcome of a training, found" in result.output


def test_a_quick_run_prints_errors_and_writes_nothing(invoke, tmp_path, monkeypatch):
    monkeypatch.setitem(MODELS, "fake", info(("elements", "geometry")))
    result = invoke("run", "fake", "--split", "element", "--quick", "--seeds", "3")
    assert result.exit_code == 0
    assert TRAININGS == [("element", "cpu", True, 0, 1378, 452)] * 2
    first, second = result.output.splitlines()
    assert re.match(
        r"fake on element-elements, fold 1, seed 0: \d\.\d s, MAE in C2: e_g_ev 0\.\d+, ", first
    )
    assert "distance_ang" in first
    assert "distance_ang" not in second
    assert files(tmp_path) == []


def test_a_quick_run_names_what_failed(invoke, monkeypatch):
    monkeypatch.setitem(MODELS, "fake", info(fails_in=[1]))
    result = invoke("run", "fake", "--split", "pair", "--quick")
    assert result.exit_code == 1
    assert "fold 1, seed 0: ZeroDivisionError" in result.output


def test_points_of_a_learning_curve_lie_apart(invoke, tmp_path, monkeypatch):
    monkeypatch.setitem(MODELS, "fake", info())
    result = invoke("run", "fake", "--split", "pair", "--seeds", "1", "--train-pairs", "100")
    assert result.exit_code == 0
    assert [training[-2:] for training in TRAININGS] == [(90, 10)] * 5
    assert files(tmp_path / "results") == [
        "curve/models/fake_100.toml",
        "curve/predictions/fake_100-pair-elements.csv.gz",
    ]


def test_smaller_training_parts_are_nested(pairs):
    train = Task("pair", "elements", pairs=pairs).fold(1).train
    names = {n: set(runner.smaller(train, n).names.tolist()) for n in (10, 100, 2052)}
    assert [len(some) for some in names.values()] == [10, 100, 2052]
    assert names[10] < names[100] < names[2052] == set(train.names.tolist())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run"], "name models, or give --all"),
        (["run", "--all", "mlp"], "name models, or give --all"),
        (["run", "mpl"], "no model 'mpl'; known: median, "),
        (["run", "additive", "--track", "density"], "none of these models takes the track density"),
        (["run", "additive", "--split", "random"], "'random' is not one of 'pair'"),
        (["run", "additive", "--seeds", "0"], "0 is not in the range x>=1"),
    ],
)
def test_commands_that_make_no_sense(invoke, arguments, message):
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert message in result.output


@pytest.mark.parametrize("command", [["run", "additive"], ["score", "x.csv.gz"], ["table"]])
def test_a_missing_archive_is_an_error_in_one_line(command, tmp_path):
    missing = str(tmp_path / "none.npz")
    result = CliRunner().invoke(benchmark.main, [*command, "--archive", missing])
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: {missing}: expected")
    assert result.output.count("\n") == 1


def test_scores_are_printed(invoke, tmp_path, monkeypatch):
    monkeypatch.setitem(MODELS, "fake", info(("density",)))
    assert invoke("run", "fake", "--split", "element", "--seeds", "2").exit_code == 0
    file = tmp_path / "results" / "predictions" / "fake-element-density.csv.gz"
    result = invoke("score", file)
    assert result.exit_code == 0
    first, *rows, last = result.output.splitlines()
    assert first == "fake on element-density, seeds [0, 1]"
    assert {"mae", "low", "high", "ratio", "ensemble_mae", "auroc"} <= set(rows[0].split())
    assert sum(" * " in row for row in rows) == 2 * 5  # derived
    assert last == "* follows from others by identity"
    lines = invoke("score", file, "--csv").output.splitlines()
    assert lines[0].startswith("part,label,unit,n,derived,mae,low,high,rmse,ratio,")
    assert len(lines) == 1 + 2 * (9 + 5 + 1)


def test_a_file_that_is_not_there(invoke, tmp_path):
    result = invoke("score", tmp_path / "none.csv.gz")
    assert result.exit_code == 1
    assert result.output.endswith("none.csv.gz: expected a file of predictions, found none\n")


def test_the_list_has_every_model(invoke):
    result = invoke("list")
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.output.splitlines()] == list(MODELS)


def test_listing_and_scoring_import_no_torch():
    code = "import sys, benchmark; print('torch' in sys.modules, 'sklearn' in sys.modules)"
    output = subprocess.check_output([sys.executable, "-c", code], text=True, cwd=ROOT)
    assert output == "False False\n"


def test_the_table_goes_into_the_pages_and_the_pictures_into_a_folder(
    invoke, tmp_path, monkeypatch
):
    pytest.importorskip("matplotlib")
    monkeypatch.setitem(MODELS, "fake", info())
    assert invoke("run", "fake", "--split", "pair", "--seeds", "1").exit_code == 0
    monkeypatch.setattr(benchmark, "SOURCE", tmp_path)
    (tmp_path / "docs").mkdir()
    for name, kind in (("README.md", "short"), ("docs/benchmark.md", "models")):
        page = f"<!-- leaderboard: {kind} -->\nold\n<!-- end of leaderboard -->\n"
        (tmp_path / name).write_text(page, encoding="utf-8")
    result = invoke("table")
    assert (result.exit_code, result.output) == (0, "")
    assert "| `fake` | elements | **0.4" in (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "| `fake` | elements |" in (tmp_path / "docs/benchmark.md").read_text(encoding="utf-8")
    result = invoke("pictures", "--output", tmp_path / "drawn")
    assert (result.exit_code, result.output) == (0, "")
    assert files(tmp_path / "drawn") == ["modalities.png", "new_elements.png", "parity.png"]


@pytest.mark.parametrize("command", ["table", "pictures"])
def test_without_results_there_is_nothing_to_show(invoke, command):
    result = invoke(command)
    assert result.exit_code == 1
    assert "expected files *.csv.gz, found none" in result.output


def test_pictures_need_matplotlib(invoke, monkeypatch):
    monkeypatch.setitem(sys.modules, "twobody.benchmark.pictures", None)
    result = invoke("pictures")
    assert result.exit_code == 2
    assert 'python -m pip install "twobody-dataset[plot]"' in result.output


def test_seeds_of_other_labels_are_not_added(invoke, monkeypatch):
    monkeypatch.setitem(MODELS, "fake", info(("elements",)))
    assert invoke("run", "fake", "--split", "period", "--seeds", "1").exit_code == 0
    fake = info(("elements",))
    monkeypatch.setattr(fake_models.Fake, "predict", lambda _, test: {"e_g_ev": [0] * len(test)})
    monkeypatch.setitem(MODELS, "fake", fake)
    result = invoke("run", "fake", "--split", "period", "--seeds", "2")
    assert result.exit_code == 1
    assert "as of the other seeds, found e_g_ev" in result.output
