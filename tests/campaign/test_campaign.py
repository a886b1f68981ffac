import os
import re
import shutil
import signal
import subprocess
import sys
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import hsd
import pytest
from click.testing import CliRunner
from dftb_runs import RAW_DATA, TESTS, StandIn, is_dead, shifted, wait_for, write_skf

import build_dataset
import generate_raw_data
from twobody.campaign.campaign import all_pairs, plan, run_campaign
from twobody.campaign.hsd_input import Settings
from twobody.campaign.run import Attempt
from twobody.elements import COVALENT_RADII
from twobody.raw_data.derive import collect_pair

if os.name != "posix":
    pytest.skip("DFTB+ runs on Linux and macOS only", allow_module_level=True)

ROOT = TESTS.parent
PAIRS = ["H_H", "H_O", "O_O"]


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return StandIn(tmp_path)


def test_every_unordered_pair_comes_once_in_alphabetical_order():
    assert all_pairs(["O", "H", "O"]) == [("H", "H"), ("H", "O"), ("O", "O")]
    names = {"_".join(pair) for pair in all_pairs({n.split("_")[0] for n in shipped_names()})}
    assert names == set(shipped_names())


def shipped_names():
    return [path.name for path in RAW_DATA.iterdir() if path.is_dir()]


class TestChain:
    def test_run_collect_and_build_make_the_shipped_labels_anew(self, stand_in, tmp_path):
        result = stand_in.run()
        assert result.exit_code == 0, result.output
        assert "3 done, 0 resumed, 0 retried, 0 failed" in result.output
        assert f"now: python -m twobody generate collect {stand_in.output}" in result.output
        assert stand_in.pairs() == PAIRS
        assert all(stand_in.same_as_recorded(pair) for pair in PAIRS)
        runner = CliRunner()
        collected = runner.invoke(generate_raw_data.main, ["collect", str(stand_in.output)])
        assert collected.exit_code == 0, collected.output
        shipped = (RAW_DATA / "dftb_ptbp_combined.csv").read_text().splitlines()
        rows = (stand_in.output / "dftb_ptbp_combined.csv").read_text().splitlines()
        assert rows == [shipped[0], *(r for r in shipped if r.split(",")[0] in PAIRS)]
        built = runner.invoke(build_dataset.main, [str(stand_in.output), str(tmp_path / "built")])
        assert built.exit_code == 0, built.output
        assert "3 found, 3 kept, 0 skipped" in built.output

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a full device")
    @pytest.mark.parametrize("what", ["run", "collect"])
    def test_a_full_standard_output_is_one_line(self, stand_in, what):
        stand_in.run()
        collect = [*command(stand_in)[:2], "collect", str(stand_in.output)]
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                command(stand_in) if what == "run" else collect,
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        assert done.returncode == 1
        assert done.stderr == "Error: [Errno 28] No space left on device\n"

    def test_nothing_is_shown_of_the_progress_when_piped(self, stand_in):
        result = subprocess.run(command(stand_in), capture_output=True, text=True, check=True)
        assert result.stderr == ""
        assert len(result.stdout.splitlines()) == 2

    def test_on_a_terminal_the_counts_and_the_time_left_are_shown(self, stand_in):
        import pty  # these two are not on Windows
        import termios

        stand_in.run("--pairs", "H_H")
        stand_in.set_plan({"H_O": ["slow 0.2"], "O_O": ["crash", "slow 0.8"]})
        terminal, end = pty.openpty()
        termios.tcsetwinsize(end, (24, 160))
        subprocess.run(command(stand_in), stdout=subprocess.DEVNULL, stderr=end, check=True)
        os.write(end, b"(end)")
        shown = ""
        while "(end)" not in shown:
            shown += os.read(terminal, 4096).decode()
        os.close(end)
        os.close(terminal)
        *_, last = re.findall(r"computing: 100%[^\r]*", shown)
        assert "2/2" in last
        assert "done=2, resumed=1, retried=1, failed=0" in last
        assert re.search(r"1/2 \[\d\d:\d\d<\d\d:\d\d", shown)  # time taken < time left

    def test_the_input_of_a_pair_has_the_basis_of_its_files_and_a_relative_path(self, stand_in):
        stand_in.run("--pairs", "O_H")
        tree = hsd.load(str(stand_in.output / "H_O" / "dftb_in.hsd"))["Hamiltonian"]["DFTB"]
        assert tree["MaxAngularMomentum"] == {"H": '"s"', "O": '"p"'}
        prefix = tree["SlaterKosterFiles"]["Type2FileNames"]["Prefix"].strip('"')
        assert prefix == "../../skf/"
        assert (stand_in.output / "H_O" / prefix / "H-O.skf").is_file()

    def test_elements_choose_all_their_pairs(self, stand_in):
        stand_in.run("--elements", "O")
        assert stand_in.pairs() == ["O_O"]

    def test_a_dry_run_writes_inputs_and_the_run_then_computes_them(self, stand_in):
        result = stand_in.run("--dry-run", "--dftb-command", "no-such-program")
        assert "3 inputs written, 0 pairs with outputs left alone" in result.output
        inputs = {p: (stand_in.output / p / "dftb_in.hsd").read_bytes() for p in PAIRS}
        assert [len(list((stand_in.output / pair).iterdir())) for pair in PAIRS] == [1, 1, 1]
        assert stand_in.calls() == []
        assert stand_in.run().exit_code == 0
        assert stand_in.calls() == PAIRS
        assert inputs == {p: (stand_in.output / p / "dftb_in.hsd").read_bytes() for p in PAIRS}

    def test_a_dry_run_puts_no_new_input_beside_old_outputs(self, stand_in):
        stand_in.run()
        result = stand_in.run("--dry-run", "--temperature", "1000")
        assert "0 inputs written, 3 pairs with outputs left alone" in result.output
        assert "1 of 1" in (stand_in.output / "H_H" / "dftb_in.hsd").read_text()
        assert (
            "1000" not in (stand_in.output / "H_H" / "dftb_in.hsd").read_text().split("Filling")[1]
        )


