"""The compact job over all layers: which tables are carried over, which are written, and into which layer."""

from __future__ import annotations

import pytest

from shardstore.errors import DiskFull
from shardstore.files.file_names import table_file
from shardstore.identifiers import TOMBSTONE
from shardstore.limits import KIB
from shardstore.segment_options import Compression, SegmentOptions
from shardstore.tables.segment import Segment
from shardstore.workers.jobs.specs import CompactionKind, CompactSpec
from tests.unit.faulty_filesystem import FaultyFilesystem
from tests.unit.job_driver import STORE, JobDriver
from tests.unit.layer_reading import content_of

OPTIONS = SegmentOptions(block_bytes=KIB, part_min_bytes=2 * KIB, part_max_bytes=6 * KIB, main_max_bytes=500 * KIB)
SMALL = SegmentOptions(block_bytes=KIB, part_min_bytes=KIB, part_max_bytes=2 * KIB, main_max_bytes=8 * KIB)
DELTAS = CompactionKind.DELTAS


def worker_with(options: SegmentOptions = OPTIONS) -> JobDriver:
    return JobDriver(FaultyFilesystem(), options=options)


def numbered(first: int, behind: int, value: str = "value", step: int = 1) -> dict[bytes, bytes]:
    return {b"key-%05d" % number: f"{value}-{number:05}".encode() for number in range(first, behind, step)}


def drained(worker: JobDriver, entries: dict[bytes, bytes]) -> None:
    worker.put(1, entries)
    worker.drain()


def several_parts(worker: JobDriver) -> None:
    drained(worker, numbered(0, 2000, step=2))
    drained(worker, numbered(1, 2000, step=2))
    worker.compact(1)
    assert len(worker.manifest(1).main) >= 8


def inodes(worker: JobDriver) -> dict[int, object]:
    """The file of each table of the manifest, by number."""
    assert isinstance(worker.filesystem, FaultyFilesystem)
    return {
        record.number: worker.filesystem._file("read", table_file(1, record.number))
        for record in worker.manifest(1).tables
    }


@pytest.mark.parametrize("compression", list(Compression))
def test_parts_have_sizes_between_the_bounds_and_their_borders_vary(compression: Compression) -> None:
    options = SegmentOptions(compression, 4 * KIB, part_min_bytes=16 * KIB, part_max_bytes=48 * KIB)
    worker = worker_with(options)
    drained(worker, {key: value * 10 for key, value in numbered(0, 9000, step=2).items()})
    drained(worker, {key: value * 10 for key, value in numbered(1, 9000, step=2).items()})
    worker.compact(1)
    sizes = [part.file_bytes for part in worker.manifest(1).main]
    assert options.part_min_bytes <= min(sizes)
    assert max(sizes) <= options.part_max_bytes * 1.1
    assert len(set(sizes)) == len(sizes) > 2


def test_untouched_parts_keep_their_files() -> None:
    worker = worker_with()
    several_parts(worker)
    before, files = worker.manifest(1), inodes(worker)
    touched = before.main[3]
    drained(worker, {touched.key_first: b"new"})
    delta = worker.manifest(1).deltas[0]
    result = worker.compact(1, DELTAS)
    after = worker.manifest(1)
    carried = [part for part in before.main if part != touched]
    assert [part for part in after.main if part in carried] == carried
    assert all(inodes(worker)[part.number] is files[part.number] for part in carried)
    assert touched not in after.tables
    assert after.deltas == ()
    written = [part for part in after.main if part not in carried]
    assert sum(part.entries for part in written) == touched.entries
    assert (result.entries_in, result.entries_out) == (touched.entries + 1, touched.entries)
    assert result.read_bytes == touched.file_bytes + delta.file_bytes
    assert result.written_bytes == sum(part.file_bytes for part in written)
    assert result.carried_bytes == sum(part.file_bytes for part in carried)
    assert worker.stored(1) == worker.model[1]


