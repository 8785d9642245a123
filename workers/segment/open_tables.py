"""The tables of a segment, opened when first asked for."""

from __future__ import annotations

from collections.abc import Collection

from shardstore.filesystem import Filesystem
from workers.segment.table_format import Identity, TableRecord
from workers.segment.table_reader import Table


class OpenTables:
    """Tables of one segment by their number."""

    def __init__(self, filesystem: Filesystem, store: str, segment: int) -> None:
        self._filesystem = filesystem
        self._store = store
        self._segment = segment
        self._open: dict[int, Table] = {}

    def table(self, record: TableRecord) -> Table:
        """The table of this record. Raises Corruption."""
        table = self._open.get(record.number)
        if table is None:
            identity = Identity(self._store, self._segment, record.number)
            table = self._open[record.number] = Table(self._filesystem, identity, record)
        return table

    def keep_only(self, numbers: Collection[int]) -> None:
        """Forget all others. Who still holds one of them can go on reading it."""
        self._open = {number: table for number, table in self._open.items() if number in numbers}