class TestResume:
    def test_done_pairs_are_not_computed_again(self, stand_in):
        stand_in.run("--pairs", "H_H")
        stand_in.set_plan({})
        result = stand_in.run()
        assert stand_in.calls() == ["H_O", "O_O"]
        assert "2 done, 1 resumed, 0 retried, 0 failed" in result.output

    @pytest.mark.parametrize(
        "change",
        [
            ("--temperature", "400"),
            ("--scc-tolerance", "1e-8"),
            ("--max-force", "1e-5"),
            ("--starts", "0.9"),
            ("--starts", "0.9,1"),
            ("--unpaired-electrons", "2"),
        ],
    )
    def test_other_settings_compute_every_pair_again(self, stand_in, change):
        stand_in.run()
        stand_in.set_plan({})
        stand_in.run(*change)
        assert set(stand_in.calls()) == set(PAIRS)

    def test_another_slater_koster_file_computes_its_pairs_again(self, stand_in):
        stand_in.run()
        stand_in.set_plan({})
        with (stand_in.skf / "O-O.skf").open("a") as file:
            file.write("\n")
        stand_in.run()
        assert stand_in.calls() == ["H_O", "O_O"]

    def test_an_extra_hsd_block_reaches_the_input_and_counts(self, stand_in, tmp_path):
        stand_in.run()
        stand_in.set_plan({})
        extra = tmp_path / "extra.hsd"
        extra.write_text("Hamiltonian = DFTB { SpinConstants { H = -0.072 } }")
        assert stand_in.run("--extra-hsd", str(extra)).exit_code == 0
        assert stand_in.calls() == PAIRS
        assert "-0.072" in (stand_in.output / "H_H" / "dftb_in.hsd").read_text()

    def test_a_damaged_pair_is_computed_again(self, stand_in):
        stand_in.run()
        stand_in.set_plan({})
        os.truncate(stand_in.output / "H_O" / "band.out", 100)
        stand_in.run()
        assert stand_in.calls() == ["H_O"]
        assert stand_in.same_as_recorded("H_O")

    def test_a_pair_that_a_later_rung_computed_is_done(self, stand_in):
        stand_in.set_plan({"O_O": ["scc", "crash", "converge"]})
        first = stand_in.run()
        assert "3 done, 0 resumed, 1 retried, 0 failed" in first.output
        assert "O_O computed with other settings than asked for: optimiser: " in first.output
        stand_in.set_plan({})
        stand_in.run()
        assert stand_in.calls() == []

    def test_raw_data_moved_together_with_the_parameters_are_still_done(self, stand_in, tmp_path):
        stand_in.run()
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        stand_in.output = stand_in.output.rename(elsewhere / "raw_data")
        stand_in.skf = stand_in.skf.rename(elsewhere / "skf")
        stand_in.set_plan({})
        stand_in.run()
        assert stand_in.calls() == []

    def test_results_that_no_run_made_are_not_replaced(self, stand_in):
        shutil.copytree(RAW_DATA / "H_O", stand_in.output / "H_O")
        result = stand_in.run()
        assert result.exit_code == 1
        assert "H_O: expected a folder made by this command (with its dftb_in.hsd)" in result.output
        assert "found outputs without dftb_in.hsd (1 such pair)" in result.output
        assert stand_in.calls() == []

    @pytest.mark.parametrize("options", [(), ("--dry-run",)])
    @pytest.mark.parametrize(
        ("make", "found"),
        [
            (lambda place: place.write_text("mine"), "something that is not a folder"),
            (lambda place: place.symlink_to("nowhere"), "something that is not a folder"),
            (lambda place: own(place, "notes.txt"), "'notes.txt'"),
            (lambda place: own(place, "dftb_in.hsd"), "another dftb_in.hsd"),
            (lambda place: (place / "band.out").mkdir(parents=True), "'band.out'"),
        ],
        ids=["file", "dangling link", "notes", "input", "folder in the place of an output"],
    )
    def test_what_no_run_made_is_not_replaced(self, stand_in, options, make, found):
        stand_in.output.mkdir()
        for pair in ("H_O", "O_O"):
            make(stand_in.output / pair)
        before = listing(stand_in.output)
        result = stand_in.run(*options)
        assert result.exit_code == 1
        assert result.output.endswith(f", found {found} (2 such pairs)\n")
        assert listing(stand_in.output) == before
        assert stand_in.calls() == []

    @pytest.mark.parametrize("left", ["empty folder", "empty input"])
    def test_what_a_full_disk_left_of_a_dry_run_is_replaced(self, stand_in, left):
        (stand_in.output / "H_O").mkdir(parents=True)
        if left == "empty input":
            (stand_in.output / "H_O" / "dftb_in.hsd").write_text("")
        assert "3 inputs written" in stand_in.run("--dry-run").output
        assert stand_in.run().exit_code == 0


