"""A real cluster: in use, with each of its processes killed, across restarts, and at its end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import psutil
import pytest

from shardstore import Closed, InvalidRequest, LocalCluster, connect
from shardstore.system.running_cluster import last_announced, running_on
from tests.process.clusters import Writer, cluster_on, descendants, kill, kill_all, served
from tests.process.deadlines import wait_until

RECORDS = [(b"%05d" % number, b"value %d" % number) for number in range(3_000)]


def test_put_get_scan_delete_over_processes(tmp_path: Path) -> None:
    with cluster_on(tmp_path) as cluster, cluster.connect() as db:
        db.put(b"k", b"v")
        assert (db.get(b"k"), db.get(b"x"), db.get(b"x", default=b"?")) == (b"v", None, b"?")
        db.put_many(RECORDS)
        assert db.get_many([key for key, _ in RECORDS]) == [value for _, value in RECORDS]
        assert list(db.scan(prefix=b"000")) == RECORDS[:100]
        assert list(db.scan(start=b"00100", end=b"00103", reverse=True)) == RECORDS[102:99:-1]
        db.delete(b"k")
        assert not db.contains(b"k")
        db.flush()
        db.compact()
        assert list(db.scan()) == RECORDS


def test_the_asyncio_client_sees_the_same(tmp_path: Path) -> None:
    async def use(cluster: LocalCluster) -> None:
        db = await cluster.connect_async()
        await db.put_many(RECORDS)
        assert await db.get(b"00007") == b"value 7"
        assert [pair async for pair in db.scan(prefix=b"0000")] == RECORDS[:10]
        await db.close()

    with cluster_on(tmp_path) as cluster:
        asyncio.run(asyncio.wait_for(use(cluster), 60))


@pytest.mark.slow
@pytest.mark.parametrize("listen", ["tcp://127.0.0.1:0", "tcp://[::1]:0"])
def test_clients_over_tcp_find_a_restarted_router_at_the_same_port(tmp_path: Path, listen: str) -> None:
    with LocalCluster(tmp_path, workers=2, memory="192MiB", listen=listen) as cluster, cluster.connect() as db:
        assert cluster.url.startswith(listen.removesuffix("0"))
        db.put_many(RECORDS)
        kill(cluster.processes()["router"])
        with connect(tmp_path) as another:
            assert list(another.scan(timeout=60)) == RECORDS


def pid_of(cluster: LocalCluster, name: str, killed: Collection[int]) -> int:
    """The process with this name, once there is one that is not among the killed ones."""
    found: dict[str, int] = {}

    def is_there() -> bool:
        found.update(cluster.processes())
        return name in found and found[name] not in killed

    wait_until(is_there, f"{name} runs")
    return found[name]


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["worker-0", "router", "worker-1 maintenance"])
def test_no_acknowledged_write_is_lost_when_a_process_is_killed(tmp_path: Path, victim: str) -> None:
    with cluster_on(tmp_path) as cluster, cluster.connect() as db:
        writer = Writer(db)
        writer.wait_for_more()
        killed: list[int] = []
        for _ in range(2):
            killed.append(pid_of(cluster, victim, killed))
            kill(killed[-1])
            writer.wait_for_more()
        db.flush(timeout=60)
        writer.wait_for_more()
        writer.stop()
        writer.check(db)
    with cluster_on(tmp_path) as cluster, cluster.connect() as db:
        writer.check(db)


def test_statistics_of_the_others_while_a_worker_is_paused(tmp_path: Path) -> None:
    with cluster_on(tmp_path) as cluster, cluster.connect() as db:
        assert all("unavailable" not in figures for figures in db.stats(timeout=60).values())
        paused = cluster.processes()["worker-1"]
        os.kill(paused, signal.SIGSTOP)
        try:
            figures = db.stats(timeout=2)
        finally:
            os.kill(paused, signal.SIGCONT)
        assert [who for who, found in figures.items() if "unavailable" in found] == [1]
        assert figures[0]["ranges"]
        assert "unavailable" not in db.stats(timeout=60)[1]


@pytest.mark.slow
def test_everything_survives_the_death_of_everything(tmp_path: Path) -> None:
    with served(tmp_path) as supervisor, connect(running_on(tmp_path).url) as db:
        writer = Writer(db)
        writer.wait_for_more()
        processes = descendants(supervisor.pid)
        kill_all([supervisor.pid, *(process.pid for process in processes)])
        psutil.wait_procs(processes, timeout=10)
        writer._stopped.set()
    with cluster_on(tmp_path) as cluster, cluster.connect() as db:
        writer.check(db)


@pytest.mark.fault("W3")
@pytest.mark.slow
def test_no_process_outlives_a_killed_supervisor(tmp_path: Path) -> None:
    with served(tmp_path) as supervisor:
        processes = descendants(supervisor.pid)
        assert len(processes) == 1 + 2 * 2, "a router, two workers, and a maintenance process for each"
        supervisor.kill()
        _, alive = psutil.wait_procs(processes, timeout=10)
        assert not alive
        left = last_announced(tmp_path)
        assert left is not None
        assert Path(left.runtime_directory).is_dir()
        with cluster_on(tmp_path) as again:
            assert running_on(tmp_path).runtime_directory == left.runtime_directory, "its clients find it again"
            assert again.processes()
        assert not Path(left.runtime_directory).exists()


@pytest.mark.fault("W8")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_everything_in_order(tmp_path: Path, number: signal.Signals) -> None:
    with served(tmp_path, "--workers", "2") as supervisor:
        with connect(running_on(tmp_path).url) as db:
            db.put_many(RECORDS)
        processes = descendants(supervisor.pid)
        supervisor.send_signal(number)
        assert supervisor.wait(60) == 0
        assert not any(process.is_running() for process in processes)
        assert last_announced(tmp_path) is None
    with cluster_on(tmp_path) as cluster, cluster.connect() as db:
        assert list(db.scan()) == RECORDS


@pytest.mark.fault("N11")
def test_a_second_cluster_on_the_directory_is_refused(tmp_path: Path) -> None:
    with cluster_on(tmp_path) as cluster, cluster.connect() as db:
        with pytest.raises(
            InvalidRequest, match=f"this process runs a cluster on {tmp_path} already, at {cluster.url}"
        ):
            cluster_on(tmp_path).start()
        db.put(b"still", b"served")
        assert db.get(b"still") == b"served"


def test_a_stopped_cluster_says_so(tmp_path: Path) -> None:
    cluster = cluster_on(tmp_path)
    with pytest.raises(Closed, match="not started"):
        cluster.connect()
    with cluster:
        assert len(cluster.processes()) == 5
    assert cluster.processes() == {}
    cluster.stop()
    with pytest.raises(Closed):
        cluster.connect()


@pytest.mark.fault("C9")
def test_a_client_serves_in_the_child_of_a_fork_unless_it_is_to_refuse(tmp_path: Path) -> None:
    with cluster_on(tmp_path) as cluster, cluster.connect() as db, cluster.connect(fork="refuse") as refusing:
        db.put(b"k", b"v")
        child = os.fork()
        if child == 0:
            status = 1
            try:
                db.put(b"child", db.get(b"k", timeout=5))
                refusing.get(b"k", timeout=5)
            except Closed:
                cluster.stop()  # does nothing: the cluster belongs to the parent
                status = 0
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert db.get(b"k") == db.get(b"child") == refusing.get(b"k") == b"v"


PROGRAM = """
import sys, shardstore
cluster = shardstore.LocalCluster(sys.argv[1], workers=2, memory="192MiB")
cluster.start()
cluster.connect().put(b"k", b"v")
print(*cluster.processes().values())
"""


def test_a_users_own_modules_of_the_same_names_are_not_picked_up(tmp_path: Path) -> None:
    for name in ("router", "workers"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong module')")
    root = Path(__file__).parent.parent.parent
    environment = dict(os.environ, PYTHONPATH=f"{root}{os.pathsep}{tmp_path}")
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "data")]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_program_that_forgets_to_stop_leaves_nothing_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    pids = list(map(int, done.stdout.split()))
    assert len(pids) == 5
    assert not any(map(psutil.pid_exists, pids))
    assert last_announced(tmp_path) is None
