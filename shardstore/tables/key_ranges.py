"""Any number of key ranges as one set of keys, such as those that range deletions have cleared."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

from shardstore.key_range import KeyRange
from shardstore.limits import BUFFERED_ENTRY_BYTES


class KeyRanges:
    """A set of keys, which never changes.

    Invariants: its ranges are in key order, and no two of them overlap or are adjacent.
    """

    def __init__(self, starts: list[bytes], ends: list[bytes]) -> None:
        """The ranges from each start to the end at the same place. The last end may be empty: no end."""
        self._starts = starts
        self._ends = ends
        self.size_bytes = sum(map(len, starts)) + sum(map(len, ends)) + len(starts) * BUFFERED_ENTRY_BYTES

    def __len__(self) -> int:
        """Number of ranges."""
        return len(self._starts)

    def __iter__(self) -> Iterator[KeyRange]:
        return map(KeyRange, self._starts, self._ends)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KeyRanges) and (self._starts, self._ends) == (other._starts, other._ends)

    __hash__ = None  # type: ignore[assignment]  # as for a list

    def __contains__(self, key: bytes) -> bool:
        at = bisect_right(self._starts, key) - 1
        return at >= 0 and (not self._ends[at] or key < self._ends[at])

    def with_range(self, more: KeyRange) -> KeyRanges:
        """Return these keys and those of one more range."""
        first, behind = self._touching(more)
        start, end = more.start, more.end
        if first < behind:
            start = min(start, self._starts[first])
            last = self._ends[behind - 1]
            end = max(end, last) if end and last else b""
        starts, ends = self._starts, self._ends
        return KeyRanges([*starts[:first], start, *starts[behind:]], [*ends[:first], end, *ends[behind:]])

    def union(self, other: KeyRanges) -> KeyRanges:
        """Return the keys of both."""
        if not self._starts or not other._starts:
            return self if self._starts else other
        return key_ranges_of((*self, *other))

    def within(self, wanted: KeyRange) -> Iterator[KeyRange]:
        """Iterate over the parts of a range that are in the set, in key order."""
        first, behind = self._touching(wanted)
        for start, end in zip(self._starts[first:behind], self._ends[first:behind], strict=True):
            inside = KeyRange(start, end).intersection(wanted)
            if inside is not None:
                yield inside

    def outside(self, wanted: KeyRange, reverse: bool = False) -> Iterator[KeyRange]:
        """Iterate over the parts of a range that are not in the set, in key order or in reverse."""
        first, behind = self._touching(wanted)
        begins = [wanted.start, *self._ends[first:behind]]
        stops = [*self._starts[first:behind], wanted.end]
        last = len(begins) - 1
        for at in range(last, -1, -1) if reverse else range(last + 1):
            begin, stop = begins[at], stops[at]
            if at and (not begin or (wanted.end and begin >= wanted.end)):
                continue  # nothing is behind a range of the set that has no end, or reaches the end of the wanted one
            if begin < stop or (at == last and not stop):
                yield KeyRange(begin, stop)

    def holds_all_of(self, wanted: KeyRange) -> bool:
        """Whether every key of a range is in the set."""
        return next(self.outside(wanted), None) is None

    def check_invariants(self) -> None:
        """Raise AssertionError if an invariant of this class does not hold."""
        assert len(self._starts) == len(self._ends), "a range has no end"
        assert all(self._ends[:-1]), "a range without an end is not the last one"
        apart = all(end < start for end, start in zip(self._ends[:-1], self._starts[1:], strict=True))
        assert apart, "two ranges overlap or are adjacent"
        bounds = zip(self._starts, self._ends, strict=True)
        assert all(start < end or not end for start, end in bounds), "a range is empty"

    def _touching(self, other: KeyRange) -> tuple[int, int]:
        """The places of the first range that overlaps another one or is adjacent to it, and of the first one behind."""
        bounded = len(self._ends) - (bool(self._ends) and not self._ends[-1])
        first = bisect_left(self._ends, other.start, hi=bounded)
        behind = bisect_right(self._starts, other.end) if other.end else len(self._starts)
        return first, max(first, behind)


NO_KEYS = KeyRanges([], [])


def key_ranges_of(ranges: Iterable[KeyRange]) -> KeyRanges:
    """Return the keys of these ranges, which may overlap."""
    starts: list[bytes] = []
    ends: list[bytes] = []
    for each in sorted(ranges, key=_start):
        if starts and (not ends[-1] or each.start <= ends[-1]):
            ends[-1] = max(ends[-1], each.end) if ends[-1] and each.end else b""
        else:
            starts.append(each.start)
            ends.append(each.end)
    return KeyRanges(starts, ends)


def _start(key_range: KeyRange) -> bytes:
    return key_range.start
