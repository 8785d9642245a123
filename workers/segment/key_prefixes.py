"""The prefix that all keys of a block share: stored once if that makes the block smaller by a quarter.

If it saves less, the keys are stored whole: then scans can send them, and lookups compare them, as they are stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter

import numpy as np

from shardstore.workers.segment.column_writer import BlockColumn, encode_variable_items

WORTH_IT = 1 / 4
"""The saving that is worth it, as a share of the block before compression."""


def shared_bytes(first: bytes, last: bytes) -> int:
    """Length of the prefix that both keys share, and so all keys between them."""
    shorter = min(len(first), len(last))
    difference = int.from_bytes(first[:shorter], "big") ^ int.from_bytes(last[:shorter], "big")
    return shorter - (difference.bit_length() + 7) // 8


def prefix_worth_storing(first: bytes, last: bytes, entries: int, block_bytes: int) -> int:
    """Length of the prefix to store once in a block with these keys at its ends; 0 if the keys are to be stored whole.

    The shorter msgpack headers of the keys save a little more; that is not counted.
    """
    prefix_bytes = shared_bytes(first, last)
    return prefix_bytes if prefix_bytes * (entries - 1) >= block_bytes * WORTH_IT else 0


def stored_behind_prefix(keys: Sequence[bytes], whole: BlockColumn, prefix_bytes: int) -> BlockColumn:
    """The column with the prefix first and then the rest of each key. `whole` is the column of the whole keys."""
    prefix = keys[0][:prefix_bytes]
    if whole.offsets:
        column = encode_variable_items(list(map(itemgetter(slice(prefix_bytes, None)), keys)))
        suffixes, offsets = column.block(0, len(keys))
        return BlockColumn(b"".join((prefix, suffixes)), offsets)
    rows = np.frombuffer(whole.items, dtype=np.uint8).reshape(len(keys), -1)
    return BlockColumn(prefix + rows[:, prefix_bytes:].tobytes(), b"")
