"""What the caches of tables promise is checked: the check finds each promise that is broken by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from shardstore.tables.block_cache import ABSENT, BlockCache
from shardstore.tables.cache import SegmentCache
from tests.unit.table_samples import sample, table_of


@pytest.fixture
def blocks() -> BlockCache:
    """A ring of 100 bytes with three blocks of 20 bytes."""
    blocks = BlockCache(100)
    begins = np.full(3, ABSENT, dtype=np.int64)
    for block in range(3):
        blocks.place(begins, block, bytes(20))
    return blocks


def move_onto_the_next(blocks: BlockCache) -> None:
    placed = blocks._placed[0]
    blocks._placed[0] = placed._replace(begin=10, end=30)
    placed.begins[placed.block] = 10


BREAKS: dict[str, Callable[[BlockCache], object]] = {
    "bytes of blocks are miscounted": lambda blocks: setattr(blocks, "bytes_held", 0),
    "the newest block does not end at the head": lambda blocks: setattr(blocks, "_head", 1),
    "a block is not where its table says": lambda blocks: blocks._placed[0].begins.fill(ABSENT),
    "blocks overlap": move_onto_the_next,
    "a block lies outside of the ring": lambda blocks: setattr(blocks, "bytes_max", 50),
}
"""What breaks a promise of the cache of blocks, by the words with which the check fails."""


@pytest.mark.parametrize("what", BREAKS)
def test_what_is_broken_in_the_cache_of_blocks_is_found(blocks: BlockCache, what: str) -> None:
    blocks.check_invariants()
    BREAKS[what](blocks)
    with pytest.raises(AssertionError, match=what):
        blocks.check_invariants()


@pytest.mark.parametrize(
    ("field", "what"),
    [("readers_bytes", "bytes of readers are miscounted"), ("readers_bytes_max", "too many readers are held")],
)
def test_what_is_broken_in_the_cache_of_readers_is_found(field: str, what: str) -> None:
    cache = SegmentCache(10**6)
    tables = [table_of(sample("fixed-fixed", 10), cache=cache) for _ in range(2)]
    for table in tables:
        table.get_many([b"x"])
    cache.check_invariants()
    setattr(cache, field, 0)
    with pytest.raises(AssertionError, match=what):
        cache.check_invariants()


def test_the_cache_of_readers_checks_that_of_blocks() -> None:
    cache = SegmentCache()
    cache.blocks.bytes_held = 1
    with pytest.raises(AssertionError, match="bytes of blocks are miscounted"):
        cache.check_invariants()
