"""The key at about half of the bytes of a segment: where a split by size would cut it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate

from shardstore.workers.segment.table_format import TableRecord


def middle_key(
    tables: Sequence[TableRecord], blocks_of: Callable[[TableRecord], Iterable[tuple[bytes, int]]]
) -> bytes | None:
    """The first key of the block with which half of the bytes is reached; None where there are too few to tell.

    It is above the lowest key of all. `blocks_of`: first key and bytes of each block of a table; it is asked only of
    those that reach into the stretch of keys in which the middle must lie, the others are weighed as a whole.
    """
    if not tables:
        return None
    half = sum([table.share_bytes for table in tables]) / 2
    first = _where_reached(((table.key_first, table.share_bytes) for table in tables), half)
    last = _where_reached(((table.key_last, table.share_bytes) for table in tables), half)
    bytes_below = sum([table.share_bytes for table in tables if table.key_last < first])
    asked = [table for table in tables if table.key_first <= last and table.key_last >= first]
    blocks = sorted(block for table in asked for block in blocks_of(table))
    bytes_before = list(accumulate((size for _, size in blocks[:-1]), initial=bytes_below))
    middle, _ = blocks[min(bisect_left(bytes_before, half), len(blocks) - 1)]
    return middle if middle > min(table.key_first for table in tables) else None


def _where_reached(weights: Iterable[tuple[bytes, int]], wanted: float) -> bytes:
    """The key at which the weights of all keys up to it come to what is wanted."""
    ordered = sorted(weights)
    sums = list(accumulate(weight for _, weight in ordered))
    return ordered[bisect_left(sums, wanted)][0]
