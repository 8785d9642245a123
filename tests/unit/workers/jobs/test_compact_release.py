"""The compact job merges tables into one; the release job removes files. Specs and results cross a pipe."""

from __future__ import annotations

import pytest

from shardstore.errors import Corruption, DiskFull
from shardstore.files.file_names import table_file, wal_file
from shardstore.tables.manifest import read_manifest
from shardstore.tables.segment import Segment
from shardstore.wire.wire_format import MalformedMessage
from shardstore.workers.jobs import merged_entries
from shardstore.workers.jobs.figures import JobFigures
from shardstore.workers.jobs.specs import (
    CompactionKind,
    CompactResult,
    CompactSpec,
    ReleaseResult,
    Spec,
    decode_result,
    decode_spec,
    encode_result,
    encode_spec,
)
from shardstore.workers.wal.log_document import LogDocument, read_log_document
from tests.unit.faulty_filesystem import FaultyFilesystem
from tests.unit.job_driver import LOG_ID, STORE, WORKER, JobDriver, run_to_end
from tests.unit.layer_reading import content_of


def fill(worker: JobDriver) -> None:
    """Four tables with hidden values and deletions."""
    for turn in range(4):
        worker.put(1, {b"key-%05d" % number: b"value-%d" % turn for number in range(turn * 300, 1500, turn + 1)})
        worker.delete(1, [b"key-%05d" % number for number in range(turn, 1500, 7)])
        worker.drain()


def everything(worker: JobDriver) -> dict[bytes, object]:
    return content_of(*Segment.open(worker.filesystem, STORE, 1).layers())


@pytest.mark.parametrize("stretch_bytes", [1, 10_000, 1 << 22])
def test_compaction_keeps_what_is_alive(worker: JobDriver, stretch_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merged_entries, "STRETCH_BYTES", stretch_bytes)
    fill(worker)
    before = read_manifest(worker.filesystem, STORE, 1)
    result = run_to_end(worker.compact_spec(1), worker.filesystem)
    after = read_manifest(worker.filesystem, STORE, 1)
    assert isinstance(result, CompactResult)
    assert result.manifest == after.without_window()
    assert result.figures == JobFigures(
        read_bytes=sum(record.file_bytes for record in before.tables),
        written_bytes=after.tables[0].file_bytes,
        entries_in=sum(record.entries for record in before.tables),
        entries_out=len(worker.alive(1)),
    )
    assert everything(worker) == worker.alive(1)
    assert list(everything(worker)) == list(worker.alive(1))
    assert after.version == before.version + 1
    assert (after.checkpoint, after.dedup, after.epoch) == (before.checkpoint, before.dedup, before.epoch)
    assert [record.number for record in after.tables] == [before.table_number_next]
    assert after.tables[0].tombstones == 0


def test_a_column_is_fixed_again_when_only_tombstones_made_it_variable(worker: JobDriver) -> None:
    fill(worker)
    run_to_end(worker.compact_spec(1), worker.filesystem)
    table = worker.only_table(1)
    assert (table.properties.key_stride, table.properties.value_stride) == (9, 7)
    assert (table.properties.lsn_first, table.properties.lsn_last) == (1, 8)


def test_a_segment_whose_keys_are_all_deleted_needs_no_table(worker: JobDriver) -> None:
    worker.put(1, {b"a": b"1"})
    worker.drain()
    worker.delete(1, [b"a"])
    worker.drain()
    run_to_end(worker.compact_spec(1), worker.filesystem)
    assert read_manifest(worker.filesystem, STORE, 1).tables == ()


@pytest.mark.parametrize("tables", [0, 1, 2])
def test_nothing_is_done_when_there_is_nothing_to_gain(worker: JobDriver, tables: int) -> None:
    for _ in range(tables):
        worker.put(1, {b"a": b"1"})
        worker.drain()
        worker.compact(1)
    before = read_manifest(worker.filesystem, STORE, 1)
    assert isinstance(worker.filesystem, FaultyFilesystem)
    worker.filesystem.trace.clear()
    assert run_to_end(worker.compact_spec(1), worker.filesystem) == CompactResult(before.without_window())
    changes = [call for call in worker.filesystem.trace if not call.endswith("/MANIFEST")]
    assert changes == ["sync_directory segments/00000001"], "an earlier run may have died before this"


