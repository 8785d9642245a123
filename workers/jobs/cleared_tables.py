"""What a drain does to the tables below range deletions, so that no reader has to know of these.

    cleared                      [a ----------- c)       [e - f)
    tables before     [   1   ] [  2  ] [    3    ] [      4      ]
    tables after      [1' ]              [  3'    ] [4'   ] [ 4''  ]

A table whose keys were all cleared is dropped. One that reaches beyond becomes one or two virtual parts
(shardstore/tables/virtual_part.py): second names of its file, with bounds. Nothing is read or written for that but a
few blocks. For a small deletion this would be too much, as each cut leaves one more table: its keys get tombstones.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import replace

from shardstore.files.file_names import table_file
from shardstore.identifiers import TOMBSTONE
from shardstore.key_range import KeyRange
from shardstore.seams.filesystem import Filesystem
from shardstore.tables.key_ranges import KeyRanges, key_ranges_of
from shardstore.tables.manifest import Manifest, Parts
from shardstore.tables.open_tables import OpenTables
from shardstore.tables.table_format import Entries, TableRecord
from shardstore.workers.jobs.clipped_record import clipped
from shardstore.workers.jobs.links import link_or_copy
from shardstore.workers.jobs.output import Output

CUT_ENTRIES_MIN = 4_096
"""Tables are cut if a deletion covers at least so many of their entries."""


def to_be_cut(cleared: KeyRanges, records: Sequence[TableRecord], tables: OpenTables) -> KeyRanges:
    """Those of the cleared ranges for which tables are cut. Raises Corruption."""
    return key_ranges_of(
        each for each in cleared if sum(_count(record, each, tables) for record in records) >= CUT_ENTRIES_MIN
    )


def tombstones_of(ranges: Iterable[KeyRange], records: Sequence[TableRecord], tables: OpenTables) -> Iterator[Entries]:
    """Tombstones for all keys of these tables in some ranges. Raises Corruption."""
    for each in ranges:
        for record in records:
            if _overlap(record, each):
                for keys, _ in tables.table(record).keys_alone(each, 0):
                    yield Entries(keys, [TOMBSTONE] * len(keys))


class TableCuts:
    """Cuts the tables of a manifest, once `cut` is not empty. The new names get the next numbers of the output."""

    def __init__(
        self, cut: KeyRanges, manifest: Manifest, tables: OpenTables, output: Output, filesystem: Filesystem
    ) -> None:
        self._cut = cut
        self._segment = manifest.segment
        self._tables = tables
        self._output = output
        self._filesystem = filesystem

    def left_of(self, records: Parts) -> Generator[None, None, Parts]:
        """What is left of some tables, in the same order. Raises Corruption, StorageFailure."""
        left: list[TableRecord] = []
        for record in records:
            if not any(_count(record, each, self._tables) for each in self._cut.within(_extent(record))):
                left.append(record)
                continue
            for piece in self._cut.outside(record.bounds):
                part = yield from clipped(record, piece, self._tables)
                if part is not None:
                    left.append((yield from self._named_anew(record, part)))
        return tuple(left)

    def _named_anew(self, record: TableRecord, part: TableRecord) -> Generator[None, None, TableRecord]:
        """Give the file of a table another name, for a part of it."""
        target = self._output.next_file()
        yield from link_or_copy(self._filesystem, table_file(self._segment, record.number), target.path)
        if not record.is_linked:
            part = replace(part, origin_segment=self._segment, origin_number=record.number)
        part = replace(part, number=target.number)
        self._output.links.append(part)
        return part


def _count(record: TableRecord, key_range: KeyRange, tables: OpenTables) -> int:
    if not _overlap(record, key_range):
        return 0
    if record.key_first in key_range and record.key_last in key_range:
        return record.entries
    return tables.table(record).count(key_range)


def _overlap(record: TableRecord, key_range: KeyRange) -> bool:
    return key_range.start <= record.key_last and (not key_range.end or record.key_first < key_range.end)


def _extent(record: TableRecord) -> KeyRange:
    return KeyRange(record.key_first, record.key_last + b"\0")