def own(folder, name):
    """Make a folder with a file that no run wrote."""
    folder.mkdir()
    (folder / name).write_text("mine")


def listing(folder):
    paths = sorted(folder.rglob("*"))
    return [(path, path.read_bytes() if path.is_file() else None) for path in paths]


class TestFailures:
    def test_what_fails_on_every_rung_is_listed_and_the_others_are_kept(self, stand_in):
        stand_in.set_plan({"H_O": ["scc"], "O_O": ["crash", "converge"]})
        result = stand_in.run()
        assert result.exit_code == 1
        assert stand_in.pairs() == ["H_H", "O_O"]
        assert "2 done, 0 resumed, 1 retried, 1 failed" in result.output
        assert "H_O failed: start 1 SCC not converged (exit status 1: " in result.output
        assert "Error: 1 pair failed; see " in result.output
        rows = [row for row in stand_in.log() if row["pair"] == "H_O"]
        rungs = ["as given", "mixing", "optimiser", "start", "temperature"]
        assert [row["settings"].partition(":")[0] for row in rows] == rungs
        assert [row["rung"] for row in rows] == ["0", "1", "2", "3", "4"]
        assert {row["chosen"] for row in rows} == {"0"}

    def test_a_failed_pair_is_tried_again_by_the_next_run(self, stand_in):
        stand_in.set_plan({"H_O": ["crash"]})
        stand_in.run()
        stand_in.set_plan({})
        assert stand_in.run().exit_code == 0
        assert stand_in.calls() == ["H_O"]

    def test_an_old_result_that_stays_because_the_new_one_fails_is_named(self, stand_in):
        stand_in.run()
        stand_in.set_plan({"H_O": ["crash"]})
        result = stand_in.run("--temperature", "400")
        assert f"{stand_in.output / 'H_O'} holds no result of these settings" in result.output
        assert stand_in.same_as_recorded("H_O")

    def test_rungs_that_an_extra_block_makes_equal_are_tried_once(self, stand_in, tmp_path):
        extra = tmp_path / "extra.hsd"
        extra.write_text(
            "Driver = SteepestDescent {}\n"
            "Hamiltonian = DFTB {\n Mixer = Broyden {}\n MaxSCCIterations = 9\n"
            " Filling = Fermi { Temperature [Kelvin] = 300 }\n}"
        )
        stand_in.set_plan({"H_O": ["crash"]})
        stand_in.run("--pairs", "H_O", "--extra-hsd", str(extra))
        assert stand_in.calls() == ["H_O", "H_O"]  # as given, and another start

    def test_a_disk_that_takes_no_more_ends_the_run_and_keeps_what_is_done(self, stand_in):
        import resource  # not on Windows

        stand_in.run("--pairs", "H_H")
        log = (stand_in.output / "run_log.csv").read_bytes()
        full = 600  # bytes a file, too few for an input
        result = subprocess.run(
            command(stand_in),
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (full, full)),
        )
        assert result.returncode == 1
        assert result.stderr.count("\n") == 1
        assert f"File too large: '{stand_in.output}'" in result.stderr
        assert stand_in.pairs() == ["H_H"]
        assert (stand_in.output / "run_log.csv").read_bytes() == log
        assert stand_in.run().exit_code == 0
        assert stand_in.pairs() == PAIRS

    def test_an_output_that_is_a_folder_fails_its_pair_and_no_other(self, stand_in):
        stand_in.set_plan({"H_O": ["folder geo_end.xyz"]})
        result = stand_in.run()
        assert result.exit_code == 1
        assert stand_in.pairs() == ["H_H", "O_O"]
        assert "H_O failed: start 1 output incomplete (geo_end.xyz: not a regular" in result.output


