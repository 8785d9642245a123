"""Expanded blocks of compressed tables, in one ring of memory, so that a batch picks items of many blocks at once.

    | oldest block | ... | newest block | free or about to be overwritten ... |
                                        ^ head

A block is placed at the head; what lies in the way is evicted, oldest first. Only lookups place blocks: a scan
expands blocks for itself, so it evicts nothing. A block may be evicted between any two lookups; it is expanded again
when needed.
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
    """A ring of `bytes_max`; memory is taken as it fills.

    Each table gives its array `begins`: where each of its blocks lies in the ring, or ABSENT. The cache keeps it true.
    """

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self.ring = np.empty(bytes_max, dtype=np.uint8)
        self.bytes_held = 0
        self.hits = 0
        """Lookups in blocks that were here."""
        self.misses = 0
        self._head = 0
        self._placed: deque[_Placed] = deque()

    @property
    def group_bytes_max(self) -> int:
        """So many bytes of blocks are surely held together, if they are placed one after the other."""
        return self.bytes_max // 2

    def place(self, begins: Integers, block: int, content: Buffer) -> None:
        """Keep a block, and note in `begins` where. It is at most `group_bytes_max` long."""
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

    def _evict_up_to(self, end: int) -> None:
        """Evict what lies between the head and here."""
        while self._placed and self._head <= self._placed[0].begin < end:
            self._evict_oldest()

    def _evict_oldest(self) -> None:
        oldest = self._placed.popleft()
        oldest.begins[oldest.block] = ABSENT
        self.bytes_held -= oldest.end - oldest.begin
