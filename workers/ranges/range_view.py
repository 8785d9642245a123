"""What a scan reads of a range: its layers as they are now or, if they were pinned, as they were then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shardstore.key_range import KeyRange
from shardstore.workers.chunk import Chunk, Ordered, merge
from shardstore.workers.overlay.immutable_run import ImmutableRun
from shardstore.workers.overlay.pinned_layer import PinnedLayer
from shardstore.workers.segment.segment import StoredLayer
from shardstore.workers.segment.table_format import TableRecord


@dataclass(frozen=True, slots=True)
class RangeView:
    """Layers from the oldest to the newest: those of the segment, below those in memory.

    `alone` is the layer of the segment that answers alone, if there is one. Tables stay readable when their files are
    removed.
    """

    stored: Sequence[Ordered]
    buffered: Sequence[Ordered]
    alone: StoredLayer | None

    def chunk(self, key_range: KeyRange, reverse: bool, entries_max: int, bytes_max: int) -> Chunk:
        """The first (or last) entries of a part of the range, all layers merged, tombstones included."""
        layers = (*self.stored, *self.buffered)
        return merge([layer.chunk(key_range, reverse, entries_max, bytes_max) for layer in layers], reverse, bytes_max)


@dataclass(frozen=True, slots=True)
class PinnedView:
    """A view that does not change, whatever is written, drained or compacted, until it is released.

    `tables` are the files that it reads, each with the segment in whose directory it was; `buffered` what it holds in
    memory.
    """

    view: RangeView
    buffered: Sequence[ImmutableRun | PinnedLayer]
    tables: Sequence[tuple[int, TableRecord]]

    def release(self) -> None:
        """Nobody reads it any more."""
        for layer in self.buffered:
            if isinstance(layer, PinnedLayer):
                layer.holders -= 1
