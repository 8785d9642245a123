"""Ranges of keys in which scans of a range have found no value, so that later scans can skip them.

So the front of a queue is found at once, however many entries before it were deleted. Only a put can give such a
key a value: deletes, drains and compactions do not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shardstore.key_range import KeyRange
from shardstore.tables.stretches import behind

EMPTY_RANGES_MAX = 16


class EmptyRanges:
    """Ranges without a value. The latest EMPTY_RANGES_MAX are kept.

    Invariants: there are at most EMPTY_RANGES_MAX, and no two of them overlap or are adjacent.
    """

    def __init__(self) -> None:
        self._ranges: list[KeyRange] = []

    def left_of(self, wanted: KeyRange, reverse: bool) -> KeyRange | None:
        """Return what is left of the wanted keys after an empty range at their near end; None if nothing is left."""
        for empty in self._ranges:
            part = empty.intersection(wanted)
            if part and (part.end == wanted.end if reverse else part.start == wanted.start):
                return behind(part, wanted, reverse)
        return wanted

    def note(self, found: KeyRange) -> None:
        """Remember that no key of this range has a value."""
        apart = []
        for empty in self._ranges:
            if _touch(empty, found):
                end = max(empty.end, found.end) if empty.end and found.end else b""
                found = KeyRange(min(empty.start, found.start), end)
            else:
                apart.append(empty)
        self._ranges = [*apart, found][-EMPTY_RANGES_MAX:]

    def note_put(self, keys: Sequence[bytes]) -> None:
        """Remember that these keys may have values now. All keys between them count as keys that may, too."""
        if self._ranges and keys:
            put = KeyRange(min(keys), max(keys) + b"\0")
            self._ranges = [rest for empty in self._ranges for rest in _without(empty, put)][-EMPTY_RANGES_MAX:]

    def check_invariants(self) -> None:
        """Raise AssertionError if an invariant of this class does not hold."""
        assert len(self._ranges) <= EMPTY_RANGES_MAX, "too many empty ranges are kept"
        ranges = sorted(self._ranges, key=lambda empty: empty.start)
        assert not any(map(_touch, ranges, ranges[1:])), "empty ranges touch"


def _touch(one: KeyRange, other: KeyRange) -> bool:
    """Whether the two overlap or are adjacent: no key lies between them."""
    return (not one.end or other.start <= one.end) and (not other.end or one.start <= other.end)


def _without(empty: KeyRange, put: KeyRange) -> Iterator[KeyRange]:
    """What of an empty range lies outside of `put`."""
    if empty.intersection(put) is None:
        yield empty
        return
    if empty.start < put.start:
        yield KeyRange(empty.start, put.start)
    if not empty.end or put.end < empty.end:
        yield KeyRange(put.end, empty.end)
