"""Skips deleted and expired keys up to the next key that has a value, however many there are.

Nothing is merged or sorted for that. In each layer, from the newest to the oldest, the first key is found that has a
value there and is in no newer layer. The nearest of these keys is the next one.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress, filterfalse

import numpy as np

from shardstore.key_range import KeyRange
from shardstore.limits import SCAN_PAGE_BYTES
from shardstore.tables.column_items import as_list
from shardstore.tables.expired import are_living
from shardstore.tables.stretches import Ordered, behind, stretch_of
from shardstore.tables.table_format import Entries, Values

PASSED_ENTRIES_MIN = 256
PASSED_ENTRIES_MAX = 16_384
"""Largest stretch that is looked at in one go, in entries of all layers together: two to three milliseconds."""
PASSED_GROWTH = 8
PASSED_BYTES_MAX = 4 * SCAN_PAGE_BYTES


def pass_deleted(
    layers: Sequence[Ordered], wanted: KeyRange, reverse: bool, now_ms: int
) -> tuple[KeyRange | None, bool, int]:
    """Skip keys that are deleted, or have expired by this moment.

    Returns the rest of the range from the nearest key with a value on, True, and a count.

    Returns False if there may be more keys to skip, or if nothing is left (None). The count is of the entries that were
    looked at, in all layers.
    """
    entries_max, left, entries = PASSED_ENTRIES_MIN, wanted, 0
    may_expire = any(layer.may_expire for layer in layers)
    while True:
        stretch = stretch_of(layers, left, reverse, entries_max, PASSED_BYTES_MAX)
        columns = [layer.columns(stretch) for layer in layers]
        entries += sum([len(column.keys) for of_layer in columns for column in of_layer])
        nearest = _nearest_value(columns, reverse, may_expire, now_ms)
        if nearest is not None:
            found = KeyRange(left.start, nearest + b"\0") if reverse else KeyRange(nearest, left.end)
            return found, True, entries
        rest = behind(stretch, left, reverse)
        if rest is None or entries_max == PASSED_ENTRIES_MAX:
            return rest, False, entries
        left, entries_max = rest, min(entries_max * PASSED_GROWTH, PASSED_ENTRIES_MAX)


def _nearest_value(
    oldest_to_newest: Sequence[Sequence[Entries]], reverse: bool, may_expire: bool, now_ms: int
) -> bytes | None:
    """The nearest key that has a value; None if none has."""
    newer: set[bytes] = set()
    nearest: list[bytes] = []
    for older in range(len(oldest_to_newest) - 1, -1, -1):
        pieces = [(_keys_of(column), column.values) for column in oldest_to_newest[older]]
        for keys, values in pieces:
            with_value = _with_value(keys, values, may_expire, now_ms)
            found = next(filterfalse(newer.__contains__, reversed(with_value) if reverse else with_value), None)
            if found is not None:
                nearest.append(found)
        if older:
            newer.update(*(keys for keys, _ in pieces))
    if not nearest:
        return None
    return max(nearest) if reverse else min(nearest)


def _keys_of(column: Entries) -> list[bytes]:
    return as_list(column.keys)


def _with_value(keys: list[bytes], values: Values, may_expire: bool, now_ms: int) -> list[bytes]:
    """The keys that have a value."""
    if isinstance(values, np.ndarray):
        return keys
    return list(compress(keys, are_living(values, may_expire, now_ms)))
