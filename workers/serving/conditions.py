"""Evaluates COMPARE_AND_SET and INCREMENT on the value that a key has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from shardstore.identifiers import TOMBSTONE, Stored
from shardstore.wire import counters
from shardstore.wire.wire_format import Op
from shardstore.workers.ranges.results import WriteResult
from shardstore.workers.serving.requests import amount_of, expected_and_new
from shardstore.workers.wal.record_format import RecordKind


class KeyChange(NamedTuple):
    """What is logged if a condition holds: a value for the key, or its deletion. `result` is for the reply."""

    kind: RecordKind
    value: bytes | None
    result: WriteResult = None


def key_change_of(op: int, frames: Sequence[bytes], stored: Stored | None) -> KeyChange | None:
    """The change of a key with this stored value; None if the condition does not hold. Raises InvalidRequest."""
    value = None if stored is TOMBSTONE else stored
    if op == Op.INCREMENT:
        return _incremented(amount_of(frames), value)
    expected, following = expected_and_new(frames)
    if value != expected:
        return None
    return KeyChange(RecordKind.DELETE if following is None else RecordKind.PUT, following)


def _incremented(amount: int, value: bytes | None) -> KeyChange | None:
    """The counter with its new value; an absent one is 0. None if the value, or the sum, is not a counter."""
    try:
        number = (0 if value is None else counters.of_value(value)) + amount
    except counters.NoCounter:
        return None
    if not counters.is_within(number):
        return None
    following = counters.to_value(number)
    return KeyChange(RecordKind.INCREMENT, following, following)