class TestLog:
    def test_a_row_has_a_column_per_field_and_what_is_missing_is_empty(self, stand_in):
        stand_in.set_plan({"H_O": ["crash", "converge"]})
        stand_in.run("--pairs", "H_O")
        first, second = stand_in.log()
        seconds = [float(row.pop("seconds")) for row in (first, second)]
        assert all(0 <= number < 60 for number in seconds)
        assert first == {
            "pair": "H_O",
            "start_factor": "1.0",
            "rung": "0",
            "settings": "as given: Anderson 0.05 in 1000 cycles, ConjugateGradient in 200 steps, "
            "300 K, start at 0.970 Å",
            "outcome": "crashed",
            "reason": "signal 11: | DFTB+ stand-in",
            "energy_ev": "",
            "bond_length_ang": "",
            "physical": "",
            "chosen": "0",
        }
        assert second["outcome"] == "converged"
        # Total Mermin free energy and z coordinates of raw_data/H_O
        assert float(second["energy_ev"]) == pytest.approx(-3.5142758499 * 27.211386245988)
        assert float(second["bond_length_ang"]) == pytest.approx(1.09477016, abs=1e-8)
        assert (second["physical"], second["chosen"]) == ("1", "1")

    @pytest.mark.parametrize("where", ["header", "row"])
    def test_a_row_that_a_kill_cut_off_is_removed_by_the_next_run(self, stand_in, where):
        stand_in.run("--pairs", "H_H")
        log = stand_in.output / "run_log.csv"
        whole = log.read_bytes()
        in_the_middle_of_a_letter = whole.index("Å".encode()) + 1
        log.write_bytes(whole[: 5 if where == "header" else in_the_middle_of_a_letter])
        stand_in.run("--pairs", "O_O")
        header = whole.splitlines(keepends=True)[0]
        assert log.read_bytes().startswith(header + b"O_O,")
        assert [row["pair"] for row in stand_in.log()] == ["O_O"]

    def test_rows_are_added_to_those_that_are_there(self, stand_in):
        for pair in ("H_H", "O_O"):
            stand_in.run("--pairs", pair)
        assert [row["pair"] for row in stand_in.log()] == ["H_H", "O_O"]


