"""The keys of a layer in order, made a slice at a time, so that nobody has to wait for the whole.

Keys that were added since the last look are sorted in batches; each batch is a piece, and small neighbours become one.
Keys that come in order make one piece. Readers take what they want of each piece and merge that.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import chain, islice

from shardstore.identifiers import Stored
from shardstore.key_range import KeyRange
from shardstore.workers.stretches import Mark

PIECE_KEYS_MAX = 16_384
"""Pieces that overlap do not grow beyond this: to merge two of them takes a millisecond."""
MARKS_PER_STRETCH = 16


class SortedKeys:
    """Over `entries`, which only ever gain keys, at their end.

    Invariant: the pieces and `_unsorted` hold the first `_known` keys, each once.
    """

    def __init__(self, entries: dict[bytes, Stored]) -> None:
        self._entries = entries
        self._known = 0
        self._unsorted: list[bytes] = []
        self._pieces: list[list[bytes]] = []

    def copy(self, entries: dict[bytes, Stored]) -> SortedKeys:
        """The same order over a copy of the entries."""
        twin = SortedKeys(entries)
        twin._known, twin._unsorted = self._known, self._unsorted.copy()
        twin._pieces = [piece.copy() for piece in self._pieces]
        return twin

    def sort(self, keys_max: int) -> int:
        """Put so many more keys in order. Answers how many were."""
        sorted_now = 0
        while sorted_now < keys_max and (self._unsorted or self._known < len(self._entries)):
            if not self._unsorted:
                self._unsorted = list(islice(reversed(self._entries), len(self._entries) - self._known))
                self._known = len(self._entries)
            batch = sorted(self._unsorted[sorted_now - keys_max :])
            del self._unsorted[-len(batch) :]
            self._add(batch)
            sorted_now += len(batch)
        return sorted_now

    def extent(self, key_range: KeyRange) -> KeyRange | None:
        """From the first key in the range to the last one there."""
        cuts = list(self._cuts(key_range))
        if not cuts:
            return None
        first, last = min(piece[low] for piece, low, _ in cuts), max(piece[high - 1] for piece, _, high in cuts)
        return KeyRange(first, last + b"\0")

    def between(self, key_range: KeyRange) -> list[list[bytes]]:
        """The keys of the range, those of each piece in order."""
        return [piece[low:high] for piece, low, high in self._cuts(key_range)]

    def marks(self, key_range: KeyRange, reverse: bool, entries_max: int, entry_bytes: int) -> list[Mark]:
        """Marks at even steps through each piece, until there are so many entries."""
        step = max(1, entries_max // MARKS_PER_STRETCH)
        keys: list[Iterable[bytes]] = []
        for piece, low, high in self._cuts(key_range):
            if reverse:
                keys.append(map(piece.__getitem__, range(high - step, max(low, high - entries_max - step), -step)))
            else:
                keys.append(piece[low + step : min(high, low + entries_max + step) : step])
        return [Mark(key, step, step * entry_bytes) for key in chain.from_iterable(keys)]

    def _cuts(self, key_range: KeyRange) -> Iterator[tuple[list[bytes], int, int]]:
        """Each piece with keys of the range, and from where to where they are."""
        start, end = key_range.start, key_range.end
        assert self._known == len(self._entries) + len(self._unsorted), "keys are read before they are in order"
        for piece in self._pieces:
            low, high = bisect_left(piece, start), bisect_left(piece, end) if end else len(piece)
            if low < high:
                yield piece, low, high

    def _add(self, batch: list[bytes]) -> None:
        pieces = self._pieces
        if pieces and batch[0] > pieces[-1][-1]:
            pieces[-1] += batch
            return
        pieces.append(batch)
        while len(pieces) > 1 and len(pieces[-2]) <= len(pieces[-1]) <= PIECE_KEYS_MAX - len(pieces[-2]):
            last = pieces.pop()
            pieces[-1] = sorted(pieces[-1] + last)
