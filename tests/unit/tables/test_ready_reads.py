"""Reads of single keys that change nothing: they answer as others do, once everything is open and loaded."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shardstore.errors import Corruption
from shardstore.identifiers import Stored
from shardstore.key_range import KeyRange
from shardstore.limits import MIB
from shardstore.segment_options import Compression, SegmentOptions
from shardstore.tables.cache import SegmentCache
from shardstore.tables.digests import digest_of
from shardstore.tables.empty_layer import EMPTY_LAYER
from shardstore.tables.not_ready import NOT_READY
from shardstore.tables.segment import Segment, StoredLayer
from shardstore.tables.table_format import Identity
from shardstore.tables.table_reader import Table
from shardstore.workers.segment.manifest_writer import publish_manifest
from tests.unit.table_samples import (
    IDENTITY,
    LAYOUTS,
    STORE,
    absent_from,
    empty_filesystem,
    sample,
    table_of,
    with_deletions,
    write,
)
from tests.unit.tables.test_main import ENTRIES, cut
from tests.unit.tables.test_segment_serving import MIDDLE, NEWEST, OLDEST, SEGMENT, published
from tests.unit.tables.test_virtual_part import SAMPLES

COUNT = 600


def ready(layer: StoredLayer | Segment, key: bytes) -> object:
    return layer.get_ready(key, digest_of(key))


def load(layer: StoredLayer | Segment, *keys: bytes) -> None:
    """Read as a thread that is alone."""
    for key in keys:
        layer.get(key, digest_of(key))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_table_answers_once_its_readers_are_loaded(layout: str) -> None:
    entries = with_deletions(sample(layout, COUNT))
    table = table_of(entries)
    asked = [*entries, *absent_from(entries)]
    assert ready(table, asked[0]) is NOT_READY
    load(table, asked[0])
    assert [ready(table, key) for key in asked] == list(map(entries.get, asked))


def test_readers_that_were_evicted_are_not_loaded_again() -> None:
    entries, cache = sample("fixed-fixed", COUNT), SegmentCache()
    key = next(iter(entries))
    table = table_of(entries, cache=cache)
    load(table, key)
    assert ready(table, key) == entries[key]
    cache.clear()
    assert ready(table, key) is NOT_READY
    assert (cache.loads, cache.readers_bytes) == (1, 0)


def test_readers_in_use_get_a_second_chance() -> None:
    entries = sample("fixed-fixed", COUNT)
    table = table_of(entries)
    load(table, *entries)
    assert table.readers is not None
    table.readers.used = False
    ready(table, next(iter(entries)))
    assert table.readers.used


def test_blocks_that_are_expanded_are_left_to_a_thread_that_is_alone() -> None:
    entries = sample("variable-variable", COUNT)
    table = table_of(entries, SegmentOptions(Compression.ZSTD))
    load(table, *entries)
    assert {ready(table, key) for key in entries} == {NOT_READY}


def test_damage_is_found() -> None:
    entries = sample("fixed-fixed", COUNT)
    filesystem = empty_filesystem()
    record = write(filesystem, entries, IDENTITY)
    content = bytearray(filesystem.content(IDENTITY.path))
    first, *_, last = entries
    content[content.index(last)] ^= 1
    filesystem.place(IDENTITY.path, bytes(content))
    table = Table.open(filesystem, IDENTITY, record)
    load(table, first)
    with pytest.raises(Corruption):
        ready(table, last)


def test_a_main_asks_the_part_that_can_hold_the_key() -> None:
    main = cut(1, 100, 101, 399)
    asked = [*ENTRIES, *absent_from(ENTRIES)]
    assert {ready(main, key) for key in asked} == {NOT_READY}
    load(main, *asked)
    assert [ready(main, key) for key in asked] == list(map(ENTRIES.get, asked))
    assert ready(EMPTY_LAYER, asked[0]) is None


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_virtual_part_shows_only_what_lies_within(layout: str) -> None:
    linked = SAMPLES[layout]
    bounds = KeyRange(*sorted(linked.entries)[20:100:79])
    table = linked.table(bounds)
    assert table is not None
    load(table, *linked.entries)
    within = linked.within(bounds)
    assert 0 < len(within) < len(linked.entries)
    assert [ready(table, key) for key in linked.entries] == list(map(within.get, linked.entries))


@pytest.fixture
def segment() -> Segment:
    """Three tables; newer ones hide entries of older ones."""
    filesystem = empty_filesystem()
    published(filesystem, OLDEST, MIDDLE, NEWEST)
    return Segment.open(filesystem, STORE, SEGMENT, SegmentCache(MIB))


EXPECTED: dict[bytes, Stored] = {**OLDEST, **MIDDLE, **NEWEST}


def test_a_segment_answers_with_the_newest_layer(segment: Segment) -> None:
    asked = [*EXPECTED, b"absent"]
    assert {ready(segment, key) for key in asked} == {NOT_READY}
    load(segment, *asked)
    asked_before = segment.keys_asked
    assert not segment.was_read
    assert [ready(segment, key) for key in asked] == list(map(EXPECTED.get, asked))
    assert segment.was_read
    assert segment.keys_asked == asked_before


def test_tables_of_a_new_version_are_opened_by_a_thread_that_is_alone(segment: Segment) -> None:
    load(segment, *EXPECTED)
    filesystem, key = segment._filesystem, next(iter(NEWEST))
    record = write(filesystem, {key: b"later"}, Identity(STORE, SEGMENT, 4))  # type: ignore[arg-type]
    manifest = segment.manifest
    newer = replace(manifest, version=manifest.version + 1, table_number_next=5, deltas=(*manifest.deltas, record))
    publish_manifest(filesystem, newer)
    segment.replace(newer)
    assert ready(segment, key) is NOT_READY
    load(segment, key)
    assert ready(segment, key) == b"later"


def test_a_closed_segment_holds_no_table(segment: Segment) -> None:
    load(segment, *EXPECTED)
    segment.close()
    assert ready(segment, next(iter(EXPECTED))) is NOT_READY
    assert not segment._tables._open
