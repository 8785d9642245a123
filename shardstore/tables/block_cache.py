"""A cache of expanded blocks, in one ring of memory, so that a batch can pick items from many blocks at once.

    | oldest block | ... | newest block | free or about to be overwritten ... |
                                        ^ head

A new block is placed at the head and evicts the blocks it overwrites, oldest first. Only lookups place blocks: a scan
expands blocks for itself and evicts nothing. A block may be evicted between any two lookups; the next lookup that
needs it expands it again.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np

from shardstore.identifiers import Buffer
from shardstore.tables.table_format import Integers

ABSENT = -1


class _Placed(NamedTuple):
    begin: int
    end: int
    begins: Integers
    block: int


class BlockCache:
    """A ring of `bytes_max` bytes; it takes up memory only as it fills.

    Each table passes an array `begins`: the offset of each of its blocks in the ring, or ABSENT. The cache updates it.

    Invariants: blocks lie in the ring without overlap, each where its table says; the newest ends at the head;
    `bytes_held` is the sum of their sizes.
    """

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self.ring = np.empty(bytes_max, dtype=np.uint8)
        self.bytes_held = 0
        self.hits = 0
        """Lookups whose block was in the cache."""
        self.misses = 0
        self._head = 0
        self._placed: deque[_Placed] = deque()

    @property
    def group_bytes_max(self) -> int:
        """Blocks of up to this many bytes in total, placed one after the other, never evict each other."""
        return self.bytes_max // 2

    def place(self, begins: Integers, block: int, content: Buffer) -> None:
        """Store a block and set its offset in `begins`. A block has at most `group_bytes_max` bytes."""
        size = len(content)
        if self._head + size > self.bytes_max:
            self._evict_up_to(self.bytes_max)
            self._head = 0
        end = self._head + size
        self._evict_up_to(end)
        self.ring[self._head : end] = np.frombuffer(content, dtype=np.uint8)
        begins[block] = self._head
        self._placed.append(_Placed(self._head, end, begins, block))
        self._head = end
        self.bytes_held += size

    def clear(self) -> None:
        """Evict everything."""
        while self._placed:
            self._evict_oldest()
        self._head = 0

    def check_invariants(self) -> None:
        """Raise AssertionError if an invariant of this class does not hold."""
        placed = self._placed
        assert self.bytes_held == sum([each.end - each.begin for each in placed]), "bytes of blocks are miscounted"
        assert self._head == (placed[-1].end if placed else 0), "the newest block does not end at the head"
        assert all(each.begins[each.block] == each.begin for each in placed), "a block is not where its table says"
        edges = [edge for begin, end in sorted([each[:2] for each in placed]) for edge in (begin, end)]
        assert edges == sorted(edges), "blocks overlap"
        assert not edges or edges[-1] <= self.bytes_max, "a block lies outside of the ring"

    def _evict_up_to(self, end: int) -> None:
        """Evict the blocks between the head and `end`."""
        while self._placed and self._head <= self._placed[0].begin < end:
            self._evict_oldest()

    def _evict_oldest(self) -> None:
        oldest = self._placed.popleft()
        oldest.begins[oldest.block] = ABSENT
        self.bytes_held -= oldest.end - oldest.begin
