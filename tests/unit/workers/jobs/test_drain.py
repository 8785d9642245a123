"""The drain job: log records are written into tables exactly once."""

from __future__ import annotations

import pytest

from shardstore.errors import Corruption, DiskFull
from shardstore.files.file_names import segment_directory, table_file, wal_file
from shardstore.identifiers import TOMBSTONE
from shardstore.key_range import EVERYTHING
from shardstore.segment_options import DEFAULTS
from shardstore.tables.column_items import as_list
from shardstore.tables.manifest import read_manifest
from shardstore.tables.segment import Segment
from shardstore.workers.jobs.drain import entries_of
from shardstore.workers.jobs.figures import JobFigures
from shardstore.workers.jobs.run import run
from shardstore.workers.jobs.specs import DrainResult, DrainSpec, SegmentDrain
from shardstore.workers.wal.record_format import Record, RecordKind
from tests.unit.faulty_filesystem import FaultyFilesystem
from tests.unit.job_driver import LOG_ID, STORE, WORKER, JobDriver, run_to_end
from tests.unit.layer_reading import content_of


def test_each_segment_gets_its_records_with_the_latest_value(worker: JobDriver) -> None:
    for turn in range(5):
        worker.put(1, {b"k%03d" % number: b"%d" % turn for number in range(turn, 300)})
        worker.put(2, {b"x%d" % turn: b"y" * turn})
    result = worker.drain()
    assert worker.stored(1) == worker.model[1]
    assert worker.stored(2) == worker.model[2]
    assert isinstance(result, DrainResult)
    assert [manifest.segment for manifest in result.manifests] == [1, 2]
    published = [read_manifest(worker.filesystem, STORE, segment) for segment in (1, 2)]
    assert result.manifests == tuple(manifest.without_window() for manifest in published)


def test_figures_tell_what_was_read_and_written(worker: JobDriver) -> None:
    worker.put(1, {b"a": b"1", b"b": b"2"})
    worker.put(1, {b"a": b"3"})
    result = worker.drain()
    assert isinstance(result, DrainResult)
    [table] = read_manifest(worker.filesystem, STORE, 1).tables
    one = JobFigures(read_bytes=6, written_bytes=table.file_bytes, entries_in=3, entries_out=2)
    assert result.figures == (one, JobFigures())


def test_the_manifest_tells_what_was_drained(worker: JobDriver) -> None:
    worker.put(1, {b"a": b"1"})
    worker.drain()
    manifest = read_manifest(worker.filesystem, STORE, 1)
    assert (manifest.version, manifest.epoch, manifest.table_number_next) == (2, 6, 2)
    assert manifest.checkpoint == {LOG_ID: 1}
    assert manifest.dedup == {"clients": [[1, 2, {3: 4}]]}


def test_fixed_columns_become_fixed_tables(worker: JobDriver) -> None:
    worker.put(1, {b"a": b"12", b"b": b"34"})
    worker.put(1, {b"a": b"56", b"c": b"78"})
    worker.put(2, {b"a": b"12", b"bb": b"34"})
    worker.drain()
    one, two = (worker.only_table(segment).properties for segment in (1, 2))
    assert (one.key_stride, one.value_stride, one.entries) == (1, 2, 3)
    assert (two.key_stride, two.value_stride) == (0, 2)
    assert (one.lsn_first, one.lsn_last) == (1, 3)


def test_deletions_hide_older_tables_and_are_dropped_when_there_is_none(worker: JobDriver) -> None:
    worker.put(1, {b"a": b"1", b"b": b"2"})
    worker.delete(1, [b"b", b"never there"])
    worker.drain()
    assert worker.stored(1) == {b"a": b"1"}
    worker.delete(1, [b"a"])
    worker.drain()
    assert worker.stored(1) == {b"a": TOMBSTONE}


def test_nothing_but_deletions_of_an_empty_segment_needs_no_table(worker: JobDriver) -> None:
    worker.delete(1, [b"a"])
    worker.drain()
    manifest = read_manifest(worker.filesystem, STORE, 1)
    assert manifest.tables == ()
    assert manifest.checkpoint_of(LOG_ID) == 1


def test_empty_values_are_values(worker: JobDriver) -> None:
    worker.put(1, {b"a": b"", b"b": b""})
    worker.drain()
    assert worker.stored(1) == {b"a": b"", b"b": b""}


