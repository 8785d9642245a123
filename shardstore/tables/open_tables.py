"""The open tables of a segment. Each is opened on first use."""

from __future__ import annotations

from collections.abc import Collection

from shardstore.seams.filesystem import Filesystem
from shardstore.tables.cache import SegmentCache
from shardstore.tables.lookup_counts import LookupCounts
from shardstore.tables.table_format import Identity, TableRecord
from shardstore.tables.table_reader import Table
from shardstore.tables.virtual_part import VirtualPart


def identity_of_table(store: str, segment: int, record: TableRecord) -> Identity:
    """Return the identity that the file of this record of a segment must have."""
    written_as = (record.origin_segment, record.origin_number) if record.is_linked else None
    return Identity(store, segment, record.number, written_as, record.format)


class OpenTables:
    """The tables of one segment, by number. `cache` bounds their memory; by default they share a cache of their own.

    `lookups` counts the lookups in all of them.
    """

    def __init__(self, filesystem: Filesystem, store: str, segment: int, cache: SegmentCache | None = None) -> None:
        self._filesystem = filesystem
        self._store = store
        self._segment = segment
        self._cache = cache or SegmentCache()
        self._open: dict[int, Table] = {}
        self.lookups = LookupCounts()

    def table(self, record: TableRecord) -> Table:
        """Return the table of this record. Raises Corruption."""
        table = self._open.get(record.number)
        if table is None:
            identity = identity_of_table(self._store, self._segment, record)
            kind = VirtualPart if record.is_virtual else Table
            table = kind.open(self._filesystem, identity, record, self._cache, self.lookups)
            self._open[record.number] = table
        return table

    def keep_only(self, numbers: Collection[int]) -> None:
        """Drop all other tables. Code that still holds one of them can go on reading it."""
        self._open = {number: table for number, table in self._open.items() if number in numbers}
