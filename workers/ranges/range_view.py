"""What a scan reads of a range: its layers as they are now or, if they were pinned, as they were then."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from shardstore.key_range import KeyRange
from shardstore.tables.stretches import KeyMark, Ordered, Page
from shardstore.tables.table_format import Entries, TableRecord
from shardstore.workers.overlay.pin import DrainedRuns, Pin


@dataclass(frozen=True, slots=True)
class RangeView:
    """Layers from the oldest to the newest: those of the segment, below those in memory."""

    layers: Sequence[Ordered]

    def sort(self, keys_max: int) -> bool:
        """Put layers in order, so many keys at the most. Answers whether all are."""
        for layer in self.layers:
            keys_max -= layer.sort(keys_max)
            if keys_max <= 0:
                return False
        return True


@dataclass(frozen=True, slots=True)
class PinnedRange:
    """Files and overlay of one range at one moment. Of a parent only the keys in `clip` are read.

    Tables stay readable when their files are removed. `version` is that of the manifest.
    """

    stored: Sequence[Ordered]
    stored_tables: Sequence[tuple[int, TableRecord]]
    version: int
    pin: Pin
    clip: KeyRange | None = None

    def within(self, key_range: KeyRange) -> PinnedRange:
        """The same, of the keys in this range only."""
        return replace(self, clip=self.clip.intersection(key_range) if self.clip else key_range)

    def tables(self) -> Iterable[tuple[int, TableRecord]]:
        """The tables that are read, each with the segment in whose directory it is."""
        drained = [layer for layer in self.pin.layers if isinstance(layer, DrainedRuns)]
        return (*self.stored_tables, *((runs.segment, runs.record) for runs in drained if runs.record))

    def layers(self) -> Iterable[Ordered]:
        """From the oldest to the newest."""
        layers = (*self.stored, *self.pin.readable())
        return layers if self.clip is None else [Clipped(layer, self.clip) for layer in layers]


@dataclass(frozen=True, slots=True)
class PinnedView:
    """A view that does not change, whatever is written, drained or compacted, until it is released.

    `writes` had been applied to the range when it was pinned; None for a range that read its parents then.
    """

    ranges: Sequence[PinnedRange]
    writes: int | None

    @property
    def view(self) -> RangeView:
        """What it shows, from where that lies now."""
        return RangeView([layer for pinned in self.ranges for layer in pinned.layers()])

    @property
    def pins(self) -> list[Pin]:
        """What it has pinned of each overlay."""
        return [pinned.pin for pinned in self.ranges]

    @property
    def moment(self) -> tuple[tuple[Pin, int], ...]:
        """The same for all views that show the same."""
        return tuple([(pinned.pin, pinned.version) for pinned in self.ranges])

    def share(self) -> PinnedView:
        """The same for another reader, who releases it too."""
        for pinned in self.ranges:
            pinned.pin.holders += 1
        return self

    def release(self) -> None:
        """One reader less needs it."""
        for pinned in self.ranges:
            pinned.pin.release()


@dataclass(frozen=True, slots=True)
class Clipped:
    """The entries of a layer within a range."""

    layer: Ordered
    key_range: KeyRange

    def sort(self, keys_max: int) -> int:
        """Put so many more keys in order, of the whole layer; answers how many were."""
        return self.layer.sort(keys_max)

    def extent(self, key_range: KeyRange) -> KeyRange | None:
        """The part of both ranges outside of which there is no entry; None when there is none in all of it."""
        wanted = key_range.intersection(self.key_range)
        return self.layer.extent(wanted) if wanted else None

    def marks(self, key_range: KeyRange, reverse: bool, entries_max: int, bytes_max: int) -> Sequence[KeyMark]:
        """Marks inside both ranges from the near end on, at least until one of the bounds is reached."""
        wanted = key_range.intersection(self.key_range)
        return self.layer.marks(wanted, reverse, entries_max, bytes_max) if wanted else ()

    def columns(self, key_range: KeyRange) -> Sequence[Entries]:
        """All entries of both ranges."""
        wanted = key_range.intersection(self.key_range)
        return self.layer.columns(wanted) if wanted else ()

    def page(self, key_range: KeyRange, reverse: bool, entries_max: int, bytes_max: int) -> Page | None:
        """Entries of both ranges from the near end as they are stored; None where they have to be decoded."""
        wanted = key_range.intersection(self.key_range)
        return self.layer.page(wanted, reverse, entries_max, bytes_max) if wanted else None