def test_a_drain_over_several_log_files_and_slices(worker: JobDriver) -> None:
    worker.file_bytes = 2_000
    for number in range(700):
        worker.put(number % 2 + 1, {b"key-%05d" % (number * 7919 % 1000): b"%d" % number})
    worker.drain()
    assert [worker.stored(segment) == worker.model[segment] for segment in (1, 2)] == [True, True]


def test_records_outside_the_interval_are_left_alone(worker: JobDriver) -> None:
    for number in range(1, 6):
        worker.put(1, {b"k%d" % number: b"v"})
    run_to_end(DrainSpec(WORKER, STORE, LOG_ID, (SegmentDrain(1, 2, 4, 1, {}),)), worker.filesystem)
    assert sorted(worker.stored(1)) == [b"k2", b"k3", b"k4"]


def test_behind_each_table_end_another_table_begins(worker: JobDriver) -> None:
    """A tombstone is kept if an earlier table of the same drain holds its key."""
    worker.put(1, {b"a": b"1", b"b": b"1"})
    worker.put(1, {b"a": b"2", b"c": b"2"})
    worker.delete(1, [b"b", b"nobody"])
    worker.put(1, {b"a": b"4"})
    spec = DrainSpec(WORKER, STORE, LOG_ID, (SegmentDrain(1, 1, 4, 1, {}, (2, 3)),))
    result = run_to_end(spec, worker.filesystem)
    assert isinstance(result, DrainResult)
    assert [(table.segment, table.lsn_first, table.lsn_last) for table in result.tables] == [
        (1, 1, 2),
        (1, 3, 3),
        (1, 4, 4),
    ]
    segment = Segment.open(worker.filesystem, STORE, 1)
    assert [table.number for table in result.tables] == [record.number for record in segment.manifest.deltas]
    assert list(map(content_of, segment.layers()[1:])) == [
        {b"a": b"2", b"b": b"1", b"c": b"2"},
        {b"b": TOMBSTONE},
        {b"a": b"4"},
    ]
    assert worker.stored_alive(1) == worker.alive(1)


def test_a_stretch_that_leaves_nothing_to_store_has_no_table(worker: JobDriver) -> None:
    worker.delete(1, [b"nobody"])
    worker.put(1, {b"a": b"1"})
    result = run_to_end(DrainSpec(WORKER, STORE, LOG_ID, (SegmentDrain(1, 1, 2, 1, {}, (1,)),)), worker.filesystem)
    assert isinstance(result, DrainResult)
    assert [bool(table.number) for table in result.tables] == [False, True]


def test_table_ends_in_what_was_published_before_are_passed_over(worker: JobDriver) -> None:
    for number in range(1, 5):
        worker.put(1, {b"k%d" % number: b"v"})
    run_to_end(DrainSpec(WORKER, STORE, LOG_ID, (SegmentDrain(1, 1, 2, 1, {}),)), worker.filesystem)
    result = run_to_end(DrainSpec(WORKER, STORE, LOG_ID, (SegmentDrain(1, 1, 4, 1, {}, (1, 2, 3)),)), worker.filesystem)
    assert isinstance(result, DrainResult)
    assert [(table.lsn_first, table.lsn_last) for table in result.tables] == [(3, 3), (4, 4)]
    assert worker.stored_alive(1) == worker.alive(1)


def test_a_drain_that_was_published_is_not_done_again(worker: JobDriver) -> None:
    worker.put(1, {b"a": b"1"})
    spec = worker.drain_spec()
    first = run_to_end(spec, worker.filesystem)
    assert isinstance(worker.filesystem, FaultyFilesystem)
    worker.filesystem.trace.clear()
    again = run_to_end(spec, worker.filesystem)
    assert isinstance(first, DrainResult)
    assert again == DrainResult(first.manifests, (JobFigures(), JobFigures()), ())
    assert not [call for call in worker.filesystem.trace if call.startswith(("create", "rename", "remove"))]


def test_a_drain_goes_on_behind_the_checkpoint(worker: JobDriver) -> None:
    worker.put(1, {b"a": b"1"})
    run_to_end(worker.drain_spec(), worker.filesystem)
    worker.put(1, {b"b": b"2"})
    run_to_end(worker.drain_spec(), worker.filesystem)
    assert [record.entries for record in read_manifest(worker.filesystem, STORE, 1).tables] == [1, 1]


def test_a_table_left_by_a_job_that_died_is_overwritten(worker: JobDriver) -> None:
    worker.put(1, {b"a": b"1"})
    worker.filesystem.create(table_file(1, 1)).append([b"torn"])
    worker.drain()
    assert worker.stored(1) == {b"a": b"1"}


