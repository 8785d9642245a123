"""Block index of a table: where each block lies, and its first key, so that a key leads to its block (sparse index).

blocks u32 | zero u32
one record per block      offset u64 | checksum u64 | bytes in the file u32 | bytes of the block u32 |
                          bytes of the keys u32 | bytes of the values u32 | entries u32 |
                          bytes of the prefix that its keys share and that stands before them u32, 0 for none
first keys                msgpack array of bin
"""

from __future__ import annotations

import struct
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import msgpack
import numpy as np

from shardstore.identifiers import Buffer
from shardstore.key_range import KeyRange
from shardstore.tables.stretches import Mark
from shardstore.tables.table_format import BLOCKS_MAX, Integers

_HEAD = struct.Struct("<II")
_RECORD = np.dtype(
    [
        ("offset", "<u8"),
        ("checksum", "<u8"),
        ("stored_bytes", "<u4"),
        ("block_bytes", "<u4"),
        ("keys_bytes", "<u4"),
        ("values_bytes", "<u4"),
        ("entries", "<u4"),
        ("prefix_bytes", "<u4"),
    ]
)


class BlockRecord(NamedTuple):
    """Where a block lies and what it holds. It is compressed when `stored_bytes` are less than `block_bytes`.

    `keys_bytes` are those of the prefix and of what stands behind it.
    """

    offset: int
    checksum: int
    stored_bytes: int
    block_bytes: int
    keys_bytes: int
    values_bytes: int
    entries: int
    prefix_bytes: int


def build_block_index(records: Sequence[BlockRecord], first_keys: Sequence[bytes]) -> bytes:
    """The index of these blocks."""
    packed_keys: bytes = msgpack.packb(first_keys)
    return _HEAD.pack(len(records), 0) + np.array(records, dtype=_RECORD).tobytes() + packed_keys


def record_at(block: int) -> int:
    """Where the record of a block begins in the index."""
    return _HEAD.size + block * _RECORD.itemsize


class BlockIndex:
    """An index as it lies in the file. Arrays have one item per block, `positions` one more for the end.

    begins               where the block begins in the file; what follows counts from the begin of the expanded block
    values_at            where its values begin; its keys begin with it
    offsets_at           where its offsets begin
    positions            ranks, in the whole table, of the first entries of blocks
    prefix_bytes         of the prefix with which its keys begin; 0 where they are stored whole
    rebuilt_bytes        bytes of the block with its prefix in every key
    bytes_before         such bytes of the blocks before it
    """

    def __init__(self, data: Buffer) -> None:
        blocks, _ = _HEAD.unpack_from(data)
        assert blocks <= BLOCKS_MAX
        keys_at = record_at(blocks)
        records = np.frombuffer(data[_HEAD.size : keys_at], dtype=_RECORD)
        self._packed_keys = data[keys_at:]
        self.checksums = records["checksum"]
        self.begins: Integers = records["offset"].astype(np.int64)
        self.stored_bytes: Integers = records["stored_bytes"].astype(np.int64)
        self.entries: Integers = records["entries"].astype(np.int64)
        self.block_bytes: Integers = records["block_bytes"].astype(np.int64)
        self.values_at: Integers = records["keys_bytes"].astype(np.int64)
        self.offsets_at: Integers = self.values_at + records["values_bytes"]
        self.prefix_bytes: Integers = records["prefix_bytes"].astype(np.int64)
        self.rebuilt_bytes: Integers = self.block_bytes + self.prefix_bytes * (self.entries - 1)
        self.positions: Integers = np.concatenate((np.zeros(1, np.int64), np.cumsum(self.entries)))
        self.bytes_before: Integers = np.concatenate((np.zeros(1, np.int64), np.cumsum(self.rebuilt_bytes)))

    def __len__(self) -> int:
        return len(self.entries)

    @cached_property
    def first_keys(self) -> list[bytes]:
        """First key of each block."""
        keys: list[bytes] = msgpack.unpackb(self._packed_keys)
        return keys

    def block_of(self, key: bytes) -> int:
        """The only block that can hold the key."""
        return max(0, bisect_right(self.first_keys, key) - 1)

    def block_at(self, position: int) -> int:
        """The block with the entry of this position."""
        return int(np.searchsorted(self.positions, position, side="right")) - 1

    def marks(self, key_range: KeyRange, reverse: bool, entries_max: int, bytes_max: int) -> list[Mark]:
        """Where blocks begin inside the range, from its near end on, at least until one of the bounds is reached.

        The block at the near end counts as a whole.
        """
        begin = self.block_of(key_range.start)
        end = bisect_left(self.first_keys, key_range.end) if key_range.end else len(self)
        if reverse:
            entries = int(np.searchsorted(self.positions, self.positions[end] - entries_max, side="right"))
            payload = int(np.searchsorted(self.bytes_before, self.bytes_before[end] - bytes_max, side="right"))
            blocks = slice(max(begin + 1, entries - 1, payload - 1), end)
            keys = self.first_keys[blocks]
        else:
            entries = int(np.searchsorted(self.positions, self.positions[begin] + entries_max))
            payload = int(np.searchsorted(self.bytes_before, self.bytes_before[begin] + bytes_max))
            blocks = slice(begin, max(begin, min(end - 1, entries, payload)))
            keys = self.first_keys[begin + 1 : blocks.stop + 1]
        return list(map(Mark, keys, self.entries[blocks].tolist(), self.rebuilt_bytes[blocks].tolist()))
