"""Jobs stopped at every call that changes files: all acknowledged writes survive, and the job can run again."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from random import Random
from typing import Any

import pytest

from shardstore.errors import DiskFull, StorageFailure
from shardstore.files import file_names
from shardstore.files.file_names import segment_directory
from shardstore.limits import KIB
from shardstore.seams.filesystem import Filesystem
from shardstore.segment_options import SegmentOptions
from shardstore.tables.column_items import as_list
from shardstore.tables.manifest import Manifest, read_manifest
from shardstore.tables.segment import Segment
from shardstore.workers.jobs.drain import entries_of
from shardstore.workers.jobs.orphans import clear_orphans
from shardstore.workers.jobs.specs import CompactionKind, Spec
from shardstore.workers.segment.manifest_writer import open_manifest
from shardstore.workers.wal.reader import runs_in
from shardstore.workers.wal.recovery import recover
from tests.fault.cut_short import (
    CALLS_MAX,
    LOSSES,
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
from tests.simulation.sim_entropy import SimEntropy
from tests.unit.job_driver import LOG_ID, STORE, WORKER, JobDriver

pytestmark = pytest.mark.interpreted  # they begin again and again from a deep copy of a worker

SMALL = SegmentOptions(block_bytes=KIB, part_min_bytes=KIB, part_max_bytes=2 * KIB, main_max_bytes=12 * KIB)


def first_drain(disk: SimDisk) -> tuple[JobDriver, Spec]:
    worker = JobDriver(process(disk), options=SMALL)
    worker.put(1, {b"key-%03d" % number: b"the first value" for number in range(400)})
    worker.put(2, {b"k": b"v" * 9_000, b"l": b""})
    worker.delete(1, [b"key-007", b"key-008"])
    worker.sync()
    return worker, worker.drain_spec()


def later_drain(disk: SimDisk) -> tuple[JobDriver, Spec]:
    worker, _ = first_drain(disk)
    worker.drain()
    worker.put(1, {b"key-%03d" % number: b"another of them" for number in range(100, 200)})
    worker.delete(1, [b"key-%03d" % number for number in range(150, 250)])
    worker.put(2, {b"k": b"short", b"m": b"more"})
    worker.sync()
    return worker, worker.drain_spec()


def compaction_of_everything(disk: SimDisk) -> tuple[JobDriver, Spec]:
    worker, _ = later_drain(disk)
    worker.drain()
    return worker, worker.compact_spec(1)


def several_parts(disk: SimDisk) -> JobDriver:
    """Segment 1 has a main of several parts."""
    worker, _ = later_drain(disk)
    worker.drain()
    worker.compact(1, CompactionKind.DELTAS)
    assert len(worker.manifest(1).main) > 3
    return worker


def compaction_of_deltas(disk: SimDisk) -> tuple[JobDriver, Spec]:
    """Some parts are carried over."""
    worker = several_parts(disk)
    worker.put(1, {b"key-100": b"another of them", b"key-101": b"another of them"})
    worker.delete(1, [b"key-102", b"key-399"])
    worker.sync()
    worker.drain()
    return worker, worker.compact_spec(1, CompactionKind.DELTAS)


def compaction_that_seals(disk: SimDisk) -> tuple[JobDriver, Spec]:
    """The main outgrows its limit and becomes a bottom main."""
    worker = several_parts(disk)
    worker.put(1, {b"more-%03d" % number: b"two" * 20 for number in range(100)})
    worker.sync()
    worker.drain()
    return worker, worker.compact_spec(1, CompactionKind.DELTAS)


def two_bottoms(disk: SimDisk) -> JobDriver:
    """The newer table hides entries of the older, and has tombstones."""
    worker, spec = compaction_that_seals(disk)
    worker.run(spec)
    worker.put(1, {b"key-%03d" % number: b"three" * 50 for number in range(50, 100)})
    worker.delete(1, [b"key-%03d" % number for number in range(380, 390)])
    worker.sync()
    worker.drain()
    worker.compact(1, CompactionKind.DELTAS)
    assert len(worker.manifest(1).bottoms) == 2
    return worker


def compaction_of_bottoms(disk: SimDisk) -> tuple[JobDriver, Spec]:
    worker = two_bottoms(disk)
    return worker, worker.compact_spec(1, CompactionKind.BOTTOMS)


def drain_over_bottoms(disk: SimDisk) -> tuple[JobDriver, Spec]:
    worker = two_bottoms(disk)
    worker.delete(1, [b"key-001", b"never there"])
    worker.sync()
    return worker, worker.drain_spec()


def release_of_log(disk: SimDisk) -> tuple[JobDriver, Spec]:
    worker, _ = later_drain(disk)
    worker.drain()
    worker.writer.rotate()
    return worker, worker.release_spec(*worker.writer.files_before(worker.drained_lsn))


def release_of_tables(disk: SimDisk) -> tuple[JobDriver, Spec]:
    worker, spec = compaction_of_everything(disk)
    segment = Segment.open(worker.filesystem, STORE, 1)
    worker.run(spec)
    newer = Segment.open(worker.filesystem, STORE, 1).manifest
    return worker, worker.release_spec(*segment.replace(newer))


WRITERS: tuple[Any, ...] = (
    first_drain,
    later_drain,
    drain_over_bottoms,
    compaction_of_deltas,
    compaction_that_seals,
    pytest.param(compaction_of_bottoms, marks=pytest.mark.slow),
    compaction_of_everything,
)
SCENARIOS: tuple[Any, ...] = (*WRITERS, release_of_log, release_of_tables)


def recovered(disk: SimDisk) -> dict[int, dict[bytes, bytes]]:
    """The data that a restarted worker serves, by segment: tables, and the log records after the checkpoint."""
    filesystem = process(disk)
    segments = {number: Segment.open(filesystem, STORE, number) for number in (1, 2)}
    floor = max(segment.manifest.checkpoint_of(LOG_ID) for segment in segments.values())
    log = recover(filesystem, WORKER, STORE, floor, SimEntropy(1, "recovery"))
    served = {}
    for number, segment in segments.items():
        clear_orphans(filesystem, segment.manifest)
        served[number] = entries_in(segment)
    runs = runs_in(filesystem, WORKER, log.log_id, log.recovered)
    for record in chain.from_iterable(run.records() for run in runs):
        if record.lsn > segments[record.segment].manifest.checkpoint_of(log.log_id):
            keys, values = entries_of(record)
            served[record.segment].update(zip(as_list(keys), as_list(values), strict=True))
    filesystem.kill()
    return {number: alive(entries) for number, entries in served.items()}


def acknowledged(worker: JobDriver) -> dict[int, dict[bytes, bytes]]:
    return {segment: worker.alive(segment) for segment in (1, 2)}


@pytest.mark.fault("W1", "G1")
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_restart_after_a_stop_at_any_call(scenario: Scenario, loss: PowerLoss | None) -> None:
    for call, disk, worker, spec in stopped_at_each_call(scenario):
        worker.filesystem.kill()  # type: ignore[attr-defined]
        if loss is not None:
            disk.lose_power(loss, Random(call))
        assert recovered(disk) == acknowledged(worker), f"stopped at call {call}"
        worker.run(spec, process(disk))
        disk.lose_power(PowerLoss.STRICT, Random(call))
        assert recovered(disk) == acknowledged(worker), f"stopped at call {call}, then run again"


def release_what_is_obsolete(
    disk: SimDisk, worker: JobDriver, manifest_of: Callable[[Filesystem, str, int], Manifest]
) -> None:
    """Remove the log files and tables that are no longer needed according to the visible manifests."""
    filesystem = process(disk)
    manifests = [manifest_of(filesystem, STORE, segment) for segment in (1, 2)]
    worker.drained_lsn = min(manifest.checkpoint_of(LOG_ID) for manifest in manifests)
    paths = worker.writer.files_before(worker.drained_lsn)
    for manifest in manifests:
        live = {file_names.table_file(manifest.segment, record.number) for record in manifest.tables}
        every = {file_names.table_file(manifest.segment, number) for number in range(1, manifest.table_number_next)}
        paths += sorted(every - live)
    worker.run(worker.release_spec(*paths), filesystem)


@pytest.mark.parametrize("run_again", [True, False], ids=["job run again", "worker restarted"])
@pytest.mark.parametrize("scenario", WRITERS)
def test_files_are_released_on_the_strength_of_what_a_stopped_job_published(
    scenario: Scenario, run_again: bool
) -> None:
    """A visible name may not be durable yet. The job or the opening worker that relies on it makes it durable."""
    for call, disk, worker, spec in stopped_at_each_call(scenario):
        worker.writer.rotate()
        if run_again:
            worker.run(spec, process(disk))
            release_what_is_obsolete(disk, worker, read_manifest)
        else:
            release_what_is_obsolete(disk, worker, open_manifest)
        worker.filesystem.kill()  # type: ignore[attr-defined]
        disk.lose_power(PowerLoss.STRICT, Random(call))
        assert recovered(disk) == acknowledged(worker), f"stopped at call {call}"


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_failed_sync_at_any_place(scenario: Scenario, loss: PowerLoss | None) -> None:
    for sync, (disk, worker, spec) in zip(range(1, CALLS_MAX), copies_of(scenario), strict=False):
        job_process = process(disk, sync)
        job_process.fail_sync_in = sync
        try:
            worker.run(spec, job_process)
        except StorageFailure:
            worker.filesystem.kill()  # type: ignore[attr-defined]
            if loss is not None:
                disk.lose_power(loss, Random(sync))
            assert recovered(disk) == acknowledged(worker), f"sync {sync} failed"
        else:
            assert sync > 1
            return


@pytest.mark.fault("G1")
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_failure_of_any_call(scenario: Scenario) -> None:
    """The worker survives without opening its segments again; the next maintenance process runs the job again."""
    for call, (disk, worker, spec) in zip(range(1, CALLS_MAX), copies_of(scenario), strict=False):
        try:
            worker.run(spec, failing_at(disk, call))
        except StorageFailure:
            worker.run(spec, process(disk))
            disk.lose_power(PowerLoss.STRICT, Random(call))
            assert recovered(disk) == acknowledged(worker), f"call {call} failed"
        else:
            assert call > 3
            return
    raise AssertionError(f"the job makes more than {CALLS_MAX} calls")


@pytest.mark.fault("G6")
@pytest.mark.parametrize("scenario", WRITERS)
def test_a_full_disk_at_any_fill_level(scenario: Scenario) -> None:
    refused = 0
    for room, (disk, worker, spec) in zip(range(0, 60_000, 199), copies_of(scenario), strict=False):
        leave_room(disk, room)
        try:
            worker.run(spec, process(disk))
        except DiskFull:
            refused += 1
        else:
            assert refused > 3
            return
        disk.capacity = None
        assert recovered(disk) == acknowledged(worker), f"with room for {room} bytes"
        worker.run(spec, process(disk))
        assert recovered(disk) == acknowledged(worker), f"with room for {room} bytes, then run again"
    raise AssertionError("the job needs more room than expected")


@pytest.mark.fault("W5", "G5")
def test_nothing_is_left_behind_by_killed_jobs() -> None:
    for call, disk, worker, spec in stopped_at_each_call(later_drain):
        worker.run(spec, process(disk))
        recovered(disk)
        for segment in (1, 2):
            files = process(disk).list_directory(segment_directory(segment))
            assert files == ["MANIFEST", "table-00000001.sst", "table-00000003.sst"], f"stopped at call {call}"
