"""Items of a column in memory: as a list, or as an array when all have one length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from shardstore.identifiers import Expiring, Stored
from shardstore.tables.table_format import FixedItems, Integers

Item = TypeVar("Item", bound=Stored)
NIL_BYTES = 1
"""Size of an encoded tombstone."""
SMALL_BIN_MAX = 2**8 - 1
MIDDLE_BIN_MAX = 2**16 - 1
"""The msgpack head of an item has 2 bytes up to the first length, 3 up to the second, and 5 beyond."""


def stride_of_items(items: Sequence[Stored] | FixedItems) -> int:
    """Return the length that all items have; 0 if lengths differ, or items are empty or tombstones (length 0).

    0 also if one is an expiring value, which has no length.
    """
    if isinstance(items, np.ndarray):
        return items.itemsize
    try:
        if not items or len(items[0]) != len(items[-1]):  # this usually decides without a look at every item
            return 0
        lengths = set(map(len, items))
    except TypeError:
        return 0
    return lengths.pop() if len(lengths) == 1 else 0


def as_list(items: Sequence[Item] | FixedItems) -> list[Item]:
    """Return the items as a list."""
    return items.tolist() if isinstance(items, np.ndarray) else list(items)


def as_array(items: Sequence[bytes] | FixedItems, stride: int) -> FixedItems:
    """Return items that all have length `stride` as an array."""
    if isinstance(items, np.ndarray):
        return items
    return np.frombuffer(b"".join(items), dtype=f"V{stride}")


def bin_head_bytes(sizes: Integers) -> Integers:
    """Return the size of the msgpack head (2, 3 or 5) of encoded items of these sizes."""
    heads: Integers = 2 + (sizes > SMALL_BIN_MAX + 2) + 2 * (sizes > MIDDLE_BIN_MAX + 3)
    return heads


def bin_head_bytes_of(size: int) -> int:
    """Return the size of the msgpack head of one encoded item of this size."""
    return 2 + (size > SMALL_BIN_MAX + 2) + 2 * (size > MIDDLE_BIN_MAX + 3)


def payload_bytes(items: Sequence[Stored] | FixedItems) -> Integers:
    """Return the length of each item: of an expiring value that of the value, of a tombstone 0."""
    if isinstance(items, np.ndarray):
        return np.full(len(items), items.itemsize, np.int64)
    try:
        return np.fromiter(map(len, items), np.int64, len(items))
    except TypeError:
        bare = [item.value if type(item) is Expiring else item for item in items]
        return np.fromiter(map(len, bare), np.int64, len(bare))


def windows(data: memoryview, kind: np.dtype[Any]) -> npt.NDArray[Any]:
    """Return a view of the data that has, at every byte offset, the item of this type that begins there."""
    return np.ndarray((max(0, len(data) - kind.itemsize + 1),), kind, data, strides=(1,))
