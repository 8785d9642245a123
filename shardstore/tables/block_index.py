"""Block index of a table (a sparse index): the position and the first key of each block.

blocks u32 | zero u32
one record per block      offset u64 | checksum u64 | bytes in the file u32 | bytes of the block u32 |
                          bytes of the keys u32 | bytes of the values u32 | entries u32 |
                          bytes of the common prefix stored before its keys u32, 0 for none
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
from shardstore.tables.stretches import KeyMark
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
    """Where a block lies and what it holds. It is compressed if `stored_bytes` is less than `block_bytes`.

    `keys_bytes` counts the common prefix and the suffixes.
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
    """Return the encoded index of these blocks."""
    packed_keys: bytes = msgpack.packb(first_keys)
    return _HEAD.pack(len(records), 0) + np.array(records, dtype=_RECORD).tobytes() + packed_keys


def record_offset(block: int) -> int:
    """Return the offset of a block's record in the index."""
    return _HEAD.size + block * _RECORD.itemsize


class BlockIndex:
    """Reads an encoded index. Arrays have one item per block; `positions` and `bytes_before` one more at the end.

    begins               offset of the block in the file
    values_at            offset of the values in the expanded block; the keys are at offset 0
    offsets_at           offset, in the expanded block, of the offsets of its items
    positions            number of entries in all blocks before this one
    prefix_bytes         length of the common prefix of its keys; 0 if they are stored whole
    rebuilt_bytes        size of the expanded block with the prefix put back into every key
    bytes_before         sum of `rebuilt_bytes` of all blocks before this one
    """

    def __init__(self, data: Buffer) -> None:
        blocks, _ = _HEAD.unpack_from(data)
        assert blocks <= BLOCKS_MAX
        keys_at = record_offset(blocks)
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
        """The first key of each block."""
        keys: list[bytes] = msgpack.unpackb(self._packed_keys)
        return keys

    def block_of(self, key: bytes) -> int:
        """Return the only block that can hold the key."""
        return max(0, bisect_right(self.first_keys, key) - 1)

    def block_at(self, position: int) -> int:
        """Return the block that holds the entry at this position."""
        return int(np.searchsorted(self.positions, position, side="right")) - 1

    def marks(self, key_range: KeyRange, reverse: bool, entries_max: int, bytes_max: int) -> list[KeyMark]:
        """Return the block boundaries in the range, from its near end at least until one of the limits is reached.

        The block at the near end counts as a whole, even if the range begins inside it.
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
        return list(map(KeyMark, keys, self.entries[blocks].tolist(), self.rebuilt_bytes[blocks].tolist()))
