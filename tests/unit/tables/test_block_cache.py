"""The ring of expanded blocks: each block lies where the arrays say, until a newer one needs its room."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shardstore.tables.block_cache import ABSENT, BlockCache
from shardstore.tables.table_format import Integers

RING = 100


def absent(blocks: int) -> Integers:
    return np.full(blocks, ABSENT, dtype=np.int64)


def content(block: int, size: int) -> bytes:
    return bytes([block % 256]) * size


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 19), st.integers(1, RING // 2)), max_size=60))
def test_blocks_lie_where_the_arrays_say(placings: list[tuple[int, int, int]]) -> None:
    cache = BlockCache(RING)
    tables = [absent(20), absent(20)]
    sizes: dict[tuple[int, int], int] = {}
    for table, block, size in placings:
        if tables[table][block] == ABSENT:
            cache.place(tables[table], block, content(block + 100 * table, size))
            sizes[table, block] = size
            assert tables[table][block] != ABSENT
            cache.check_invariants()
        held = {place: size for place, size in sizes.items() if tables[place[0]][place[1]] != ABSENT}
        for (at, number), held_size in held.items():
            begin = tables[at][number]
            assert bytes(cache.ring[begin : begin + held_size]) == content(number + 100 * at, held_size)
        assert cache.bytes_held == sum(held.values()) <= RING


def test_the_newest_half_of_the_ring_is_held_together() -> None:
    cache = BlockCache(RING)
    begins = absent(40)
    for block in range(40):
        cache.place(begins, block, content(block, 10))
        assert (begins[max(0, block - 4) : block + 1] != ABSENT).all()


def test_clearing_evicts_everything() -> None:
    cache = BlockCache(RING)
    begins = absent(3)
    for block in range(3):
        cache.place(begins, block, content(block, 20))
    cache.clear()
    cache.check_invariants()
    assert (begins == ABSENT).all()
    assert cache.bytes_held == 0
    cache.place(begins, 2, content(2, 20))
    assert begins.tolist() == [ABSENT, ABSENT, 0]
