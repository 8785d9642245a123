"""The keys that cut a range into parts of about the same bytes: where a split by size would cut it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate

from shardstore.tables.table_format import TableRecord


def cut_keys(
    tables: Sequence[TableRecord],
    blocks_of: Callable[[TableRecord], Iterable[tuple[bytes, int]]],
    marks: Iterable[tuple[bytes, int]],
    parts: int,
) -> list[bytes]:
    """At most `parts` - 1 keys in order, fewer where there is too little to tell. All are above the lowest key known.

    `blocks_of`: first key and bytes of each block of a table; it is asked only of those that reach into a stretch of
    keys in which a cut must lie, the others are weighed as a whole. `marks`: keys that are in no table, and the bytes
    that each stands for.
    """
    marks = list(marks)
    total_bytes = sum([table.share_bytes for table in tables]) + sum([size for _, size in marks])
    if not total_bytes:
        return []
    wanted = [total_bytes * part / parts for part in range(1, parts)]
    earliest = _where_reached([*((table.key_first, table.share_bytes) for table in tables), *marks], wanted)
    latest = _where_reached([*((table.key_last, table.share_bytes) for table in tables), *marks], wanted)
    stretches = list(zip(earliest, latest, strict=True))
    pieces = marks
    for table in tables:
        if any(table.key_first <= last and table.key_last >= first for first, last in stretches):
            pieces.extend(blocks_of(table))
        else:
            pieces.append((table.key_first, table.share_bytes))
    pieces.sort()
    bytes_before = list(accumulate((size for _, size in pieces[:-1]), initial=0))
    cuts = {pieces[min(bisect_left(bytes_before, reached), len(pieces) - 1)][0] for reached in wanted}
    return sorted(cuts - {pieces[0][0]})


def _where_reached(weights: Iterable[tuple[bytes, int]], wanted: Iterable[float]) -> list[bytes]:
    """For each of these sums the key at which the weights of all keys up to it come to it."""
    ordered = sorted(weights)
    sums = list(accumulate(weight for _, weight in ordered))
    return [ordered[min(bisect_left(sums, each), len(ordered) - 1)][0] for each in wanted]
