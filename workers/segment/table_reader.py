"""Reads a table file, mapped into memory. Every section and block is verified at its first touch.

Damage raises Corruption naming the file: a key is never taken for absent because its bytes are bad.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from shardstore import messages
from shardstore.checksum import checksum
from shardstore.columns import Column
from shardstore.errors import Corruption
from shardstore.filesystem import Filesystem
from shardstore.identifiers import Buffer, Stored
from shardstore.key_range import EVERYTHING, KeyRange
from shardstore.limits import BLOCK_ENTRIES
from shardstore.wire_format import MalformedMessage
from workers.chunk import Chunk
from workers.segment.block_index import BlockIndex
from workers.segment.bloom import BloomFilter, Mask
from workers.segment.column_reader import (
    ColumnReader,
    FixedColumnReader,
    VariableColumnReader,
    array_head,
    decode_variable,
)
from workers.segment.column_writer import as_list
from workers.segment.digests import Digests, digest_of, digests_of
from workers.segment.hash_index import HashIndex
from workers.segment.table_format import (
    FOOTER_BYTES,
    HEADER_BYTES,
    OFFSET_BYTES,
    Entries,
    Identity,
    Integers,
    Keys,
    Properties,
    Section,
    TableRecord,
    Values,
    check_header,
    decode_footer,
    seed_at,
)

FEW_KEYS = 16
"""Up to so many keys are looked up one by one: array operations cost more to start."""
_NOTHING = Column(b"", False)


@dataclass(frozen=True, slots=True)
class Page:
    """Consecutive entries as they are stored, ready for the wire. The table may hold more unless `exhausted`."""

    keys: Column
    values: Column
    entries: int
    first_key: bytes
    last_key: bytes
    exhausted: bool


class Table:
    """An open table. It stays readable after its file is removed."""

    def __init__(self, filesystem: Filesystem, identity: Identity, record: TableRecord) -> None:
        try:
            self._data = filesystem.map(identity.path)
        except FileNotFoundError:
            raise Corruption(identity.path, 0, "the manifest names this table, but there is no such file") from None
        if len(self._data) != record.file_bytes or record.file_bytes < HEADER_BYTES + FOOTER_BYTES:
            raise Corruption(identity.path, len(self._data), f"ends here; the manifest says at {record.file_bytes}")
        self._path = identity.path
        self._file_seed = check_header(self._data, identity)
        self._sections = decode_footer(self._data, identity, self._file_seed, record.checksum)
        self.properties = self._read_properties()
        self.record = record

    def get_many(self, keys: Sequence[bytes]) -> list[Stored | None]:
        """What the table holds for each key; None for nothing."""
        if len(keys) <= FEW_KEYS:
            return [self.get(key, digest_of(key)) for key in keys]
        return self.find(keys, digests_of(keys))

    def get(self, key: bytes, digest: tuple[int, int]) -> Stored | None:
        """What the table holds for one key. The hash index alone settles it, as fast as the filter would."""
        for number in self._hash_index.candidates_of_one(digest):
            block, place = divmod(number, BLOCK_ENTRIES)
            self._verify(block)
            if self._keys.item(block, place) == key:
                return self._values.item(block, place)
        return None

    def find(self, keys: Sequence[bytes], digests: Digests) -> list[Stored | None]:
        """What the table holds for each key, given the digests of the keys; None for nothing."""
        maybe = digests[self._bloom.may_contain(digests)]
        found = self._entries_of(self._hash_index.candidates(maybe)) if len(maybe) else {}
        return list(map(found.get, keys)) if found else [None] * len(keys)

    def chunk(self, key_range: KeyRange, reverse: bool, entries_max: int, bytes_max: int) -> Chunk:
        """The first entries of the range, or (`reverse`) the last; at least one if there is one.

        It ends with the block in which `bytes_max` is reached.
        """
        bounds = self._positions(key_range)
        first, last = self._cut(*bounds, reverse, entries_max, bytes_max)
        values = as_list(self._items(self._values, self.properties.value_stride, first, last))
        return Chunk(self._key_list(first, last), values, (first, last) == bounds)

    def page(self, key_range: KeyRange, reverse: bool, entries_max: int, bytes_max: int) -> Page | None:
        """The same, encoded, without decoding an entry. None when the table has tombstones: no wire takes them."""
        if self.properties.tombstones:
            return None
        bounds = self._positions(key_range)
        first, last = self._cut(*bounds, reverse, entries_max, bytes_max)
        if first == last:
            return Page(_NOTHING, _NOTHING, 0, b"", b"", True)
        return Page(
            self._column(self._keys, self.properties.key_stride, first, last),
            self._column(self._values, self.properties.value_stride, first, last),
            last - first,
            self._key_list(first, first + 1)[0],
            self._key_list(last - 1, last)[0],
            (first, last) == bounds,
        )

    def entries(self, key_range: KeyRange = EVERYTHING) -> Entries:
        """All entries of the range as columns, fixed ones as arrays."""
        first, last = self._positions(key_range)
        keys: Keys = self._items(self._keys, self.properties.key_stride, first, last)  # type: ignore[assignment]
        return Entries(keys, self._items(self._values, self.properties.value_stride, first, last))

    def blocks(self) -> list[tuple[bytes, int]]:
        """First key and size of each block."""
        return list(zip(self._block_index.first_keys, self._block_index.block_bytes.tolist(), strict=True))

    @cached_property
    def _block_index(self) -> BlockIndex:
        return BlockIndex(self._section(self._sections.block_index, "block index"))

    @cached_property
    def _hash_index(self) -> HashIndex:
        return HashIndex(self._section(self._sections.hash_index, "hash index"))

    @cached_property
    def _bloom(self) -> BloomFilter:
        return BloomFilter(self._section(self._sections.bloom, "Bloom filter"))

    @cached_property
    def _keys(self) -> ColumnReader:
        blocks = self._block_index
        if self.properties.key_stride:
            return FixedColumnReader(self._data, self.properties.key_stride, blocks.keys_at)
        return VariableColumnReader(self._data, blocks.keys_at, blocks.offsets_at)

    @cached_property
    def _values(self) -> ColumnReader:
        blocks = self._block_index
        if self.properties.value_stride:
            return FixedColumnReader(self._data, self.properties.value_stride, blocks.values_at)
        key_offsets_bytes = 0 if self.properties.key_stride else (blocks.entries + 1) * OFFSET_BYTES
        return VariableColumnReader(self._data, blocks.values_at, blocks.offsets_at + key_offsets_bytes)

    @cached_property
    def _verified(self) -> Mask:
        """Which blocks have passed their checksum."""
        return np.zeros(len(self._block_index), dtype=np.bool_)

    def _read_properties(self) -> Properties:
        section = self._sections.properties
        try:
            return messages.decode(Properties, self._section(section, "properties"))
        except MalformedMessage as error:
            raise Corruption(self._path, section.offset, str(error)) from None

    def _section(self, section: Section, what: str) -> memoryview:
        data = self._data[section.offset : section.offset + section.length]
        self._check(data, section.offset, section.checksum, what)
        return data

    def _verify(self, block: int) -> None:
        """Check a block at its first touch."""
        if self._verified[block]:
            return
        blocks = self._block_index
        offset = int(blocks.keys_at[block])
        data = self._data[offset : offset + int(blocks.block_bytes[block])]
        self._check(data, offset, int(blocks.checksums[block]), f"block {block}")
        self._verified[block] = True

    def _check(self, data: Buffer, offset: int, expected: int, what: str) -> None:
        if checksum(data, seed_at(self._file_seed, offset)) != expected:
            raise Corruption(self._path, offset, f"checksum of the {what} does not match")

    def _entries_of(self, numbers: Integers) -> dict[bytes, Stored]:
        """The entries with these numbers."""
        blocks, places = np.divmod(numbers, BLOCK_ENTRIES)
        for block in np.unique(blocks[~self._verified[blocks]]).tolist():
            self._verify(block)
        return dict(zip(self._keys.pick(blocks, places), self._values.pick(blocks, places), strict=True))  # type: ignore[arg-type]

    def _positions(self, key_range: KeyRange) -> tuple[int, int]:
        """Positions of the first entry of the range, and of the first behind it."""
        first = self._position_of(key_range.start)
        return first, max(first, self._position_of(key_range.end) if key_range.end else self.properties.entries)

    def _position_of(self, key: bytes) -> int:
        """How many entries have a smaller key."""
        block = self._block_index.block_of(key)
        position = int(self._block_index.positions[block])
        entries = int(self._block_index.entries[block])
        return position + bisect_left(self._key_list(position, position + entries), key)

    def _cut(self, first: int, last: int, reverse: bool, entries_max: int, bytes_max: int) -> tuple[int, int]:
        """The part of these positions that a page may hold: from the front, or (`reverse`) from the end."""
        if first == last:
            return first, last
        blocks = self._block_index
        if reverse:
            end = blocks.bytes_before[blocks.block_at(last - 1) + 1]
            block = max(0, int(np.searchsorted(blocks.bytes_before, end - bytes_max, side="right")) - 1)
            return max(first, last - entries_max, int(blocks.positions[block])), last
        begin = blocks.bytes_before[blocks.block_at(first)]
        block = min(len(blocks), int(np.searchsorted(blocks.bytes_before, begin + bytes_max)))
        return first, min(last, first + entries_max, int(blocks.positions[block]))

    def _stretches(self, column: ColumnReader, first: int, last: int) -> Iterator[Buffer]:
        """The encoded items of these positions, block by block."""
        blocks = self._block_index
        for block in range(blocks.block_at(first), blocks.block_at(last - 1) + 1):
            self._verify(block)
            position, behind = blocks.positions[block : block + 2].tolist()
            yield column.stretch(block, max(first, position) - position, min(last, behind) - position)

    def _column(self, column: ColumnReader, stride: int, first: int, last: int) -> Column:
        """The entries of these positions as a column of the wire."""
        head = b"" if stride else array_head(last - first)
        return Column(b"".join((head, *self._stretches(column, first, last))), bool(stride))

    def _items(self, column: ColumnReader, stride: int, first: int, last: int) -> Values:
        """The entries of these positions, an array if the column is fixed."""
        if first == last:
            return []
        body = b"".join(self._stretches(column, first, last))
        return np.frombuffer(body, dtype=f"V{stride}") if stride else decode_variable(body, last - first)

    def _key_list(self, first: int, last: int) -> list[bytes]:
        return as_list(self._items(self._keys, self.properties.key_stride, first, last))  # type: ignore[return-value]
