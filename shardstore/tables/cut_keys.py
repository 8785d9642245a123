"""Finds the keys that cut a range into pieces of about equal size, where a split by size would cut it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate

from shardstore.tables.table_format import TableRecord


def cut_keys(
    tables: Sequence[TableRecord],
    blocks_of: Callable[[TableRecord], Iterable[tuple[bytes, int]]],
    sampled: Iterable[tuple[bytes, int]],
    pieces: int,
) -> list[bytes]:
    """Return at most `pieces` - 1 keys in order; fewer if too little is known. All are above the lowest known key.

    `blocks_of` returns the first key and the size of each block of a table. It is called only for tables that overlap
    an interval in which a cut must lie; other tables are weighed as a whole. `sampled` are keys outside all tables,
    with the number of bytes that each stands for.
    """
    sampled = list(sampled)
    total_bytes = sum([table.share_bytes for table in tables]) + sum([size for _, size in sampled])
    if not total_bytes:
        return []
    wanted = [total_bytes * piece / pieces for piece in range(1, pieces)]
    earliest = _where_reached([*((table.key_first, table.share_bytes) for table in tables), *sampled], wanted)
    latest = _where_reached([*((table.key_last, table.share_bytes) for table in tables), *sampled], wanted)
    stretches = list(zip(earliest, latest, strict=True))
    weighed = sampled
    for table in tables:
        if any(table.key_first <= last and table.key_last >= first for first, last in stretches):
            weighed.extend(blocks_of(table))
        else:
            weighed.append((table.key_first, table.share_bytes))
    weighed.sort()
    bytes_before = list(accumulate((size for _, size in weighed[:-1]), initial=0))
    cuts = {weighed[min(bisect_left(bytes_before, reached), len(weighed) - 1)][0] for reached in wanted}
    return sorted(cuts - {weighed[0][0]})


def _where_reached(weights: Iterable[tuple[bytes, int]], wanted: Iterable[float]) -> list[bytes]:
    """Return for each wanted sum the key at which the running sum of the weights reaches it."""
    ordered = sorted(weights)
    sums = list(accumulate(weight for _, weight in ordered))
    return [ordered[min(bisect_left(sums, each), len(ordered) - 1)][0] for each in wanted]