class TestLosses:
    """What a cluster may do to its pairs; see also ``test_dask_cluster.py``."""

    @pytest.fixture
    def jobs(self, stand_in):
        stand_in.output.mkdir()
        pairs = [("H", "H"), ("H", "O")]
        return plan(stand_in.output, stand_in.skf, pairs, Settings(), [0.9, 1.0], 60.0, ("dftb+",))

    def test_an_error_that_nobody_foresaw_fails_its_pair_and_no_other(self, stand_in, jobs):
        def compute(job):
            if job.pair == "H_O":
                raise RuntimeError("lost\nin space")
            return [Attempt("H_H", 1.0, 0, "", "converged", "", 0.0, 1.0, True, True, 0.1)]

        with ThreadPoolExecutor(1) as executor:
            account = run_campaign(stand_in.output, jobs, executor, compute)
        assert account.done == ["H_H"]
        assert account.failed == {"H_O": "start 0.9 lost (RuntimeError: lost)"}
        outcomes = {row["pair"]: row["outcome"] for row in stand_in.log()}
        assert outcomes == {"H_H": "converged", "H_O": "lost"}

    def test_a_lost_cluster_ends_the_run(self, stand_in, jobs):
        class Lost(Executor):
            def submit(self, *_):
                future = Future()
                future.cancel()
                future.set_running_or_notify_cancel()
                return future

        with pytest.raises(ConnectionError, match="the cluster was lost"):
            run_campaign(stand_in.output, jobs, Lost(), lambda _: [])


class TestWells:
    @pytest.fixture
    def wells(self, stand_in):
        """Record a lower and short, a higher, and a lower but longer well of H_O."""
        source = stand_in.recorded / "H_O"
        shifted(source, stand_in.recorded / "short", energy=-0.5, scale=0.6)
        shifted(source, stand_in.recorded / "high", energy=+0.2, scale=1.0)
        shifted(source, stand_in.recorded / "low", energy=-0.1, scale=1.1)
        return stand_in

    def run(self, wells, *behaviours):
        wells.set_plan({"H_O": list(behaviours)})
        return wells.run("--pairs", "H_O", "--starts", "1.2,0.9,1.0", "--jobs", "1")

    def test_the_lowest_physical_well_is_kept_and_every_well_is_logged(self, wells):
        result = self.run(wells, "from short", "from high", "from low")
        assert result.exit_code == 0
        assert wells.same_as_recorded("H_O", "low")
        rows = wells.log()
        assert [row["start_factor"] for row in rows] == ["0.9", "1.0", "1.2"]
        assert [row["physical"] for row in rows] == ["0", "1", "1"]
        assert [row["chosen"] for row in rows] == ["0", "0", "1"]
        bonds = [float(row["bond_length_ang"]) for row in rows]
        assert bonds == pytest.approx([0.6 * 1.09477016, 1.09477016, 1.1 * 1.09477016], abs=1e-7)
        energies = [float(row["energy_ev"]) for row in rows]
        lowest = energies[0]  # unphysical, 0.7 H below the next and 0.4 H below the one kept
        expected = [lowest, lowest + 0.7 * 27.211386245988, lowest + 0.4 * 27.211386245988]
        assert energies == pytest.approx(expected, abs=1e-6)
        assert "no physical well" not in result.output

    def test_the_shortest_physical_bond_is_three_quarters_of_the_radii(self, wells):
        assert COVALENT_RADII["H"] + COVALENT_RADII["O"] == pytest.approx(0.97)
        for name, scale in (("below", 0.7274 / 1.09477016), ("above", 0.7276 / 1.09477016)):
            shifted(wells.recorded / "H_O", wells.recorded / name, 0.0, scale)
        self.run(wells, "from below", "from above", "from below")
        assert [row["physical"] for row in wells.log()] == ["0", "1", "0"]
        assert wells.same_as_recorded("H_O", "above")

    def test_where_no_well_is_physical_the_lowest_is_kept_and_that_is_said(self, wells):
        shifted(wells.recorded / "short", wells.recorded / "short-high", energy=0.3, scale=1.0)
        result = self.run(wells, "from short-high", "from short", "from short-high")
        assert wells.same_as_recorded("H_O", "short")
        assert "1 pair without a physical well (bond shorter than 0.75 x the sum" in result.output

    def test_a_start_that_fails_is_named_and_the_other_wells_are_kept(self, wells):
        result = self.run(wells, *["crash"] * 5, "from high", "from low")
        assert result.exit_code == 0
        assert wells.same_as_recorded("H_O", "low")
        assert "H_O computed, but not from every start: start 0.9 crashed" in result.output
        assert len(wells.log()) == 7

    def test_a_well_at_the_temperature_asked_for_comes_before_a_lower_one_at_another(self, wells):
        self.run(wells, *["crash"] * 4, "from low", "from high", "from high")
        assert wells.same_as_recorded("H_O", "high")

    def test_a_pair_with_several_wells_is_done(self, wells):
        self.run(wells, "from short", "from high", "from low")
        self.run(wells, "crash")
        assert wells.calls() == []


