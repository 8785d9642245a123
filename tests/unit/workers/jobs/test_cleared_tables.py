"""What range deletions leave of tables when they are drained, and of a compaction that runs meanwhile."""

from __future__ import annotations

from itertools import count, islice
from unittest.mock import patch

import pytest

from shardstore.files.file_names import segment_directory, table_file
from shardstore.identifiers import TOMBSTONE
from shardstore.key_range import KeyRange
from shardstore.tables.segment import Segment
from shardstore.workers.jobs import cleared_tables
from shardstore.workers.jobs.run import run
from shardstore.workers.jobs.specs import CompactionKind, DrainResult
from tests.unit.faulty_filesystem import FaultyFilesystem
from tests.unit.job_driver import STORE, JobDriver, job_result
from tests.unit.workers.jobs.test_overtaking import OPTIONS, layered, numbered


@pytest.fixture(autouse=True)
def _cut_always() -> object:
    with patch.object(cleared_tables, "CUT_ENTRIES_MIN", 1):
        yield


def keys_stored(worker: JobDriver) -> list[bytes]:
    """All keys of the tables, through the order of the keys instead of lookups."""
    layers = Segment.open(worker.filesystem, STORE, 1).layers()
    found = [key for layer in layers for keys, _ in layer.columns(KeyRange()) for key in map(bytes, keys)]
    return sorted(set(found))


def with_keys(*names: bytes) -> JobDriver:
    worker = JobDriver(FaultyFilesystem(), segments=(1,))
    worker.put(1, dict.fromkeys(names, b"v"))
    worker.drain()
    return worker


def test_a_table_that_is_wholly_cleared_is_named_no_more() -> None:
    worker = with_keys(b"a", b"b")
    worker.clear(1, b"a", b"c")
    result = worker.drain()
    assert isinstance(result, DrainResult)
    assert worker.manifest(1).tables == ()
    assert result.tables[0].number == 0


def test_a_table_that_reaches_beyond_becomes_virtual_parts() -> None:
    worker = with_keys(b"a", b"b", b"c", b"d", b"e")
    worker.clear(1, b"b", b"d")
    worker.drain()
    left, right = worker.manifest(1).deltas
    assert (left.key_first, left.key_last, left.start, left.end) == (b"a", b"a", b"", b"b")
    assert (right.key_first, right.key_last, right.start, right.end) == (b"d", b"e", b"d", b"")
    assert (left.entries, right.entries, left.file_entries) == (1, 2, 5)
    assert (left.origin_segment, left.origin_number, left.number, right.number) == (1, 1, 3, 5)
    assert keys_stored(worker) == [b"a", b"d", b"e"]
    worker.clear(1, b"e", b"")
    worker.drain()
    assert keys_stored(worker) == [b"a", b"d"]
    again = worker.manifest(1).deltas[1]
    assert (again.origin_segment, again.origin_number, again.start, again.end) == (1, 1, b"d", b"e")
    worker.compact(1)
    assert worker.stored_alive(1) == worker.alive(1) == {b"a": b"v", b"d": b"v"}


def test_a_table_without_a_cleared_key_stays_as_it_is() -> None:
    worker = with_keys(b"a", b"e")
    before = worker.manifest(1).tables
    worker.clear(1, b"b", b"d")
    worker.clear(1, b"x", b"")
    worker.drain()
    assert worker.manifest(1).tables == before


def test_few_cleared_keys_get_tombstones() -> None:
    with patch.object(cleared_tables, "CUT_ENTRIES_MIN", 3):
        worker = with_keys(b"a", b"b", b"c", b"d", b"e")
        before = worker.manifest(1).tables
        worker.clear(1, b"b", b"d")
        worker.put(1, {b"c": b"new"})
        worker.drain()
        assert worker.manifest(1).tables[:-1] == before
        assert worker.manifest(1).tables[-1].tombstones == 1
        assert Segment.open(worker.filesystem, STORE, 1).get_many([b"b", b"c", b"d"]) == [TOMBSTONE, b"new", b"v"]


def test_earlier_records_of_the_same_drain_are_left_out() -> None:
    worker = JobDriver(FaultyFilesystem(), segments=(1,))
    worker.put(1, {b"a": b"1", b"b": b"1", b"long": b"1"})
    worker.delete(1, [b"a"])
    worker.clear(1, b"b", b"c")
    worker.put(1, {b"bb": b"2"})
    worker.clear(1, b"", b"aa")
    worker.put(1, {b"a": b"3"})
    worker.drain()
    assert worker.stored(1) == {b"a": b"3", b"bb": b"2", b"long": b"1"}
    assert keys_stored(worker) == [b"a", b"bb", b"long"]


def test_scans_read_in_memory_what_a_later_record_of_the_drain_has_cleared() -> None:
    worker = JobDriver(FaultyFilesystem(), segments=(1,))
    worker.put(1, {b"a": b"1"})
    worker.put(1, {b"b": b"1"})
    worker.clear(1, b"b", b"c")
    spec = worker.drain_spec()
    ends = [drain.__class__(*[getattr(drain, name) for name in drain.__slots__[:-1]], (1, 2)) for drain in spec.drains]
    result = worker.run(spec.__class__(spec.worker, spec.store, spec.log_id, tuple(ends)))
    assert isinstance(result, DrainResult)
    assert [(table.lsn_first, table.lsn_last) for table in result.tables] == [(3, 3)]
    assert worker.stored(1) == {b"a": b"1"}


@pytest.mark.parametrize("kind", list(CompactionKind))
def test_a_compaction_begins_anew_when_its_tables_are_cut(kind: CompactionKind) -> None:
    for slices in count(1, 25):
        worker = layered()
        compaction = run(worker.compact_spec(1, kind), worker.filesystem, OPTIONS)
        if len(list(islice(compaction, slices))) < slices:
            break
        before = {record.number for record in worker.manifest(1).tables}
        worker.clear(1, b"key-01000", b"key-03000")
        worker.put(1, numbered(1500, 1600, b"after"))
        worker.drain()
        live = {record.number for record in worker.manifest(1).tables}
        for number in before - live:  # as a release does, also while the compaction runs
            worker.filesystem.remove(table_file(1, number))
        job_result(compaction)
        assert worker.stored_alive(1) == worker.alive(1)
        files = {f"{segment_directory(1)}/{name}" for name in worker.filesystem.list_directory(segment_directory(1))}
        named = {table_file(1, record.number) for record in worker.manifest(1).tables}
        assert named <= files
    assert slices > 1, "no drain overtook the compaction"
