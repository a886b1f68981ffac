import os
import socketserver
import threading

import dask
import pytest
from dftb_runs import StandIn, wait_for
from distributed import LocalCluster

from twobody.campaign import pools

if os.name != "posix":
    pytest.skip("DFTB+ runs on Linux and macOS only", allow_module_level=True)

PAIRS = ["H_H", "H_O", "O_O"]


@pytest.fixture
def stand_in(tmp_path):
    return StandIn(tmp_path)


@pytest.fixture(scope="module")
def cluster():
    """Start two workers, processes of their own; a pair that has lost two of them fails."""
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
        ) as cluster,
    ):
        yield cluster


def test_the_workers_of_a_cluster_compute_what_one_machine_computes(cluster, stand_in):
    stand_in.set_plan({"O_O": ["scc", "converge"]})
    result = stand_in.run("--scheduler", cluster.scheduler_address)
    assert result.exit_code == 0, result.output
    assert "3 done, 0 resumed, 1 retried, 0 failed" in result.output
    assert stand_in.pairs() == PAIRS
    assert all(stand_in.same_as_recorded(pair) for pair in PAIRS)
    assert sorted(row["pair"] for row in stand_in.log()) == ["H_H", "H_O", "O_O", "O_O"]
    workers = {worker for pair in PAIRS for worker in stand_in.workers(pair)}
    assert os.getpid() not in workers
    assert len(workers) == 2
    stand_in.set_plan({})
    assert "3 resumed" in stand_in.run("--scheduler", cluster.scheduler_address).output
    assert stand_in.calls() == []


def test_a_pair_whose_worker_is_lost_is_given_to_another(cluster, stand_in):
    stand_in.set_plan({"H_O": ["kill-caller", "converge"]})
    result = stand_in.run("--scheduler", cluster.scheduler_address)
    assert result.exit_code == 0, result.output
    assert "3 done, 0 resumed, 0 retried, 0 failed" in result.output
    assert stand_in.pairs() == PAIRS
    first, second = stand_in.workers("H_O")
    assert first != second


def test_a_pair_that_loses_every_worker_fails_and_the_others_are_kept(cluster, stand_in):
    # Two pairs, a worker each: Dask counts a lost worker against all pairs that were waiting there.
    stand_in.set_plan({"H_O": ["kill-caller"]})
    arguments = ("--scheduler", cluster.scheduler_address, "--pairs", "H_H,H_O")
    result = stand_in.run(*arguments)
    assert result.exit_code == 1
    assert "H_O failed: start 1 lost (KilledWorker: " in result.output
    assert (stand_in.output / "H_H").exists()
    assert not (stand_in.output / "H_O").exists()
    rows = [row for row in stand_in.log() if row["pair"] == "H_O"]
    assert [row["outcome"] for row in rows] == ["lost"]
    stand_in.set_plan({})
    wait_for(lambda: len(cluster.scheduler_info["workers"]) == 2)
    assert stand_in.run(*arguments).exit_code == 0
    assert stand_in.pairs() == ["H_H", "H_O"]


def test_a_program_that_the_workers_do_not_have_is_missed_there(cluster, stand_in):
    arguments = ("--scheduler", cluster.scheduler_address, "--dftb-command", "no-such-program")
    result = stand_in.run(*arguments)
    assert result.exit_code == 1
    assert "no-such-program was not found on the cluster" in result.output


def test_a_cluster_that_lacks_the_package_is_one_line(cluster, stand_in, monkeypatch):
    def not_there(_program):
        raise ModuleNotFoundError("No module named 'twobody'")

    monkeypatch.setattr(pools, "_which", not_there)
    result = stand_in.run("--scheduler", cluster.scheduler_address)
    assert result.exit_code == 1
    assert result.output == (
        "Error: --scheduler: expected this version of twobody on the scheduler and the workers, "
        "found ModuleNotFoundError: No module named 'twobody'\n"
    )


def test_a_scheduler_that_does_not_answer_is_named(stand_in, monkeypatch):
    monkeypatch.setattr(pools, "_PATIENCE", 0.5)
    result = stand_in.run("--scheduler", "tcp://127.0.0.1:9")
    assert result.exit_code == 1
    assert "tcp://127.0.0.1:9" in result.output
    assert len(result.output.splitlines()) == 1


@pytest.mark.parametrize(
    "greeting", [b"", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", bytes(80)]
)
def test_another_service_at_the_address_of_the_scheduler_is_one_line(
    stand_in, monkeypatch, greeting
):
    monkeypatch.setattr(pools, "_PATIENCE", 1)

    class Greet(socketserver.BaseRequestHandler):
        def handle(self):
            self.request.sendall(greeting)
            while self.request.recv(4096):
                pass

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Greet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = "tcp://{}:{}".format(*server.server_address)
        result = stand_in.run("--scheduler", address)
        server.shutdown()
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: --scheduler {address}: expected a Dask scheduler")
    assert len(result.output.splitlines()) == 1


def test_when_all_workers_are_lost_the_run_ends_with_one_line(stand_in, monkeypatch):
    monkeypatch.setattr(pools, "_PATIENCE", 2)
    stand_in.set_plan({"H_O": ["slow 30"]})
    with LocalCluster(n_workers=1, processes=True, dashboard_address=":0") as cluster:

        def lose_all():
            wait_for(lambda: "H_O" in stand_in.calls())
            cluster.scale(0)

        threading.Thread(target=lose_all, daemon=True).start()
        result = stand_in.run("--scheduler", cluster.scheduler_address, "--pairs", "H_O,O_O")
    assert result.exit_code == 1
    assert result.output == "Error: the cluster was lost: its scheduler, or all of its workers\n"


def test_a_cluster_without_workers_is_no_place_to_run(stand_in, monkeypatch):
    monkeypatch.setattr(pools, "_PATIENCE", 0.5)
    with LocalCluster(n_workers=0, processes=False, dashboard_address=":0") as empty:
        result = stand_in.run("--scheduler", empty.scheduler_address)
    assert result.exit_code == 1
    assert "worker" in result.output.lower()
