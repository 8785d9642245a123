"""The materialise job makes a new segment from the files of parents; the retire job removes the parents."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shardstore.errors import Corruption, StorageFailure
from shardstore.files.file_names import manifest as manifest_path
from shardstore.files.file_names import segment_directory, table_file
from shardstore.key_range import EVERYTHING, KeyRange
from shardstore.limits import KIB
from shardstore.segment_options import SegmentOptions
from shardstore.tables.manifest import Manifest, Parts
from shardstore.tables.segment import Segment
from shardstore.workers.jobs.specs import (
    CompactionKind,
    MaterialiseResult,
    MaterialiseSpec,
    RetireResult,
    RetireSpec,
    decode_result,
    decode_spec,
    encode_result,
    encode_spec,
)
from shardstore.workers.segment.manifest_writer import create_segment
from tests.simulation.sim_filesystem import SimFilesystem
from tests.unit.faulty_filesystem import FaultyFilesystem
from tests.unit.job_driver import STORE, JobDriver, run_to_end
from tests.unit.layer_reading import content_of

SMALL = SegmentOptions(block_bytes=KIB, part_min_bytes=KIB, part_max_bytes=2 * KIB, main_max_bytes=4 * KIB)
DEDUP = {"clients": [[7, 8, {9: 1}]]}
LEFT, RIGHT = KeyRange(b"", b"key-200"), KeyRange(b"key-200")


def halves(filesystem: SimFilesystem) -> JobDriver:
    """Segment 1: left keys in a bottom main and a delta. 2: right keys in two bottom mains, a main, and two deltas."""
    worker = JobDriver(filesystem, segments=(), options=SMALL)
    for segment, key_range in ((1, LEFT), (2, RIGHT)):
        create_segment(filesystem, STORE, segment, key_range, 1)
        worker.model[segment] = {}
    worker.segments = (1, 2)
    for round_, width in enumerate((200, 100)):
        worker.put(2, {b"key-%03d" % number: b"%d" % round_ + b"." * 50 for number in range(200, 200 + width)})
        worker.put(1, {b"key-%03d" % number: b"%d" % round_ + b"." * 50 for number in range(200 - width, 200)})
        worker.drain()
        worker.compact(2, CompactionKind.DELTAS)
        if round_ == 0:
            worker.compact(1, CompactionKind.DELTAS)
    worker.put(2, {b"key-300": b"in the main"})
    worker.drain()
    worker.compact(2, CompactionKind.DELTAS)
    worker.put(2, {b"key-310": b"in a delta"})
    worker.delete(2, [b"key-399"])
    worker.drain()
    assert shape(worker.manifest(1)) == (1, 0, 1)
    assert shape(worker.manifest(2)) == (1, 1, 2)
    return worker


def shape(manifest: Manifest) -> tuple[int, int, int]:
    return len(manifest.deltas), int(bool(manifest.main)), len(manifest.bottoms)


def merge_spec(child: int = 3, parents: tuple[int, ...] = (1, 2), key_range: KeyRange = EVERYTHING) -> MaterialiseSpec:
    return MaterialiseSpec(STORE, child, key_range.start, key_range.end, 9, parents, DEDUP)


def materialised(worker: JobDriver, spec: MaterialiseSpec) -> Manifest:
    result = worker.run(spec)
    assert isinstance(result, MaterialiseResult)
    return result.manifest


def origins(parts: Parts) -> list[tuple[int, int]]:
    return [(part.origin_segment, part.origin_number) for part in parts]


def written(segment: int, parts: Parts) -> list[tuple[int, int]]:
    return [(segment, part.number) for part in parts]


@pytest.fixture
def worker() -> JobDriver:
    return halves(FaultyFilesystem())


def test_layers_are_joined_from_the_newest_on(worker: JobDriver) -> None:
    left, right = worker.manifest(1), worker.manifest(2)
    child = materialised(worker, merge_spec())
    assert origins(child.deltas) == written(1, left.deltas) + written(2, right.deltas)
    assert origins(child.main) == written(2, right.main)
    assert origins(child.bottoms[1]) == written(1, left.bottoms[0]) + written(2, right.bottoms[1])
    assert origins(child.bottoms[0]) == written(2, right.bottoms[0])
    assert [table.number for table in child.tables] != sorted(table.number for table in child.tables)
    assert sorted(table.number for table in child.tables) == list(range(1, child.table_number_next))
    assert not any(table.is_virtual for table in child.tables)
    assert (child.epoch, child.version, child.dedup) == (9, 1, {}), "the worker has the window in another form"
    assert worker.manifest(3) == replace(child, dedup=DEDUP)
    assert child.checkpoint == {}, "its own records may lie below those of its parents"
    expected = {**worker.alive(1), **worker.alive(2)}
    content = Segment.open(worker.filesystem, STORE, 3).get_many(list(expected))
    assert content == list(expected.values())


def test_no_byte_is_written_but_the_manifest(worker: JobDriver) -> None:
    assert isinstance(worker.filesystem, FaultyFilesystem)
    worker.filesystem.trace.clear()
    used = worker.filesystem.disk.used()
    child = materialised(worker, merge_spec())
    trace = worker.filesystem.trace
    assert [call for call in trace if call.startswith(("create", "map"))] == [f"create {manifest_path(3)}.tmp"]
    assert sum(call.startswith("link") for call in trace) == len(child.tables)
    last_link = max(place for place, call in enumerate(trace) if call.startswith("link"))
    assert trace[last_link + 1] == f"sync_directory {segment_directory(3)}"
    assert worker.filesystem.disk.used() == used + len(worker.filesystem.content(manifest_path(3)))


def test_a_split_gives_each_child_its_keys_and_both_the_file_at_the_border(worker: JobDriver) -> None:
    border = b"key-350"
    left = materialised(worker, merge_spec(4, (2,), KeyRange(RIGHT.start, border)))
    right = materialised(worker, merge_spec(5, (2,), KeyRange(border)))
    parent = worker.manifest(2)
    both = set(origins(left.tables)) & set(origins(right.tables))
    assert both
    assert {record.is_virtual for record in left.tables + right.tables} == {True, False}
    assert all(
        ((2, record.number) in both) == (record.key_first < border <= record.key_last) for record in parent.tables
    )
    for child in (left, right):
        segment = Segment.open(worker.filesystem, STORE, child.segment)
        expected = {key: value for key, value in worker.model[2].items() if key in child.key_range}
        content = {}
        for layer in segment.layers():
            content.update(content_of(layer))
        assert content == expected
        figures = segment.statistics()
        assert figures["linked_bytes"] == segment.bytes
        assert figures["outside_bytes"] == sum(table.file_bytes for table in child.tables) - segment.bytes > 0
    total = sum(table.file_bytes for table in parent.tables)
    shares = sum(table.share_bytes for table in left.tables + right.tables)
    assert total - len(both) <= shares <= total


@pytest.mark.fault("G11")
def test_stale_keys_of_a_linked_file_never_answer(worker: JobDriver) -> None:
    """Both children of a split refer to one file, each changes its keys, and then they are merged again."""
    border = b"key-050"
    materialised(worker, merge_spec(4, (1,), KeyRange(b"", border)))
    materialised(worker, merge_spec(5, (1,), KeyRange(border, LEFT.end)))
    worker.model |= {4: {}, 5: {}}
    worker.segments = (4, 5)
    keys = [b"key-%03d" % number for number in range(200)]
    worker.put(4, dict.fromkeys(keys[:50], b"new"))
    worker.delete(5, keys[50:])
    worker.drain()
    for segment in (4, 5):
        worker.compact(segment, CompactionKind.EVERYTHING)
    assert not worker.manifest(5).tables
    merged = materialised(worker, merge_spec(6, (4, 5), LEFT))
    assert Segment.open(worker.filesystem, STORE, 6).get_many(keys) == [b"new"] * 50 + [None] * 150
    assert merged.tables[0].key_last < border


def test_generations_keep_the_first_origin(worker: JobDriver) -> None:
    first = materialised(worker, merge_spec(4, (1,), KeyRange(b"", b"key-150")))
    second = materialised(worker, merge_spec(5, (4,), KeyRange(b"", b"key-120")))
    assert {record.origin_segment for record in second.tables} == {1}
    assert {(record.start, record.end) for record in second.tables if record.is_virtual} == {(b"", b"key-120")}
    assert [table.file_entries for table in second.bottoms[0]][-1] in {t.entries for t in worker.manifest(1).tables}
    assert len(second.tables) <= len(first.tables)
    for segment in (1, 4):
        worker.run(RetireSpec(STORE, (segment,)))
    content = {}
    for layer in Segment.open(worker.filesystem, STORE, 5).layers():
        content.update(content_of(layer))
    assert content == {key: value for key, value in worker.model[1].items() if key < b"key-120"}


@pytest.mark.fault("G12")
def test_where_linking_is_refused_files_are_copied_and_synced(worker: JobDriver) -> None:
    filesystem = worker.filesystem
    assert isinstance(filesystem, FaultyFilesystem)

    def refuse(number: int, operation: str, path: str) -> None:
        if operation == "link":
            raise StorageFailure(f"cannot link {path}: operation not permitted")

    filesystem.fault = refuse
    parent = worker.manifest(1)
    child = materialised(worker, merge_spec())
    copied = table_file(3, child.bottoms[1][0].number)
    assert filesystem.content(copied) == filesystem.content(table_file(1, parent.bottoms[0][0].number))
    assert f"sync {copied}" in filesystem.trace
    assert filesystem.trace.index(f"sync {copied}") < filesystem.trace.index(f"sync {manifest_path(3)}.tmp")
    filesystem.lose_power(1)
    expected = {**worker.alive(1), **worker.alive(2)}
    assert Segment.open(filesystem, STORE, 3).get_many(list(expected)) == list(expected.values())


def test_done_again_it_answers_what_stands_and_makes_its_name_durable(worker: JobDriver) -> None:
    assert isinstance(worker.filesystem, FaultyFilesystem)
    child = materialised(worker, merge_spec())
    worker.filesystem.trace.clear()
    assert materialised(worker, merge_spec()) == child
    assert worker.filesystem.trace[-1] == f"sync_directory {segment_directory(3)}"
    assert not any(call.startswith(("link", "create", "rename")) for call in worker.filesystem.trace)
    with pytest.raises(Corruption, match="not the keys of the child"):
        worker.run(merge_spec(key_range=LEFT))


@pytest.mark.parametrize(
    ("spec", "what"),
    [
        (merge_spec(parents=(2, 1)), "is not all of"),
        (merge_spec(parents=(1,)), "is not all of"),
        (merge_spec(parents=(2,)), "is not all of"),
        (merge_spec(parents=(1,), key_range=KeyRange(b"a", b"key-201")), "is not all of"),
        (merge_spec(parents=(1, 8)), "its manifest is missing"),
    ],
)
def test_parents_that_do_not_hold_the_keys_are_damage(worker: JobDriver, spec: MaterialiseSpec, what: str) -> None:
    with pytest.raises(Corruption, match=what):
        worker.run(spec)
    assert not worker.filesystem.exists(manifest_path(3))


def test_a_missing_file_of_a_parent_is_damage(worker: JobDriver) -> None:
    assert isinstance(worker.filesystem, FaultyFilesystem)
    path = table_file(1, worker.manifest(1).deltas[0].number)
    worker.filesystem.erase(path)
    with pytest.raises(Corruption, match="no such file") as error:
        worker.run(merge_spec())
    assert error.value.file == path


@pytest.mark.fault("H9")
def test_a_segment_of_nothing_can_be_materialised(worker: JobDriver) -> None:
    child = materialised(worker, merge_spec(4, (1,), KeyRange(b"", b"a")))
    assert (child.tables, child.bottoms, child.table_number_next) == ((), (), 1)


def test_retired_segments_are_gone_and_what_was_materialised_is_not(worker: JobDriver) -> None:
    assert isinstance(worker.filesystem, FaultyFilesystem)
    expected = {**worker.alive(1), **worker.alive(2)}
    materialised(worker, merge_spec())
    open_before = Segment.open(worker.filesystem, STORE, 1)
    layers = open_before.layers()
    worker.filesystem.trace.clear()
    for _ in range(2):
        assert worker.run(RetireSpec(STORE, (1, 2))) == RetireResult()
        assert worker.filesystem.list_directory("segments") == ["00000003"]
    removals = [call for call in worker.filesystem.trace if call.startswith(("remove", "sync"))]
    assert removals[:2] == [f"remove {manifest_path(1)}", f"sync_directory {segment_directory(1)}"]
    assert worker.filesystem.trace[-2] == "sync_directory segments"
    assert Segment.open(worker.filesystem, STORE, 3).get_many(list(expected)) == list(expected.values())
    assert content_of(layers[0]), "a process that has it open can still read it"


@pytest.mark.fault("G5")
def test_a_segment_of_another_store_and_files_of_others_are_not_removed(worker: JobDriver) -> None:
    assert isinstance(worker.filesystem, FaultyFilesystem)
    with pytest.raises(Corruption, match="of store store-of-the-tests"):
        worker.run(RetireSpec("another", (1,)))
    assert worker.manifest(1)
    worker.filesystem.place(f"{segment_directory(1)}/notes", b"mine")
    with pytest.raises(StorageFailure, match="not empty"):
        worker.run(RetireSpec(STORE, (1,)))
    assert worker.filesystem.list_directory(segment_directory(1)) == ["notes"]


def test_specs_and_results_survive_the_pipe(worker: JobDriver) -> None:
    for spec in (merge_spec(4, (1,), LEFT), merge_spec(), RetireSpec(STORE, (1, 2))):
        assert decode_spec(encode_spec(spec)) == spec
        result = run_to_end(spec, worker.filesystem)
        assert decode_result(spec, encode_result(result)) == result


# ---------------------------------------------------------------- parents that were given up


def test_of_a_parent_that_was_given_up_what_can_be_read_is_taken(worker: JobDriver) -> None:
    right = worker.manifest(2)
    [lost] = [part.number for part in right.main]
    worker.filesystem.remove(table_file(2, lost))
    with pytest.raises(Corruption, match="there is no such file"):
        worker.run(merge_spec())
    child = materialised(worker, replace(merge_spec(), given_up=(2,)))
    assert origins(child.deltas) == written(1, worker.manifest(1).deltas) + written(2, right.deltas)
    assert child.main == ()
    content = Segment.open(worker.filesystem, STORE, 3).get_many([b"key-300", b"key-310", b"key-000"])
    assert content[1] == b"in a delta"
    assert content[0] != b"in the main"


def test_a_parent_that_was_given_up_and_has_no_readable_manifest_has_nothing(worker: JobDriver) -> None:
    worker.filesystem.remove(manifest_path(2))
    with pytest.raises(Corruption, match="its manifest is missing"):
        worker.run(merge_spec())
    child = materialised(worker, replace(merge_spec(), given_up=(2,)))
    assert (child.start, child.end) == (EVERYTHING.start, EVERYTHING.end)
    expected = worker.alive(1)
    found = Segment.open(worker.filesystem, STORE, 3).get_many([*expected, b"key-310"])
    assert found == [*expected.values(), None]


def test_a_parent_that_was_not_given_up_must_be_whole(worker: JobDriver) -> None:
    worker.filesystem.remove(manifest_path(2))
    with pytest.raises(Corruption, match="its manifest is missing"):
        worker.run(replace(merge_spec(), given_up=(1,)))