def command(stand_in, *more):
    return [sys.executable, str(ROOT / "generate_raw_data.py"), *stand_in.arguments(*more)]


class TestStopping:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_ctrl_c_ends_the_runs_and_loses_the_pairs_in_hand_only(
        self, stand_in, tmp_path, number
    ):
        stand_in.set_plan({"O_O": ["hang"]})
        process = subprocess.Popen(
            command(stand_in),
            stderr=subprocess.PIPE,
            text=True,
            # In the background of a shell, or under nohup, these tests ignore the signal.
            preexec_fn=partial(signal.signal, number, signal.SIG_DFL),  # noqa: PLW1509
        )
        wait_for((tmp_path / "child").exists)
        wait_for(lambda: {"H_H", "H_O"} <= set(stand_in.pairs()))
        process.send_signal(number)
        _, errors = process.communicate(timeout=10)
        assert process.returncode == 130
        assert errors == "stopped; the same command goes on from here\n"
        assert stand_in.pairs() == ["H_H", "H_O"]
        child = int((tmp_path / "child").read_text())
        wait_for(lambda: is_dead(child))
        stand_in.set_plan({})
        assert "1 done, 2 resumed" in stand_in.run().output

    def test_after_kill_9_the_same_command_goes_on(self, stand_in):
        stand_in.set_plan({"O_O": ["slow 3", "converge"]})
        process = subprocess.Popen(command(stand_in))
        wait_for(lambda: stand_in.output.exists() and {"H_H", "H_O"} <= set(stand_in.pairs()))
        wait_for(lambda: "O_O" in stand_in.calls())
        process.kill()
        process.wait()
        assert not (stand_in.output / "O_O").exists()
        stand_in.set_plan({})
        result = stand_in.run()
        assert "1 done, 2 resumed, 0 retried, 0 failed" in result.output
        assert stand_in.pairs() == PAIRS
        assert all(stand_in.same_as_recorded(pair) for pair in PAIRS)
        collected = [collect_pair(stand_in.output / pair)[1] for pair in PAIRS]
        assert collected == [[], [], []]

    def test_a_hang_up_that_is_ignored_stays_ignored(self, stand_in):
        stand_in.set_plan({"O_O": ["slow 1"]})
        process = subprocess.Popen(
            command(stand_in),
            preexec_fn=partial(signal.signal, signal.SIGHUP, signal.SIG_IGN),  # noqa: PLW1509
        )
        wait_for(lambda: "O_O" in stand_in.calls())
        process.send_signal(signal.SIGHUP)
        assert process.wait(timeout=20) == 0
        assert stand_in.pairs() == PAIRS


