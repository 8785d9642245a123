"""Reads one column of an open table: a batch of items by block and place, or a stretch of a block."""

from __future__ import annotations

import struct
from collections import deque
from itertools import repeat
from typing import Any, Protocol

import msgpack
import numpy as np

from shardstore.identifiers import TOMBSTONE, Buffer, Stored, new_expiring
from shardstore.tables.blocks import Blocks
from shardstore.tables.column_items import NIL_BYTES, bin_head_bytes, bin_head_bytes_of, windows
from shardstore.tables.lazy_items import LazyItems
from shardstore.tables.padded_keys import PaddedKeys
from shardstore.tables.table_format import OFFSET_BYTES, FixedItems, Integers, Values
from shardstore.wire.columns import positions_of
from shardstore.wire.expiring_items import NUMBER_BYTES, item_of

_PACKER = msgpack.Packer()
NIL = b"\xc0"
"""An encoded tombstone."""
BIN_32 = 0xC6
"""The first byte of a plain value is at most this, and that of an expiring one is larger."""
BYTES_BEFORE_VALUE = np.zeros(256, np.int64)
"""What precedes the value in an encoded item that begins with this byte: its head, and a moment if it has one."""
BYTES_BEFORE_VALUE[[NIL[0], 0xC4, 0xC5, BIN_32]] = 1, 2, 3, 5
BYTES_BEFORE_VALUE[[0xC7, 0xC8, 0xC9, 0xD7, 0xD8]] = 3 + 8, 4 + 8, 6 + 8, 2 + 8, 2 + 8
_ONE_OFFSET, _TWO_OFFSETS = struct.Struct("<I"), struct.Struct("<II")
_OFFSET = np.dtype(f"<u{OFFSET_BYTES}")


class ColumnReader(Protocol):
    """One column of all blocks of a table."""

    stride: int
    """Length of each item; 0 if the items have any length."""

    def pick(self, blocks: Integers, places: Integers) -> Values:
        """Return the items at these places of these blocks. The blocks must be loaded."""

    def item(self, begin: int, block: int, place: int) -> Stored:
        """Return one item of a block that begins there. Avoids the fixed cost of array operations."""

    def stretch(self, content: memoryview, block: int, first: int, last: int) -> Buffer:
        """Return the items first to last (excluded) of a block, encoded as in a message, without array header."""

    def items(self, content: memoryview, block: int, first: int, last: int) -> list[Stored]:
        """Return the items first to last (excluded) of a block."""


class ValueReader(ColumnReader, Protocol):
    """A column of values."""

    def lazily(self, blocks: Integers, places: Integers) -> LazyItems:
        """Return the items at these places of these blocks of a mapped file, of which none is a tombstone."""


class FixedColumnReader:
    """A column of items of one length. `begins`: where the column begins in each block."""

    def __init__(self, blocks: Blocks, stride: int, begins: Integers) -> None:
        self.stride = stride
        self._blocks = blocks
        self._begins = begins
        self._begin_of = begins.data
        self._data = blocks.data
        self._item_at = struct.Struct(f"{stride}s").unpack_from
        self._kind = np.dtype(f"V{stride}")
        self._windows = windows(blocks.data, self._kind)

    def pick(self, blocks: Integers, places: Integers) -> Values:
        """Return the items at these places of these blocks."""
        at = self._blocks.begins[blocks] + self._begins[blocks] + places * self.stride
        items: FixedItems = self._windows[at]
        return items

    def item(self, begin: int, block: int, place: int) -> Stored:
        """Return one item."""
        item: bytes = self._item_at(self._data, begin + self._begin_of[block] + place * self.stride)[0]
        return item

    def stretch(self, content: memoryview, block: int, first: int, last: int) -> Buffer:
        """Return the encoded items first to last (excluded) of a block."""
        begin = self._begin_of[block]
        return content[begin + first * self.stride : begin + last * self.stride]

    def items(self, content: memoryview, block: int, first: int, last: int) -> list[Stored]:
        """Return the items first to last (excluded) of a block."""
        items: list[Stored] = np.frombuffer(self.stretch(content, block, first, last), self._kind).tolist()
        return items

    def lazily(self, blocks: Integers, places: Integers) -> LazyItems:
        """Return the items at these places of these blocks of a mapped file."""
        begins = self._blocks.begins[blocks] + self._begins[blocks] + places * self.stride
        return LazyItems(self._blocks.slices, begins.tolist(), (begins + self.stride).tolist())