def test_one_table_with_tombstones_is_compacted(worker: JobDriver) -> None:
    worker.put(1, {b"a": b"1"})
    worker.drain()
    worker.delete(1, [b"a"])
    worker.put(1, {b"b": b"1"})
    worker.drain()
    run_to_end(worker.compact_spec(1), worker.filesystem)
    assert everything(worker) == {b"b": b"1"}


def test_a_full_disk_leaves_the_old_tables(worker: JobDriver) -> None:
    assert isinstance(worker.filesystem, FaultyFilesystem)
    fill(worker)
    before = worker.filesystem.paths()

    def fault(number: int, operation: str, path: str) -> None:
        if operation == "append":
            raise DiskFull(path)

    worker.filesystem.fault = fault
    with pytest.raises(DiskFull):
        run_to_end(worker.compact_spec(1), worker.filesystem)
    worker.filesystem.fault = lambda number, operation, path: None
    assert worker.filesystem.paths() == before
    assert worker.stored_alive(1) == worker.alive(1)


def test_damage_stops_a_compaction_and_changes_nothing(worker: JobDriver) -> None:
    assert isinstance(worker.filesystem, FaultyFilesystem)
    fill(worker)
    damaged = table_file(1, worker.manifest(1).deltas[-1].number)
    content = bytearray(worker.filesystem.content(damaged))
    content[100] ^= 1
    worker.filesystem.place(damaged, bytes(content))
    before = read_manifest(worker.filesystem, STORE, 1)
    with pytest.raises(Corruption) as error:
        run_to_end(worker.compact_spec(1), worker.filesystem)
    assert error.value.file == damaged
    assert read_manifest(worker.filesystem, STORE, 1) == before


def test_a_release_publishes_the_checkpoint_before_the_first_file_goes(worker: JobDriver) -> None:
    assert isinstance(worker.filesystem, FaultyFilesystem)
    worker.put(1, {b"a": b"1"})
    worker.drain()
    worker.filesystem.place(table_file(1, 9), b"obsolete")
    worker.filesystem.trace.clear()
    spec = worker.release_spec(wal_file(WORKER, 1), table_file(1, 9), wal_file(WORKER, 77))
    assert run_to_end(spec, worker.filesystem) == ReleaseResult()
    trace = worker.filesystem.trace
    assert trace.index("sync_directory workers/0003") < trace.index(f"remove_gradually {wal_file(WORKER, 1)}")
    assert trace[-2:] == ["sync_directory segments/00000001", "sync_directory workers/0003"]
    assert read_log_document(worker.filesystem, STORE, WORKER) == LogDocument(STORE, WORKER, LOG_ID, 1, 1)
    assert not worker.filesystem.exists(wal_file(WORKER, 1))
    assert not worker.filesystem.exists(table_file(1, 9))


def test_a_checkpoint_never_goes_back(worker: JobDriver) -> None:
    worker.put(1, {b"a": b"1"})
    worker.drain()
    run_to_end(worker.release_spec(), worker.filesystem)
    worker.drained_lsn = 0
    run_to_end(worker.release_spec(), worker.filesystem)
    assert read_log_document(worker.filesystem, STORE, WORKER).lsn_checkpoint == 1


def test_specs_and_results_survive_the_pipe(worker: JobDriver) -> None:
    fill(worker)
    specs: list[Spec] = [
        worker.drain_spec(),
        CompactSpec(STORE, 1, CompactionKind.EVERYTHING, 2**64 - 1),
        worker.release_spec(wal_file(WORKER, 8), table_file(2, 8)),
    ]
    for spec in specs:
        assert decode_spec(encode_spec(spec)) == spec
        result = run_to_end(spec, worker.filesystem)
        assert decode_result(spec, encode_result(result)) == result


@pytest.mark.parametrize("data", [b"", b"\x09\x80", b"\x01\x80", b"\x02\x82\xa5store\x01\xa7segment\x01", b"\x03\xc1"])
def test_what_is_no_spec_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        decode_spec(data)
