"""A table behaves like the dictionary it was written from; the two ways to merge agree with each other and with it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count, cycle
from typing import cast

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shardstore.identifiers import TOMBSTONE, Stored
from shardstore.key_range import EVERYTHING, KeyRange
from shardstore.segment_options import Compression, SegmentOptions
from shardstore.tables.column_items import as_list
from shardstore.tables.merge import merge_entries
from shardstore.tables.table_format import Entries, FixedItems
from shardstore.tables.table_reader import Table
from shardstore.wire.columns import decode
from shardstore.workers.segment.key_prefixes import shared_bytes
from shardstore.workers.segment.tombstones import without_needless_tombstones
from tests.unit.table_samples import prefix_bytes_of, table_of

keys = st.binary(min_size=1, max_size=5) | st.binary(min_size=1, max_size=20)
values = st.binary(max_size=300) | st.just(TOMBSTONE)
two_letters = st.integers(0, 2**20 - 1).map(lambda number: f"{number:020b}".encode())
"""Keys that often share more bytes than are compared at once."""
fixed_keys = st.lists(two_letters, min_size=1, max_size=40) | st.integers(1, 20).flatmap(
    lambda length: st.lists(st.binary(min_size=length, max_size=length), min_size=1)
)
compressions = st.sampled_from(Compression).map(lambda compression: SegmentOptions(compression, block_bytes=1024))
tables = (
    st.dictionaries(keys, values, min_size=1, max_size=60)
    | st.dictionaries(st.binary(min_size=3, max_size=3), st.binary(min_size=2, max_size=2), min_size=1, max_size=700)
    | st.dictionaries(st.binary(min_size=9, max_size=9), values, min_size=1, max_size=60)
).map(lambda entries: cast("dict[bytes, Stored]", dict(sorted(entries.items()))))

prefixes = st.binary(min_size=60, max_size=90)
ends = {
    "fixed": st.lists(st.binary(min_size=3, max_size=3), unique=True, min_size=2, max_size=700),
    "variable": st.lists(st.binary(max_size=6), unique=True, min_size=2, max_size=700),
}
columns = {"fixed": st.binary(min_size=4, max_size=4), "variable": st.binary(max_size=9)}


@st.composite
def prefixed_tables(draw: st.DrawFn) -> dict[bytes, Stored]:
    """Tables of all four layouts whose keys share so much that each block of two or more stores a prefix once."""
    prefix = draw(prefixes)
    listed = sorted(prefix + end for end in draw(ends[draw(st.sampled_from(("fixed", "variable")))]))
    value = columns[draw(st.sampled_from(("fixed", "variable")))]
    some = draw(st.lists(value, min_size=1, max_size=20))
    return dict(zip(listed, cycle(some)))


@given(
    prefixed_tables(), st.binary(max_size=4), st.booleans(), st.integers(1, 400), st.integers(1, 9_000), compressions
)
def test_keys_that_share_a_prefix(
    entries: dict[bytes, Stored],
    end: bytes,
    reverse: bool,
    entries_max: int,
    bytes_max: int,
    options: SegmentOptions,
) -> None:
    table = table_of(entries, options)
    check_prefixes(table, list(entries))
    some = list(entries)[:: max(1, len(entries) // 50)]
    check_points(table, entries, [key + end for key in some])
    start = some[len(some) // 2] + end
    for key_range in (KeyRange(start), KeyRange(b"", start), EVERYTHING):
        check_range(table, entries, key_range, reverse, entries_max, bytes_max)


def check_prefixes(table: Table, listed: list[bytes]) -> None:
    """Every block of two or more keys stores once exactly the prefix that all of them share."""
    begins = [listed.index(first_key) for first_key, *_ in table.blocks()]
    for prefix_bytes, first, last in zip(prefix_bytes_of(table), begins, [*begins[1:], len(listed)], strict=True):
        assert prefix_bytes == (shared_bytes(listed[first], listed[last - 1]) if last - first > 1 else 0)


@given(tables, st.lists(keys, max_size=30), compressions)
def test_points(entries: dict[bytes, Stored], others: list[bytes], options: SegmentOptions) -> None:
    check_points(table_of(entries, options), entries, others)


def check_points(table: Table, entries: dict[bytes, Stored], others: list[bytes]) -> None:
    asked = [*others, *entries, *others]
    assert table.get_many(asked) == list(map(entries.get, asked))
    assert [table.get_many([key])[0] for key in asked] == list(map(entries.get, asked))


@given(
    tables,
    st.binary(max_size=6),
    st.binary(max_size=6),
    st.booleans(),
    st.integers(1, 50),
    st.integers(1, 5_000),
    compressions,
)
def test_ranges(
    entries: dict[bytes, Stored],
    start: bytes,
    end: bytes,
    reverse: bool,
    entries_max: int,
    bytes_max: int,
    options: SegmentOptions,
) -> None:
    key_range = KeyRange(start, end if end > start else b"")
    check_range(table_of(entries, options), entries, key_range, reverse, entries_max, bytes_max)


def check_range(
    table: Table, entries: dict[bytes, Stored], key_range: KeyRange, reverse: bool, entries_max: int, bytes_max: int
) -> None:
    expected = [(key, value) for key, value in entries.items() if key in key_range]
    chunk = table.chunk(key_range, reverse, entries_max, bytes_max)
    count = len(chunk.keys)
    near = expected[len(expected) - count :] if reverse else expected[:count]
    assert list(zip(chunk.keys, chunk.values, strict=True)) == near
    assert min(1, len(expected)) <= count <= entries_max
    assert chunk.exhausted == (count == len(expected))
    page = table.page(key_range, reverse, entries_max, bytes_max)
    assert (page is None) == (TOMBSTONE in entries.values())
    if page is not None and page.entries:
        assert decode(page.keys.frame, page.keys.fixed, page.entries, 1, 100) == chunk.keys
        assert decode(*page.values(), page.entries, 0, 1000) == chunk.values


@given(st.lists(fixed_keys, min_size=1, max_size=4), st.binary(max_size=12), st.sets(st.integers(0, 50)))
def test_all_merges_agree_with_a_dictionary(batches: list[list[bytes]], prefix: bytes, deletions: set[int]) -> None:
    length = len(batches[0][0])
    number = count()
    sources = []
    for batch in batches:
        keys_of_batch = [prefix + key.ljust(length, b"\0")[:length] for key in batch]
        sources.append((keys_of_batch, [b"%04d" % next(number) for _ in keys_of_batch]))
    with_deletions: list[tuple[list[bytes], list[Stored]]] = [
        (items, [TOMBSTONE if place in deletions else value for place, value in enumerate(column)])
        for items, column in sources
    ]
    as_fixed = [Entries(array_of(items), array_of(column)) for items, column in sources]
    as_mixed = [Entries(array_of(items), column) for items, column in with_deletions]
    as_any = [Entries(items, column) for items, column in with_deletions]
    assert pairs(merge_entries(as_fixed)) == model(sources)
    assert pairs(merge_entries(as_mixed)) == pairs(merge_entries(as_any)) == model(with_deletions)
    assert pairs(merge_entries([*as_any, *as_fixed, *as_mixed])) == model([*with_deletions, *sources, *with_deletions])
    alive = [(key, value) for key, value in model(with_deletions) if value is not TOMBSTONE]
    assert pairs(alive_of(as_mixed)) == pairs(alive_of(as_any)) == alive


def alive_of(sources: Sequence[Entries]) -> Entries:
    return without_needless_tombstones(merge_entries(sources), [])


def array_of(items: list[bytes]) -> FixedItems:
    return np.frombuffer(b"".join(items), f"V{len(items[0])}")


def pairs(entries: Entries) -> list[tuple[object, object]]:
    return list(zip(as_list(entries.keys), as_list(entries.values), strict=True))


def model(sources: Sequence[tuple[list[bytes], Sequence[Stored]]]) -> list[tuple[bytes, Stored]]:
    entries: dict[bytes, Stored] = {}
    for items, column in sources:
        entries.update(zip(items, column, strict=True))
    return sorted(entries.items())


@given(tables)
def test_without_tombstones(entries: dict[bytes, Stored]) -> None:
    left = without_needless_tombstones(Entries(list(entries), list(entries.values())), [])
    expected = [(key, value) for key, value in entries.items() if value is not TOMBSTONE]
    assert list(zip(left.keys, left.values, strict=True)) == expected
