"""Runs: consecutive sequences of one client that ended in the same way, in a few bytes each.

    run := gap varint | length varint
    gap       from the last sequence of the previous run (0 if there is none) to the first of this one
    length    (sequences - 1) x 4 + kind

A varint has seven bits a byte, the lowest first; the highest bit says that another byte follows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

APPLIED = 0
FAILED_CONDITION = 1
BARRED_FOR_GOOD = 2
COUNTED = 3
"""An increment, which was applied."""


class Run(NamedTuple):
    """Sequences from `first` to `last`, both included, of one kind."""

    first: int
    last: int
    kind: int


def encode_run(first: int, last: int, kind: int, previous_last: int) -> bytes:
    """The bytes of a run after one that ends with `previous_last`."""
    gap, length = first - previous_last, last - first << 2 | kind
    return bytes((gap, length)) if gap < 128 and length < 128 else _varint(gap) + _varint(length)


def encode_runs(runs: Iterable[Run]) -> bytes:
    """The bytes of runs in ascending order."""
    parts, previous_last = [], 0
    for run in runs:
        parts.append(encode_run(*run, previous_last))
        previous_last = run.last
    return b"".join(parts)


def decode_runs(data: bytes) -> list[Run]:
    """Inverse of encode_runs."""
    numbers: list[int] = []
    number = shift = 0
    for byte in data:
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            numbers.append(number)
            number = shift = 0
    runs, last = [], 0
    for gap, length in zip(numbers[::2], numbers[1::2], strict=True):
        first = last + gap
        last = first + (length >> 2)
        runs.append(Run(first, last, length & 3))
    return runs


def joined_runs(runs: Iterable[Run]) -> list[Run]:
    """The same sequences in as few runs as possible. `runs` are in ascending order."""
    joined: list[Run] = []
    for run in runs:
        if joined and joined[-1].last + 1 == run.first and joined[-1].kind == run.kind:
            joined[-1] = Run(joined[-1].first, run.last, run.kind)
        else:
            joined.append(run)
    return joined


def united(older: Sequence[Run], newer: Sequence[Run]) -> list[Run]:
    """The sequences of both. One that both have is of its kind in `newer`, or in `older` if that is just APPLIED."""
    edges = sorted({edge for run in (*older, *newer) for edge in (run.first, run.last + 1)})
    pieces: list[Run] = []
    at = [0, 0]
    for first, beyond in pairwise(edges):
        kinds = []
        for side, runs in enumerate((newer, older)):
            while at[side] < len(runs) and runs[at[side]].last < first:
                at[side] += 1
            if at[side] < len(runs) and runs[at[side]].first <= first:
                kinds.append(runs[at[side]].kind)
        if kinds:
            pieces.append(Run(first, beyond - 1, next(filter(None, kinds), APPLIED)))
    return joined_runs(pieces)


def below(runs: Iterable[Run], sequence: int) -> list[Run]:
    """The part of the runs below a sequence."""
    return [Run(run.first, min(run.last, sequence - 1), run.kind) for run in runs if run.first < sequence]


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    parts.append(number)
    return bytes(parts)
