"""The readers of an open table: indexes, filter, blocks and columns. Each is built on first use.

They can be dropped at any time and built again from the file; see cache.py.
"""

from __future__ import annotations

from functools import cached_property

from shardstore.compression import codec_of
from shardstore.identifiers import Stored
from shardstore.limits import BLOCK_ENTRIES
from shardstore.tables.block_cache import BlockCache
from shardstore.tables.block_index import BlockIndex
from shardstore.tables.blocks import Blocks, ExpandedBlocks, MappedBlocks, StoredBlocks
from shardstore.tables.bloom import BloomFilter
from shardstore.tables.column_reader import (
    ColumnReader,
    ExpiringColumnReader,
    FixedColumnReader,
    ValueReader,
    VariableColumnReader,
)
from shardstore.tables.hash_index import HashIndex
from shardstore.tables.prefixed_reader import PrefixedFixedReader, PrefixedVariableReader
from shardstore.tables.table_file import TableFile
from shardstore.tables.table_format import OFFSET_BYTES

_FIXED_BYTES = 4_096
_PER_INDEX_BYTE = 4


class SectionReaders:
    """The indexes, filter, blocks and columns of one table."""

    def __init__(self, file: TableFile, block_cache: BlockCache) -> None:
        self._file = file
        self._block_cache = block_cache
        self.used = True
        """Whether the readers were used since the cache last checked."""

    @property
    def bytes_max(self) -> int:
        """Maximum memory that the readers take. Sections do not count: their memory is that of the mapped file."""
        return _FIXED_BYTES + _PER_INDEX_BYTE * self._file.sections.block_index.length

    def get(self, key: bytes, digest: tuple[int, int]) -> Stored | None:
        """Return what the table holds for one key; None if nothing. The hash index alone is as fast as a filter."""
        for number in self.hash_index.candidates_of_one(digest):
            block, place = divmod(number, BLOCK_ENTRIES)
            begin = self.blocks.kept(block)
            if self.keys.item(begin, block, place) == key:
                return self.values.item(begin, block, place)
        return None

    @cached_property
    def block_index(self) -> BlockIndex:
        """The block index."""
        return self._file.block_index()

    @cached_property
    def hash_index(self) -> HashIndex:
        """The hash index of the keys."""
        return HashIndex(self._file.section(self._file.sections.hash_index, "hash index"))

    @cached_property
    def bloom(self) -> BloomFilter:
        """The Bloom filter of the keys."""
        return BloomFilter(self._file.section(self._file.sections.bloom, "Bloom filter"))

    @cached_property
    def blocks(self) -> Blocks:
        """The blocks: expanded in the cache if any of them is compressed, else read in the file."""
        stored = StoredBlocks(self._file.path, self._file.data, self.block_index, self._file.seed)
        codec = codec_of(self._file.properties.compression)
        if codec is None or (self.block_index.stored_bytes == self.block_index.block_bytes).all():
            return MappedBlocks(stored, self._file.verified)
        return ExpandedBlocks(stored, codec, self._block_cache)

    @cached_property
    def keys(self) -> ColumnReader:
        """The column of keys."""
        index, stride = self.block_index, self._file.properties.key_stride
        if index.prefix_bytes.any():
            if stride:
                return PrefixedFixedReader(self.blocks, stride, index.prefix_bytes)
            return PrefixedVariableReader(self.blocks, index.prefix_bytes, index.offsets_at)
        if stride:
            return FixedColumnReader(self.blocks, stride, index.values_at * 0)
        return VariableColumnReader(self.blocks, index.values_at * 0, index.offsets_at)

    @cached_property
    def values(self) -> ValueReader:
        """The column of values."""
        index, properties = self.block_index, self._file.properties
        if properties.value_stride:
            return FixedColumnReader(self.blocks, properties.value_stride, index.values_at)
        key_offsets_bytes = 0 if properties.key_stride else (index.entries + 1) * OFFSET_BYTES
        reader = ExpiringColumnReader if self._file.may_expire else VariableColumnReader
        return reader(self.blocks, index.values_at, index.offsets_at + key_offsets_bytes)
