"""Where a range has no key with a value, as its scans have found out: the next scan begins behind that.

So the front of a queue is found at once, however many entries were taken away before it. Only a put can end what is
known: deletes, drains and compactions leave a span empty.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shardstore.key_range import KeyRange
from shardstore.workers.stretches import behind

SPANS_MAX = 16


class EmptySpans:
    """Spans without a value, apart from each other; those that were found last are kept."""

    def __init__(self) -> None:
        self._spans: list[KeyRange] = []

    def left_of(self, wanted: KeyRange, reverse: bool) -> KeyRange | None:
        """What is left of these keys behind a span at their near end; None when nothing is."""
        for span in self._spans:
            part = span.intersection(wanted)
            if part and (part.end == wanted.end if reverse else part.start == wanted.start):
                return behind(part, wanted, reverse)
        return wanted

    def note(self, found: KeyRange) -> None:
        """No key of this span has a value."""
        apart = []
        for span in self._spans:
            if _touch(span, found):
                end = max(span.end, found.end) if span.end and found.end else b""
                found = KeyRange(min(span.start, found.start), end)
            else:
                apart.append(span)
        self._spans = [*apart, found][-SPANS_MAX:]

    def note_put(self, keys: Sequence[bytes]) -> None:
        """These keys, if there are any, may have values now, and for what is known here all between them."""
        if self._spans and keys:
            put = KeyRange(min(keys), max(keys) + b"\0")
            self._spans = [rest for span in self._spans for rest in _without(span, put)][-SPANS_MAX:]


def _touch(one: KeyRange, other: KeyRange) -> bool:
    """Whether no key lies between the two."""
    return (not one.end or other.start <= one.end) and (not other.end or one.start <= other.end)


def _without(span: KeyRange, put: KeyRange) -> Iterator[KeyRange]:
    """What is left of a span."""
    if span.intersection(put) is None:
        yield span
        return
    if span.start < put.start:
        yield KeyRange(span.start, put.start)
    if not span.end or put.end < span.end:
        yield KeyRange(put.end, span.end)
