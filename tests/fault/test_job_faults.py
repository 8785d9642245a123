"""Each job, stopped at every call that changes something: all acknowledged writes are there, and the job can go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

import pytest

from shardstore import file_names
from shardstore.errors import DiskFull, StorageFailure
from shardstore.file_names import segment_directory
from shardstore.filesystem import Filesystem
from shardstore.identifiers import Stored
from tests.simulation.sim_disk import PowerLoss, SimDisk
from tests.simulation.sim_entropy import SimEntropy
from tests.simulation.sim_filesystem import SimCrash, SimFilesystem
from tests.unit.job_driver import LOG_ID, STORE, WORKER, JobDriver, run_to_end
from workers.jobs.drain import entries_of
from workers.jobs.specs import Spec
from workers.segment.column_writer import as_list
from workers.segment.manifest import read_manifest
from workers.segment.segment import Segment
from workers.wal.reader import records_in
from workers.wal.recovery import recover

CALLS_MAX = 200
VAST = 2**60
KILL_ONLY = None
LOSSES = (KILL_ONLY, *PowerLoss)


def process(disk: SimDisk, seed: int = 0) -> SimFilesystem:
    return SimFilesystem(disk, Random(seed))


def first_drain(disk: SimDisk) -> tuple[JobDriver, Spec]:
    worker = JobDriver(process(disk))
    worker.put(1, {b"key-%03d" % number: b"one" for number in range(400)})
    worker.put(2, {b"k": b"v" * 9_000, b"l": b""})
    worker.delete(1, [b"key-007", b"key-008"])
    worker.sync()
    return worker, worker.drain_spec()


def later_drain(disk: SimDisk) -> tuple[JobDriver, Spec]:
    worker, _ = first_drain(disk)
    worker.drain()
    worker.put(1, {b"key-%03d" % number: b"two" for number in range(100, 200)})
    worker.delete(1, [b"key-%03d" % number for number in range(150, 250)])
    worker.put(2, {b"k": b"short", b"m": b"more"})
    worker.sync()
    return worker, worker.drain_spec()


def compaction(disk: SimDisk) -> tuple[JobDriver, Spec]:
    worker, _ = later_drain(disk)
    worker.drain()
    return worker, worker.compact_spec(1)


def release_of_log(disk: SimDisk) -> tuple[JobDriver, Spec]:
    worker, _ = later_drain(disk)
    worker.drain()
    worker.writer.rotate()
    return worker, worker.release_spec(*worker.writer.files_before(worker.drained_lsn))


def release_of_tables(disk: SimDisk) -> tuple[JobDriver, Spec]:
    worker, spec = compaction(disk)
    segment = Segment.open(worker.filesystem, STORE, 1)
    run_to_end(spec, worker.filesystem)
    newer = Segment.open(worker.filesystem, STORE, 1).manifest
    return worker, worker.release_spec(*segment.replace(newer))


Scenario = Callable[[SimDisk], tuple[JobDriver, Spec]]
SCENARIOS: tuple[Scenario, ...] = (first_drain, later_drain, compaction, release_of_log, release_of_tables)


def recovered(disk: SimDisk) -> dict[int, dict[bytes, bytes]]:
    """What a restarted worker serves, by segment: tables, and over them what the log has beyond the checkpoint."""
    filesystem = process(disk)
    segments = {number: Segment.open(filesystem, STORE, number) for number in (1, 2)}
    floor = max(segment.manifest.checkpoint_of(LOG_ID) for segment in segments.values())
    log = recover(filesystem, WORKER, STORE, floor, SimEntropy(1, "recovery"))
    served: dict[int, dict[bytes, Stored]] = {}
    for number, segment in segments.items():
        segment.remove_orphans()
        served[number] = {}
        for table in segment.layers():
            keys, values = table.entries()
            served[number].update(zip(as_list(keys), as_list(values), strict=True))  # type: ignore[arg-type]
    for record in records_in(filesystem, WORKER, log.log_id, log.files):
        if record.lsn > segments[record.segment].manifest.checkpoint_of(log.log_id):
            keys, values = entries_of(record)
            served[record.segment].update(zip(as_list(keys), as_list(values), strict=True))  # type: ignore[arg-type]
    filesystem.kill()
    return {
        number: {key: value for key, value in sorted(entries.items()) if isinstance(value, bytes)}
        for number, entries in served.items()
    }


def acknowledged(worker: JobDriver) -> dict[int, dict[bytes, bytes]]:
    return {segment: worker.alive(segment) for segment in (1, 2)}


def stopped_at_each_call(scenario: Scenario) -> Iterator[tuple[int, SimDisk, JobDriver, Spec]]:
    """The scenario again and again, its job killed one call later each time, until it runs through."""
    for call in range(1, CALLS_MAX):
        disk = SimDisk()
        worker, spec = scenario(disk)
        job_process = process(disk, call)
        job_process.crash_in = call
        try:
            run_to_end(spec, job_process)
        except SimCrash:
            yield call, disk, worker, spec
            continue
        assert call > 3
        return
    raise AssertionError(f"the job makes more than {CALLS_MAX} calls")


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_restart_after_a_stop_at_any_call(scenario: Scenario, loss: PowerLoss | None) -> None:
    for call, disk, worker, spec in stopped_at_each_call(scenario):
        worker.filesystem.kill()  # type: ignore[attr-defined]
        if loss is not None:
            disk.lose_power(loss, Random(call))
        assert recovered(disk) == acknowledged(worker), f"stopped at call {call}"
        run_to_end(spec, process(disk))
        disk.lose_power(PowerLoss.STRICT, Random(call))
        assert recovered(disk) == acknowledged(worker), f"stopped at call {call}, then run again"


def release_what_is_obsolete(disk: SimDisk, worker: JobDriver) -> None:
    """Let go the log files and tables that are not needed any more, as the manifests that can be seen say."""
    filesystem = process(disk)
    manifests = [Segment.open(filesystem, STORE, segment).manifest for segment in (1, 2)]
    worker.drained_lsn = min(manifest.checkpoint_of(LOG_ID) for manifest in manifests)
    paths = worker.writer.files_before(worker.drained_lsn)
    for manifest in manifests:
        live = {file_names.table_file(manifest.segment, record.number) for record in manifest.tables}
        every = {file_names.table_file(manifest.segment, number) for number in range(1, manifest.table_number_next)}
        paths += sorted(every - live)
    run_to_end(worker.release_spec(*paths), filesystem)


@pytest.mark.parametrize("run_again", [True, False], ids=["job run again", "worker restarted"])
@pytest.mark.parametrize("scenario", SCENARIOS[:3])
def test_files_are_released_on_the_strength_of_what_a_stopped_job_published(
    scenario: Scenario, run_again: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that can be seen may not be durable yet. Who relies on it makes it so: the job, or the opening worker."""
    for call, disk, worker, spec in stopped_at_each_call(scenario):
        worker.writer.rotate()
        if run_again:
            run_to_end(spec, process(disk))
            with monkeypatch.context() as patch:  # the worker did not restart: nothing is opened
                patch.setattr(Segment, "open", open_without_sync)
                release_what_is_obsolete(disk, worker)
        else:
            release_what_is_obsolete(disk, worker)
        worker.filesystem.kill()  # type: ignore[attr-defined]
        disk.lose_power(PowerLoss.STRICT, Random(call))
        assert recovered(disk) == acknowledged(worker), f"stopped at call {call}"


