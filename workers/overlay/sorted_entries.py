"""The entries of a layer in key order.

They are sorted a slice at a time, so that no request waits until the whole layer is sorted.

New entries are taken in batches, in the order of writing. A batch becomes a sorted piece; batches whose keys are copied
(see below) are collected and sorted together. Small neighbouring pieces are merged. Entries that were written in key
order form one piece. Readers take what they need of each piece and merge it.

Readers need a few entries of every piece. Their objects are scattered over the memory, and waiting for each of them
costs more than all else. So a piece stores values next to keys, and short items of one length as copies, back to back.
Once a key has been written again, pieces may hold former values: from then on each value is looked up.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Reversible, Sequence
from itertools import islice
from operator import lt
from typing import Any, TypeAlias, TypeVar

import numpy as np

from shardstore.identifiers import Stored
from shardstore.key_range import KeyRange
from shardstore.tables.column_items import as_array, as_list, stride_of_items
from shardstore.tables.merge import merge_entries
from shardstore.tables.stretches import KeyMark
from shardstore.tables.table_format import Entries, FixedItems

SORTED_TOGETHER = 16_384
"""Number of copied keys that are sorted together into a piece, which takes two milliseconds."""
PIECE_KEYS_MAX = 8_192
"""Overlapping neighbours are merged up to this size, which takes two milliseconds if their keys are not copied."""
COPIED_BYTES_MAX = 56
"""Keys of up to this size are copied, and values if key and value together stay within it. BUFFERED_ENTRY_BYTES has
room for these copies."""
MARKS_PER_PIECE = 16
MARKS_PER_PIECE_MIN = 8
MARKS_IN_ALL = 128
"""Marks aimed at in all pieces together: the more pieces there are, the fewer marks each sets."""
PLACES_KEPT = 8
_Item = TypeVar("_Item")


class _Unsorted:
    """The entries `first` to `end` (excluded) of a dict, by their place in it. The dict only gains keys."""

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
        """Remove the first entries, at most `count`. Returns their keys and values."""
        if self._size != len(self._entries):  # iterators of a dict fail once it has grown
            self._size = len(self._entries)
            self._keys, self._values = self._rest_of(self._entries), self._rest_of(self._entries.values())
        count = min(count, len(self))
        self.first += count
        return list(islice(self._keys, count)), list(islice(self._values, count))

    def _rest_of(self, items: Reversible[_Item]) -> Iterator[_Item]:
        """The items from `first` on, reached from the nearer end of the dict."""
        behind = self._size - self.first
        if behind > self.first:
            return islice(items, self.first, None)
        return iter(list(islice(reversed(items), behind))[::-1])


_Cut: TypeAlias = tuple[Entries, int, int]


class SortedEntries:
    """The sorted form of `entries`, a dict that only ever gains keys, at its end.

    Invariants: the pieces, `_batches` and `_unsorted` together hold each of the first `_known` entries once; the keys
    of each piece are in order; unless `_values_are_old`, pieces and batches hold the values of the entries.
    """

    def __init__(self, entries: dict[bytes, Stored]) -> None:
        self._entries = entries
        self._known = 0
        self._unsorted = _Unsorted(entries, 0, 0)
        self._batches: list[Entries] = []
        """Taken but not sorted yet; they are sorted together."""
        self._pieces: list[Entries] = []
        self._values_are_old = False
        self._places: dict[bytes, list[int]] = {}
        """For the latest bounds asked for: how many keys of each piece are below the bound. A page begins at a bound of
        the page before it."""
        self._cuts_of: KeyRange | None = None
        self._latest_cuts: Sequence[_Cut] = ()

    def copy(self, entries: dict[bytes, Stored]) -> SortedEntries:
        """The same order over a copy of the entries."""
        twin = SortedEntries(entries)
        twin._known, twin._values_are_old = self._known, self._values_are_old
        twin._unsorted = _Unsorted(entries, self._unsorted.first, self._unsorted.end)
        twin._batches = self._batches.copy()
        twin._pieces = [Entries(keys[:], values[:]) for keys, values in self._pieces]
        return twin

    def note_overwritten(self) -> None:
        """Note that an existing key has got another value."""
        self._values_are_old = self._known > 0

    def sort(self, keys_max: int) -> int:
        """Sort at most `keys_max` more keys. Returns how many; if fewer than `keys_max`, all are in order."""
        sorted_now = 0
        while sorted_now < keys_max and (len(self._unsorted) or self._known < len(self._entries)):
            if not len(self._unsorted):
                self._unsorted = _Unsorted(self._entries, self._known, len(self._entries))
                self._known = len(self._entries)
            keys, values = self._unsorted.take_oldest(keys_max - sorted_now)
            self._take(keys, values)
            sorted_now += len(keys)
        if sorted_now < keys_max:
            self._sort_batches()
        return sorted_now

    @property
    def is_sorted(self) -> bool:
        """Whether all entries are in order."""
        return self._known == len(self._entries) and not len(self._unsorted) and not self._batches

    def count(self, key_range: KeyRange) -> int:
        """How many entries the range has."""
        return sum([high - low for _, low, high in self._cuts(key_range)])

    def extent(self, key_range: KeyRange) -> KeyRange | None:
        """The range from the first to the last key in `key_range`; None if there are none."""
        cuts = self._cuts(key_range)
        if not cuts:
            return None
        first = min([bytes(piece.keys[low]) for piece, low, _ in cuts])
        last = max([bytes(piece.keys[high - 1]) for piece, _, high in cuts])
        return KeyRange(first, last + b"\0")

    def between(self, key_range: KeyRange) -> list[Entries]:
        """The entries in the range: one sorted Entries for each piece."""
        found = [Entries(keys[low:high], values[low:high]) for (keys, values), low, high in self._cuts(key_range)]
        if self._values_are_old:
            value_of = self._entries.__getitem__
            return [Entries(keys, list(map(value_of, as_list(keys)))) for keys, _ in found]
        return found

    def marks(self, key_range: KeyRange, reverse: bool, entries_max: int, entry_bytes: int) -> list[KeyMark]:
        """The nearest marks, enough for `entries_max` entries. Marks stand at even steps through each piece.

        The first mark of each piece stands a little farther in than that of the piece before, from almost nothing to a
        whole step. So the marks before a key estimate the number of entries before it without bias, however many pieces
        there are.
        """
        cuts = self._cuts(key_range)
        marks_of_each = max(MARKS_PER_PIECE_MIN, min(MARKS_PER_PIECE, MARKS_IN_ALL // max(1, len(cuts))))
        step = max(1, entries_max // marks_of_each)
        found: list[Any] = []
        for number, (piece, low, high) in enumerate(cuts, 1):
            first = max(1, step * number // len(cuts))
            if high - first < low:  # an index below 0 would count from the end of the piece
                continue
            if reverse:
                found += as_list(piece.keys[high - first : max(low, high - first - entries_max) : -step])
            else:
                found += as_list(piece.keys[low + first : min(high, low + first + entries_max) : step])
        found.sort(reverse=reverse)
        return [KeyMark(key, step, step * entry_bytes) for key in found[: -(-entries_max // step)]]

    def check_invariants(self) -> None:
        """Raise AssertionError if an invariant of this class does not hold. This walks over all entries."""
        known = list(islice(self._entries, self._known))
        held = known[self._unsorted.first : self._unsorted.end]
        for number, piece in enumerate((*self._pieces, *self._batches)):
            keys: list[Any] = as_list(piece.keys)
            held += keys
            is_in_order = all(map(lt, keys, islice(keys, 1, None)))
            assert is_in_order or number >= len(self._pieces), "a piece is not in order"
            is_current = list(map(self._entries.get, keys)) == as_list(piece.values)
            assert is_current or self._values_are_old, "a piece holds a former value"
        assert sorted(held) == sorted(known), "an entry is missing, or is held twice"

    def _cuts(self, key_range: KeyRange) -> Sequence[_Cut]:
        """Each piece with keys in the range, and where they begin and end. Kept: readers ask several times in a row."""
        assert self.is_sorted, "read before all is in order"
        if key_range != self._cuts_of:
            lows = self._places_of(key_range.start)
            highs = self._places_of(key_range.end) if key_range.end else [len(piece.keys) for piece in self._pieces]
            self._cuts_of = key_range
            self._latest_cuts = [cut for cut in zip(self._pieces, lows, highs, strict=True) if cut[1] < cut[2]]
        return self._latest_cuts

    def _places_of(self, bound: bytes) -> list[int]:
        """For each piece, how many of its keys are below the bound."""
        places = self._places.get(bound)
        if places is None:
            if len(self._places) == PLACES_KEPT:
                del self._places[next(iter(self._places))]
            places = self._places[bound] = [_place_in(piece.keys, bound) for piece in self._pieces]
        return places

    def _take(self, keys: list[bytes], values: list[Stored]) -> None:
        """Make a piece, or a part of one, of entries that are in the order of writing."""
        if all(map(lt, keys, islice(keys, 1, None))):
            self._add(Entries(keys, values))
            return
        copied_keys = _copied_up_to(COPIED_BYTES_MAX, keys)
        room = COPIED_BYTES_MAX - copied_keys.itemsize if isinstance(copied_keys, np.ndarray) else 0
        batch = Entries(copied_keys, _copied_up_to(room, values))
        self._batches.append(batch)
        is_copied = isinstance(batch.keys, np.ndarray)
        if not is_copied or sum([len(each.keys) for each in self._batches]) >= SORTED_TOGETHER:
            self._sort_batches()

    def _sort_batches(self) -> None:
        if self._batches:
            self._add(merge_entries(self._batches))
            self._batches = []

    def _add(self, newer: Entries) -> None:
        self._cuts_of = None
        self._places.clear()
        pieces = self._pieces
        if pieces and _append(pieces[-1], newer):
            return
        pieces.append(newer)
        while len(pieces) > 1 and len(pieces[-2].keys) <= len(pieces[-1].keys) <= PIECE_KEYS_MAX - len(pieces[-2].keys):
            pieces[-2:] = [merge_entries(pieces[-2:])]


def _append(piece: Entries, later: Entries) -> bool:
    """Extend the piece by entries that follow its last key. False if they do not follow, or if there are copies."""
    if not all(isinstance(column, list) for column in (*piece, *later)) or later.keys[0] < piece.keys[-1]:
        return False
    for column, more in zip(piece, later, strict=True):
        column.extend(more)  # type: ignore[union-attr]  # both are lists
    return True


def _place_in(keys: Sequence[bytes] | FixedItems, bound: bytes) -> int:
    return bisect_left(keys, bound, key=bytes if isinstance(keys, np.ndarray) else None)


def _copied_up_to(bytes_max: int, items: list[Any]) -> list[Any] | FixedItems:
    """An array of copies if all items have one length of at most `bytes_max`; else the items as they are."""
    stride = stride_of_items(items)
    return as_array(items, stride) if 0 < stride <= bytes_max else items
