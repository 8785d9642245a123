"""The values of a BATCH, in requests and in the log: a value for each key that is put, nil for each that is deleted."""

from __future__ import annotations

from collections import deque
from itertools import repeat
from typing import Any

from shardstore.identifiers import TOMBSTONE, Buffer, Stored
from shardstore.limits import VALUE_BYTES_MAX
from shardstore.wire.columns import decode, positions_of


def stored_values(frame: Buffer, fixed: bool, entries: int) -> list[Stored]:
    """What is stored for each key: its value, or TOMBSTONE. Raises InvalidColumn."""
    values: list[Any] = decode(frame, fixed, entries, 0, VALUE_BYTES_MAX, nullable=True)
    deque(map(values.__setitem__, positions_of(values, None), repeat(TOMBSTONE)), maxlen=0)
    return values
