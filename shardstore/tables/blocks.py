"""The blocks of an open table in memory: read in the mapped file, or expanded into the block cache.

A block that is read in the file is verified before its first use. A compressed one is verified whenever it is expanded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from shardstore.checksum import checksum
from shardstore.compression import Codec
from shardstore.errors import Corruption
from shardstore.identifiers import Buffer
from shardstore.tables.block_cache import ABSENT, BlockCache
from shardstore.tables.block_index import BlockIndex
from shardstore.tables.bloom import Mask
from shardstore.tables.table_format import Integers, seed_at


class Blocks(Protocol):
    """Blocks that can be read once they are loaded.

    data    memory that holds the loaded blocks
    slices  the same memory, in the form that is cut into bytes in the least time
    begins  offset of each block in it; meaningless for blocks that are not loaded
    are_shared  whether several threads may read them at once
    """

    data: memoryview
    slices: Buffer
    begins: Integers
    are_shared: bool

    def groups(self, blocks: Integers) -> list[slice]:
        """Cut these blocks (in any order, repetitions allowed) into pieces that can each be loaded as a whole."""

    def load(self, blocks: Integers) -> None:
        """Make these blocks readable until blocks are loaded again. Raises Corruption."""

    def kept(self, block: int) -> int:
        """Return where one block begins in `data`, and keep it loaded. Raises Corruption."""

    def content(self, block: int) -> memoryview:
        """Return one block without evicting another. Raises Corruption."""


@dataclass(frozen=True, slots=True)
class StoredBlocks:
    """The blocks of a mapped file, as they are stored."""

    path: str
    data: memoryview
    index: BlockIndex
    file_seed: int

    def verified(self, block: int) -> memoryview:
        """Return the stored bytes of a block. Raises Corruption if its checksum does not match."""
        index = self.index
        offset = int(index.begins[block])
        stored = self.data[offset : offset + int(index.stored_bytes[block])]
        if checksum(stored, seed_at(self.file_seed, offset)) != index.checksums[block]:
            raise Corruption(self.path, offset, f"checksum of block {block} does not match")
        return stored


class MappedBlocks:
    """Uncompressed blocks: read in the mapped file, and cached by the operating system.

    Threads may share them: nothing changes but what is known to be verified. `verified` says that for each block, and
    all readers of the file share it.
    """

    are_shared = True

    def __init__(self, stored: StoredBlocks, verified: Mask) -> None:
        self.data = stored.data
        self.slices: Buffer = stored.data.obj  # type: ignore[assignment]  # the whole file: a map gives bytes at once
        self.begins = stored.index.begins
        self._stored = stored
        self._begin_of = stored.index.begins.data
        self._ends = (stored.index.begins + stored.index.block_bytes).tolist()
        self._verified = verified
        self._is_verified = verified.data
        self._all_verified = False

    def groups(self, blocks: Integers) -> list[slice]:
        """Return one slice with all blocks: mapped blocks need no batches."""
        return [slice(0, len(blocks))]

    def load(self, blocks: Integers) -> None:
        """Verify the blocks that were not verified before."""
        if self._all_verified:
            return
        unknown = blocks[~self._verified[blocks]]
        for block in np.unique(unknown).tolist() if len(unknown) else ():
            self._verify(block)
        self._all_verified = bool(self._verified.all())

    def kept(self, block: int) -> int:
        """Return where one block begins, verified at its first use: the file stays mapped."""
        if not self._is_verified[block]:
            self._verify(block)
        return self._begin_of[block]

    def content(self, block: int) -> memoryview:
        """Return the bytes of one block, verified at its first use."""
        return self.data[self.kept(block) : self._ends[block]]

    def _verify(self, block: int) -> None:
        self._stored.verified(block)
        self._verified[block] = True


class ExpandedBlocks:
    """Blocks of a compressed table, expanded on demand. Each may evict others, so threads cannot share them."""

    are_shared = False

    def __init__(self, stored: StoredBlocks, codec: Codec, cache: BlockCache) -> None:
        self.data = cache.ring.data
        self.slices: Buffer = self.data
        self.begins: Integers = np.full(len(stored.index), ABSENT, dtype=np.int64)
        self._stored = stored
        self._codec = codec
        self._cache = cache

    def groups(self, blocks: Integers) -> list[slice]:
        """One piece if the blocks fit the cache together; otherwise several, for which repetitions count each time."""
        sizes = self._stored.index.block_bytes
        if int(sizes[np.unique(blocks)].sum()) <= self._cache.group_bytes_max:
            return [slice(0, len(blocks))]
        return [slice(*bounds) for bounds in _pieces(np.cumsum(sizes[blocks]), self._cache.group_bytes_max)]

    def load(self, blocks: Integers) -> None:
        """Expand the blocks that the cache does not hold. Those evicted meanwhile are expanded again."""
        missing = blocks[self.begins[blocks] == ABSENT]
        self._cache.misses += len(missing)
        self._cache.hits += len(blocks) - len(missing)
        while len(missing):
            for block in np.unique(missing).tolist():
                self._cache.place(self.begins, block, self._expanded(block))
            missing = blocks[self.begins[blocks] == ABSENT]

    def kept(self, block: int) -> int:
        """Return where one block begins in the cache, expanding it first if needed."""
        if self.begins[block] == ABSENT:
            self._cache.misses += 1
            self._cache.place(self.begins, block, self._expanded(block))
        else:
            self._cache.hits += 1
        return int(self.begins[block])

    def content(self, block: int) -> memoryview:
        """Return one block from the cache, or expanded for this call alone."""
        if self.begins[block] == ABSENT:
            return memoryview(self._expanded(block))
        begin = int(self.begins[block])
        return self.data[begin : begin + int(self._stored.index.block_bytes[block])]

    def _expanded(self, block: int) -> bytes | memoryview:
        stored, size = self._stored.verified(block), int(self._stored.index.block_bytes[block])
        if len(stored) == size:
            return stored
        try:
            content = self._codec.expand(stored, size)
        except ValueError as error:
            raise self._damage(block, str(error)) from None
        if len(content) != size:
            raise self._damage(block, f"{len(content)} bytes instead of {size}")
        return content

    def _damage(self, block: int, what: str) -> Corruption:
        where = int(self._stored.index.begins[block])
        return Corruption(self._stored.path, where, f"block {block} does not expand: {what}")


def _pieces(bytes_up_to: Integers, bytes_max: int) -> list[tuple[int, int]]:
    """Return the bounds of pieces of at most `bytes_max` bytes; each has at least one item."""
    pieces, first = [], 0
    while first < len(bytes_up_to):
        before = int(bytes_up_to[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(bytes_up_to, before + bytes_max, side="right")))
        pieces.append((first, last))
        first = last
    return pieces
