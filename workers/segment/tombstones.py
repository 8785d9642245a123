"""Which tombstones are still needed: those whose key an older table may hold. Expired values become tombstones."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import compress, repeat
from operator import is_

import numpy as np

from shardstore.identifiers import TOMBSTONE, Expiring
from shardstore.tables.bloom import Mask
from shardstore.tables.column_items import as_list
from shardstore.tables.digests import digests_of
from shardstore.tables.table_format import Entries
from shardstore.tables.table_reader import Table


def without_needless_tombstones(entries: Entries, older: Iterable[Table]) -> Entries:
    """The sorted entries without the tombstones that hide nothing in any of the older tables.

    The older tables are looked at only if there are tombstones.
    """
    keys, values = entries
    if isinstance(values, np.ndarray):
        return entries
    deleted = np.fromiter(map(is_, values, repeat(TOMBSTONE)), np.bool_, len(values))
    if not deleted.any():
        return entries
    kept = ~deleted
    deleted_keys = list(compress(as_list(keys), deleted.tolist()))
    kept[deleted] = may_hold(older, deleted_keys)
    selectors = kept.tolist()
    kept_keys = keys[kept] if isinstance(keys, np.ndarray) else list(compress(keys, selectors))
    return Entries(kept_keys, list(compress(values, selectors)))


def with_tombstones_for_expired(entries: Entries, now_ms: int) -> Entries:
    """The entries, with a tombstone for each value that has expired: it still hides the older ones of its key."""
    keys, values = entries
    if isinstance(values, np.ndarray):
        return entries
    return Entries(keys, [TOMBSTONE if type(each) is Expiring and each.moment <= now_ms else each for each in values])


def may_hold(tables: Iterable[Table], keys: Sequence[bytes]) -> Mask:
    """For each of the ascending keys, whether one of the tables may hold it; if False, none does.

    Key intervals are checked first, then Bloom filters.
    """
    may: Mask = np.zeros(len(keys), np.bool_)
    digests = digests_of(keys)
    for table in tables:
        first = bisect_left(keys, table.record.key_first)
        behind = bisect_right(keys, table.record.key_last)
        if first < behind:
            may[first:behind] |= table.may_contain(digests[first:behind])
    return may
