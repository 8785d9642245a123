"""A sealed active layer: read-only, in memory, still covered by the WAL.

A run is `due` when a drain is wanted for it. One that was only set aside for open scans is not: it waits for the next
drain of its range.
"""

from __future__ import annotations

from collections.abc import Sequence

from shardstore.identifiers import Stored
from shardstore.workers.overlay.active_layer import ActiveLayer


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
