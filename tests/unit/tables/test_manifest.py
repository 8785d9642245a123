"""Manifests: versions that end, and mains whose parts do not overlap."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shardstore.errors import Corruption
from shardstore.files.documents import encode_document
from shardstore.files.file_names import manifest as manifest_path
from shardstore.files.formats import MANIFEST
from shardstore.key_range import EVERYTHING, KeyRange
from shardstore.tables.manifest import SEGMENT_VERSION_MAX, new_manifest, read_manifest, share_bytes_of
from shardstore.tables.table_format import TableRecord
from shardstore.wire.messages import to_plain
from shardstore.workers.segment.manifest_writer import publish_manifest
from tests.unit.table_samples import STORE, empty_filesystem

SEGMENT = 7
NEW = new_manifest(STORE, SEGMENT, EVERYTHING, 1)


def record(number: int, key_first: bytes, key_last: bytes) -> TableRecord:
    return TableRecord(number, 100 * number, 2, 0, key_first, key_last, 5)


def test_a_successor_is_the_next_version() -> None:
    successor = NEW.successor(epoch=9)
    assert (successor.version, successor.epoch) == (NEW.version + 1, 9)
    assert replace(successor, version=1, epoch=1) == NEW


def test_versions_end_with_a_clear_error() -> None:
    last = replace(NEW, version=SEGMENT_VERSION_MAX - 1).successor()
    assert last.version == SEGMENT_VERSION_MAX
    with pytest.raises(Corruption, match=f"version {SEGMENT_VERSION_MAX} can have no next"):
        last.successor()


def test_layers_and_tables_in_order() -> None:
    old, one, two, delta = record(1, b"a", b"z"), record(2, b"a", b"c"), record(3, b"d", b"e"), record(4, b"b", b"d")
    manifest = replace(NEW, deltas=(delta,), main=(one, two), bottoms=((old,),))
    assert manifest.mains == ((old,), (one, two))
    assert manifest.tables == (old, one, two, delta)
    filesystem = empty_filesystem()
    publish_manifest(filesystem, manifest)
    assert read_manifest(filesystem, STORE, SEGMENT) == manifest


@pytest.mark.parametrize("second", [record(2, b"c", b"d"), record(2, b"0", b"1")])
def test_parts_that_are_not_apart_are_damage(second: TableRecord) -> None:
    manifest = replace(NEW, bottoms=((record(1, b"a", b"c"), second),))
    filesystem = empty_filesystem()
    with pytest.raises(AssertionError):
        publish_manifest(filesystem, manifest)
    filesystem.place(manifest_path(SEGMENT), encode_document(MANIFEST, to_plain(manifest)))
    with pytest.raises(Corruption, match="overlap or are out of order"):
        read_manifest(filesystem, STORE, SEGMENT)


def virtual(start: bytes, end: bytes, file_entries: int) -> TableRecord:
    return replace(record(1, b"c", b"e"), start=start, end=end, file_entries=file_entries)


def test_of_a_virtual_part_its_share_counts() -> None:
    half = virtual(b"c", b"", 4)
    assert (half.share_bytes, half.outside_bytes, half.bounds) == (50, 50, KeyRange(b"c"))
    assert share_bytes_of((half, record(2, b"f", b"g"))) == 250
    filesystem = empty_filesystem()
    publish_manifest(filesystem, replace(NEW, main=(half,)))
    assert read_manifest(filesystem, STORE, SEGMENT).main == (half,)


@pytest.mark.fault("G11")
@pytest.mark.parametrize(
    "wrong",
    [
        virtual(b"d", b"", 4),
        virtual(b"", b"e", 4),
        virtual(b"a", b"d", 4),
        virtual(b"c", b"f", 1),
        virtual(b"c", b"", 0),
    ],
)
def test_a_virtual_part_that_holds_more_than_its_bounds_is_damage(wrong: TableRecord) -> None:
    filesystem = empty_filesystem()
    manifest = replace(NEW, deltas=(wrong,))
    with pytest.raises(AssertionError):
        publish_manifest(filesystem, manifest)
    filesystem.place(manifest_path(SEGMENT), encode_document(MANIFEST, to_plain(manifest)))
    with pytest.raises(Corruption, match="table 1 is said to hold more than its bounds allow"):
        read_manifest(filesystem, STORE, SEGMENT)
