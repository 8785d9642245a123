"""The merged entries of several tables in some range of keys: what a compaction writes.

They are read in stretches of keys, each with about 1 MiB of entries. So memory does not grow with the tables, and a job
can pause after each stretch. During compactions the tail latency of puts is a quarter lower than with stretches four
times as large, at nearly the same speed.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np

from shardstore.key_range import KeyRange
from shardstore.limits import MIB
from shardstore.tables.column_items import payload_bytes
from shardstore.tables.merge import merge_entries
from shardstore.tables.table_format import Entries, Integers
from shardstore.tables.table_reader import Table
from shardstore.workers.segment.table_writer import SLICE_ENTRIES
from shardstore.workers.segment.tombstones import with_tombstones_for_expired, without_needless_tombstones

STRETCH_BYTES = MIB
FILE_ENTRY_BYTES = 9
"""What an entry adds to a file besides its key and value: its share of the hash index and Bloom filter."""


class MergeStretch(NamedTuple):
    """A range of keys, about how many bytes of files hold it, and about how many hold all keys behind it."""

    key_range: KeyRange
    bytes: int
    bytes_behind: int


class MergedEntries:
    """The entries, taken from the front piece by piece.

    `older` are the tables below the merged ones: a tombstone is kept if it may hide an entry there. What has expired at
    `now_ms` is deleted.
    """

    def __init__(
        self, oldest_to_newest: Sequence[Table], key_range: KeyRange, older: Sequence[Table], now_ms: int
    ) -> None:
        self._tables = oldest_to_newest
        self._older = older
        self._now_ms = now_ms
        self._may_expire = any(table.may_expire for table in oldest_to_newest)
        self._stretches = iter(stretches_of(oldest_to_newest, key_range))
        self._entries = Entries([], [])
        self._bytes_before: Integers = np.zeros(1, np.int64)
        self._stretch = MergeStretch(key_range, 0, 0)
        self._at = 0

    def __bool__(self) -> bool:
        """Whether there is more to take."""
        while self._at == len(self._entries.keys):
            stretch = next(self._stretches, None)
            if stretch is None:
                return False
            self._read(stretch)
        return True

    @property
    def rest_bytes(self) -> int:
        """About how many bytes of the tables' files hold the entries that are still to be taken."""
        left = len(self._entries.keys) - self._at
        return self._stretch.bytes * left // max(1, len(self._entries.keys)) + self._stretch.bytes_behind

    def take(self, bytes_aim: int) -> Entries:
        """The next entries: at least one, at most SLICE_ENTRIES, and no more than are needed to reach the aim.

        The aim is in bytes before compression.
        """
        first = self._at
        reached = int(np.searchsorted(self._bytes_before, self._bytes_before[first] + bytes_aim))
        self._at = min(max(reached, first + 1), first + SLICE_ENTRIES, len(self._entries.keys))
        keys, values = self._entries
        return Entries(keys[first : self._at], values[first : self._at])

    def _read(self, stretch: MergeStretch) -> None:
        columns = [table.entries(stretch.key_range) for table in self._tables if _may_overlap(table, stretch.key_range)]
        filled = [entries for entries in columns if len(entries.keys)]
        merged = merge_entries(filled) if len(filled) > 1 else (*filled, Entries([], []))[0]
        if self._may_expire:
            merged = with_tombstones_for_expired(merged, self._now_ms)
        self._entries = without_needless_tombstones(merged, self._older)
        self._bytes_before = _bytes_before(self._entries)
        self._stretch = stretch
        self._at = 0


def stretches_of(tables: Sequence[Table], key_range: KeyRange) -> list[MergeStretch]:
    """Stretches that cover the range, each with about STRETCH_BYTES of entries before compression."""
    blocks = sorted(block for table in tables for block in table.blocks() if block.first_key in key_range)
    bounds, sizes = [key_range.start], [0]
    entries_bytes = 0
    for block in blocks:
        if entries_bytes >= STRETCH_BYTES and block.first_key > bounds[-1]:
            bounds.append(block.first_key)
            sizes.append(0)
            entries_bytes = 0
        entries_bytes += block.entries_bytes
        sizes[-1] += block.file_bytes
    behind = [0, *accumulate(reversed(sizes))][-2::-1]
    ranges = [KeyRange(start, end) for start, end in pairwise([*bounds, key_range.end])]
    return list(map(MergeStretch, ranges, sizes, behind))


def _may_overlap(table: Table, key_range: KeyRange) -> bool:
    record = table.record
    return key_range.start <= record.key_last and (not key_range.end or record.key_first < key_range.end)


def _bytes_before(entries: Entries) -> Integers:
    """About how many bytes of a file the entries before each entry take; one item more, for the end."""
    sizes = payload_bytes(entries.keys) + payload_bytes(entries.values) + FILE_ENTRY_BYTES
    return np.concatenate((np.zeros(1, np.int64), np.cumsum(sizes)))
