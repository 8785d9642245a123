"""The cache of tables: bounded, released with the table, and evicted at any moment without wrong results."""

from __future__ import annotations

import pytest

from shardstore.identifiers import Stored
from shardstore.key_range import EVERYTHING
from shardstore.limits import BLOCK_ENTRIES
from shardstore.segment_options import Compression, SegmentOptions
from shardstore.tables.block_cache import BlockCache
from shardstore.tables.cache import SegmentCache
from tests.unit.table_samples import LAYOUTS, absent_from, sample, table_of

ZSTD = SegmentOptions(Compression.ZSTD)
COUNT = 4 * BLOCK_ENTRIES


def small_cache() -> SegmentCache:
    cache = SegmentCache()
    cache.blocks = BlockCache(20_000)
    return cache


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("compression", Compression)
def test_a_batch_of_more_blocks_than_the_cache_holds_is_answered(layout: str, compression: Compression) -> None:
    entries = sample(layout, COUNT)
    cache = small_cache()
    table = table_of(entries, SegmentOptions(compression), cache)
    asked = [*entries, *reversed(entries), *absent_from(entries)]
    assert table.get_many(asked) == list(map(entries.get, asked))
    assert cache.blocks.bytes_held <= 20_000
    assert (cache.blocks.misses > 0) == (compression is not Compression.NONE)


@pytest.mark.parametrize("compression", Compression)
def test_everything_may_be_evicted_between_any_two_calls(compression: Compression) -> None:
    entries = sample("variable-fixed", COUNT)
    cache = SegmentCache()
    table = table_of(entries, SegmentOptions(compression), cache)
    keys = list(entries)
    for at in range(0, COUNT, 100):
        assert table.get_many(keys[at : at + 100]) == list(map(entries.get, keys[at : at + 100]))
        cache.check_invariants()
        cache.clear()
        cache.check_invariants()
        assert (cache.readers_bytes, cache.blocks.bytes_held) == (0, 0)
        assert table.get_many(keys[at : at + 1]) == [entries[keys[at]]]
        assert table.chunk(EVERYTHING, False, 10, 10).keys == keys[:10]


def test_a_scan_evicts_nothing_and_places_nothing() -> None:
    entries = sample("fixed-fixed", COUNT)
    cache = SegmentCache()
    table = table_of(entries, ZSTD, cache)
    table.get_many(list(entries)[:1])
    held = cache.blocks.bytes_held
    assert held
    page = table.page(EVERYTHING, False, COUNT, 1 << 30)
    assert page is not None
    assert page.entries == COUNT
    assert (cache.blocks.bytes_held, cache.blocks.misses) == (held, 1)


def test_a_block_is_expanded_once_while_it_is_held() -> None:
    entries = sample("fixed-fixed", COUNT)
    cache = SegmentCache()
    table = table_of(entries, ZSTD, cache)
    for _ in range(3):
        assert table.get_many(list(entries)) == list(entries.values())
    assert (cache.blocks.misses, cache.blocks.hits) == (COUNT, 2 * COUNT)


def test_readers_of_the_tables_used_least_go_first() -> None:
    cache = SegmentCache()
    tables = [table_of(sample("fixed-fixed", 10), cache=cache) for _ in range(50)]
    read(tables[0])
    cache.readers_bytes_max = 4 * cache.readers_bytes
    for table in tables[1:]:
        read(table)
        read(tables[0])
        cache.check_invariants()
        assert cache.readers_bytes <= cache.readers_bytes_max
    assert sum(table.readers is not None for table in tables) == 4
    assert cache.evictions == cache.loads - 4
    assert cache.loads < 70, "the table that is always used is hardly ever evicted"


def test_the_readers_of_a_dropped_table_are_forgotten() -> None:
    cache = SegmentCache()
    table = table_of({b"a": b"1"}, cache=cache)
    read(table)
    assert cache.readers_bytes > 0
    del table
    cache.check_invariants()
    assert cache.readers_bytes == 0


def read(table: object) -> None:
    found: list[Stored | None] = table.get_many([b"x"])  # type: ignore[attr-defined]
    assert found == [None]