class TestTwoCampaigns:
    def test_a_named_pipe_in_the_place_of_the_log_is_refused(self, stand_in):
        stand_in.output.mkdir()
        os.mkfifo(stand_in.output / "run_log.csv")
        message = "expected a regular file, or nothing, found something else"
        for options in ((), ("--dry-run",)):
            result = stand_in.run(*options)
            assert result.output == f"Error: {stand_in.output / 'run_log.csv'}: {message}\n"

    @pytest.mark.parametrize("options", [("--temperature", "400"), (), ("--dry-run",)])
    def test_a_folder_in_which_a_campaign_is_at_work_is_refused(self, stand_in, options):
        stand_in.set_plan({"H_H": ["slow 2"]})
        first = subprocess.Popen(command(stand_in))
        wait_for(stand_in.calls)
        second = stand_in.run(*options)
        assert second.exit_code == 1
        assert second.output == (
            f"Error: {stand_in.output}: another campaign is at work in this folder\n"
        )
        assert first.wait(timeout=20) == 0
        assert stand_in.calls() == PAIRS
        stand_in.set_plan({})
        assert stand_in.run("--temperature", "400").exit_code == 0
        assert stand_in.calls() == PAIRS


class TestRefusals:
    def test_without_dftb_the_command_says_what_to_install_and_what_works_without(self, stand_in):
        result = stand_in.run("--dftb-command", "no-such-program -x")
        assert result.exit_code == 1
        for words in (
            "no-such-program was not found here",
            "conda install -c conda-forge dftbplus",
            "doi:10.5281/zenodo.10677795",
            "-m twobody generate collect RAW_DATA",
            "-m twobody build RAW_DATA",
        ):
            assert words in result.output
        assert not stand_in.output.exists()

    def test_the_program_is_found_in_path_and_by_the_environment(self, stand_in, monkeypatch):
        folder = stand_in.output.parent / "bin"
        folder.mkdir()
        (folder / "dftb+").write_text(f"#!/bin/sh\nexec {stand_in.command}\n")
        (folder / "dftb+").chmod(0o755)
        arguments = ["run", "--skf", str(stand_in.skf), "--output", str(stand_in.output)]
        runner = CliRunner()
        monkeypatch.setenv("DFTB_COMMAND", "no-such-program")
        assert "no-such-program was not" in runner.invoke(generate_raw_data.main, arguments).output
        monkeypatch.setenv("DFTB_COMMAND", stand_in.command)
        assert runner.invoke(generate_raw_data.main, [*arguments, "--elements", "H"]).exit_code == 0
        monkeypatch.delenv("DFTB_COMMAND")
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        assert runner.invoke(generate_raw_data.main, arguments).exit_code == 0
        assert stand_in.calls() == PAIRS

    def test_without_slater_koster_files_the_command_says_where_they_are(self):
        result = CliRunner().invoke(generate_raw_data.main, ["run"])
        assert result.exit_code == 2
        assert "--skf is missing" in result.output
        assert "doi:10.5281/zenodo.10677795" in result.output

    def test_a_missing_slater_koster_file_is_named_and_nothing_is_run(self, stand_in):
        (stand_in.skf / "O-H.skf").unlink()
        result = stand_in.run()
        assert result.exit_code == 1
        assert "O-H.skf: expected a readable file, found No such file" in result.output
        assert stand_in.calls() == []

    def test_a_damaged_heteronuclear_file_is_named_and_nothing_is_run(self, stand_in):
        path = stand_in.skf / "H-O.skf"
        path.write_text(path.read_text().replace("0.4", "*****"))
        result = stand_in.run()
        assert result.exit_code == 1
        assert result.output.startswith(f"Error: {path}:6: expected a repeat count")
        assert len(result.output.splitlines()) == 1
        assert stand_in.calls() == []

    def test_an_element_beyond_the_covalent_radii_is_refused(self, tmp_path):
        skf = write_skf(tmp_path / "skf", {"Bk": "s"})
        result = CliRunner().invoke(generate_raw_data.main, ["run", "--skf", str(skf), "--dry-run"])
        assert "expected elements with a covalent radius (H to Cm), found Bk" in result.output

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--elements", "H,Hx"], "'Hx' is not an element"),
            (["--pairs", "H_O,HO"], "'HO' is not an element"),
            (["--pairs", "H_O_C"], "'H_O_C' is not a pair"),
            (["--pairs", "H_O", "--elements", "H"], "--elements or --pairs, not both"),
            (["--starts", "0.9,one"], "is not a list of numbers"),
            (["--starts", "0.9,nan"], "factors are between 0.1 and 10"),
            (["--dftb-command", "'dftb+"], "is not a command line: No closing quotation"),
            (["--dftb-command", " "], "an empty command line"),
            (["--temperature", "-1"], "-1.0 is not in the range"),
            (["--unpaired-electrons", "-1"], "-1.0 is not in the range"),
            *(
                ([option, value], f"'{value}' is not a finite number")
                for option in (
                    "--temperature",
                    "--scc-tolerance",
                    "--max-force",
                    "--unpaired-electrons",
                    "--time-limit",
                )
                for value in ("nan", "inf")
            ),
        ],
    )
    def test_options_that_make_no_sense_are_refused(self, stand_in, arguments, message):
        result = stand_in.run(*arguments)
        assert result.exit_code == 2
        assert message in result.output

    def test_collect_works_without_what_run_needs(self, stand_in):
        stand_in.run()
        code = (
            "import sys; sys.modules['hsd'] = sys.modules['distributed'] = None\n"
            "import generate_raw_data; generate_raw_data.main()"
        )
        base = [sys.executable, "-c", code]
        collected = subprocess.run([*base, "collect", str(stand_in.output)], cwd=ROOT, check=False)
        assert collected.returncode == 0
        refused = subprocess.run(
            [*base, "run", "--skf", "skf"], cwd=ROOT, check=False, capture_output=True, text=True
        )
        assert refused.returncode == 1
        assert (
            'hsd is not installed: python -m pip install "twobody-dataset[generate]"'
            in refused.stderr
        )

    @pytest.mark.parametrize("address", ["nope", "tcp://localhost:abc", "nope://localhost:8786"])
    def test_an_address_of_no_scheduler_is_one_line(self, stand_in, address):
        result = stand_in.run("--scheduler", address)
        assert result.exit_code == 1
        assert result.output == (
            "Error: --scheduler: expected the address of a scheduler, such as "
            f"tcp://localhost:8786, found '{address}'\n"
        )

    def test_a_cluster_without_dask_says_what_to_install(self, stand_in, monkeypatch):
        monkeypatch.setitem(sys.modules, "distributed", None)
        result = stand_in.run("--scheduler", "tcp://127.0.0.1:8786")
        assert result.exit_code == 1
        assert (
            'distributed is not installed: python -m pip install "twobody-dataset[dask]"'
            in result.output
        )


@pytest.mark.skipif(shutil.which("dftb+") is None, reason="dftb+ is not in PATH")
def test_the_real_program_reads_the_input(tmp_path):
    skf = os.environ.get("TWOBODY_SKF")
    if skf is None:
        pytest.skip("TWOBODY_SKF names no folder of PTBP files")
    output = tmp_path / "raw_data"
    arguments = ["run", "--skf", skf, "--pairs", "H_H", "--output", str(output)]
    result = CliRunner().invoke(generate_raw_data.main, arguments)
    assert result.exit_code == 0, result.output
    labels, errors = collect_pair(output / "H_H")
    assert errors == []
    assert labels.labels["distance_ang"] == pytest.approx(0.83751, abs=1e-3)  # raw_data/H_H
