import errno
import multiprocessing
import os
import sys
import threading

import pytest
from dftb_runs import STAND_IN, StandIn, is_dead, wait_for

from twobody import files
from twobody.archive.layout import SHIPPED
from twobody.archive.reader import read
from twobody.campaign.run import Job, Rung, Stopped, compute_pair, is_done, is_physical

if os.name != "posix":
    pytest.skip("DFTB+ runs on Linux and macOS only", allow_module_level=True)

GEOMETRY = "Geometry {\n GenFormat {\n 2 C\n H O\n 1 1 0 0 0\n 2 2 0 0 0.97\n }\n}\n"


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return StandIn(tmp_path)


def job(stand_in, n_rungs=1, factors=(1.0,), time_limit=60.0, command=None):
    starts = {
        f: tuple(Rung(f"rung {i}", 300.0, f"{GEOMETRY}# {f}, {i}\n") for i in range(n_rungs))
        for f in factors
    }
    plan, log = stand_in.output.parent / "plan.json", stand_in.calls_log
    program = (sys.executable, *map(str, (STAND_IN, stand_in.recorded, plan, log)))
    stand_in.output.mkdir(exist_ok=True)
    return Job("H_O", stand_in.output, starts, command or program, time_limit)


def test_a_pair_gets_its_input_and_three_outputs_and_nothing_else(stand_in):
    this = job(stand_in)
    (attempt,) = compute_pair(this)
    names = sorted(path.name for path in this.folder.iterdir())
    assert names == ["band.out", "detailed.out", "dftb_in.hsd", "geo_end.xyz"]
    assert stand_in.same_as_recorded("H_O")
    assert (attempt.outcome, attempt.reason, attempt.chosen) == ("converged", "", True)
    # Total Mermin free energy and bond length of raw_data/H_O, in eV and Å
    assert attempt.energy_ev == pytest.approx(-3.5142758499 * 27.211386245988, abs=1e-7)
    assert attempt.bond_length_ang == pytest.approx(1.09477016, abs=1e-8)
    assert stand_in.pairs() == ["H_O"]  # no scratch folder is left


def test_the_folder_of_a_pair_can_be_read_by_all_whom_the_umask_lets(stand_in):
    this = job(stand_in)
    old = os.umask(0o022)
    try:
        compute_pair(this)
    finally:
        os.umask(old)
    assert this.folder.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize(
    ("behaviour", "outcome", "reason"),
    [
        ("crash", "crashed", "signal 11: "),
        ("full", "crashed", "exit status 2: | DFTB+ stand-in Fortran runtime error: No space left"),
        ("scc", "SCC not converged", "-> SCC is NOT converged, maximal SCC iterations exceeded"),
        ("scc-flag", "SCC not converged", "SCC is NOT converged"),
        ("unconverged", "geometry not converged", "the steps ran out"),
        ("garbage", "output incomplete", "detailed.out: expected UTF-8 text, found byte 0x80"),
        ("cut", "output incomplete", "detailed.out: expected 'SCC converged' or "),
        ("from O_O", "output incomplete", "geo_end.xyz: expected the elements of the folder"),
        ("folder band.out", "output incomplete", "band.out: not a regular file"),
        ("link detailed.out", "output incomplete", "detailed.out: not a regular file"),
        ("tidy 1", "crashed", "exit status 1: | DFTB+ stand-in"),
    ],
)
def test_what_went_wrong_is_told_apart_and_nothing_is_left(stand_in, behaviour, outcome, reason):
    stand_in.set_plan({"H_O": [behaviour]})
    this = job(stand_in)
    (attempt,) = compute_pair(this)
    assert attempt.outcome == outcome
    assert reason in attempt.reason
    assert attempt.energy_ev is attempt.bond_length_ang is attempt.physical is None
    assert not attempt.chosen
    assert stand_in.pairs() == []


@pytest.mark.parametrize("missing", ["detailed.out", "geo_end.xyz", "band.out"])
def test_a_run_that_ends_well_without_an_output_is_incomplete(stand_in, missing):
    (stand_in.recorded / "H_O" / missing).write_text("")
    (attempt,) = compute_pair(job(stand_in))
    assert attempt.outcome == "output incomplete"
    assert attempt.reason.startswith(missing)


def test_the_program_output_is_a_reason_on_one_line_whatever_it_printed(stand_in):
    command = (sys.executable, "-c", r"print('a\x1b[2J\x00\nb'); raise SystemExit(3)")
    (attempt,) = compute_pair(job(stand_in, command=command))
    assert attempt.reason == "exit status 3: a [2J b"


def test_a_run_over_its_time_is_killed_with_its_children(stand_in, tmp_path):
    stand_in.set_plan({"H_O": ["hang"]})
    (attempt,) = compute_pair(job(stand_in, time_limit=0.5))
    assert (attempt.outcome, attempt.reason) == ("timed out", "more than 0.5 s")
    child = int((tmp_path / "child").read_text())
    wait_for(lambda: is_dead(child))


