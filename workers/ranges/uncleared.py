"""What range deletions leave of the layers below them.

    newest  [ active ]  cleared:   [a ----- c)
            [  run   ]  is shown:  ....     ........       entries of a to c are hidden
    oldest  [ table  ]  is shown:  ....     ........

A layer clears ranges of keys: that hides every older layer there, and lies under the layer's own entries. Nothing of
what is hidden is read, counted or marked. So a scan steps over it at once, however many entries it has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from shardstore.key_range import KeyRange
from shardstore.limits import BLOCK_ENTRIES
from shardstore.tables.key_ranges import NO_KEYS, KeyRanges
from shardstore.tables.stretches import KeyMark, KeysAlone, LayerPage, Measure, Ordered, sum_of
from shardstore.tables.table_format import Entries


def uncleared(oldest_to_newest: Sequence[tuple[Ordered, KeyRanges]], wanted: KeyRange) -> list[Ordered]:
    """The layers of a range with these keys, each without what newer layers clear. One that shows nothing is left out.

    Each comes with the keys that it clears itself.
    """
    cleared = NO_KEYS
    newest_first: list[Ordered] = []
    for layer, clears in reversed(oldest_to_newest):
        if not cleared:
            newest_first.append(layer)
        elif not cleared.holds_all_of(wanted):
            newest_first.append(Uncleared(layer, cleared))
        cleared = cleared.union(clears)
    return newest_first[::-1]


@dataclass(frozen=True, slots=True)
class Uncleared:
    """The entries of a layer that are not cleared."""

    layer: Ordered
    cleared: KeyRanges

    @property
    def may_expire(self) -> bool:
        """Whether some of its values may expire."""
        return self.layer.may_expire

    def sort(self, keys_max: int) -> int:
        """Sort up to `keys_max` more keys, of the whole layer. Returns how many were sorted."""
        return self.layer.sort(keys_max)

    def extent(self, key_range: KeyRange) -> KeyRange | None:
        """A piece of the range outside which there is no entry; None if no entry shows in the whole range."""
        first = next(self._extents(key_range, False), None)
        last = next(self._extents(key_range, True), None)
        return KeyRange(first[1].start, last[1].end) if first and last else None

    def marks(self, key_range: KeyRange, reverse: bool, entries_max: int, bytes_max: int) -> Sequence[KeyMark]:
        """Marks inside the range, from its near end at least until one of the limits is reached.

        One stands between two shown pieces: the entries behind the last mark of a piece are taken for a block.
        """
        marks: list[KeyMark] = []
        before: KeyRange | None = None
        for piece, _ in self._extents(key_range, reverse):
            if before is not None:
                marks.append(KeyMark(before.start if reverse else piece.start, BLOCK_ENTRIES, 0))
            before = piece
            marks += self.layer.marks(piece, reverse, entries_max, bytes_max)
            if sum([mark.entries for mark in marks]) >= entries_max or sum([mark.bytes for mark in marks]) >= bytes_max:
                break
        return marks

    def columns(self, key_range: KeyRange) -> Sequence[Entries]:
        """All entries that show in the range, with separate columns for each piece."""
        return [columns for piece, _ in self._extents(key_range, False) for columns in self.layer.columns(piece)]

    def page(self, key_range: KeyRange, reverse: bool, entries_max: int, bytes_max: int) -> LayerPage | None:
        """Entries of one piece from the near end as they are stored; None if they must be decoded."""
        pieces = [piece for piece, _ in self._extents(key_range, reverse)]
        page: LayerPage | None = None
        for piece in pieces:
            page = self.layer.page(piece, reverse, entries_max, bytes_max)
            if page is None:
                return None
            if page.entries:
                return replace(page, exhausted=page.exhausted and piece is pieces[-1])
        return page

    def living(self, key_range: KeyRange) -> int | None:
        """How many of the shown keys have a value; None if entries must be read for that."""
        counts = [self.layer.living(piece) for piece, _ in self._extents(key_range, False)]
        return None if None in counts else sum(filter(None, counts))

    def keys_alone(self, key_range: KeyRange, now_ms: int) -> Sequence[KeysAlone]:
        """All keys that show in the range, separately for each piece."""
        pieces = self._extents(key_range, False)
        return [keys for piece, _ in pieces for keys in self.layer.keys_alone(piece, now_ms)]

    def measure(self, key_range: KeyRange, now_ms: int) -> Measure:
        """About how much shows in the range: no more than the whole layer has there."""
        shown = sum_of(self.layer.measure(piece, now_ms) for piece in self.cleared.outside(key_range))
        whole = self.layer.measure(key_range, now_ms)
        return shown._replace(
            entries_max=min(shown.entries_max, whole.entries_max), bytes=min(shown.bytes, whole.bytes)
        )

    def _extents(self, key_range: KeyRange, reverse: bool) -> Iterator[tuple[KeyRange, KeyRange]]:
        """The pieces of the range that show, from the near end, each with the extent of the layer in it, if any."""
        for piece in self.cleared.outside(key_range, reverse):
            extent = self.layer.extent(piece)
            if extent is not None:
                yield piece, extent
