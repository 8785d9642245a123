"""Runs a job again and again from the same state, and stops it one call later each time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from random import Random

from shardstore.errors import StorageFailure
from shardstore.tables.segment import Segment
from shardstore.workers.jobs.specs import Spec
from tests.simulation.sim_disk import PowerLoss, SimDisk
from tests.simulation.sim_filesystem import SimCrash, SimFilesystem
from tests.unit.faulty_filesystem import FaultyFilesystem
from tests.unit.job_driver import JobDriver
from tests.unit.layer_reading import content_of

CALLS_MAX = 400
KILL_ONLY = None
LOSSES = (KILL_ONLY, *PowerLoss)
VAST = 2**60

OpenDisk = Callable[[SimDisk, Random], SimFilesystem]
Scenario = Callable[[SimDisk], tuple[JobDriver, Spec]]


def process(disk: SimDisk, seed: int = 0, opener: OpenDisk = SimFilesystem) -> SimFilesystem:
    return opener(disk, Random(seed))


def copies_of(scenario: Scenario) -> Iterator[tuple[SimDisk, JobDriver, Spec]]:
    """A starting state that is made once, and copied for each run."""
    disk = SimDisk()
    worker, spec = scenario(disk)
    while True:
        yield deepcopy((disk, worker, spec))


def stopped_at_each_call(
    scenario: Scenario, opener: OpenDisk = SimFilesystem
) -> Iterator[tuple[int, SimDisk, JobDriver, Spec]]:
    """Run the scenario, with the job killed one call later each time, until the job completes."""
    for call, (disk, worker, spec) in zip(range(1, CALLS_MAX), copies_of(scenario), strict=False):
        job_process = process(disk, call, opener)
        job_process.crash_in = call
        try:
            worker.run(spec, job_process)
        except SimCrash:
            yield call, disk, worker, spec
            continue
        assert call > 3
        return
    raise AssertionError(f"the job makes more than {CALLS_MAX} calls")


def failing_at(disk: SimDisk, failing: int) -> FaultyFilesystem:
    """A filesystem in which one call fails."""
    filesystem = FaultyFilesystem(disk)

    def fail(number: int, operation: str, path: str) -> None:
        if number == failing:
            raise StorageFailure(f"cannot {operation} {path}")

    filesystem.fault = fail
    return filesystem


def leave_room(disk: SimDisk, room: int) -> None:
    """Let the disk accept `room` more bytes."""
    disk.capacity = VAST
    disk.capacity = VAST - disk.free() + room


def entries_in(segment: Segment) -> dict[bytes, object]:
    """The entries of all layers, merged."""
    merged: dict[bytes, object] = {}
    for layer in segment.layers():
        merged.update(content_of(layer))
    return merged


def alive(entries: dict[bytes, object]) -> dict[bytes, bytes]:
    """The entries without tombstones, in order."""
    return {key: value for key, value in sorted(entries.items()) if isinstance(value, bytes)}