@pytest.mark.fault("G2")
def test_the_table_is_durable_before_the_manifest_names_it(worker: JobDriver) -> None:
    assert isinstance(worker.filesystem, FaultyFilesystem)
    worker.put(1, {b"a": b"1"})
    worker.filesystem.trace.clear()
    run_to_end(worker.drain_spec(1), worker.filesystem)
    trace = worker.filesystem.trace
    steps = [
        f"create {table_file(1, 1)}",
        f"sync {table_file(1, 1)}",
        "sync_directory segments/00000001",
        "sync segments/00000001/MANIFEST.tmp",
        "rename segments/00000001/MANIFEST",
    ]
    assert [trace.index(step) for step in steps] == sorted(trace.index(step) for step in steps)
    assert trace[-1] == "sync_directory segments/00000001"
    assert not [call for call in trace if "wal-" in call and not call.startswith("map")]


@pytest.mark.fault("G6")
def test_a_full_disk_leaves_inputs_and_no_output(worker: JobDriver) -> None:
    assert isinstance(worker.filesystem, FaultyFilesystem)
    worker.put(1, {b"a": b"1"})
    before = worker.filesystem.paths()

    def fault(number: int, operation: str, path: str) -> None:
        if operation == "append" and path == table_file(1, 1):
            raise DiskFull(path)

    worker.filesystem.fault = fault
    with pytest.raises(DiskFull):
        run_to_end(worker.drain_spec(), worker.filesystem)
    assert worker.filesystem.paths() == before
    worker.filesystem.fault = lambda number, operation, path: None
    worker.drain()
    assert worker.stored(1) == worker.model[1]


def test_a_log_that_ends_too_early_is_damage(worker: JobDriver) -> None:
    worker.put(1, {b"a": b"1"})
    spec = DrainSpec(WORKER, STORE, LOG_ID, (SegmentDrain(1, 1, 2, 1, {}),))
    with pytest.raises(Corruption):
        run_to_end(spec, worker.filesystem)


def test_a_missing_log_file_is_damage(worker: JobDriver) -> None:
    worker.put(1, {b"a": b"1"})
    worker.filesystem.remove(wal_file(WORKER, 1))
    with pytest.raises(Corruption):
        worker.drain()


def test_a_take_is_a_tombstone() -> None:
    record = Record(RecordKind.TAKE, 3, 1, 7, 0, 1, 1, 1, 1, memoryview(b"a"), memoryview(b"value"))
    keys, values = entries_of(record)
    assert (as_list(keys), values) == ([b"a"], [TOMBSTONE])


def test_nil_in_a_batch_is_a_tombstone() -> None:
    record = Record(RecordKind.BATCH, 1, 2, 7, 0, 1, 1, 1, 1, memoryview(b"ab"), memoryview(b"\x92\xc0\xc4\x011"))
    keys, values = entries_of(record)
    assert (as_list(keys), values) == ([b"a", b"b"], [TOMBSTONE, b"1"])


@pytest.mark.parametrize("kind", [RecordKind.PUT, RecordKind.BATCH])
def test_a_record_that_is_no_batch_is_damage(kind: RecordKind) -> None:
    record = Record(kind, 0, 2, 7, 0, 1, 1, 1, 1, memoryview(b"\x91\xc4\x01a"), memoryview(b"\x90"))
    with pytest.raises(Corruption, match="log record 7"):
        entries_of(record)


def test_long_work_is_cut_into_slices(worker: JobDriver) -> None:
    for number in range(600):
        worker.put(1, {b"%05d" % number: b"v"})
    slices = sum(1 for _ in run(worker.drain_spec(), worker.filesystem, DEFAULTS))
    assert slices >= 4


def test_ranges_read_what_was_drained(worker: JobDriver) -> None:
    worker.put(1, {b"b": b"1", b"a": b"2"})
    worker.drain()
    assert worker.only_table(1).chunk(EVERYTHING, False, 10, 10).keys == [b"a", b"b"]


def test_a_directory_that_is_gone_is_named(worker: JobDriver) -> None:
    worker.put(1, {b"k": b"v"})
    worker.drain()
    worker.put(1, {b"k": b"w"})
    directory = segment_directory(1)
    for name in worker.filesystem.list_directory(directory):
        worker.filesystem.remove(f"{directory}/{name}")
    worker.filesystem.remove_directory(directory)
    with pytest.raises(Corruption, match=directory):
        worker.drain()
