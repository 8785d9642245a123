"""Writes tables that no manifest names yet, in slices.

Tables of drains have odd numbers, those of compactions even ones. So a drain can run during a compaction of the segment
without knowing which numbers the compaction has used.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import suppress
from enum import IntEnum

from shardstore.files.file_names import segment_directory
from shardstore.seams.filesystem import Filesystem
from shardstore.segment_options import SegmentOptions
from shardstore.tables.manifest import Manifest
from shardstore.tables.table_format import Entries, Identity, Layout, TableRecord
from shardstore.workers.jobs.merged_entries import FILE_ENTRY_BYTES, MergedEntries
from shardstore.workers.jobs.part_sizes import size_of_part
from shardstore.workers.jobs.tasks import Task
from shardstore.workers.segment.table_writer import TableWriter, layout_of, slices_of


class Numbers(IntEnum):
    """The numbers for the tables of a job: those with this remainder when divided by 2."""

    OF_COMPACTIONS = 0
    OF_DRAINS = 1

    def first_from(self, number: int) -> int:
        """The smallest of these numbers that is at least `number`."""
        return number + (self - number) % len(Numbers)


class Output:
    """The tables that a job writes for a segment. Their numbers begin at the next number of its manifest."""

    def __init__(self, filesystem: Filesystem, options: SegmentOptions, manifest: Manifest, numbers: Numbers) -> None:
        self._filesystem = filesystem
        self._options = options
        self._manifest = manifest
        self._number_first = numbers.first_from(manifest.table_number_next)
        self.tables: list[TableRecord] = []
        self.links: list[TableRecord] = []
        """Tables that are there already, and got another name."""

    def number_next(self, manifest: Manifest) -> int:
        """The next table number for the successor of `manifest`, which may be newer than the one the job began with."""
        named = (*self.tables, *self.links)
        return max([manifest.table_number_next, *(record.number + 1 for record in named)])

    def next_file(self) -> Identity:
        """The name of the next table. There is no file of this name."""
        identity = self._identity(self._number_first + len(Numbers) * (len(self.tables) + len(self.links)))
        if self._filesystem.exists(identity.path):  # left by a job that died
            self._filesystem.remove_gradually(identity.path)
        return identity

    def write_table(self, entries: Entries, lsn_first: int, lsn_last: int) -> Task[tuple[TableRecord, ...]]:
        """Write one table of sorted entries; none if there are no entries."""
        if not len(entries.keys):
            return ()
        with self._next_table(layout_of(entries)) as writer:
            for keys, values in slices_of(entries):
                writer.add(keys, values)
                yield None
            record = self._finish(writer, lsn_first, lsn_last)
            yield writer.sync
            return (record,)

    def write_parts(
        self, entries: MergedEntries, layout: Layout, sizes: Iterator[int], lsn_first: int, lsn_last: int
    ) -> Generator[None, None, list[TableRecord]]:
        """Write tables of about these sizes in bytes, in key order."""
        parts = []
        while entries:
            part_bytes = size_of_part(next(sizes), entries.rest_bytes, self._options)
            with self._next_table(layout) as writer:
                written = 0
                while entries and (room := part_bytes - writer.bytes_written - written * FILE_ENTRY_BYTES) > 0:
                    keys, values = entries.take(max(room, self._options.block_bytes))
                    writer.add(keys, values)
                    written += len(keys)
                    yield
                parts.append(self._finish(writer, lsn_first, lsn_last))
                writer.sync()
        return parts

    def sync_names(self) -> None:
        """Make the names of the written tables durable. No manifest may name them before."""
        self._filesystem.sync_directory(segment_directory(self._manifest.segment))

    def discard(self) -> None:
        """Remove the written tables, so that their room is free again."""
        for record in (*self.tables, *self.links):
            with suppress(FileNotFoundError):
                self._filesystem.remove(self._identity(record.number).path)

    def _next_table(self, layout: Layout) -> TableWriter:
        return TableWriter(self._filesystem, self.next_file(), layout, self._options)

    def _finish(self, writer: TableWriter, lsn_first: int, lsn_last: int) -> TableRecord:
        record = writer.finish(lsn_first, lsn_last)
        self.tables.append(record)
        return record

    def _identity(self, number: int) -> Identity:
        return Identity(self._manifest.store, self._manifest.segment, number)
