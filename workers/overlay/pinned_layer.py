"""The active layer of an overlay as it was at one moment, for the scans that were opened since its last write."""

from __future__ import annotations

from shardstore.key_range import KeyRange
from shardstore.workers.chunk import Chunk
from shardstore.workers.overlay.active_layer import ActiveLayer


class PinnedLayer:
    """`layer` is the active layer itself until that is written to; `holders` counts the scans that still need it."""

    def __init__(self, layer: ActiveLayer) -> None:
        self.layer = layer
        self.holders = 0

    def chunk(self, key_range: KeyRange, reverse: bool, entries_max: int, bytes_max: int) -> Chunk:
        """The first (or last) entries of a range in key order."""
        return self.layer.chunk(key_range, reverse, entries_max, bytes_max)
