"""Reads layers as a scan does: stretch by stretch, all layers merged."""

from __future__ import annotations

from collections.abc import Sequence

from shardstore.identifiers import Stored
from shardstore.key_range import EVERYTHING, KeyRange
from shardstore.tables.column_items import as_list
from shardstore.tables.merge import merge_entries
from shardstore.tables.segment import Segment
from shardstore.tables.stretches import Ordered, stretch_of
from shardstore.tables.table_reader import Table


def content_of(*oldest_to_newest: Ordered, key_range: KeyRange = EVERYTHING) -> dict[bytes, Stored]:
    """All entries of a range of keys, in key order."""
    columns = [column for layer in oldest_to_newest for column in layer.columns(key_range)]
    if not columns:
        return {}
    keys, values = merge_entries(columns)
    return dict(zip(as_list(keys), as_list(values), strict=True))  # type: ignore[arg-type]


def stretches(
    layers: Sequence[Ordered],
    wanted: KeyRange,
    reverse: bool = False,
    entries_max: int = 10,
    bytes_max: int = 1 << 20,
) -> list[dict[bytes, Stored]]:
    """The entries of the range, stretch by stretch from the near end on."""
    found = []
    while True:
        stretch = stretch_of(layers, wanted, reverse, entries_max, bytes_max)
        found.append(content_of(*layers, key_range=stretch))
        if stretch == wanted:
            return found
        wanted = KeyRange(wanted.start, stretch.start) if reverse else KeyRange(stretch.end, wanted.end)


def only_table(segment: Segment) -> Table:
    """The only table of a segment."""
    (table,) = [layer for layer in segment.layers() if isinstance(layer, Table)]
    assert segment.tables == 1
    return table