def open_without_sync(filesystem: Filesystem, store: str, segment: int) -> Segment:
    return Segment(filesystem, read_manifest(filesystem, store, segment))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_failed_sync_at_any_place(scenario: Scenario, loss: PowerLoss | None) -> None:
    for sync in range(1, CALLS_MAX):
        disk = SimDisk()
        worker, spec = scenario(disk)
        job_process = process(disk, sync)
        job_process.fail_sync_in = sync
        try:
            run_to_end(spec, job_process)
        except StorageFailure:
            worker.filesystem.kill()  # type: ignore[attr-defined]
            if loss is not None:
                disk.lose_power(loss, Random(sync))
            assert recovered(disk) == acknowledged(worker), f"sync {sync} failed"
        else:
            assert sync > 1
            return


@pytest.mark.parametrize("scenario", SCENARIOS[:3])
def test_a_full_disk_at_any_fill_level(scenario: Scenario) -> None:
    refused = 0
    for room in range(0, 60_000, 997):
        disk = SimDisk()
        worker, spec = scenario(disk)
        disk.capacity = VAST
        disk.capacity = VAST - disk.free() + room
        try:
            run_to_end(spec, process(disk))
        except DiskFull:
            refused += 1
        else:
            assert refused > 3
            return
        disk.capacity = None
        assert recovered(disk) == acknowledged(worker), f"with room for {room} bytes"
        run_to_end(spec, process(disk))
        assert recovered(disk) == acknowledged(worker), f"with room for {room} bytes, then run again"
    raise AssertionError("the job needs more room than expected")


def test_nothing_is_left_behind_by_killed_jobs() -> None:
    for call, disk, _, spec in stopped_at_each_call(later_drain):
        run_to_end(spec, process(disk))
        recovered(disk)
        for segment in (1, 2):
            files = process(disk).list_directory(segment_directory(segment))
            assert files == ["MANIFEST", "table-00000001.sst", "table-00000002.sst"], f"stopped at call {call}"
