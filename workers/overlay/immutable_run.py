"""A sealed active layer: read-only, in memory, still covered by the WAL.

A run is `due` when a drain is wanted for it. One that was only set aside for open scans is not: it waits for the next
drain of its range.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from functools import cached_property

from shardstore.identifiers import Stored
from shardstore.key_range import KeyRange
from shardstore.workers.chunk import Chunk
from shardstore.workers.overlay.active_layer import ActiveLayer, chunk_of


class ImmutableRun:
    """Writes of one range with LSNs in [lsn_first, lsn_last]."""

    def __init__(self, layer: ActiveLayer, lsn_last: int, due: bool) -> None:
        self.layer = layer
        self.due = due
        self._entries = layer.entries
        self.size_bytes = layer.size_bytes
        self.lsn_first = layer.lsn_first
        self.lsn_last = lsn_last

    def __len__(self) -> int:
        return len(self._entries)

    def get_many(self, keys: Sequence[bytes]) -> list[Stored | None]:
        """What is held for each key; None for nothing."""
        return list(map(self._entries.get, keys))

    def chunk(self, key_range: KeyRange, reverse: bool, entries_max: int, bytes_max: int) -> Chunk:
        """The first (or last) entries of a range in key order."""
        first = bisect_left(self._ordered, key_range.start)
        last = bisect_left(self._ordered, key_range.end) if key_range.end else len(self._ordered)
        return chunk_of(self._entries, self._ordered, first, last, reverse, entries_max, bytes_max)

    @cached_property
    def _ordered(self) -> list[bytes]:
        return list(self.layer.ordered())
