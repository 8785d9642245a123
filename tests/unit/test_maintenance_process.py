"""The worker's side of the maintenance process, with children that end at once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue

import pytest

from shardstore.effects import Event, JobFailed, StartJob
from shardstore.memory_plan import derive
from shardstore.options import Durability, WorkerOptions
from shardstore.workers.jobs.specs import CompactionKind, CompactSpec, RetireSpec
from shardstore.workers.maintenance import process
from shardstore.workers.maintenance.process import MaintenanceProcess
from tests.unit.worker_driver import MEMORY, STORE

SPECS = {1: CompactSpec(STORE, 1, CompactionKind.EVERYTHING, 0), 2: RetireSpec(STORE, (7,))}


@pytest.fixture
def events() -> SimpleQueue[Event]:
    return SimpleQueue()


@pytest.fixture
def delays(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Every child ends before it has read anything; what was waited before each next one."""
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
    options = WorkerOptions(str(tmp_path), STORE, 0, "router", "listen", Durability.ASYNC, derive(MEMORY, 1))
    started = MaintenanceProcess(options, events.put)
    yield started
    started.close()


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
