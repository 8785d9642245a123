"""Writes a table file from entries in key order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from types import TracebackType

import numpy as np

from shardstore.checksum import checksum, checksum_of
from shardstore.compression import Codec, codec_of, is_worth_it
from shardstore.errors import StorageFailure
from shardstore.identifiers import Buffer, Expiring
from shardstore.limits import BLOCK_ENTRIES
from shardstore.seams.filesystem import Filesystem
from shardstore.segment_options import DEFAULTS, SegmentOptions
from shardstore.tables.block_index import BlockRecord, build_block_index
from shardstore.tables.bloom import build_bloom
from shardstore.tables.column_items import as_list, stride_of_items
from shardstore.tables.digests import Digests, digests_of
from shardstore.tables.hash_index import build_hash_index
from shardstore.tables.row_digests import digests_of_rows
from shardstore.tables.table_format import (
    BLOCKS_MAX,
    Entries,
    Identity,
    Integers,
    Keys,
    Layout,
    Properties,
    Section,
    Sections,
    TableRecord,
    Values,
    encode_footer,
    quantiles_of,
    seed_at,
)
from shardstore.wire import messages
from shardstore.workers.segment.column_writer import (
    BlockColumn,
    EncodedColumn,
    encode_fixed_items,
    encode_variable_items,
)
from shardstore.workers.segment.key_prefixes import prefix_worth_storing, stored_behind_prefix

SLICE_ENTRIES = 16_384


def layout_of(entries: Entries) -> Layout:
    """The densest layout that fits the entries."""
    value_stride = stride_of_items(entries.values)
    may_expire = not value_stride and Expiring in set(map(type, entries.values))
    return Layout(stride_of_items(entries.keys), value_stride, may_expire)


class TableWriter:
    """One table file being written. `add` slices of ascending keys, then `finish`; the caller syncs the directory.

    A context manager: it closes the file. After a StorageFailure it also removes the file, so that its room is free
    again.
    """

    def __init__(self, filesystem: Filesystem, identity: Identity, layout: Layout, options: SegmentOptions) -> None:
        header = identity.header()
        self._options = options
        self._filesystem = filesystem
        self._identity = identity
        self._layout = layout
        self._codec = codec_of(options.compression)
        self._file_seed = checksum(header)
        self._pending: list[Buffer] = [header]
        self._offset = len(header)
        self._records: list[BlockRecord] = []
        self._first_keys: list[bytes] = []
        self._key_last = b""
        self._digests: list[Digests] = []
        self._key_lengths: list[int] = []
        self._value_lengths: list[int] = []
        self._tombstones = 0
        self._moments: list[int] = []
        self._file = filesystem.create(identity.path)

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._file.close()
        if isinstance(error, StorageFailure):
            with suppress(FileNotFoundError):
                self._filesystem.remove(self._identity.path)

    @property
    def bytes_written(self) -> int:
        """Bytes of the header and of the blocks written so far."""
        return self._offset

    def add(self, keys: Keys, values: Values) -> None:
        """Write these entries. Their keys must follow all keys added before. The last block of a call may be small."""
        key_list: list[bytes] = as_list(keys)
        assert self._key_last < key_list[0] <= key_list[-1]
        assert len(keys) == len(values)
        key_column = self._encode(keys, self._layout.key_stride)
        value_column = self._encode(values, self._layout.value_stride)
        self._digests.append(digests_of_rows(keys, key_list) if isinstance(keys, np.ndarray) else digests_of(key_list))
        self._key_lengths += _extremes(key_column.lengths)
        self._value_lengths += _extremes(value_column.lengths)
        self._tombstones += 0 if value_column.fixed else len(values) - len(value_column.lengths)
        self._moments += value_column.moments
        bounds = block_bounds(key_column.offsets + value_column.offsets, self._options.block_bytes)
        for first, last in pairwise(bounds):
            self._add_block(key_list[first:last], key_column.block(first, last), value_column.block(first, last))
        self._first_keys += map(key_list.__getitem__, bounds[:-1])
        self._key_last = key_list[-1]
        self._flush()

    def finish(self, lsn_first: int, lsn_last: int) -> TableRecord:
        """Write indexes, filter, properties and footer. The table covers `lsn_first` to `lsn_last`."""
        assert self._layout.may_expire or not self._moments, "values expire in a file of the version without any"
        assert 1 <= len(self._records) <= BLOCKS_MAX
        digests = np.concatenate(self._digests)
        properties = self._properties(len(digests), lsn_first, lsn_last)
        sections = Sections(
            self._add_section(build_block_index(self._records, self._first_keys)),
            self._add_section(build_hash_index(digests, self._entry_numbers())),
            self._add_section(build_bloom(digests, self._options.bloom_bits_per_key)),
            self._add_section(messages.encode(properties)),
        )
        footer, footer_checksum = encode_footer(sections, self._file_seed, self._offset)
        self._append(footer)
        self._flush()
        return TableRecord(
            self._identity.number,
            self._offset,
            properties.entries,
            properties.tombstones,
            properties.key_first,
            properties.key_last,
            footer_checksum,
            expiring=len(self._moments),
            moments=quantiles_of(self._moments),
        )

    def sync(self) -> None:
        """Make what was written durable. No manifest may name the table before."""
        self._file.sync()

    def _encode(self, items: Keys | Values, stride: int) -> EncodedColumn:
        return encode_fixed_items(items, stride) if stride else encode_variable_items(items)  # type: ignore[arg-type]

    def _add_block(self, key_list: Sequence[bytes], keys: BlockColumn, values: BlockColumn) -> None:
        whole_bytes = sum(map(len, (*keys, *values)))
        prefix_bytes = prefix_worth_storing(key_list[0], key_list[-1], len(key_list), whole_bytes)
        if prefix_bytes:
            keys = stored_behind_prefix(key_list, keys, prefix_bytes)
        block = (keys.items, values.items, keys.offsets, values.offsets)
        block_bytes = sum(map(len, block))
        stored = _stored_form(block, block_bytes, self._codec)
        self._records.append(
            BlockRecord(
                self._offset,
                checksum_of(stored, seed_at(self._file_seed, self._offset)),
                sum(map(len, stored)),
                block_bytes,
                len(keys.items),
                len(values.items),
                len(key_list),
                prefix_bytes,
            )
        )
        self._append(*stored)

    def _add_section(self, data: bytes) -> Section:
        section = Section(self._offset, len(data), checksum(data, seed_at(self._file_seed, self._offset)))
        self._append(data)
        return section

    def _entry_numbers(self) -> Integers:
        """The numbers of all entries, in key order."""
        entries = np.array([record.entries for record in self._records], dtype=np.int64)
        positions = np.cumsum(entries) - entries
        bases = np.arange(len(entries), dtype=np.int64) * BLOCK_ENTRIES - positions
        return np.repeat(bases, entries) + np.arange(int(entries.sum()), dtype=np.int64)

    def _properties(self, entries: int, lsn_first: int, lsn_last: int) -> Properties:
        return Properties(
            entries=entries,
            tombstones=self._tombstones,
            key_first=self._first_keys[0],
            key_last=self._key_last,
            key_stride=self._layout.key_stride,
            value_stride=self._layout.value_stride,
            key_bytes_min=min(self._key_lengths),
            key_bytes_max=max(self._key_lengths),
            value_bytes_min=min(self._value_lengths, default=0),
            value_bytes_max=max(self._value_lengths, default=0),
            lsn_first=lsn_first,
            lsn_last=lsn_last,
            compression=self._options.compression,
        )

    def _append(self, *pieces: Buffer) -> None:
        self._pending += pieces
        self._offset += sum(map(len, pieces))

    def _flush(self) -> None:
        self._file.append(self._pending)
        self._pending = []


def _extremes(lengths: Integers) -> list[int]:
    return [int(lengths.min()), int(lengths.max())] if len(lengths) else []


def block_bounds(bytes_before: Integers, block_bytes: int) -> list[int]:
    """Where blocks begin, and where the last one ends.

    A block has BLOCK_ENTRIES entries, or fewer to stay within `block_bytes`, but at least one.
    """
    entries = len(bytes_before) - 1
    bounds = [0]
    while bounds[-1] < entries:
        first = bounds[-1]
        full = int(np.searchsorted(bytes_before, bytes_before[first] + block_bytes, side="right")) - 1
        bounds.append(min(max(full, first + 1), first + BLOCK_ENTRIES, entries))
    return bounds


def write_table(
    filesystem: Filesystem,
    identity: Identity,
    entries: Entries,
    lsn_first: int = 0,
    lsn_last: int = 0,
    options: SegmentOptions = DEFAULTS,
) -> TableRecord:
    """Write a whole table at once."""
    with TableWriter(filesystem, identity, layout_of(entries), options) as writer:
        for keys, values in slices_of(entries):
            writer.add(keys, values)
        record = writer.finish(lsn_first, lsn_last)
        writer.sync()
        return record


def slices_of(entries: Entries) -> Iterator[Entries]:
    """The entries in pieces of at most SLICE_ENTRIES."""
    keys, values = entries
    for first in range(0, len(keys), SLICE_ENTRIES):
        yield Entries(keys[first : first + SLICE_ENTRIES], values[first : first + SLICE_ENTRIES])


def _stored_form(block: Sequence[Buffer], block_bytes: int, codec: Codec | None) -> Sequence[Buffer]:
    """The pieces of a block as they are written to the file. They are compressed if, and only if, they are shorter."""
    if codec is None:
        return block
    compressed = codec.compress(b"".join(block))
    return (compressed,) if is_worth_it(len(compressed), block_bytes) else block
