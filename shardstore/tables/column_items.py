"""Items of a column in memory: as a list, or as an array when all have one length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from shardstore.identifiers import Stored
from shardstore.tables.table_format import FixedItems, Integers

NIL_BYTES = 1
"""A tombstone, encoded."""
SMALL_BIN_MAX = 2**8 - 1
MIDDLE_BIN_MAX = 2**16 - 1
"""Up to so many bytes the msgpack head of an item has 2 and 3 bytes; beyond, it has 5."""


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


def bin_head_bytes(sizes: Integers) -> Integers:
    """Bytes of the msgpack head (2, 3 or 5) of encoded items of these sizes."""
    heads: Integers = 2 + (sizes > SMALL_BIN_MAX + 2) + 2 * (sizes > MIDDLE_BIN_MAX + 3)
    return heads
