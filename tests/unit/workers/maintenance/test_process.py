"""The worker's side of the maintenance process, with child processes that end at once."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue

import pytest

from shardstore.limits import SECOND_NS
from shardstore.memory_plan import derive
from shardstore.options import Durability, WorkerOptions
from shardstore.seams.effects import Event, JobFailed, StartJob
from shardstore.workers.jobs.specs import CompactionKind, CompactSpec, RetireSpec
from shardstore.workers.maintenance import process
from shardstore.workers.maintenance.process import MaintenanceProcess
from tests.unit.worker_driver import MEMORY, STORE

SPECS = {1: CompactSpec(STORE, 1, CompactionKind.EVERYTHING, 0), 2: RetireSpec(STORE, (7,))}


def options_of(data: Path) -> WorkerOptions:
    return WorkerOptions(str(data), STORE, 0, "router", "listen", Durability.ASYNC, derive(MEMORY, 1))


@pytest.fixture
def events() -> SimpleQueue[Event]:
    return SimpleQueue()


@pytest.fixture
def delays(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Every child ends before it has read anything. Returns the waits before each next child."""
    waited: list[float] = []
    monkeypatch.setattr(process, "RESTART_DELAY_S", 0.001)
    monkeypatch.setattr(process, "RESTART_DELAY_S_MAX", 0.008)
    end = MaintenanceProcess._end_process

    def spawn(_: MaintenanceProcess, __: object) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.PIPE)

    def note(maintenance: MaintenanceProcess, child: subprocess.Popen[bytes]) -> None:
        waited.append(maintenance._restart_delay_s)
        end(maintenance, child)

    monkeypatch.setattr(MaintenanceProcess, "_spawn", spawn)
    monkeypatch.setattr(MaintenanceProcess, "_end_process", note)
    return waited


@pytest.fixture
def maintenance(tmp_path: Path, delays: list[float], events: SimpleQueue[Event]) -> Iterator[MaintenanceProcess]:
    started = MaintenanceProcess(options_of(tmp_path), events.put)
    started.start()
    yield started
    started.close()


@pytest.fixture
def hanging(
    tmp_path: Path, events: SimpleQueue[Event], monkeypatch: pytest.MonkeyPatch
) -> Iterator[MaintenanceProcess]:
    """A process whose children never reply, and whose checks never wait."""
    monkeypatch.setattr(process, "LOOK_NS", SECOND_NS // 1000)

    def spawn(_: MaintenanceProcess, theirs: socket.socket) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(600)"], stdin=subprocess.PIPE, pass_fds=[theirs.fileno()]
        )

    monkeypatch.setattr(MaintenanceProcess, "_spawn", spawn)
    started = MaintenanceProcess(options_of(tmp_path), events.put)
    started.start()
    yield started
    started.close()


def test_the_process_is_there_when_start_returns_and_not_before(
    tmp_path: Path, delays: list[float], events: SimpleQueue[Event]
) -> None:
    maintenance = MaintenanceProcess(options_of(tmp_path), events.put)
    try:
        maintenance.start_job(StartJob(1, SPECS[1]))
        assert maintenance._process is None
        maintenance.start()
        assert maintenance._process is not None
        assert isinstance(events.get(timeout=60), JobFailed), "the job has waited for the process"
    finally:
        maintenance.close()


def test_one_that_was_never_started_can_be_closed(tmp_path: Path, events: SimpleQueue[Event]) -> None:
    maintenance = MaintenanceProcess(options_of(tmp_path), events.put)
    maintenance.close()
    assert maintenance._process is None


@pytest.mark.fault("W5")
def test_a_process_that_hangs_in_a_job_is_killed_and_said(
    hanging: MaintenanceProcess, events: SimpleQueue[Event], capfd: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):  # the next process as well
        hanging.start_job(StartJob(1, SPECS[1]))
        failed = events.get(timeout=60)
        assert isinstance(failed, JobFailed)
        assert failed.job == 1
    words = capfd.readouterr().err
    assert "hangs: it waits for something that does not come; it is killed" in words
    assert "was ended by signal 9 (Killed); it is started again in 0.2 s" in words


@pytest.mark.fault("W5")
def test_all_jobs_of_a_process_that_ends_have_failed(
    maintenance: MaintenanceProcess, events: SimpleQueue[Event]
) -> None:
    for job, spec in SPECS.items():
        maintenance.start_job(StartJob(job, spec))
    failed = [events.get(timeout=60) for _ in SPECS]
    assert all(isinstance(event, JobFailed) and "the maintenance process ended" in event.reason for event in failed)
    assert {event.job for event in failed if isinstance(event, JobFailed)} == SPECS.keys()


def test_a_process_that_ends_at_once_is_started_again_ever_later(
    maintenance: MaintenanceProcess, events: SimpleQueue[Event], delays: list[float]
) -> None:
    while len(delays) < 6:
        maintenance.start_job(StartJob(1, SPECS[1]))
        assert isinstance(events.get(timeout=60), JobFailed)
    assert delays[:6] == [0.001, 0.002, 0.004, 0.008, 0.008, 0.008]