class VariableColumnReader:
    """A column of items of any length. `begins`, `offsets_at`: where its items and its offsets begin in each block."""

    def __init__(self, blocks: Blocks, begins: Integers, offsets_at: Integers) -> None:
        self.stride = 0
        self._blocks = blocks
        self._begins = begins
        self._offsets_at = offsets_at
        self._begin_of, self._offsets_of = begins.data, offsets_at.data
        self._data, self._slices = blocks.data, blocks.slices
        self._offset_windows = windows(blocks.data, _OFFSET)

    def pick(self, blocks: Integers, places: Integers) -> list[Stored]:
        """Return the items at these places of these blocks."""
        firsts, lasts = self._bounds(blocks, places)
        sizes = lasts - firsts
        payloads = map(slice, (firsts + bin_head_bytes(sizes)).tolist(), lasts.tolist())
        items: list[Stored] = list(map(bytes, map(self._blocks.data.__getitem__, payloads)))
        tombstones = np.flatnonzero(sizes == NIL_BYTES).tolist()
        deque(map(items.__setitem__, tombstones, repeat(TOMBSTONE)), maxlen=0)
        return items

    def pick_padded(self, blocks: Integers, places: Integers, width: int) -> PaddedKeys | None:
        """Return the keys at these places of these blocks, in rows of this length.

        None if so many bytes do not follow the beginning of each.
        """
        firsts, lasts = self._bounds(blocks, places)
        firsts += bin_head_bytes(lasts - firsts)
        if int(firsts.max(initial=0)) + width > len(self._blocks.data):
            return None
        return PaddedKeys.begun_by(windows(self._blocks.data, np.dtype(f"V{width}"))[firsts], lasts - firsts)

    def _bounds(self, blocks: Integers, places: Integers) -> tuple[Integers, Integers]:
        """Return where the items at these places of these blocks begin and end, with their heads."""
        begins = self._blocks.begins[blocks]
        offsets_at = begins + self._offsets_at[blocks] + places * OFFSET_BYTES
        begins += self._begins[blocks]
        return begins + self._offset_windows[offsets_at], begins + self._offset_windows[offsets_at + OFFSET_BYTES]

    def item(self, begin: int, block: int, place: int) -> Stored:
        """Return one item."""
        first, last = _TWO_OFFSETS.unpack_from(self._data, begin + self._offsets_of[block] + place * OFFSET_BYTES)
        if last - first == NIL_BYTES:
            return TOMBSTONE
        begin += self._begin_of[block]
        return bytes(self._slices[begin + first + bin_head_bytes_of(last - first) : begin + last])

    def stretch(self, content: memoryview, block: int, first: int, last: int) -> Buffer:
        """Return the encoded items first to last (excluded) of a block."""
        begin, offsets_at = self._begin_of[block], self._offsets_of[block]
        (begins_at,) = _ONE_OFFSET.unpack_from(content, offsets_at + first * OFFSET_BYTES)
        (ends_at,) = _ONE_OFFSET.unpack_from(content, offsets_at + last * OFFSET_BYTES)
        return content[begin + begins_at : begin + ends_at]

    def items(self, content: memoryview, block: int, first: int, last: int) -> list[Stored]:
        """Return the items first to last (excluded) of a block."""
        return decode_variable(self.stretch(content, block, first, last), last - first)

    def lazily(self, blocks: Integers, places: Integers) -> LazyItems:
        """Return the items at these places of these blocks of a mapped file, of which none is a tombstone."""
        firsts, lasts = self._bounds(blocks, places)
        return LazyItems(self._slices, (firsts + bin_head_bytes(lasts - firsts)).tolist(), lasts.tolist())


class ExpiringColumnReader(VariableColumnReader):
    """A column of values of which some expire: the first byte of an item says what it is."""

    def __init__(self, blocks: Blocks, begins: Integers, offsets_at: Integers) -> None:
        super().__init__(blocks, begins, offsets_at)
        self._byte_windows = windows(blocks.data, np.dtype("u1"))
        self._moment_windows = windows(blocks.data, np.dtype(">u8"))

    def pick(self, blocks: Integers, places: Integers) -> list[Stored]:
        """Return the items at these places of these blocks."""
        firsts, lasts = self._bounds(blocks, places)
        kinds = self._byte_windows[firsts]
        values_at = firsts + BYTES_BEFORE_VALUE[kinds]
        payloads = map(slice, values_at.tolist(), lasts.tolist())
        items: list[Any] = list(map(bytes, map(self._blocks.data.__getitem__, payloads)))
        expire = np.flatnonzero(kinds > BIN_32)
        moments = self._moment_windows[values_at[expire] - NUMBER_BYTES].tolist()
        expiring = map(new_expiring, zip(moments, map(items.__getitem__, expire.tolist()), strict=True))
        deque(map(items.__setitem__, expire.tolist(), list(expiring)), maxlen=0)
        deque(map(items.__setitem__, np.flatnonzero(kinds == NIL[0]).tolist(), repeat(TOMBSTONE)), maxlen=0)
        return items

    def item(self, begin: int, block: int, place: int) -> Stored:
        """Return one item."""
        first, last = _TWO_OFFSETS.unpack_from(self._data, begin + self._offsets_of[block] + place * OFFSET_BYTES)
        begin += self._begin_of[block]
        return decode_variable(self._slices[begin + first : begin + last], 1)[0]


def array_head(count: int) -> bytes:
    """Return the msgpack array header that precedes the items of a variable column in a message."""
    head: bytes = _PACKER.pack_array_header(count)
    return head


def decode_variable(body: Buffer, count: int) -> list[Stored]:
    """Decode the items of a variable column that has no array header."""
    encoded = b"".join((array_head(count), body))
    items: list[Any] = msgpack.unpackb(encoded, ext_hook=item_of)
    if NIL in encoded:  # a tombstone, or the same byte inside an item
        deque(map(items.__setitem__, positions_of(items, None), repeat(TOMBSTONE)), maxlen=0)
    return items
