"""The conditions of COMPARE_AND_SET and INCREMENT: what they make of the value that a key has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from shardstore.identifiers import TOMBSTONE, Stored
from shardstore.wire import counters
from shardstore.wire.wire_format import Op
from shardstore.workers.ranges.results import Result
from shardstore.workers.serving.requests import amount_of, change_of
from shardstore.workers.wal.record_format import RecordKind


class Effect(NamedTuple):
    """What is logged for a condition that holds: a value for the key, or its deletion; and what the asker is told."""

    kind: RecordKind
    value: bytes | None
    result: Result = None


def effect_of(op: int, frames: Sequence[bytes], stored: Stored | None) -> Effect | None:
    """The effect on a key of which this is stored; None when the condition does not hold. Raises InvalidRequest."""
    value = None if stored is TOMBSTONE else stored
    if op == Op.INCREMENT:
        return _incremented(amount_of(frames), value)
    expected, following = change_of(frames)
    if value != expected:
        return None
    return Effect(RecordKind.DELETE if following is None else RecordKind.PUT, following)


def _incremented(amount: int, value: bytes | None) -> Effect | None:
    """An absent counter stands at 0. A value that is no counter, or would be none any more, stays."""
    try:
        number = (0 if value is None else counters.of_value(value)) + amount
    except counters.NoCounter:
        return None
    if not counters.is_within(number):
        return None
    following = counters.to_value(number)
    return Effect(RecordKind.INCREMENT, following, following)
