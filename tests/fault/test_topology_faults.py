"""Materialising and retiring, stopped at each call: a child exists completely or not at all; the job can run again."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from shardstore.errors import DiskFull, StorageFailure
from shardstore.files.file_names import SEGMENTS, segment_directory
from shardstore.files.file_names import manifest as manifest_path
from shardstore.key_range import KeyRange
from shardstore.seams.filesystem import Filesystem
from shardstore.tables.segment import Segment
from shardstore.workers.jobs.specs import MaterialiseSpec, RetireSpec, Spec
from tests.fault.cut_short import (
    CALLS_MAX,
    LOSSES,
    OpenDisk,
    Scenario,
    alive,
    copies_of,
    entries_in,
    failing_at,
    leave_room,
    process,
    stopped_at_each_call,
)
from tests.simulation.sim_disk import PowerLoss, SimDisk
from tests.simulation.sim_filesystem import SimFilesystem
from tests.unit.job_driver import STORE, JobDriver
from tests.unit.workers.jobs.test_materialise import halves, merge_spec

pytestmark = pytest.mark.interpreted  # they begin again and again from a deep copy of a worker

SPLIT_AT = b"key-330"


class WithoutLinks(SimFilesystem):
    """A filesystem that has no hard links."""

    def link(self, source: str, target: str) -> None:
        self.step()
        raise StorageFailure(f"cannot link {source}: operation not permitted")


SPECS: dict[str, tuple[OpenDisk, MaterialiseSpec]] = {
    "merge": (SimFilesystem, merge_spec()),
    "split": (SimFilesystem, merge_spec(3, (2,), KeyRange(SPLIT_AT))),
    "copy": (WithoutLinks, merge_spec(3, (2,), KeyRange(SPLIT_AT))),
}


def expected_of(worker: JobDriver, spec: MaterialiseSpec) -> dict[bytes, bytes]:
    key_range = KeyRange(spec.start, spec.end)
    held = {**worker.alive(1), **worker.alive(2)}
    return {key: value for key, value in sorted(held.items()) if key in key_range}


def served(filesystem: Filesystem, segment: int) -> dict[bytes, bytes] | None:
    """The content of the segment; None if it does not exist."""
    if not filesystem.exists(manifest_path(segment)):
        return None
    return alive(entries_in(Segment.open(filesystem, STORE, segment)))


def materialisation(spec: MaterialiseSpec) -> Scenario:
    return lambda disk: (halves(process(disk)), spec)


def retirement(disk: SimDisk) -> tuple[JobDriver, Spec]:
    worker = halves(process(disk))
    worker.run(merge_spec())
    return worker, RetireSpec(STORE, (1, 2))


def killed_at_each_call(
    scenario: Scenario, opener: OpenDisk = SimFilesystem
) -> Iterator[tuple[int, SimDisk, JobDriver]]:
    """The worker dies together with the job."""
    for call, disk, worker, _ in stopped_at_each_call(scenario, opener):
        worker.filesystem.kill()  # type: ignore[attr-defined]
        yield call, disk, worker


def check_materialised(disk: SimDisk, worker: JobDriver, spec: MaterialiseSpec, opener: OpenDisk, seed: int) -> None:
    """Run the job again; the child must hold its data durably, and no other files."""
    worker.run(spec, process(disk, seed, opener))
    disk.lose_power(PowerLoss.STRICT, Random(seed))
    filesystem = process(disk)
    assert served(filesystem, spec.segment) == expected_of(worker, spec)
    tables = Segment.open(filesystem, STORE, spec.segment).manifest.tables
    assert len(filesystem.list_directory(segment_directory(spec.segment))) == 1 + len(tables)


@pytest.mark.fault("W1", "G12", "H10")
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", SPECS)
def test_a_materialisation_stopped_at_any_call(name: str, loss: PowerLoss | None) -> None:
    opener, spec = SPECS[name]
    for call, disk, worker in killed_at_each_call(materialisation(spec), opener):
        if loss is not None:
            disk.lose_power(loss, Random(call))
        filesystem = process(disk)
        assert served(filesystem, spec.segment) in (None, expected_of(worker, spec)), f"stopped at call {call}"
        assert [served(filesystem, parent) for parent in (1, 2)] == [worker.alive(1), worker.alive(2)]
        check_materialised(disk, worker, spec, opener, call)


@pytest.mark.parametrize("loss", LOSSES)
def test_parents_may_go_as_soon_as_a_materialisation_has_ended(loss: PowerLoss | None) -> None:
    """Also if the completed job found the manifest of a killed one."""
    spec = merge_spec()
    for call, disk, worker in killed_at_each_call(materialisation(spec)):
        worker.run(spec, process(disk))
        worker.run(RetireSpec(STORE, (1, 2)), process(disk))
        if loss is not None:
            disk.lose_power(loss, Random(call))
        filesystem = process(disk)
        assert served(filesystem, 3) == expected_of(worker, spec), f"stopped at call {call}"
        assert filesystem.list_directory(SEGMENTS) == ["00000003"]


@pytest.mark.parametrize("name", SPECS)
def test_a_failed_sync_of_a_materialisation(name: str) -> None:
    opener, spec = SPECS[name]
    for sync, (disk, worker, _) in zip(range(1, CALLS_MAX), copies_of(materialisation(spec)), strict=False):
        job_process = process(disk, sync, opener)
        job_process.fail_sync_in = sync
        try:
            worker.run(spec, job_process)
        except StorageFailure:
            disk.lose_power(PowerLoss.ORDERED, Random(sync))
            assert served(process(disk), spec.segment) in (None, expected_of(worker, spec)), f"sync {sync} failed"
            check_materialised(disk, worker, spec, opener, sync)
        else:
            assert sync > 4
            return


def test_a_failure_of_any_call_of_a_materialisation() -> None:
    """A failed link is replaced by a copy; after any other failure the next process runs the job again."""
    spec = SPECS["split"][1]
    copied = 0
    for call, (disk, worker, _) in zip(range(1, CALLS_MAX), copies_of(materialisation(spec)), strict=False):
        filesystem = failing_at(disk, call)
        try:
            worker.run(spec, filesystem)
        except StorageFailure:
            assert not filesystem.trace[call - 1].startswith("link")
        else:
            copied += call <= filesystem.number
        check_materialised(disk, worker, spec, SimFilesystem, call)
        if call > filesystem.number:
            assert copied == sum(call.startswith("link") for call in filesystem.trace) > 1
            return
    raise AssertionError(f"the job makes more than {CALLS_MAX} calls")


@pytest.mark.fault("H7")
@pytest.mark.parametrize("name", SPECS)
def test_a_full_disk_at_any_fill_level(name: str) -> None:
    opener, spec = SPECS[name]
    refused = 0
    for room, (disk, worker, _) in zip(range(0, 60_000, 499), copies_of(materialisation(spec)), strict=False):
        leave_room(disk, room)
        try:
            worker.run(spec, process(disk, 0, opener))
        except DiskFull:
            refused += 1
            left = process(disk).list_directory(segment_directory(spec.segment))
            assert not any(name.startswith("MANIFEST") for name in left), "what did not fit takes no room"
            disk.capacity = None
            check_materialised(disk, worker, spec, opener, room)
        else:
            assert refused > 1
            return
    raise AssertionError("the job needs more room than expected")


@pytest.mark.fault("W1", "H10")
@pytest.mark.parametrize("loss", LOSSES)
def test_a_retirement_stopped_at_any_call(loss: PowerLoss | None) -> None:
    spec = RetireSpec(STORE, (1, 2))
    for call, disk, worker in killed_at_each_call(retirement):
        if loss is not None:
            disk.lose_power(loss, Random(call))
        filesystem = process(disk)
        for parent in (1, 2):
            assert served(filesystem, parent) in (None, worker.alive(parent)), f"stopped at call {call}"
        worker.run(spec, process(disk))
        disk.lose_power(PowerLoss.STRICT, Random(call))
        filesystem = process(disk)
        assert filesystem.list_directory(SEGMENTS) == ["00000003"]
        assert served(filesystem, 3) == expected_of(worker, merge_spec())
