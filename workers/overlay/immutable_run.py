"""A sealed active layer (an immutable memtable): read-only, in memory, its records still in the log.

A run is `due` when it should be drained. A run that was only set aside for open scans is not due: it waits for the next
drain of its range.
"""

from __future__ import annotations

from collections.abc import Sequence

from shardstore.identifiers import Stored
from shardstore.workers.overlay.active_layer import ActiveLayer


class ImmutableRun:
    """The writes of one range with LSNs from `lsn_first` to `lsn_last`, both included."""

    def __init__(self, layer: ActiveLayer, lsn_last: int, due: bool) -> None:
        self.layer = layer
        self.due = due
        self.size_bytes = layer.size_bytes
        self.lsn_first = layer.lsn_first
        self.lsn_last = lsn_last

    def __len__(self) -> int:
        return len(self.layer)

    def __bool__(self) -> bool:
        """Always true: a run is there until its drain, even if it has no entry."""
        return True

    def get_many(self, keys: Sequence[bytes]) -> list[Stored | None]:
        """The value or tombstone of each key; None where the run has neither. A cleared key has a tombstone."""
        return self.layer.get_many(keys)
