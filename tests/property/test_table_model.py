"""A table answers like the dictionary it was written from; the two ways to merge agree with each other and with it."""

from __future__ import annotations

from typing import cast

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shardstore.columns import decode
from shardstore.identifiers import TOMBSTONE, Stored
from shardstore.key_range import KeyRange
from tests.unit.table_samples import table_of
from workers.segment.merge import merge, without_tombstones
from workers.segment.table_format import Entries

keys = st.binary(min_size=1, max_size=5) | st.binary(min_size=1, max_size=20)
values = st.binary(max_size=300) | st.just(TOMBSTONE)
two_letters = st.integers(0, 2**20 - 1).map(lambda number: f"{number:020b}".encode())
"""Keys that often agree in more bytes than are compared at once."""
fixed_keys = st.lists(two_letters, min_size=1, max_size=40) | st.integers(1, 20).flatmap(
    lambda length: st.lists(st.binary(min_size=length, max_size=length), min_size=1)
)
tables = (
    st.dictionaries(keys, values, min_size=1, max_size=60)
    | st.dictionaries(st.binary(min_size=3, max_size=3), st.binary(min_size=2, max_size=2), min_size=1, max_size=700)
    | st.dictionaries(st.binary(min_size=9, max_size=9), values, min_size=1, max_size=60)
).map(lambda entries: cast("dict[bytes, Stored]", dict(sorted(entries.items()))))


@given(tables, st.lists(keys, max_size=30))
def test_points(entries: dict[bytes, Stored], others: list[bytes]) -> None:
    table = table_of(entries)
    asked = [*others, *entries, *others]
    assert table.get_many(asked) == list(map(entries.get, asked))
    assert [table.get_many([key])[0] for key in asked] == list(map(entries.get, asked))


@given(tables, st.binary(max_size=6), st.binary(max_size=6), st.booleans(), st.integers(1, 50), st.integers(1, 5_000))
def test_ranges(
    entries: dict[bytes, Stored], start: bytes, end: bytes, reverse: bool, entries_max: int, bytes_max: int
) -> None:
    key_range = KeyRange(start, end if end > start else b"")
    expected = [(key, value) for key, value in entries.items() if key in key_range]
    table = table_of(entries)
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
        assert decode(page.values.frame, page.values.fixed, page.entries, 0, 1000) == chunk.values


@given(st.lists(fixed_keys, min_size=1, max_size=4), st.data())
def test_both_merges_agree_with_a_dictionary(batches: list[list[bytes]], data: st.DataObject) -> None:
    length = len(batches[0][0])
    prefix = data.draw(st.binary(max_size=12))
    cut = [[prefix + key.ljust(length, b"\0")[:length] for key in batch] for batch in batches]
    number = iter(range(10_000))
    lists = [Entries(batch, [b"%04d" % next(number) for _ in batch]) for batch in cut]
    arrays = [
        Entries(
            np.frombuffer(b"".join(entries.keys), f"V{length + len(prefix)}"),
            np.frombuffer(b"".join(entries.values), "V4"),  # type: ignore[arg-type]
        )
        for entries in lists
    ]
    model: dict[bytes, bytes] = {}
    for entries in lists:
        model.update(zip(entries.keys, entries.values, strict=True))  # type: ignore[arg-type]
    expected = sorted(model.items())
    any_way, fixed_way = merge(lists), merge(arrays)
    assert list(zip(any_way.keys, any_way.values, strict=True)) == expected
    assert isinstance(fixed_way.keys, np.ndarray)
    assert list(zip(fixed_way.keys.tolist(), fixed_way.values.tolist(), strict=True)) == expected  # type: ignore[union-attr]
    assert list(zip(*map(list, merge([lists[0], *arrays[1:]])), strict=True))[-1][1] == expected[-1][1]


@given(tables)
def test_without_tombstones(entries: dict[bytes, Stored]) -> None:
    left = without_tombstones(Entries(list(entries), list(entries.values())))
    expected = [(key, value) for key, value in entries.items() if value is not TOMBSTONE]
    assert list(zip(left.keys, left.values, strict=True)) == expected
