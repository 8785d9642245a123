"""Spans: consecutive sequences of one client that ended in the same way, in a few bytes each.

    span := gap varint | length varint
    gap       from the last sequence of the previous span (0 if there is none) to the first of this one
    length    (sequences - 1) x 4 + kind

A varint has seven bits a byte, the lowest first; the highest bit says that another byte follows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

RequestNumbers: TypeAlias = npt.NDArray[np.uint64]
"""The sequences of many requests, or their clients."""
APPLIED = 0
FAILED_CONDITION = 1
BARRED_FOR_GOOD = 2
COUNTED = 3
"""An increment, or the removal of an entry, which was applied; its value is kept elsewhere."""
SPAN_BYTES_MAX = 20
"""Two varints of 64 bits."""


class SequenceSpan(NamedTuple):
    """Sequences from `first` to `last`, both included, of one kind."""

    first: int
    last: int
    kind: int


def encode_span(first: int, last: int, kind: int, previous_last: int) -> bytes:
    """The bytes of a span after one that ends with `previous_last`."""
    gap, length = first - previous_last, last - first << 2 | kind
    return bytes((gap, length)) if gap < 128 and length < 128 else _varint(gap) + _varint(length)


def encode_spans(spans: Iterable[SequenceSpan]) -> bytes:
    """The bytes of spans in ascending order."""
    encoded, previous_last = [], 0
    for span in spans:
        encoded.append(encode_span(*span, previous_last))
        previous_last = span.last
    return b"".join(encoded)


def encode_span_columns(firsts: RequestNumbers, lasts: RequestNumbers, kind: int, previous_last: int) -> bytes:
    """As encode_spans, for spans of one kind."""
    numbers = np.empty((len(firsts), 2), np.uint64)
    numbers[:, 0] = firsts
    numbers[1:, 0] -= lasts[:-1]
    numbers[:1, 0] -= np.uint64(previous_last)
    numbers[:, 1] = (lasts - firsts) << np.uint64(2) | np.uint64(kind)
    return _varints(numbers.ravel())


def decode_spans(data: bytes) -> list[SequenceSpan]:
    """Inverse of encode_spans."""
    numbers: list[int] = []
    number = shift = 0
    for byte in data:
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            numbers.append(number)
            number = shift = 0
    spans, last = [], 0
    for gap, length in zip(numbers[::2], numbers[1::2], strict=True):
        first = last + gap
        last = first + (length >> 2)
        spans.append(SequenceSpan(first, last, length & 3))
    return spans


def joined_spans(spans: Iterable[SequenceSpan]) -> list[SequenceSpan]:
    """The same sequences in as few spans as possible. `spans` are in ascending order."""
    joined: list[SequenceSpan] = []
    for span in spans:
        if joined and joined[-1].last + 1 == span.first and joined[-1].kind == span.kind:
            joined[-1] = SequenceSpan(joined[-1].first, span.last, span.kind)
        else:
            joined.append(span)
    return joined


def united(older: Sequence[SequenceSpan], newer: Sequence[SequenceSpan]) -> list[SequenceSpan]:
    """The sequences of both. One that both have is of its kind in `newer`, or in `older` if that is just APPLIED."""
    edges = sorted({edge for span in (*older, *newer) for edge in (span.first, span.last + 1)})
    pieces: list[SequenceSpan] = []
    at = [0, 0]
    for first, beyond in pairwise(edges):
        kinds = []
        for side, spans in enumerate((newer, older)):
            while at[side] < len(spans) and spans[at[side]].last < first:
                at[side] += 1
            if at[side] < len(spans) and spans[at[side]].first <= first:
                kinds.append(spans[at[side]].kind)
        if kinds:
            pieces.append(SequenceSpan(first, beyond - 1, next(filter(None, kinds), APPLIED)))
    return joined_spans(pieces)


def below(spans: Iterable[SequenceSpan], sequence: int) -> list[SequenceSpan]:
    """The spans as far as they lie below a sequence."""
    return [
        SequenceSpan(span.first, min(span.last, sequence - 1), span.kind) for span in spans if span.first < sequence
    ]


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _varints(numbers: RequestNumbers) -> bytes:
    """The varints of one or more numbers."""
    most = -(-int(numbers.max()).bit_length() // 7) or 1
    rest = numbers[:, None] >> np.arange(0, 7 * most, 7, dtype=np.uint64)
    encoded = (rest & np.uint64(127) | (rest > 127) * np.uint64(128)).astype(np.uint8)
    used = rest > 0
    used[:, 0] = True
    return encoded[used].tobytes()
