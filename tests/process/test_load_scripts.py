"""The load generator end to end: every workload on a real cluster and on Redis, few operations, no time bounds."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from benchmarks.peers.redis_server import redis_server, server_program
from click.testing import CliRunner
from ycsb.command import main
from ycsb.keys import hashes_of, keys_of
from ycsb.workloads import WORKLOADS

from shardstore import LocalCluster, connect
from tests.process.clusters import MEMORY
from tests.process.deadlines import wait_until

pytestmark = pytest.mark.slow

SCRIPTS = Path(__file__).parent.parent.parent / "scripts"
PROGRAM = f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); from ycsb.command import main; main()"
RECORDS = 500
SMALL = ("--records", str(RECORDS), "--fields", "2", "--field-bytes", "30")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", PROGRAM, *SMALL, *arguments]


def load_ycsb(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=120, check=False)


def phases_of(*arguments: str) -> dict[str, Any]:
    """The reports of a successful run, by phase, from its JSON."""
    done = load_ycsb(*arguments, "--verify", "--json")
    assert done.returncode == 0, done.stderr + done.stdout
    answer = json.loads(done.stdout)
    assert answer["machine"]["cores"] > 0
    assert not any(phase["faults"] or phase["wrong_answers"] for phase in answer["phases"])
    return {phase["settings"]["phase"]: phase for phase in answer["phases"]}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    data = tmp_path_factory.mktemp("data")
    with LocalCluster(data, workers=2, memory=MEMORY, durability="async") as cluster:
        done = load_ycsb("--url", cluster.url, "--phase", "load", "--processes", "2")
        assert done.returncode == 0, done.stderr + done.stdout
        yield cluster.url


def test_a_load_writes_all_records(url: str) -> None:
    with connect(url) as db:
        assert None not in db.get_many(keys_of(hashes_of(np.arange(RECORDS))))


@pytest.mark.parametrize("workload", WORKLOADS)
def test_every_workload_from_two_processes(workload: str, url: str) -> None:
    phases = phases_of(workload, "--url", url, "--phase", "run", "--operations", "600", "--processes", "2")
    report = phases["run"]
    assert list(phases) == ["run"]
    assert report["operations"] == 600
    assert sum(point["operations"] for point in report["series"]) == 600
    labels = {kind.label for kind in WORKLOADS[workload].shares}
    assert report["kinds"].keys() == labels
    for figures in report["kinds"].values():
        assert figures["operations"] == figures["latency"]["calls"] > 0
        assert 0 < figures["latency"]["percentiles_us"]["50"] <= figures["latency"]["percentiles_us"]["100"]


@pytest.mark.parametrize("runners", [("--threads", "4"), ("--tasks", "16")])
@pytest.mark.parametrize("batch", ["1", "20"])
def test_threads_and_tasks_through_the_router(runners: tuple[str, str], batch: str, url: str) -> None:
    options = ("--operations", "640", "--batch", batch, "--no-direct", "--distribution", "hotspot")
    report = phases_of("f", "--url", url, "--phase", "run", *runners, *options)["run"]
    assert report["settings"]["distribution"] == "hotspot"
    assert report["operations"] == 640
    assert sum(figures["latency"]["calls"] for figures in report["kinds"].values()) == 640 // int(batch)


@pytest.mark.parametrize("runners", [("--threads", "2"), ("--tasks", "2")])
def test_a_target_rate_is_kept_for_a_time(runners: tuple[str, str], url: str) -> None:
    options = ("--seconds", "1", "--target", "200", "--processes", "2")
    report = phases_of("b", "--url", url, "--phase", "run", *runners, *options)["run"]
    # At least half of them, however slow the machine is, and never more.
    assert 100 <= report["operations"] <= 200
    latency, service = (report["kinds"]["read"][name]["percentiles_us"]["50"] for name in ("latency", "service"))
    assert latency >= service


def test_a_new_cluster_is_loaded_and_run() -> None:
    phases = phases_of("d", "--operations", "300")
    assert list(phases) == ["load", "run"]
    assert phases["load"]["operations"] == RECORDS


def test_the_table_is_for_the_eye(url: str) -> None:
    done = load_ycsb("a", "--url", url, "--operations", "300")
    assert done.returncode == 0, done.stderr
    assert "shardstore: load" in done.stdout
    assert "workload a (update heavy)" in done.stdout
    assert [line.split()[0] for line in done.stdout.splitlines() if line.startswith(("read", "update"))] == [
        "read",
        "update",
    ]


def test_values_that_nobody_wrote_are_told_by_the_exit_code(url: str) -> None:
    done = load_ycsb("c", "--url", url, "--phase", "run", "--operations", "100", "--verify", "--fields", "3")
    assert done.returncode == 1
    assert "read: 100 WrongValue" in done.stdout


def test_records_that_were_never_loaded_are_missing(url: str) -> None:
    options = ("--records", "100000", "--distribution", "uniform", "--operations", "100")
    done = load_ycsb("c", "--url", url, "--phase", "run", *options)
    assert done.returncode == 1
    assert "Missing" in done.stdout


def test_options_that_exclude_each_other_are_refused() -> None:
    for arguments, words in (
        (("e", "--store", "redis", "--url", "redis://127.0.0.1:1"), "no ordered scan"),
        (("a", "--store", "redis"), "needs the --url"),
        (("a", "--seconds", "1", "--operations", "1"), "operations or seconds"),
    ):
        done = CliRunner().invoke(main, [*SMALL, *arguments])
        assert done.exit_code == 2
        assert words in done.output


def test_a_store_that_is_not_there_is_named() -> None:
    for arguments, words in (
        (("--url", "unix:///nowhere", "--timeout", "0.2"), "there is no socket /nowhere"),
        (("--store", "redis", "--redis-url", "unix:///nowhere"), "no Redis server replies at unix:///nowhere"),
    ):
        done = load_ycsb("a", *arguments)
        assert done.returncode == 3
        assert words in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.skipif(server_program() is None, reason="there is no redis-server on the path")
@pytest.mark.parametrize("runners", [("--threads", "1"), ("--threads", "3"), ("--tasks", "8")])
def test_redis_under_the_same_load(runners: tuple[str, str], tmp_path: Path) -> None:
    with redis_server(tmp_path, "everysec") as server:
        address = ("--store", "redis", "--redis-url", f"unix://{server.socket}")
        phases = phases_of("d", *address, *runners, "--operations", "400", "--processes", "2")
        assert (phases["load"]["operations"], phases["run"]["operations"]) == (RECORDS, 400)
        report = phases_of("f", *address, *runners, "--phase", "run", "--operations", "400", "--batch", "10")["run"]
        assert report["operations"] == 400


def test_ctrl_c_ends_all_processes_and_shows_what_was_measured(url: str) -> None:
    with _endless(url) as process:
        children = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 130, err
        assert "Traceback" not in err
        operations = next(line.split()[0] for line in out.splitlines() if " operations in " in line)
        assert int(operations.replace(",", "")) > 0
        wait_until(lambda: not any(child.is_running() for child in children), "the end of all child processes")


def test_the_death_of_a_client_process_ends_the_others(url: str) -> None:
    with _endless(url) as process:
        children = _client_processes(process)
        children[0].kill()
        _, err = process.communicate(timeout=60)
        assert process.returncode == 3
        assert "ended with exit code -9" in err
        wait_until(lambda: not any(child.is_running() for child in children), "the end of the other")


def test_client_processes_do_not_outlive_their_parent(url: str) -> None:
    with _endless(url) as process:
        children = _client_processes(process)
        process.kill()
        wait_until(lambda: not any(child.is_running() for child in children), "the end of the client processes")


@contextmanager
def _endless(url: str) -> Iterator[subprocess.Popen[str]]:
    """A run of two client processes that work and do not end by themselves."""
    endless = command("a", "--url", url, "--phase", "run", "--seconds", "3600", "--processes", "2", "--target", "500")
    process = subprocess.Popen(
        endless, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert process.stderr is not None
        assert "running a" in process.stderr.readline()
        yield process
    finally:
        process.kill()
        process.communicate(timeout=20)


def _client_processes(process: subprocess.Popen[str]) -> list[psutil.Process]:
    children = psutil.Process(process.pid).children()
    clients = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
    assert len(clients) == 2
    return clients