def test_a_child_that_outlives_the_program_is_killed(stand_in, tmp_path):
    stand_in.set_plan({"H_O": ["leave-child"]})
    (attempt,) = compute_pair(job(stand_in))
    assert attempt.outcome == "converged"
    child = int((tmp_path / "child").read_text())
    wait_for(lambda: is_dead(child))


def test_a_program_that_removes_its_input_leaves_a_pair_that_is_done(stand_in):
    stand_in.set_plan({"H_O": ["tidy 0"]})
    this = job(stand_in)
    compute_pair(this)
    assert (this.folder / "dftb_in.hsd").read_text() == this.starts[1.0][0].text
    assert is_done(this)


def test_a_run_is_stopped_with_its_children_and_leaves_nothing(stand_in, tmp_path):
    stand_in.set_plan({"H_O": ["hang"]})
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    with pytest.raises(Stopped):
        compute_pair(job(stand_in), stop)
    child = int((tmp_path / "child").read_text())
    wait_for(lambda: is_dead(child))
    assert list(stand_in.output.iterdir()) == []


def test_a_killed_program_is_tried_again_with_the_next_settings(stand_in):
    stand_in.set_plan({"H_O": ["crash", "scc", "converge"]})
    this = job(stand_in, n_rungs=5)
    attempts = compute_pair(this)
    assert [attempt.rung for attempt in attempts] == [0, 1, 2]
    assert [attempt.chosen for attempt in attempts] == [False, False, True]
    assert (this.folder / "dftb_in.hsd").read_text() == f"{GEOMETRY}# 1.0, 2\n"
    assert is_done(this)


def test_every_blas_library_is_told_to_use_one_thread(stand_in):
    compute_pair(job(stand_in))
    assert stand_in.calls_log.read_text() == f"H_O 0.97 1 {os.getpid()}\n"


def test_a_program_that_cannot_be_started_is_no_failure_of_the_pair(stand_in):
    with pytest.raises(FileNotFoundError):
        compute_pair(job(stand_in, command=("no-such-program",)))
    assert list(stand_in.output.iterdir()) == []


class TestDone:
    def test_a_pair_is_done_when_it_was_computed(self, stand_in):
        assert not is_done(job(stand_in))
        compute_pair(job(stand_in))
        assert is_done(job(stand_in))

    def test_a_pair_with_another_input_is_not_done(self, stand_in):
        compute_pair(job(stand_in, factors=(0.9,)))
        assert not is_done(job(stand_in))

    @pytest.mark.parametrize("name", ["detailed.out", "geo_end.xyz", "band.out", "dftb_in.hsd"])
    def test_a_pair_that_misses_a_file_or_the_end_of_one_is_not_done(self, stand_in, name):
        this = job(stand_in)
        compute_pair(this)
        path = this.folder / name
        os.truncate(path, path.stat().st_size - 20)
        assert not is_done(this)
        path.unlink()
        assert not is_done(this)

    def test_an_input_that_is_no_text_is_not_done(self, stand_in):
        this = job(stand_in)
        compute_pair(this)
        (this.folder / "dftb_in.hsd").write_bytes(b"\xff")
        assert not is_done(this)

    def test_computing_again_replaces_the_folder_as_a_whole(self, stand_in):
        this = job(stand_in)
        this.folder.mkdir(parents=True)
        (this.folder / "left.over").write_text("")
        compute_pair(this)
        assert not (this.folder / "left.over").exists()
        assert is_done(this)


def test_474_of_the_shipped_wells_are_unphysical_by_the_documented_rule():
    pairs = read(SHIPPED)
    bonds = zip(pairs.elements.tolist(), pairs.label("distance_ang").tolist(), strict=True)
    assert [is_physical(*bond) for bond in bonds].count(False) == 474
    assert len(pairs) == 2850


@pytest.mark.parametrize("code", [errno.EBADF, errno.ENOLCK])
def test_a_file_system_without_locks_is_worked_on_all_the_same(stand_in, monkeypatch, code):
    def flock(*_):
        raise OSError(code, "no locks here")

    monkeypatch.setattr(files.fcntl, "flock", flock)
    compute_pair(job(stand_in))
    assert stand_in.same_as_recorded("H_O")


def test_a_lock_that_fails_for_another_reason_is_an_error(stand_in, monkeypatch):
    def flock(*_):
        raise OSError(errno.EIO, "a broken disk")

    monkeypatch.setattr(files.fcntl, "flock", flock)
    with pytest.raises(OSError, match="a broken disk"):
        compute_pair(job(stand_in))


def test_a_worker_killed_in_the_middle_leaves_a_scratch_folder_that_the_next_run_removes(stand_in):
    stand_in.set_plan({"H_O": ["slow 30", "converge"]})
    this = job(stand_in)
    worker = multiprocessing.get_context("spawn").Process(target=compute_pair, args=(this,))
    worker.start()
    wait_for(stand_in.calls)
    worker.kill()
    worker.join()
    assert not this.folder.exists()
    assert len(stand_in.pairs()) == 2  # the pair's, and that of the run
    compute_pair(this)
    assert stand_in.pairs() == ["H_O"]
