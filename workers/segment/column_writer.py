"""Encodes a column of a table: all items at once, then cut into blocks by their offsets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from operator import is_
from typing import NamedTuple

import msgpack
import numpy as np

from shardstore.identifiers import TOMBSTONE, Buffer, Expiring, Stored
from shardstore.tables.column_items import (
    MIDDLE_BIN_MAX,
    NIL_BYTES,
    SMALL_BIN_MAX,
    as_array,
    as_list,
    payload_bytes,
)
from shardstore.tables.table_format import OFFSET_BYTES, FixedItems, Integers
from shardstore.wire.expiring_items import encode_item


class BlockColumn(NamedTuple):
    """A column in a block: the items and their offsets, which the block stores apart; a fixed column has no offsets."""

    items: Buffer
    offsets: bytes


@dataclass(frozen=True, slots=True)
class EncodedColumn:
    """The items back to back, and where each begins; `offsets` has one item more, for the end.

    `lengths` are the payload bytes of the items without tombstones; of a fixed column the one length. `moments` are
    those of the items that expire.
    """

    body: Buffer
    offsets: Integers
    fixed: bool
    lengths: Integers
    moments: Sequence[int] = ()

    def block(self, first: int, last: int) -> BlockColumn:
        """Items `first` to `last` (excluded)."""
        items = self.body[int(self.offsets[first]) : int(self.offsets[last])]
        if self.fixed:
            return BlockColumn(items, b"")
        offsets = (self.offsets[first : last + 1] - self.offsets[first]).astype(f"<u{OFFSET_BYTES}")
        return BlockColumn(items, bytes(offsets))


def encode_fixed_items(items: Sequence[bytes] | FixedItems, stride: int) -> EncodedColumn:
    """Encode items that all have this length."""
    body = np.ascontiguousarray(as_array(items, stride)).view(np.uint8).data
    assert len(body) == len(items) * stride
    offsets = np.arange(len(items) + 1, dtype=np.int64) * stride
    return EncodedColumn(body, offsets, True, np.array([stride], dtype=np.int64))


def encode_variable_items(items: Sequence[Stored] | FixedItems) -> EncodedColumn:
    """Encode items of any length. Tombstones and expiring values are allowed."""
    plain = as_list(items)
    try:
        lengths = np.fromiter(map(len, plain), np.int64, len(plain))
    except TypeError:
        return _encode_expiring(plain)
    packed: bytes = msgpack.packb(plain, default=_nil)
    sizes = lengths + 2 + (lengths > SMALL_BIN_MAX) + 2 * (lengths > MIDDLE_BIN_MAX)
    if not lengths.all():
        present = ~np.fromiter(map(is_, plain, repeat(TOMBSTONE)), np.bool_, len(plain))
        sizes = np.where(present, sizes, NIL_BYTES)
        lengths = lengths[present]
    offsets = np.concatenate((np.zeros(1, np.int64), np.cumsum(sizes)))
    body = memoryview(packed)[len(packed) - int(offsets[-1]) :]
    return EncodedColumn(body, offsets, False, lengths)


def _encode_expiring(items: Sequence[Stored]) -> EncodedColumn:
    """Encode items of which some expire, each by itself."""
    encoded = list(map(encode_item, items))
    offsets = np.concatenate((np.zeros(1, np.int64), np.cumsum(np.fromiter(map(len, encoded), np.int64, len(items)))))
    moments = [item.moment for item in items if type(item) is Expiring]
    stored = [item for item in items if item is not TOMBSTONE]
    return EncodedColumn(memoryview(b"".join(encoded)), offsets, False, payload_bytes(stored), moments)


def _nil(_: object) -> None:
    """What msgpack stores for a tombstone: nil."""
