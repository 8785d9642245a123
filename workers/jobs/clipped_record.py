"""The record of a table in a manifest if only some of its keys count (a virtual part)."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

from shardstore.identifiers import TOMBSTONE, Expiring
from shardstore.key_range import KeyRange
from shardstore.tables.column_items import as_list
from shardstore.tables.open_tables import OpenTables
from shardstore.tables.table_format import TableRecord, quantiles_of
from shardstore.tables.table_reader import Table
from shardstore.wire.columns import positions_of
from shardstore.workers.jobs.merged_entries import stretches_of


def clipped(record: TableRecord, key_range: KeyRange, tables: OpenTables) -> Generator[None, None, TableRecord | None]:
    """The record of the part of a table that is in the range; None if it has no key there. Raises Corruption.

    The table is opened only if it reaches beyond the range. Its values are read only if it has tombstones as
    well, or if some expire.
    """
    if record.key_first in key_range and record.key_last in key_range:
        return record
    if record.key_last < key_range.start or (key_range.end and record.key_first >= key_range.end):
        return None
    table = tables.table(record)
    entries, within = table.count(key_range), key_range.intersection(record.bounds)
    if not entries or not within:
        return None
    tombstones, moments = (
        (yield from _without_value(table, within)) if record.tombstones or record.expiring else (0, [])
    )
    (key_first,), (key_last,) = (table.chunk(within, reverse, 1, 1).keys for reverse in (False, True))
    return replace(
        record,
        entries=entries,
        tombstones=tombstones,
        expiring=len(moments),
        moments=quantiles_of(moments),
        key_first=key_first,
        key_last=key_last,
        start=within.start,
        end=within.end,
        file_entries=record.file_entries or record.entries,
    )


def _without_value(table: Table, key_range: KeyRange) -> Generator[None, None, tuple[int, list[int]]]:
    """Number of tombstones in the range, and the moments of the values that expire."""
    count, moments = 0, list[int]()
    for stretch in stretches_of([table], key_range):
        values = as_list(table.entries(stretch.key_range).values)
        count += len(positions_of(values, TOMBSTONE))
        if table.may_expire:
            moments += [value.moment for value in values if type(value) is Expiring]
        yield
    return count, moments
