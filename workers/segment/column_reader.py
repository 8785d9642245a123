"""The columns of a mapped table: items picked by place, a batch at once, or whole stretches of a block."""

from __future__ import annotations

from collections import deque
from itertools import repeat
from typing import Any, Protocol

import msgpack
import numpy as np
import numpy.typing as npt

from shardstore.columns import positions_of
from shardstore.identifiers import TOMBSTONE, Buffer, Stored
from workers.segment.column_writer import NIL_BYTES, bin_head_bytes
from workers.segment.table_format import OFFSET_BYTES, Integers

_PACKER = msgpack.Packer()


class ColumnReader(Protocol):
    """One column of all blocks of a table."""

    def pick(self, blocks: Integers, places: Integers) -> list[Stored]:
        """The items at these places of these blocks."""

    def item(self, block: int, place: int) -> Stored:
        """One item, without the fixed cost of array operations."""

    def stretch(self, block: int, first: int, last: int) -> Buffer:
        """The encoded items first to last (excluded) of a block, as in a column of the wire, without array header."""


class FixedColumnReader:
    """Items of one length. `begins`: where the column of each block begins in the file."""

    def __init__(self, data: memoryview, stride: int, begins: Integers) -> None:
        self._data = data
        self._stride = stride
        self._begins = begins
        self._windows = windows(data, f"V{stride}")

    def pick(self, blocks: Integers, places: Integers) -> list[Stored]:
        """The items at these places of these blocks."""
        items: list[Stored] = self._windows[self._begins[blocks] + places * self._stride].tolist()
        return items

    def item(self, block: int, place: int) -> Stored:
        """One item."""
        return bytes(self.stretch(block, place, place + 1))

    def stretch(self, block: int, first: int, last: int) -> Buffer:
        """The encoded items first to last (excluded) of a block."""
        begin = int(self._begins[block])
        return self._data[begin + first * self._stride : begin + last * self._stride]


class VariableColumnReader:
    """Items of any length. `offsets_at`: where the offsets of each block begin in the file."""

    def __init__(self, data: memoryview, begins: Integers, offsets_at: Integers) -> None:
        self._data = data
        self._begins = begins
        self._offsets_at = offsets_at
        self._offset_windows = windows(data, f"<u{OFFSET_BYTES}")

    def pick(self, blocks: Integers, places: Integers) -> list[Stored]:
        """The items at these places of these blocks."""
        offsets_at = self._offsets_at[blocks] + places * OFFSET_BYTES
        begins = self._begins[blocks]
        firsts = begins + self._offset_windows[offsets_at]
        lasts = begins + self._offset_windows[offsets_at + OFFSET_BYTES]
        sizes = lasts - firsts
        payloads = map(slice, (firsts + bin_head_bytes(sizes)).tolist(), lasts.tolist())
        items: list[Stored] = list(map(bytes, map(self._data.__getitem__, payloads)))
        tombstones = np.flatnonzero(sizes == NIL_BYTES).tolist()
        deque(map(items.__setitem__, tombstones, repeat(TOMBSTONE)), maxlen=0)
        return items

    def item(self, block: int, place: int) -> Stored:
        """One item."""
        return decode_variable(self.stretch(block, place, place + 1), 1)[0]

    def stretch(self, block: int, first: int, last: int) -> Buffer:
        """The encoded items first to last (excluded) of a block."""
        begin, offsets_at = int(self._begins[block]), int(self._offsets_at[block])
        low = int(self._offset_windows[offsets_at + first * OFFSET_BYTES])
        high = int(self._offset_windows[offsets_at + last * OFFSET_BYTES])
        return self._data[begin + low : begin + high]


def windows(data: memoryview, dtype: str) -> npt.NDArray[Any]:
    """The data seen as an item of this type at every byte offset."""
    kind = np.dtype(dtype)
    return np.ndarray((len(data) - kind.itemsize + 1,), kind, data, strides=(1,))


def array_head(count: int) -> bytes:
    """What stands before the items of a variable column of the wire."""
    head: bytes = _PACKER.pack_array_header(count)
    return head


def decode_variable(body: Buffer, count: int) -> list[Stored]:
    """The items of a variable column without its array header."""
    items: list[Any] = msgpack.unpackb(b"".join((array_head(count), body)))
    deque(map(items.__setitem__, positions_of(items, None), repeat(TOMBSTONE)), maxlen=0)
    return items
