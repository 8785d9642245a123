"""The memory that open segments share: expanded blocks and readers of tables, within one limit in bytes.

Three quarters are for blocks (block_cache.py), and never less than twice the largest block. The rest is for readers
(section_readers.py): those of a table that was not used since the last pass are evicted first (second chance:
F. Corbató, A Paging Experiment with the Multics System). Everything here can be dropped between two lookups and rebuilt
from files.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol
from weakref import ref

from shardstore.limits import EXPANDED_BLOCKS_BYTES_MIN
from shardstore.stats_schema import CacheStats
from shardstore.tables.block_cache import BlockCache
from shardstore.tables.section_readers import SectionReaders


class Holder(Protocol):
    """A table. It owns its readers, so they are freed with it."""

    readers: SectionReaders | None


class SegmentCache:
    """A cache that the tables of any number of segments share.

    Invariants: `readers_bytes` is the sum over the tables whose readers are held, and within its limit unless there is
    only one of them.
    """

    def __init__(self, bytes_max: int = 0) -> None:
        self.blocks = BlockCache(max(bytes_max * 3 // 4, EXPANDED_BLOCKS_BYTES_MIN))
        self.readers_bytes_max = bytes_max // 4
        self.readers_bytes = 0
        self.loads = 0
        """How often the readers of a table were built."""
        self.evictions = 0
        self._held: OrderedDict[int, tuple[ref[Holder], int]] = OrderedDict()

    def hold(self, holder: Holder, readers: SectionReaders) -> SectionReaders:
        """Give a table the readers just built for it, to keep until they are evicted; returns them."""
        number = self.loads = self.loads + 1
        self._held[number] = (ref(holder, lambda _: self._forget(number)), readers.bytes_max)
        self.readers_bytes += readers.bytes_max
        holder.readers = readers
        self._evict_readers()
        return readers

    def statistics(self) -> CacheStats:
        """Return statistics by name: bytes held, block hits and misses by lookup, loads and evictions by table."""
        return {
            "block_bytes": self.blocks.bytes_held,
            "block_bytes_limit": self.blocks.bytes_max,
            "block_hits": self.blocks.hits,
            "block_misses": self.blocks.misses,
            "readers_bytes": self.readers_bytes,
            "readers_bytes_limit": self.readers_bytes_max,
            "readers_loads": self.loads,
            "readers_evictions": self.evictions,
        }

    def clear(self) -> None:
        """Evict everything."""
        self.blocks.clear()
        for number in list(self._held):
            self._evict(number)

    def check_invariants(self) -> None:
        """Raise AssertionError if an invariant of this class, or of the cache of blocks, does not hold."""
        self.blocks.check_invariants()
        assert self.readers_bytes == sum([size for _, size in self._held.values()]), "bytes of readers are miscounted"
        is_bounded = self.readers_bytes <= self.readers_bytes_max or len(self._held) == 1
        assert is_bounded, "too many readers are held"

    def _evict_readers(self) -> None:
        """Evict readers until the rest is within the limit. Used ones get a second chance; the newest always stay."""
        while self.readers_bytes > self.readers_bytes_max and len(self._held) > 1:
            number, (holder, _) = next(iter(self._held.items()))
            readers = self._readers_of(holder)
            if readers is not None and readers.used:
                readers.used = False
                self._held.move_to_end(number)
            else:
                self._evict(number)

    def _evict(self, number: int) -> None:
        holder = self._held[number][0]()
        if holder is not None:
            holder.readers = None
        self._forget(number)
        self.evictions += 1

    def _forget(self, number: int) -> None:
        held = self._held.pop(number, None)
        self.readers_bytes -= held[1] if held else 0

    @staticmethod
    def _readers_of(holder: ref[Holder]) -> SectionReaders | None:
        table = holder()
        return table.readers if table else None
