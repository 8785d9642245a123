"""The memory that open segments share: expanded blocks and table parts, within one limit in bytes.

Three quarters are for blocks (block_cache.py), and never less than twice the largest block. The rest is for table parts
(table_parts.py): those of a table that was not used since the last pass are evicted first (second chance: F. Corbató, A
Paging Experiment with the Multics System). Everything here can be dropped between two lookups and rebuilt from files.
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
    """A table. It owns its parts, so they are freed with it."""

    parts: TableParts | None


class SegmentCache:
    """A cache that the tables of any number of segments share."""

    def __init__(self, bytes_max: int = 0) -> None:
        self.blocks = BlockCache(max(bytes_max * 3 // 4, EXPANDED_BLOCKS_BYTES_MIN))
        self.parts_bytes_max = bytes_max // 4
        self.parts_bytes = 0
        self.loads = 0
        """How often the parts of a table were built."""
        self.evictions = 0
        self._held: OrderedDict[int, tuple[ref[Holder], int]] = OrderedDict()

    def hold(self, holder: Holder, parts: TableParts) -> TableParts:
        """Give a table the parts just built for it, to keep until they are evicted; returns them."""
        number = self.loads = self.loads + 1
        self._held[number] = (ref(holder, lambda _: self._forget(number)), parts.bytes)
        self.parts_bytes += parts.bytes
        holder.parts = parts
        self._evict_parts()
        return parts

    def statistics(self) -> CacheStats:
        """Return statistics by name: bytes held, block hits and misses by lookup, loads and evictions by table."""
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
        """Evict parts until the rest is within the limit. Used parts get a second chance; the newest always stay."""
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
