"""An open segment: which table has the value of a key, what a new manifest changes, which files are orphans."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shardstore.errors import Corruption
from shardstore.files.file_names import segment_directory, table_file
from shardstore.identifiers import TOMBSTONE, Stored
from shardstore.key_range import KeyRange
from shardstore.tables.digests import digest_of
from shardstore.tables.empty_layer import EMPTY_LAYER
from shardstore.tables.manifest import Manifest, new_manifest, read_manifest
from shardstore.tables.segment import Segment
from shardstore.tables.table_format import Identity
from shardstore.tables.wanted import Wanted
from shardstore.workers.segment.manifest_writer import create_segment, open_manifest, publish_manifest
from tests.unit.faulty_filesystem import FaultyFilesystem
from tests.unit.table_samples import STORE, empty_filesystem, write

SEGMENT = 7
RANGE = KeyRange(b"a", b"z")
OLDEST: dict[bytes, Stored] = {b"key%02d" % number: b"oldest" for number in range(40)}
MIDDLE: dict[bytes, Stored] = {b"key%02d" % number: TOMBSTONE if number % 2 else b"middle" for number in range(20)}
NEWEST: dict[bytes, Stored] = {b"key%02d" % number: b"newest" for number in range(5, 10)}


def published(filesystem: FaultyFilesystem, *tables: dict[bytes, Stored]) -> Manifest:
    records = tuple(
        write(filesystem, table, Identity(STORE, SEGMENT, number)) for number, table in enumerate(tables, 1)
    )
    first = new_manifest(STORE, SEGMENT, RANGE, 1)
    manifest = replace(first, version=2, table_number_next=len(records) + 1, deltas=records)
    publish_manifest(filesystem, manifest)
    return manifest


def test_a_new_segment_is_empty_and_durable() -> None:
    filesystem = empty_filesystem()
    create_segment(filesystem, STORE, SEGMENT, RANGE, 4)
    assert filesystem.trace[-1] == f"sync_directory {segment_directory(SEGMENT)}"
    segment = Segment.open(filesystem, STORE, SEGMENT)
    assert segment.manifest == new_manifest(STORE, SEGMENT, RANGE, 4)
    assert (segment.tables, segment.entries, segment.bytes) == (0, 0, 0)
    assert segment.get_many([b"b"] * 30) == [None] * 30
    assert segment.layers() == [EMPTY_LAYER]


def test_opening_a_segment_opens_no_table() -> None:
    filesystem = empty_filesystem()
    published(filesystem, OLDEST, MIDDLE, NEWEST)
    filesystem.trace.clear()
    segment = Segment.open(filesystem, STORE, SEGMENT)
    assert not any(call.endswith(".sst") for call in filesystem.trace)
    segment.get_many([b"key01"])
    assert sum(call.endswith(".sst") for call in filesystem.trace) == 3


def test_a_segment_that_does_not_exist_is_not_found() -> None:
    with pytest.raises(FileNotFoundError):
        Segment.open(empty_filesystem(), STORE, SEGMENT)


@pytest.mark.parametrize("together", [False, True])
def test_the_newest_table_that_knows_the_key_answers(together: bool) -> None:
    filesystem = empty_filesystem()
    published(filesystem, OLDEST, MIDDLE, NEWEST)
    segment = Segment.open(filesystem, STORE, SEGMENT)
    expected = {**OLDEST, **MIDDLE, **NEWEST}
    asked = [*expected, *(key + b"?" for key in expected)]
    found = segment.get_many(asked) if together else [segment.get_many([key])[0] for key in asked]
    assert found == list(map(expected.get, asked))


def test_one_key_is_read_with_its_digest() -> None:
    filesystem = empty_filesystem()
    published(filesystem, OLDEST, MIDDLE, NEWEST)
    segment = Segment.open(filesystem, STORE, SEGMENT)
    expected = {**OLDEST, **MIDDLE, **NEWEST}
    asked = [*expected, b"absent", b"key"]
    assert [segment.get(key, digest_of(key)) for key in asked] == list(map(expected.get, asked))
    assert segment.keys_asked == len(asked)


@pytest.mark.parametrize("count", [1, 3, 40])
def test_keys_that_are_known_already_are_looked_up_as_others(count: int) -> None:
    filesystem = empty_filesystem()
    published(filesystem, OLDEST, MIDDLE, NEWEST)
    expected = {**OLDEST, **MIDDLE, **NEWEST, b"absent": None}
    asked = [*expected][-count:]
    counts = []
    for look_up in (Segment.get_many, lambda segment, keys: segment.look_up(Wanted.of(keys)).tolist()):
        segment = Segment.open(filesystem, STORE, SEGMENT)
        assert look_up(segment, asked) == list(map(expected.get, asked))
        counts.append((segment.keys_asked, segment.layers_asked))
    assert counts[0] == counts[1]
    assert counts[0][0] == count


def test_layers_go_from_the_oldest_to_the_newest() -> None:
    filesystem = empty_filesystem()
    published(filesystem, OLDEST, MIDDLE, NEWEST)
    segment = Segment.open(filesystem, STORE, SEGMENT)
    assert [table.record.number for table in segment.layers()[1:]] == [1, 2, 3]  # type: ignore[union-attr]
    assert (segment.tables, segment.entries) == (3, 65)
    assert segment.bytes == sum(len(filesystem.content(table_file(SEGMENT, number))) for number in (1, 2, 3))


def test_a_new_manifest_opens_its_tables_and_names_those_that_are_obsolete() -> None:
    filesystem = empty_filesystem()
    manifest = published(filesystem, OLDEST, MIDDLE)
    segment = Segment.open(filesystem, STORE, SEGMENT)
    view = segment.layers()
    record = write(filesystem, NEWEST, Identity(STORE, SEGMENT, 3))
    newer = replace(manifest, version=3, table_number_next=4, deltas=(*manifest.deltas[1:], record))
    assert segment.replace(newer) == [table_file(SEGMENT, 1)]
    assert segment.manifest == newer
    assert segment.layers()[1] is view[2]
    assert segment.get_many([b"key06", b"key39"]) == [b"newest", None]
    assert view[1].get_many([b"key39"]) == [b"oldest"]


def test_the_owner_makes_the_name_of_the_manifest_durable() -> None:
    filesystem = empty_filesystem()
    published(filesystem, OLDEST)
    filesystem.trace.clear()
    open_manifest(filesystem, STORE, SEGMENT)
    assert f"sync_directory {segment_directory(SEGMENT)}" in filesystem.trace


def test_a_manifest_without_its_table_opens_and_answers_with_the_damage() -> None:
    filesystem = empty_filesystem()
    published(filesystem, OLDEST)
    filesystem.remove(table_file(SEGMENT, 1))
    segment = Segment.open(filesystem, STORE, SEGMENT)
    with pytest.raises(Corruption, match="no such file"):
        segment.get_many([b"key01"])


def test_checkpoints_are_kept_per_log() -> None:
    filesystem = empty_filesystem()
    manifest = replace(new_manifest(STORE, SEGMENT, RANGE, 1), checkpoint={2**63: 17})
    publish_manifest(filesystem, manifest)
    assert read_manifest(filesystem, STORE, SEGMENT).checkpoint_of(2**63) == 17
    assert manifest.checkpoint_of(5) == 0
