"""The entries of a layer in key order, made a slice at a time, so that nobody has to wait for the whole.

What was added since the last look is sorted in batches; each batch is a piece, and small neighbours become one.
Keys that come in order make one piece. Readers take what they want of each piece and merge that.

Readers want a few entries of every piece, and those lie all over the memory: to touch a key or a value costs more than
all else. So a piece has the values beside the keys, taken in the order in which they were written, and of short items
of one length copies in one place. Once a key was written again the pieces may have values of yesterday: from then on
each is looked up.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Reversible, Sequence
from itertools import islice
from typing import NamedTuple, TypeAlias, TypeVar

from shardstore.identifiers import Stored
from shardstore.key_range import KeyRange
from shardstore.workers.segment.column_writer import as_array, as_list, stride_of_items
from shardstore.workers.segment.merge import places_in_order
from shardstore.workers.segment.table_format import Entries, Integers
from shardstore.workers.stretches import Mark

PIECE_KEYS_MAX = 6_144
"""Pieces that overlap do not grow beyond this: to merge two of them takes two to three milliseconds."""
COPIED_ITEM_BYTES_MAX = 32
"""Longer items are not copied."""
MARKS_PER_STRETCH = 16
MARKS_PER_STRETCH_MIN = 8
"""Of each piece. With many pieces fewer of each are enough."""
MARKS_IN_ALL = 128
PLACES_KEPT = 8
_Item = TypeVar("_Item")


class _Piece(NamedTuple):
    """Keys in order, and what readers get: `columns` of the keys and, beside them, what was stored for each."""

    keys: list[bytes]
    columns: Entries

    def append(self, later: _Piece) -> bool:
        """Take what comes behind the last key. False when it does not, or when there are copies."""
        values, later_values = self.columns.values, later.columns.values
        is_behind = later.keys[0] > self.keys[-1]
        if not is_behind or self.columns.keys is not self.keys or later.columns.keys is not later.keys:
            return False
        if not isinstance(values, list) or not isinstance(later_values, list):
            return False
        self.keys.extend(later.keys)
        values.extend(later_values)
        return True

    def copy(self) -> _Piece:
        """One that may be appended to."""
        keys, columns = self.keys.copy(), self.columns
        return _Piece(keys, Entries(keys if columns.keys is self.keys else columns.keys, columns.values[:]))


class _Unsorted:
    """The entries of a dict, which only gains keys, from the one at place `first` to the one before `end`."""

    def __init__(self, entries: dict[bytes, Stored], first: int, end: int) -> None:
        self._entries = entries
        self.first = first
        self.end = end
        self._keys: Iterator[bytes] = iter(())
        self._values: Iterator[Stored] = iter(())
        self._size = 0

    def __len__(self) -> int:
        return self.end - self.first

    def take_oldest(self, count: int) -> tuple[list[bytes], list[Stored]]:
        """Keys and values of the first of them, so many at the most; they do not count any more."""
        if self._size != len(self._entries):  # a dict that has grown ends its iterators
            self._size = len(self._entries)
            self._keys, self._values = self._rest_of(self._entries), self._rest_of(self._entries.values())
        count = min(count, len(self))
        self.first += count
        return list(islice(self._keys, count)), list(islice(self._values, count))

    def _rest_of(self, items: Reversible[_Item]) -> Iterator[_Item]:
        """From `first` on, found from the end that is nearer."""
        behind = self._size - self.first
        if behind > self.first:
            return islice(items, self.first, None)
        return iter(list(islice(reversed(items), behind))[::-1])


_Cut: TypeAlias = tuple[_Piece, int, int]


class SortedEntries:
    """Over `entries`, which only ever gain keys, at their end.

    Invariant: the pieces and `_unsorted` hold the first `_known` entries, each once.
    """

    def __init__(self, entries: dict[bytes, Stored]) -> None:
        self._entries = entries
        self._known = 0
        self._unsorted = _Unsorted(entries, 0, 0)
        self._pieces: list[_Piece] = []
        self._values_are_old = False
        self._places: dict[bytes, list[int]] = {}
        """How many keys of each piece lie before a key, for the latest that was asked for: a page begins with one of
        the page before."""
        self._cuts_of: KeyRange | None = None
        self._latest_cuts: Sequence[_Cut] = ()

    def copy(self, entries: dict[bytes, Stored]) -> SortedEntries:
        """The same order over a copy of the entries."""
        twin = SortedEntries(entries)
        twin._known, twin._values_are_old = self._known, self._values_are_old
        twin._unsorted = _Unsorted(entries, self._unsorted.first, self._unsorted.end)
        twin._pieces = [piece.copy() for piece in self._pieces]
        return twin

    def note_overwritten(self) -> None:
        """A key that was there has another value now."""
        self._values_are_old = self._known > 0

    def sort(self, keys_max: int) -> int:
        """Put so many more keys in order. Answers how many were."""
        sorted_now = 0
        while sorted_now < keys_max and (len(self._unsorted) or self._known < len(self._entries)):
            if not len(self._unsorted):
                self._unsorted = _Unsorted(self._entries, self._known, len(self._entries))
                self._known = len(self._entries)
            keys, values = self._unsorted.take_oldest(keys_max - sorted_now)
            self._add(_in_order(keys, values))
            sorted_now += len(keys)
        return sorted_now

    def extent(self, key_range: KeyRange) -> KeyRange | None:
        """From the first key in the range to the last one there."""
        cuts = self._cuts(key_range)
        if not cuts:
            return None
        first = min(piece.keys[low] for piece, low, _ in cuts)
        last = max(piece.keys[high - 1] for piece, _, high in cuts)
        return KeyRange(first, last + b"\0")

    def between(self, key_range: KeyRange) -> list[Entries]:
        """The entries of the range, those of each piece in order."""
        if self._values_are_old:
            value_of = self._entries.__getitem__
            of_range = (piece.keys[low:high] for piece, low, high in self._cuts(key_range))
            return [Entries(keys, list(map(value_of, keys))) for keys in of_range]
        cuts = self._cuts(key_range)
        return [Entries(columns.keys[low:high], columns.values[low:high]) for (_, columns), low, high in cuts]

    def marks(self, key_range: KeyRange, reverse: bool, entries_max: int, entry_bytes: int) -> list[Mark]:
        """The nearest marks, until there are so many entries: they stand at even steps through each piece.

        The first mark of each piece stands a little farther than that of the piece before, from almost nothing to a
        whole step: so all marks together count what lies before a key neither too high nor too low, however many
        pieces there are.
        """
        cuts = self._cuts(key_range)
        marks_of_each = max(MARKS_PER_STRETCH_MIN, min(MARKS_PER_STRETCH, MARKS_IN_ALL // max(1, len(cuts))))
        step = max(1, entries_max // marks_of_each)
        keys: list[bytes] = []
        for number, (piece, low, high) in enumerate(cuts, 1):
            first = max(1, step * number // len(cuts))
            if reverse:
                places = range(high - first, max(low, high - first - entries_max), -step)
                keys += map(piece.keys.__getitem__, places)
            else:
                keys += piece.keys[low + first : min(high, low + first + entries_max) : step]
        keys.sort(reverse=reverse)
        return [Mark(key, step, step * entry_bytes) for key in keys[: -(-entries_max // step)]]

    def _cuts(self, key_range: KeyRange) -> Sequence[_Cut]:
        """Each piece with keys of the range, and from where to where they are. Readers ask several times in a row."""
        assert self._known == len(self._entries) + len(self._unsorted), "read before all is in order"
        if key_range != self._cuts_of:
            lows = self._places_of(key_range.start)
            highs = self._places_of(key_range.end) if key_range.end else [len(piece.keys) for piece in self._pieces]
            self._cuts_of = key_range
            self._latest_cuts = [cut for cut in zip(self._pieces, lows, highs, strict=True) if cut[1] < cut[2]]
        return self._latest_cuts

    def _places_of(self, bound: bytes) -> list[int]:
        """For each piece how many of its keys lie before the start, or the end, of a range."""
        places = self._places.get(bound)
        if places is None:
            if len(self._places) == PLACES_KEPT:
                del self._places[next(iter(self._places))]
            places = self._places[bound] = [bisect_left(piece.keys, bound) for piece in self._pieces]
        return places

    def _add(self, batch: _Piece) -> None:
        pieces = self._pieces
        self._cuts_of = None
        self._places.clear()
        if pieces and pieces[-1].append(batch):
            return
        pieces.append(batch)
        while len(pieces) > 1 and len(pieces[-2].keys) <= len(pieces[-1].keys) <= PIECE_KEYS_MAX - len(pieces[-2].keys):
            newer, older = pieces.pop(), pieces.pop()
            values = [*as_list(older.columns.values), *as_list(newer.columns.values)]
            pieces.append(_in_order(older.keys + newer.keys, values))


def _in_order(keys: list[bytes], values: list[Stored]) -> _Piece:
    """A piece of these entries; with copies, unless they came in order and so lie in order already."""
    stride = stride_of_items(keys)
    if not stride:
        value_of = dict(zip(keys, values, strict=True))
        ordered = sorted(keys)
        return _Piece(ordered, Entries(ordered, list(map(value_of.__getitem__, ordered))))
    column = as_array(keys, stride)
    order = places_in_order(column)
    if (order[1:] > order[:-1]).all():
        return _Piece(keys, Entries(keys, values))
    ordered = _taken(keys, order)
    value_stride = stride_of_items(values)
    return _Piece(
        ordered,
        Entries(
            column[order] if stride <= COPIED_ITEM_BYTES_MAX else ordered,
            as_array(values, value_stride)[order]  # type: ignore[arg-type]  # no tombstone has a length
            if 0 < value_stride <= COPIED_ITEM_BYTES_MAX
            else _taken(values, order),
        ),
    )


def _taken(items: list[_Item], order: Integers) -> list[_Item]:
    return list(map(items.__getitem__, order.tolist()))
