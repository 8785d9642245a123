"""Spans of keys in which scans of a range have found no value, so that later scans can skip them.

So the front of a queue is found at once, however many entries before it were deleted. Only a put can give a key of a
span a value: deletes, drains and compactions leave it empty.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shardstore.key_range import KeyRange
from shardstore.tables.stretches import behind

SPANS_MAX = 16


class EmptySpans:
    """Spans without a value. The latest SPANS_MAX are kept.

    Invariants: there are at most SPANS_MAX, and no two of them overlap or are adjacent.
    """

    def __init__(self) -> None:
        self._spans: list[KeyRange] = []

    def left_of(self, wanted: KeyRange, reverse: bool) -> KeyRange | None:
        """What is left of the wanted keys after an empty span at their near end; None if nothing is left."""
        for span in self._spans:
            part = span.intersection(wanted)
            if part and (part.end == wanted.end if reverse else part.start == wanted.start):
                return behind(part, wanted, reverse)
        return wanted

    def note(self, found: KeyRange) -> None:
        """Remember that no key of this span has a value."""
        apart = []
        for span in self._spans:
            if _touch(span, found):
                end = max(span.end, found.end) if span.end and found.end else b""
                found = KeyRange(min(span.start, found.start), end)
            else:
                apart.append(span)
        self._spans = [*apart, found][-SPANS_MAX:]

    def note_put(self, keys: Sequence[bytes]) -> None:
        """Remember that these keys may have values now. All keys between them count as keys that may, too."""
        if self._spans and keys:
            put = KeyRange(min(keys), max(keys) + b"\0")
            self._spans = [rest for span in self._spans for rest in _without(span, put)][-SPANS_MAX:]

    def check_invariants(self) -> None:
        """Raise AssertionError if an invariant of this class does not hold."""
        assert len(self._spans) <= SPANS_MAX, "too many spans are kept"
        spans = sorted(self._spans, key=lambda span: span.start)
        assert not any(map(_touch, spans, spans[1:])), "spans touch"


def _touch(one: KeyRange, other: KeyRange) -> bool:
    """Whether the two overlap or are adjacent: no key lies between them."""
    return (not one.end or other.start <= one.end) and (not other.end or one.start <= other.end)


def _without(span: KeyRange, put: KeyRange) -> Iterator[KeyRange]:
    """The pieces of a span that lie outside of `put`."""
    if span.intersection(put) is None:
        yield span
        return
    if span.start < put.start:
        yield KeyRange(span.start, put.start)
    if not span.end or put.end < span.end:
        yield KeyRange(put.end, span.end)
