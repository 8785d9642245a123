"""The entries that a drain stores: those of many batches, merged, without what later range deletions have cleared.

log       [ batch ] [ batch ]  CLEAR a..c  [ batch ]  CLEAR e..f  [ batch ]
groups    [ merged, without a..c and e..f ][ without e..f ]       [ whole  ]
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

import numpy as np

from shardstore.key_range import KeyRange
from shardstore.tables.key_ranges import NO_KEYS, KeyRanges, key_ranges_of
from shardstore.tables.merge import joined, merge_entries
from shardstore.tables.table_format import Entries, Keys

Logged: TypeAlias = Entries | KeyRange
"""A batch of entries, or the range that a CLEAR deletes."""
NOTHING = Entries([], [])


def cleared_by(logged: Iterable[Logged]) -> KeyRanges:
    """The keys that range deletions among these records have cleared."""
    return key_ranges_of(each for each in logged if isinstance(each, KeyRange))


def drained_entries(logged: Sequence[Logged], cleared_later: KeyRanges, older: Iterable[Entries] = ()) -> Entries:
    """The entries of some records above `older` ones, merged in key order.

    `cleared_later`: by records that come after all of these.
    """
    groups: list[Entries] = []
    cleared = cleared_later
    for batches, clears in _groups_newest_first(logged):
        cleared = cleared.union(clears)
        if batches:
            groups.append(without(merge_entries(batches), cleared))
    filled = [group for group in (*older, *reversed(groups)) if len(group.keys)]
    if len(filled) < 2:
        return filled[0] if filled else NOTHING
    return merge_entries(filled)


def without(entries: Entries, cleared: KeyRanges) -> Entries:
    """The sorted entries whose keys are not cleared."""
    keys, values = entries
    if not cleared or not len(keys):
        return entries
    extent = KeyRange(bytes(keys[0]), bytes(keys[-1]) + b"\0")
    kept = [(_place_of(keys, piece.start), _place_of(keys, piece.end)) for piece in cleared.outside(extent)]
    columns = [Entries(keys[first:behind], values[first:behind]) for first, behind in kept if first < behind]
    return joined(columns) if columns else NOTHING


def _groups_newest_first(logged: Sequence[Logged]) -> Iterator[tuple[list[Entries], KeyRanges]]:
    """The batches between range deletions, each group with the keys that the deletions right behind it clear."""
    batches: list[Entries] = []
    clears = NO_KEYS
    for each in reversed(logged):
        if isinstance(each, Entries):
            batches.append(each)
            continue
        if batches:
            yield batches[::-1], clears
            batches, clears = [], NO_KEYS
        clears = clears.with_range(each)
    yield batches[::-1], clears


def _place_of(keys: Keys, bound: bytes) -> int:
    return bisect_left(keys, bound, key=bytes if isinstance(keys, np.ndarray) else None)