def test_carried_tables_are_not_released() -> None:
    worker = worker_with()
    several_parts(worker)
    touched = worker.manifest(1).main[0]
    drained(worker, {touched.key_first: b"new"})
    segment = Segment.open(worker.filesystem, STORE, 1)
    delta = segment.manifest.deltas[0]
    worker.compact(1, DELTAS)
    obsolete = segment.replace(worker.manifest(1))
    assert obsolete == [table_file(1, touched.number), table_file(1, delta.number)]


def test_sequential_inserts_do_not_rewrite() -> None:
    worker = worker_with()
    written = loaded = 0
    for turn in range(10):
        drained(worker, numbered(turn * 100, turn * 100 + 100))
        loaded += worker.manifest(1).deltas[-1].file_bytes
        written += worker.compact(1, DELTAS).written_bytes
    assert written == 0, "each delta is large enough for a part and is moved"
    for turn in range(10, 60):
        drained(worker, numbered(turn * 100, turn * 100 + 10))
        loaded += worker.manifest(1).deltas[-1].file_bytes
        written += worker.compact(1, DELTAS).written_bytes
    assert written < 4 * loaded, "a small last part is filled before a new one is begun"
    sizes = [part.file_bytes for part in worker.manifest(1).main]
    assert min(sizes[:-1]) >= OPTIONS.part_min_bytes
    assert worker.stored(1) == worker.model[1]


def test_the_same_job_writes_the_same_bytes_and_another_seed_others() -> None:
    contents = []
    for seed in (11, 11, 12):
        worker = worker_with()
        drained(worker, numbered(0, 2000, step=2))
        drained(worker, numbered(1, 2000, step=2))
        worker.run(CompactSpec(STORE, 1, DELTAS, seed))
        assert isinstance(worker.filesystem, FaultyFilesystem)
        files = [path for path in worker.filesystem.paths() if path.startswith("segments")]
        contents.append({path: worker.filesystem.content(path) for path in files})
    assert contents[0] == contents[1]
    assert contents[0] != contents[2]


def test_a_main_beyond_its_limit_becomes_the_newest_bottom() -> None:
    worker = worker_with(SMALL)
    for turn in range(3):
        drained(worker, numbered(0, 300, f"turn {turn}"))
        drained(worker, numbered(1, 300, f"turn {turn}"))
        worker.compact(1, DELTAS)
        manifest = worker.manifest(1)
        assert (manifest.deltas, manifest.main, len(manifest.bottoms)) == ((), (), turn + 1)
        assert worker.stored(1) == worker.model[1]
    drained(worker, numbered(0, 5, "newest"))
    worker.compact(1, DELTAS)
    manifest = worker.manifest(1)
    assert (len(manifest.main), len(manifest.bottoms)) == (1, 3)
    assert worker.stored(1) == worker.model[1]
    bottoms = manifest.bottoms
    worker.compact(1, CompactionKind.BOTTOMS, bottom=1)
    merged = worker.manifest(1)
    assert (merged.bottoms[0], merged.main, len(merged.bottoms)) == (bottoms[0], manifest.main, 2)
    assert worker.stored(1) == worker.model[1]
    worker.compact(1)
    compacted = worker.manifest(1)
    assert (compacted.deltas, compacted.main, len(compacted.bottoms)) == ((), (), 1), "one layer, larger than a main"
    assert sum(part.entries for part in compacted.bottoms[0]) == 300
    assert worker.compact(1).manifest == compacted.without_window(), "there is nothing left to do"


def test_bottoms_that_are_gone_already_are_not_merged() -> None:
    worker = worker_with()
    several_parts(worker)
    before = worker.manifest(1)
    assert worker.compact(1, CompactionKind.BOTTOMS).manifest == before.without_window()
    assert worker.compact(1, DELTAS).manifest == before.without_window()


