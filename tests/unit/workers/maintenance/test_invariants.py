"""What the classes of a worker's jobs promise is checked: the check finds each promise that is broken by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from shardstore.wire.wire_format import Op
from shardstore.workers.maintenance.kinds.barriers import Barriers
from shardstore.workers.maintenance.kinds.job_slot import JobSlot
from shardstore.workers.maintenance.queue import MaintenanceQueue
from shardstore.workers.ranges.owned_range import OwnedRange
from shardstore.workers.ranges.role import FENCED
from tests.unit.worker_driver import WorkerDriver

Break = Callable[[WorkerDriver], object]


@pytest.fixture
def worker(worker: WorkerDriver) -> WorkerDriver:
    """A worker that drains its only range, as a FLUSH has asked for."""
    worker.put({b"a": b"1"})
    worker.sync()
    worker.ask(Op.FLUSH)
    assert len(worker.jobs) == 1
    return worker


def queue(worker: WorkerDriver) -> MaintenanceQueue:
    return worker.core.service.maintenance


def slot(worker: WorkerDriver) -> JobSlot:
    return queue(worker)._short


def barriers(worker: WorkerDriver) -> Barriers:
    return queue(worker)._barriers


def owned(worker: WorkerDriver) -> OwnedRange:
    return worker.core._ranges[1]


def run_another_kind(worker: WorkerDriver) -> None:
    slot(worker).running = slot(worker).running._replace(kind=queue(worker).compactions)


def wait_for_what_was_drained(worker: WorkerDriver) -> None:
    barriers(worker)._waiting[1] = [replace(barrier, lsn=0) for barrier in barriers(worker)._waiting[1]]


def compact_when_fenced(worker: WorkerDriver) -> None:
    barriers(worker).compactions[1] = []
    owned(worker).role = FENCED


def wait_for_no_compaction(worker: WorkerDriver) -> None:
    barriers(worker)._compacting = [barriers(worker)._waiting[1][0].asker]


def remove_the_range(worker: WorkerDriver) -> None:
    barriers(worker)._waiting.clear()
    worker.core._ranges.clear()


BREAKS: dict[str, Break] = {
    # JobSlot
    "a job of a strange kind runs": run_another_kind,
    "a job runs that has to wait": lambda worker: setattr(slot(worker), "retry_at_ns", 1),
    "failures are miscounted": lambda worker: setattr(slot(worker), "_failures", 1),
    # Barriers
    "a request waits for a segment that is not here": lambda worker: worker.core._ranges.clear(),
    "a segment is kept for which nothing waits": lambda worker: barriers(worker)._waiting[1].clear(),
    "a request waits for a drain, and there is no run": lambda worker: owned(worker).overlay.runs.clear(),
    "a request waits for what was drained": wait_for_what_was_drained,
    "a compaction is wanted of a segment that is not compacted any more": compact_when_fenced,
    "requests wait for the end of a compaction, and none was begun for them": wait_for_no_compaction,
    "requests wait for the end of a compaction that does not run": lambda worker: setattr(
        barriers(worker), "_compacting_segment", 1
    ),
    # MaintenanceQueue
    "a job of a segment that is not here runs": remove_the_range,
    "segment 1 is MAINTENANCE_RUNNING, and not READY": lambda worker: setattr(slot(worker), "running", None),
}
"""What breaks a promise, by the words with which the check fails."""


@pytest.mark.parametrize("what", BREAKS)
def test_what_is_broken_is_found(worker: WorkerDriver, what: str) -> None:
    queue(worker).check_invariants()
    BREAKS[what](worker)
    with pytest.raises(AssertionError, match=what):
        queue(worker).check_invariants()


def test_a_worker_checks_its_jobs(worker: WorkerDriver) -> None:
    slot(worker)._failures = 1
    with pytest.raises(AssertionError, match="failures are miscounted"):
        worker.core.check_invariants()
