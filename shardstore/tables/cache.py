"""What a worker keeps in memory of its segments: expanded blocks and the parts of tables, bounded in bytes together.

Three quarters are for blocks (block_cache.py), but room for the largest in any case. The rest is for parts: those of a
table that was not used since the last look go first (second chance: F. Corbató, A Paging Experiment with the Multics
System). Nothing kept here is needed: any of it can be dropped between two lookups and is made again from the file.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol
from weakref import ref

from shardstore.limits import EXPANDED_BLOCKS_BYTES_MIN
from shardstore.stats_schema import CacheStats
from shardstore.tables.block_cache import BlockCache
from shardstore.tables.table_parts import TableParts


class Holder(Protocol):
    """A table: it holds its parts, so that they go with it."""

    parts: TableParts | None


class SegmentCache:
    """The cache of one worker."""

    def __init__(self, bytes_max: int = 0) -> None:
        self.blocks = BlockCache(max(bytes_max * 3 // 4, EXPANDED_BLOCKS_BYTES_MIN))
        self.parts_bytes_max = bytes_max // 4
        self.parts_bytes = 0
        self.loads = 0
        """How often the parts of a table were made."""
        self.evictions = 0
        self._held: OrderedDict[int, tuple[ref[Holder], int]] = OrderedDict()

    def hold(self, holder: Holder, parts: TableParts) -> TableParts:
        """Let a table keep its parts, which it has just made, until they are evicted."""
        number = self.loads = self.loads + 1
        self._held[number] = (ref(holder, lambda _: self._forget(number)), parts.bytes)
        self.parts_bytes += parts.bytes
        holder.parts = parts
        self._evict_parts()
        return parts

    def figures(self) -> CacheStats:
        """What is held, in bytes, and how often it helped: for blocks by lookups, for parts by tables."""
        return {
            "block_bytes": self.blocks.bytes_held,
            "block_bytes_limit": self.blocks.bytes_max,
            "block_hits": self.blocks.hits,
            "block_misses": self.blocks.misses,
            "parts_bytes": self.parts_bytes,
            "parts_bytes_limit": self.parts_bytes_max,
            "parts_loads": self.loads,
            "parts_evictions": self.evictions,
        }

    def clear(self) -> None:
        """Evict everything."""
        self.blocks.clear()
        for number in list(self._held):
            self._evict(number)

    def _evict_parts(self) -> None:
        """Evict until the rest is within bounds; what was used gets a second chance, the newest stays."""
        while self.parts_bytes > self.parts_bytes_max and len(self._held) > 1:
            number, (holder, _) = next(iter(self._held.items()))
            parts = self._parts_of(holder)
            if parts is not None and parts.used:
                parts.used = False
                self._held.move_to_end(number)
            else:
                self._evict(number)

    def _evict(self, number: int) -> None:
        holder = self._held[number][0]()
        if holder is not None:
            holder.parts = None
        self._forget(number)
        self.evictions += 1

    def _forget(self, number: int) -> None:
        held = self._held.pop(number, None)
        self.parts_bytes -= held[1] if held else 0

    @staticmethod
    def _parts_of(holder: ref[Holder]) -> TableParts | None:
        table = holder()
        return table.parts if table else None
