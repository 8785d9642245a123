"""Encoding of a column of a table: all items at once, then cut into blocks by offsets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from operator import is_
from typing import NamedTuple

import msgpack
import numpy as np

from shardstore.identifiers import TOMBSTONE, Buffer, Stored
from shardstore.workers.segment.table_format import OFFSET_BYTES, FixedItems, Integers

NIL_BYTES = 1
_SMALL_BIN_MAX = 2**8 - 1
_MIDDLE_BIN_MAX = 2**16 - 1


class BlockColumn(NamedTuple):
    """A column as it stands in a block: the items, and their offsets elsewhere in the block, none if it is fixed."""

    items: Buffer
    offsets: bytes


@dataclass(frozen=True, slots=True)
class EncodedColumn:
    """The items back to back, and where each begins; `offsets` has one item more, for the end.

    `lengths` are payload bytes of the items, tombstones left out.
    """

    body: Buffer
    offsets: Integers
    fixed: bool
    lengths: Integers

    def block(self, first: int, last: int) -> BlockColumn:
        """Items first to last, the last excluded."""
        items = self.body[int(self.offsets[first]) : int(self.offsets[last])]
        if self.fixed:
            return BlockColumn(items, b"")
        offsets = (self.offsets[first : last + 1] - self.offsets[first]).astype(f"<u{OFFSET_BYTES}")
        return BlockColumn(items, bytes(offsets))


def stride_of_items(items: Sequence[Stored] | FixedItems) -> int:
    """The length all items have; 0 when they differ, are empty, or when there are tombstones (their length is 0)."""
    if isinstance(items, np.ndarray):
        return items.itemsize
    if not items or len(items[0]) != len(items[-1]):  # as a rule this tells, without a look at all of them
        return 0
    lengths = set(map(len, items))
    return lengths.pop() if len(lengths) == 1 else 0


def as_list(items: Sequence[Stored] | FixedItems) -> list[Stored]:
    """The items as a list."""
    return items.tolist() if isinstance(items, np.ndarray) else list(items)


def as_array(items: Sequence[bytes] | FixedItems, stride: int) -> FixedItems:
    """Items that all have this length as an array."""
    if isinstance(items, np.ndarray):
        return items
    return np.frombuffer(b"".join(items), dtype=f"V{stride}")


def encode_fixed_items(items: Sequence[bytes] | FixedItems, stride: int) -> EncodedColumn:
    """A column of items that all have this length."""
    body = as_array(items, stride).tobytes()
    assert len(body) == len(items) * stride
    offsets = np.arange(len(items) + 1, dtype=np.int64) * stride
    return EncodedColumn(body, offsets, True, np.array([stride], dtype=np.int64))


def encode_variable_items(items: Sequence[Stored] | FixedItems) -> EncodedColumn:
    """A column of items of any length, tombstones allowed."""
    plain = as_list(items)
    packed: bytes = msgpack.packb(plain, default=_nil)
    lengths = np.fromiter(map(len, plain), np.int64, len(plain))
    sizes = lengths + 2 + (lengths > _SMALL_BIN_MAX) + 2 * (lengths > _MIDDLE_BIN_MAX)
    if not lengths.all():
        present = ~np.fromiter(map(is_, plain, repeat(TOMBSTONE)), np.bool_, len(plain))
        sizes = np.where(present, sizes, NIL_BYTES)
        lengths = lengths[present]
    offsets = np.concatenate((np.zeros(1, np.int64), np.cumsum(sizes)))
    body = memoryview(packed)[len(packed) - int(offsets[-1]) :]
    return EncodedColumn(body, offsets, False, lengths)


def bin_head_bytes(sizes: Integers) -> Integers:
    """Bytes of the msgpack head (2, 3 or 5) of encoded items of these sizes."""
    heads: Integers = 2 + (sizes > _SMALL_BIN_MAX + 2) + 2 * (sizes > _MIDDLE_BIN_MAX + 3)
    return heads


def _nil(_: object) -> None:
    """What a tombstone is packed as."""