@pytest.mark.fault("G9")
def test_tombstones_live_as_long_as_a_bottom_may_hold_their_key() -> None:
    worker = worker_with(SegmentOptions(block_bytes=KIB, part_min_bytes=KIB, part_max_bytes=KIB, main_max_bytes=KIB))
    drained(worker, numbered(0, 200))
    worker.compact(1, DELTAS)
    assert len(worker.manifest(1).bottoms) == 1
    worker.put(1, {b"zzz": b"1"})
    worker.drain()
    worker.delete(1, [b"key-00007", b"zzz", b"never there, and outside"])
    worker.drain()
    assert worker.manifest(1).deltas[-1].tombstones == 2
    worker.compact(1, DELTAS)
    (main,) = worker.manifest(1).main
    assert (main.entries, main.tombstones, main.key_first) == (1, 1, b"key-00007"), "only this one hides something"
    assert worker.stored(1)[b"key-00007"] is TOMBSTONE
    worker.compact(1)
    assert not any(table.tombstones for table in worker.manifest(1).tables)
    assert worker.stored(1) == worker.alive(1)


def test_a_bottom_all_of_whose_keys_are_deleted_vanishes() -> None:
    options = SegmentOptions(block_bytes=KIB, part_min_bytes=KIB, part_max_bytes=KIB, main_max_bytes=KIB)
    worker = worker_with(options)
    drained(worker, numbered(0, 200))
    worker.compact(1, DELTAS)
    worker.delete(1, list(numbered(0, 200)))
    worker.drain()
    worker.compact(1, DELTAS)
    assert len(worker.manifest(1).bottoms) == 2
    worker.compact(1, CompactionKind.BOTTOMS)
    assert worker.manifest(1).tables == ()
    assert worker.manifest(1).bottoms == ()


@pytest.mark.fault("G6")
def test_a_full_disk_gives_back_the_room_of_all_parts_written() -> None:
    worker = worker_with()
    drained(worker, numbered(0, 2000, step=2))
    drained(worker, numbered(1, 2000, step=2))
    assert isinstance(worker.filesystem, FaultyFilesystem)
    before = worker.filesystem.paths()

    def fault(number: int, operation: str, path: str) -> None:
        if operation == "append" and path == table_file(1, 8):
            raise DiskFull(path)

    worker.filesystem.fault = fault
    with pytest.raises(DiskFull):
        worker.compact(1, DELTAS)
    assert f"create {table_file(1, 6)}" in worker.filesystem.trace
    assert worker.filesystem.paths() == before


@pytest.mark.fault("G2")
def test_names_of_all_parts_are_durable_before_the_manifest() -> None:
    worker = worker_with()
    drained(worker, numbered(0, 2000, step=2))
    drained(worker, numbered(1, 2000, step=2))
    assert isinstance(worker.filesystem, FaultyFilesystem)
    worker.filesystem.trace.clear()
    worker.compact(1, DELTAS)
    trace = worker.filesystem.trace
    synced = trace.index("sync_directory segments/00000001")
    last_create = max(number for number, call in enumerate(trace) if call.startswith("create segments/00000001/table"))
    assert last_create < synced < trace.index("create segments/00000001/MANIFEST.tmp")


def test_reads_of_a_view_go_on_when_the_files_of_its_parts_are_gone() -> None:
    worker = worker_with()
    several_parts(worker)
    segment = Segment.open(worker.filesystem, STORE, 1)
    view = segment.layers()
    drained(worker, numbered(0, 2000, "new"))
    worker.compact(1)
    for path in segment.replace(worker.manifest(1)):
        worker.filesystem.remove(path)
    assert content_of(view[0]) == numbered(0, 2000)
    assert content_of(segment.layers()[0]) == numbered(0, 2000, "new")


def test_layers_asked_are_counted_until_the_next_version() -> None:
    worker = worker_with()
    several_parts(worker)
    drained(worker, {b"key-00000": b"new"})
    segment = Segment.open(worker.filesystem, STORE, 1)
    segment.get_many([b"key-00000"])
    segment.get_many([b"key-00000", b"key-00001"])
    segment.get_many([b"key-%05d" % number for number in range(100)])
    assert (segment.keys_asked, segment.layers_asked) == (103, 1 + 3 + 100 + 99)
    assert segment.statistics()["deltas"] == 1
    worker.compact(1)
    segment.replace(worker.manifest(1))
    assert (segment.keys_asked, segment.layers_asked) == (0, 0)
    assert segment.statistics()["parts"] == len(worker.manifest(1).main)
