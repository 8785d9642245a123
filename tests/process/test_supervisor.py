"""The supervisor alone, with stand-ins for router and workers."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

import psutil
import pytest

from shardstore.cluster import child
from shardstore.cluster import supervisor as supervisor_module
from shardstore.cluster.settings import cluster_settings
from shardstore.cluster.supervisor import Supervisor
from shardstore.errors import InvalidRequest, ShardstoreError, Unavailable
from shardstore.system.running_cluster import last_announced, running_on
from tests.process.clusters import end
from tests.process.deadlines import wait_until

STAND_IN = "tests.process.stand_in"


def supervisor_of(data: Path) -> Supervisor:
    return Supervisor(cluster_settings(data, workers=2), router_module=STAND_IN, worker_module=STAND_IN)


@contextmanager
def running(data: Path) -> Iterator[Supervisor]:
    supervisor = supervisor_of(data)
    ready: Queue[str | ShardstoreError] = Queue()

    def run() -> None:
        try:
            supervisor.run(ready.put)
        except ShardstoreError as error:
            ready.put(error)

    thread = Thread(target=run, daemon=True)
    thread.start()
    try:
        url = ready.get(timeout=30)
        assert isinstance(url, str), url
        yield supervisor
    finally:
        supervisor.request_stop()
        thread.join(30)
        assert not thread.is_alive()


def starts(data: Path, name: str) -> list[int]:
    return [int(line) for line in (data / f"starts-{name}").read_text().splitlines()]


def test_starts_announces_and_stops_everything(tmp_path: Path) -> None:
    with running(tmp_path) as supervisor:
        processes = supervisor.processes()
        assert list(processes) == ["router", "worker-0", "worker-1"]
        sockets = Path(running_on(tmp_path).url.removeprefix("unix://")).parent
        assert sockets.is_dir()
    assert not any(map(psutil.pid_exists, processes.values()))
    assert last_announced(tmp_path) is None
    assert not sockets.exists()


@pytest.mark.parametrize("name", ["router", "worker-1"])
def test_what_dies_is_started_again(tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str) -> None:
    with running(tmp_path) as supervisor:
        before = supervisor.processes()
        os.kill(before[name], signal.SIGKILL)
        wait_until(lambda: supervisor.processes().get(name, before[name]) != before[name], "a new process")
        after = supervisor.processes()
        assert {other: pid for other, pid in after.items() if other != name} == {
            other: pid for other, pid in before.items() if other != name
        }
    assert f"{name}: a mishap that it survives" in caplog.text
    assert f"(process {before[name]}) was ended by signal 9 (Killed); it is started again" in caplog.text, "no cause"


@pytest.mark.fault("R6")
@pytest.mark.parametrize("name", ["router", "worker-0"])
def test_what_keeps_dying_is_tried_again_until_the_cause_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    monkeypatch.setattr("shardstore.cluster.restart_policy.LONGEST_DELAY_NS", 1)
    caplog.set_level("INFO", logger="shardstore.cluster")
    with running(tmp_path) as supervisor:
        before = supervisor.processes()
        caplog.clear()
        (tmp_path / "behaviour").write_text("die")
        os.kill(before.pop(name), signal.SIGKILL)
        wait_until(lambda: "death 12 in a row" in caplog.text, "the twelfth death")
        assert "exited with code 1: a hundred reasons; it is started again in 0.0 s" in caplog.text
        assert supervisor.processes().items() >= before.items(), "the others run on"
        (tmp_path / "behaviour").write_text("serve")
        wait_until(lambda: f"{name} serves" in caplog.text, "its return")


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("stop", "is stopped, as by SIGSTOP"),
        ("loop", "is busy with one thing and does not end"),
        ("sleep", "waits for something that does not come"),
    ],
)
@pytest.mark.parametrize("name", ["router", "worker-1"])
def test_what_hangs_is_killed_and_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str, how: str, words: str
) -> None:
    for module in ("cluster.supervisor", "pulse"):
        monkeypatch.setattr(f"shardstore.{module}.LOOK_NS", 200_000_000)
    monkeypatch.setattr("shardstore.pulse.HANGS_NS", 1_000_000_000)
    with running(tmp_path) as supervisor:
        before = supervisor.processes()
        if how == "stop":
            os.kill(before[name], signal.SIGSTOP)
        else:
            (tmp_path / "told").write_text(how)
            (tmp_path / "told").rename(tmp_path / f"hang-{name}")
        wait_until(lambda: supervisor.processes().get(name, before[name]) != before[name], "a new process")
        assert f"{name} (process {before[name]}) hangs: it {words}; it is killed" in caplog.text
        after = supervisor.processes()
        assert {other for other in before if before[other] != after[other]} == {name}


def test_a_system_that_refuses_a_process_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    spawn, refusals = child.ChildProcess, iter([True, True])

    def refuse_twice(*arguments: Any) -> child.ChildProcess:
        if next(refusals, False):
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        return spawn(*arguments)

    with running(tmp_path) as supervisor:
        before = supervisor.processes()["worker-0"]
        monkeypatch.setattr(child, "ChildProcess", refuse_twice)
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: supervisor.processes().get("worker-0", before) != before, "a new process")
    assert caplog.text.count("worker-0 could not be started: Resource temporarily unavailable; it is started") == 2


def test_a_child_that_cannot_start_fails_the_start_with_its_last_words(tmp_path: Path) -> None:
    (tmp_path / "behaviour").write_text("die")
    with pytest.raises(Unavailable, match=r"router \(process \d+\) exited with code 1: a hundred reasons"):
        supervisor_of(tmp_path).run(lambda url: pytest.fail("was ready"))


def test_a_child_that_is_never_ready_fails_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor_module, "START_NS", 1_500_000_000)
    (tmp_path / "behaviour").write_text("silent")
    with pytest.raises(Unavailable, match="router has done nothing for 1 s"):
        supervisor_of(tmp_path).run(lambda url: pytest.fail("was ready"))
    assert not any(map(psutil.pid_exists, starts(tmp_path, "router")))


def test_a_stop_while_starting_is_heeded(tmp_path: Path) -> None:
    (tmp_path / "behaviour").write_text("silent")
    supervisor = supervisor_of(tmp_path)
    thread = Thread(target=supervisor.run, args=(lambda url: pytest.fail("was ready"),))
    thread.start()
    wait_until(lambda: "router" in supervisor.processes(), "the first process")
    supervisor.request_stop()
    thread.join(30)
    assert not thread.is_alive()
    assert not (tmp_path / "starts-worker-0").exists()
    assert supervisor.processes() == {}


@pytest.mark.fault("W8")
def test_a_second_request_to_stop_kills_what_does_not_listen(tmp_path: Path) -> None:
    (tmp_path / "behaviour").write_text("stubborn")
    with running(tmp_path) as supervisor:
        processes = supervisor.processes()
        supervisor.request_stop()
        # The context asks again on leaving, and waits 30 s; the patience for one request alone is 2 * 20 s.
    assert not any(map(psutil.pid_exists, processes.values()))


def want(data: Path, supervisor: Supervisor, workers: list[int]) -> None:
    (data / "workers").write_text(json.dumps(workers))
    os.kill(supervisor.processes()["router"], signal.SIGUSR1)


def names(supervisor: Supervisor) -> list[str]:
    return list(supervisor.processes())


def test_a_worker_that_the_router_wants_is_started_like_the_others_and_again_when_it_dies(tmp_path: Path) -> None:
    with running(tmp_path) as supervisor:
        before = supervisor.processes()
        want(tmp_path, supervisor, [0, 1, 3])
        wait_until(lambda: names(supervisor) == ["router", "worker-0", "worker-1", "worker-3"], "the new worker")
        first = supervisor.processes()
        assert first.items() >= before.items(), "the others run on"
        wait_until((tmp_path / "options-worker-3").exists, "its options")
        old, new = (json.loads((tmp_path / f"options-worker-{worker}").read_text()) for worker in (1, 3))
        own = {name: old[name].removesuffix("-1") + "-3" for name in ("listen", "board")}
        assert new == old | {"worker": 3} | own | {
            "status_fd": new["status_fd"],
            "life_fd": new["life_fd"],
            "memory": old["memory"] | {"lease_start": 0},
        }
        os.kill(first["worker-3"], signal.SIGKILL)
        wait_until(lambda: supervisor.processes().get("worker-3", 0) not in (0, first["worker-3"]), "a new process")


def test_a_worker_that_left_ends_in_order_and_its_number_can_come_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="shardstore.cluster")
    with running(tmp_path) as supervisor:
        left = supervisor.processes()["worker-0"]
        want(tmp_path, supervisor, [1])
        wait_until(lambda: names(supervisor) == ["router", "worker-1"], "the end of the worker")
        assert not psutil.pid_exists(left)
        assert "worker-0 has left" in caplog.text
        warned = [record.message for record in caplog.records if record.levelname != "INFO"]
        assert [words for words in warned if not words.endswith("a mishap that it survives")] == []
        want(tmp_path, supervisor, [0, 1])
        wait_until(lambda: len(starts(tmp_path, "worker-0")) == 2, "its return")


def test_a_worker_that_left_and_does_not_end_is_killed_and_only_then_its_number_starts_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervisor_module, "STOP_NS", 300_000_000)
    caplog.set_level("INFO", logger="shardstore.cluster")
    (tmp_path / "behaviour").write_text("stubborn")
    with running(tmp_path) as supervisor:
        left = supervisor.processes()["worker-0"]
        want(tmp_path, supervisor, [1])
        wait_until(lambda: "worker-0 is to end" in caplog.text, "the request")
        want(tmp_path, supervisor, [0, 1])
        wait_until(lambda: supervisor.processes().get("worker-0", left) != left, "a new process")
        assert not psutil.pid_exists(left)


def test_a_worker_that_keeps_dying_can_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("shardstore.cluster.restart_policy.LONGEST_DELAY_NS", 1)
    caplog.set_level("INFO", logger="shardstore.cluster")
    with running(tmp_path) as supervisor:
        victim = supervisor.processes()["worker-0"]
        (tmp_path / "behaviour").write_text("die")
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: "death 3 in a row" in caplog.text, "the message")
        want(tmp_path, supervisor, [1])
        wait_until(lambda: "worker-0 has left" in caplog.text, "its departure")


def test_a_restarted_router_is_not_asked_for_a_number_of_workers_again(tmp_path: Path) -> None:
    with running(tmp_path) as supervisor:
        asked = json.loads((tmp_path / "options-router").read_text())
        assert (asked["workers"], asked["workers_asked"]) == (2, 2)
        (tmp_path / "workers").write_text("[0, 1, 2]")
        before = supervisor.processes()
        os.kill(before["router"], signal.SIGKILL)
        wait_until(lambda: "worker-2" in supervisor.processes(), "the worker that the new router wants")
        assert json.loads((tmp_path / "options-router").read_text())["workers_asked"] is None
        assert supervisor.processes()["worker-0"] == before["worker-0"]


def test_the_budget_must_do_for_the_workers_that_the_store_has(tmp_path: Path) -> None:
    (tmp_path / "workers").write_text("[0, 1, 2]")
    supervisor = Supervisor(
        cluster_settings(tmp_path, workers=2, memory="192MiB"), router_module=STAND_IN, worker_module=STAND_IN
    )
    with pytest.raises(InvalidRequest, match="96 MiB for each worker; at least 288MiB for the 3 here"):
        supervisor.run(lambda url: pytest.fail("was ready"))
    assert supervisor.processes() == {}


SERVE = f"""
import sys
from shardstore.cluster import serve
from shardstore.cluster.settings import cluster_settings
from shardstore.cluster.supervisor import Supervisor
serve.Supervisor = lambda settings: Supervisor(settings, router_module={STAND_IN!r}, worker_module={STAND_IN!r})
serve.serve(cluster_settings(sys.argv[1], workers=2), lambda url: print(url, flush=True))
"""


@contextmanager
def main_program(data: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", SERVE, str(data)], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"unix://")
        yield process
    finally:
        end(process, data)


@pytest.mark.fault("W8")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_main_program_in_order(tmp_path: Path, number: signal.Signals) -> None:
    with main_program(tmp_path) as process:
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        assert process.wait(30) == 0
        assert len(children) == 3
        assert not any(child.is_running() for child in children)


@pytest.mark.fault("W3")
def test_no_child_outlives_a_killed_supervisor_and_the_next_start_cleans_up(tmp_path: Path) -> None:
    with main_program(tmp_path) as process:
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) == 3
        process.kill()
        _, alive = psutil.wait_procs(children, timeout=10)
        assert not alive
        left = last_announced(tmp_path)
        assert left is not None
        assert Path(left.runtime_directory).is_dir()
        with running(tmp_path) as again:
            assert running_on(tmp_path).runtime_directory == left.runtime_directory, "its clients find it again"
            assert again.processes()
        assert not Path(left.runtime_directory).exists()


def test_a_stopped_cluster_leaves_no_descriptor_behind(tmp_path: Path) -> None:
    with running(tmp_path):
        pass
    before = set(os.listdir("/proc/self/fd"))
    with running(tmp_path):
        pass
    assert set(os.listdir("/proc/self/fd")) == before
