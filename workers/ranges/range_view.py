"""What a scan reads of a range: its layers as they are now, or as they were when they were pinned."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from shardstore.key_range import KeyRange
from shardstore.tables.key_ranges import NO_KEYS, KeyRanges
from shardstore.tables.stretches import KeyMark, KeysAlone, LayerPage, Measure, Ordered, sum_of
from shardstore.tables.table_format import Entries, TableRecord
from shardstore.workers.overlay.pin import DrainedRuns, Pin
from shardstore.workers.ranges.uncleared import uncleared


@dataclass(frozen=True, slots=True)
class RangeView:
    """The layers of a range, oldest first: those of the segment, then those in memory."""

    layers: Sequence[Ordered]

    def sort(self, keys_max: int) -> bool:
        """Sort at most `keys_max` keys of the layers. Returns False if some may be left to sort."""
        for layer in self.layers:
            keys_max -= layer.sort(keys_max)
            if keys_max <= 0:
                return False
        return True


@dataclass(frozen=True, slots=True)
class PinnedRange:
    """The files and the overlay of one range at one moment. `clip`: of a parent, only these keys are read.

    Tables stay readable after their files are removed. `version` is that of the manifest.
    """

    stored: Sequence[Ordered]
    stored_tables: Sequence[tuple[int, TableRecord]]
    version: int
    pin: Pin
    clip: KeyRange | None = None

    def within(self, key_range: KeyRange) -> PinnedRange:
        """A copy that shows only the keys in this range."""
        return replace(self, clip=self.clip.intersection(key_range) if self.clip else key_range)

    def tables(self) -> Iterable[tuple[int, TableRecord]]:
        """The tables of this view, each with the segment in whose directory it is."""
        drained = [layer for layer in self.pin.layers if isinstance(layer, DrainedRuns)]
        return (*self.stored_tables, *((runs.segment, runs.record) for runs in drained if runs.record))

    def layers(self) -> Sequence[tuple[Ordered, KeyRanges]]:
        """The layers, oldest first, each with the keys that it clears in older ones."""
        layers = [*((layer, NO_KEYS) for layer in self.stored), *self.pin.readable()]
        if self.clip is None:
            return layers
        return [(Clipped(layer, self.clip), cleared) for layer, cleared in layers]


@dataclass(frozen=True, slots=True)
class PinnedView:
    """A view that writes, drains and compactions do not change, until it is released.

    `writes`: how many writes had been applied to the range when it was pinned; None if it read its parents then.
    `key_range`: the keys of the range. What a parent clears is in its own range, so it hides nothing of other parents.
    `now_ms`: when it was pinned, by the clock of the worker: it shows what had not expired then.
    """

    ranges: Sequence[PinnedRange]
    writes: int | None
    key_range: KeyRange
    now_ms: int

    @property
    def view(self) -> RangeView:
        """The layers that it shows; tables take the place of runs that were drained since."""
        layers = [layer for pinned in self.ranges for layer in pinned.layers()]
        return RangeView(uncleared(layers, self.key_range))

    @property
    def pins(self) -> list[Pin]:
        """The pin of each overlay."""
        return [pinned.pin for pinned in self.ranges]

    @property
    def moment(self) -> tuple[tuple[Pin, int], ...]:
        """A value that is equal for views that show the same."""
        return tuple([(pinned.pin, pinned.version) for pinned in self.ranges])

    def share(self) -> PinnedView:
        """Count another holder, which has to release the view too. Returns the view."""
        for pinned in self.ranges:
            pinned.pin.holders += 1
        return self

    def release(self) -> None:
        """Count one holder less for each pin of the view."""
        for pinned in self.ranges:
            pinned.pin.release()


@dataclass(frozen=True, slots=True)
class Clipped:
    """The entries of a layer within a range."""

    layer: Ordered
    key_range: KeyRange

    @property
    def may_expire(self) -> bool:
        """Whether some of its values may expire."""
        return self.layer.may_expire

    def sort(self, keys_max: int) -> int:
        """Sort up to `keys_max` more keys, of the whole layer. Returns how many were sorted."""
        return self.layer.sort(keys_max)

    def extent(self, key_range: KeyRange) -> KeyRange | None:
        """A piece of both ranges outside which there is no entry; None if there is no entry at all."""
        wanted = key_range.intersection(self.key_range)
        return self.layer.extent(wanted) if wanted else None

    def marks(self, key_range: KeyRange, reverse: bool, entries_max: int, bytes_max: int) -> Sequence[KeyMark]:
        """Marks inside both ranges, from the near end at least until one of the limits is reached."""
        wanted = key_range.intersection(self.key_range)
        return self.layer.marks(wanted, reverse, entries_max, bytes_max) if wanted else ()

    def columns(self, key_range: KeyRange) -> Sequence[Entries]:
        """All entries in both ranges, as pairs of columns in key order."""
        wanted = key_range.intersection(self.key_range)
        return self.layer.columns(wanted) if wanted else ()

    def page(self, key_range: KeyRange, reverse: bool, entries_max: int, bytes_max: int) -> LayerPage | None:
        """Entries in both ranges from the near end as they are stored; None if they must be decoded."""
        wanted = key_range.intersection(self.key_range)
        return self.layer.page(wanted, reverse, entries_max, bytes_max) if wanted else None

    def living(self, key_range: KeyRange) -> int | None:
        """How many keys have a value in both ranges; None if entries must be read for that."""
        wanted = key_range.intersection(self.key_range)
        return self.layer.living(wanted) if wanted else 0

    def keys_alone(self, key_range: KeyRange, now_ms: int) -> Sequence[KeysAlone]:
        """All keys in both ranges."""
        wanted = key_range.intersection(self.key_range)
        return self.layer.keys_alone(wanted, now_ms) if wanted else ()

    def measure(self, key_range: KeyRange, now_ms: int) -> Measure:
        """About how much lies in both ranges."""
        wanted = key_range.intersection(self.key_range)
        return self.layer.measure(wanted, now_ms) if wanted else sum_of(())
