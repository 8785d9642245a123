"""What stretches of the blocks of a table hold: as columns of a message, as lists, or cut when they are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np

from shardstore.identifiers import Buffer
from shardstore.tables.column_reader import ColumnReader, array_head
from shardstore.tables.lazy_items import LAZY_BYTES_MIN
from shardstore.tables.section_readers import SectionReaders
from shardstore.tables.table_format import Values
from shardstore.wire.columns import Column


class BlockStretch(NamedTuple):
    """Entries `first` to `last` (excluded) of a block with this content."""

    content: memoryview
    block: int
    first: int
    last: int


def column_of(column: ColumnReader, stretches: Sequence[BlockStretch]) -> Column:
    """Return these entries as a column for a message."""
    head = b"" if column.stride else array_head(sum(stretch.last - stretch.first for stretch in stretches))
    return Column(b"".join((head, *_bodies(column, stretches))), bool(column.stride))


def value_items(readers: SectionReaders, stretches: Sequence[BlockStretch]) -> Sequence[bytes]:
    """Return the values of these entries, of which none is a tombstone. Large ones are cut when they are read.

    The first block says whether they are large.
    """
    index, block = readers.block_index, stretches[0].block
    if not readers.blocks.are_shared or index.rebuilt_bytes[block] < LAZY_BYTES_MIN * index.entries[block]:
        return list(chain.from_iterable(readers.values.items(*stretch) for stretch in stretches))  # type: ignore[misc]
    _, blocks, firsts, lasts = zip(*stretches, strict=True)
    counts = np.array(lasts) - firsts
    places = np.arange(counts.sum()) + np.repeat(firsts - (np.cumsum(counts) - counts), counts)
    return readers.values.lazily(np.repeat(blocks, counts), places)


def items_of(column: ColumnReader, stretches: Sequence[BlockStretch]) -> Values:
    """Return these entries, as an array if the column is fixed."""
    if column.stride:
        return np.frombuffer(b"".join(_bodies(column, stretches)), dtype=f"V{column.stride}")
    return list(chain.from_iterable(column.items(*stretch) for stretch in stretches))


def edge_of(column: ColumnReader, stretch: BlockStretch, place: int) -> bytes:
    """Return the first (0) or last (-1) key of a stretch."""
    at = stretch.first if place == 0 else stretch.last - 1
    (key,) = column.items(stretch.content, stretch.block, at, at + 1)
    assert isinstance(key, bytes)
    return key


def _bodies(column: ColumnReader, stretches: Sequence[BlockStretch]) -> Iterator[Buffer]:
    return (column.stretch(*stretch) for stretch in stretches)
