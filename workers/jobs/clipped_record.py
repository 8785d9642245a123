"""The record of a table in a manifest if only some of its keys count (a virtual part)."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

from shardstore.identifiers import TOMBSTONE
from shardstore.key_range import KeyRange
from shardstore.tables.column_items import as_list
from shardstore.tables.open_tables import OpenTables
from shardstore.tables.table_format import TableRecord
from shardstore.tables.table_reader import Table
from shardstore.wire.columns import positions_of
from shardstore.workers.jobs.merged_entries import stretches_of


def clipped(record: TableRecord, key_range: KeyRange, tables: OpenTables) -> Generator[None, None, TableRecord | None]:
    """The record of the part of a table that is in the range; None if it has no key there. Raises Corruption.

    The table is opened only if it reaches beyond the range. Its values are read only if it has tombstones as well.
    """
    if record.key_first in key_range and record.key_last in key_range:
        return record
    if record.key_last < key_range.start or (key_range.end and record.key_first >= key_range.end):
        return None
    table = tables.table(record)
    entries, within = table.count(key_range), key_range.intersection(record.bounds)
    if not entries or not within:
        return None
    tombstones = (yield from _tombstones(table, within)) if record.tombstones else 0
    (key_first,), (key_last,) = (table.chunk(within, reverse, 1, 1).keys for reverse in (False, True))
    return replace(
        record,
        entries=entries,
        tombstones=tombstones,
        key_first=key_first,
        key_last=key_last,
        start=within.start,
        end=within.end,
        file_entries=record.file_entries or record.entries,
    )


def _tombstones(table: Table, key_range: KeyRange) -> Generator[None, None, int]:
    """Number of tombstones in the range."""
    count = 0
    for stretch in stretches_of([table], key_range):
        count += len(positions_of(as_list(table.entries(stretch.key_range).values), TOMBSTONE))
        yield
    return count
