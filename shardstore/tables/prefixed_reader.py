"""Reads columns of keys stored without their common prefix (workers/segment/key_prefixes.py), and puts it back.

A block whose keys are stored whole is read as one with an empty prefix. A table that has no block with a prefix is read
by column_reader.py alone.
"""

from __future__ import annotations

from itertools import repeat
from operator import add

import msgpack
import numpy as np

from shardstore.identifiers import Buffer, Stored
from shardstore.tables.blocks import Blocks
from shardstore.tables.column_items import windows
from shardstore.tables.column_reader import VariableColumnReader, array_head
from shardstore.tables.table_format import Integers, Values


class PrefixedFixedReader:
    """Keys of one length, `stride`. A block begins with its prefix and its first suffix, that is, with its first key.

    So the `stride` bytes that end with any suffix lie inside the block. They are the key of that suffix, except for the
    bytes in place of the prefix; those are taken from the first key.
    """

    def __init__(self, blocks: Blocks, stride: int, prefix_bytes: Integers) -> None:
        self.stride = stride
        self._blocks = blocks
        self._prefix_bytes = prefix_bytes
        self._prefix_of = prefix_bytes.data
        self._slices = blocks.slices
        self._windows = windows(blocks.data, np.dtype(f"V{stride}"))
        self._places_in_key = np.arange(stride)

    def pick(self, blocks: Integers, places: Integers) -> Values:
        """Return the keys at these places of these blocks."""
        begins, prefix_bytes = self._blocks.begins[blocks], self._prefix_bytes[blocks]
        ends_right, firsts = (
            self._windows[at].view(np.uint8).reshape(-1, self.stride)
            for at in (begins + places * (self.stride - prefix_bytes), begins)
        )
        rows = np.where(self._places_in_key < prefix_bytes[:, None], firsts, ends_right)
        return rows.view(f"V{self.stride}").ravel()

    def item(self, begin: int, block: int, place: int) -> Stored:
        """Return one key."""
        prefix_bytes, slices = self._prefix_of[block], self._slices
        at = begin + place * (self.stride - prefix_bytes)
        return bytes(slices[begin : begin + prefix_bytes]) + slices[at + prefix_bytes : at + self.stride]

    def stretch(self, content: memoryview, block: int, first: int, last: int) -> Buffer:
        """Return the keys first to last (excluded) of a block, back to back."""
        prefix_bytes = int(self._prefix_bytes[block])
        step = self.stride - prefix_bytes
        ends_right = np.ndarray((last - first, self.stride), np.uint8, content, first * step, (step, 1))
        rows = ends_right.copy()
        rows[:, :prefix_bytes] = np.frombuffer(content, np.uint8, prefix_bytes)
        return rows.data.cast("B")

    def items(self, content: memoryview, block: int, first: int, last: int) -> list[Stored]:
        """Return the keys first to last (excluded) of a block."""
        keys: list[Stored] = np.frombuffer(self.stretch(content, block, first, last), f"V{self.stride}").tolist()
        return keys


class PrefixedVariableReader:
    """Keys of any length. `offsets_at`: where the offsets of the suffixes begin in each block."""

    def __init__(self, blocks: Blocks, prefix_bytes: Integers, offsets_at: Integers) -> None:
        self.stride = 0
        self._blocks = blocks
        self._prefix_bytes = prefix_bytes
        self._prefix_of = prefix_bytes.data
        self._slices = blocks.slices
        self._suffixes = VariableColumnReader(blocks, prefix_bytes, offsets_at)

    def pick(self, blocks: Integers, places: Integers) -> list[Stored]:
        """Return the keys at these places of these blocks."""
        different, which = np.unique(blocks, return_inverse=True)
        begins = self._blocks.begins[different]
        slices = map(slice, begins.tolist(), (begins + self._prefix_bytes[different]).tolist())
        prefixes = list(map(bytes, map(self._blocks.data.__getitem__, slices)))
        suffixes = self._suffixes.pick(blocks, places)
        return list(map(add, map(prefixes.__getitem__, which.tolist()), suffixes))

    def item(self, begin: int, block: int, place: int) -> Stored:
        """Return one key."""
        suffix = self._suffixes.item(begin, block, place)
        return bytes(self._slices[begin : begin + self._prefix_of[block]]) + suffix  # type: ignore[operator]

    def stretch(self, content: memoryview, block: int, first: int, last: int) -> Buffer:
        """Return the keys first to last (excluded) of a block, encoded as in a message, without array header."""
        if not self._prefix_bytes[block]:
            return self._suffixes.stretch(content, block, first, last)
        keys = self.items(content, block, first, last)
        return memoryview(msgpack.packb(keys))[len(array_head(len(keys))) :]

    def items(self, content: memoryview, block: int, first: int, last: int) -> list[Stored]:
        """Return the keys first to last (excluded) of a block."""
        suffixes = self._suffixes.items(content, block, first, last)
        prefix_bytes = int(self._prefix_bytes[block])
        return list(map(add, repeat(bytes(content[:prefix_bytes])), suffixes)) if prefix_bytes else suffixes
