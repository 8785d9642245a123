"""Evaluates COMPARE_AND_SET and INCREMENT on the value that a key has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from shardstore.identifiers import TOMBSTONE, Stored
from shardstore.key_range import KeyRange
from shardstore.wire import counters
from shardstore.wire.wire_format import Flag, Header, Op
from shardstore.workers.ranges.results import WriteResult
from shardstore.workers.serving.newest_values import NewestValues
from shardstore.workers.serving.requests import amount_of, expected_and_new, lone_key_of
from shardstore.workers.wal.record_format import RecordKind

_FIXED = Flag.KEYS_FIXED | Flag.VALUES_FIXED


class KeyChanges(NamedTuple):
    """What is logged and applied if a condition holds; nothing without keys.

    `values` is None for deletes; `deletes` counts the tombstones among them. `body` and `layout` are those of the log
    record. `result` is for the reply. `emptied`: keys of which none has a value after it.
    """

    kind: RecordKind
    keys: list[bytes]
    values: Sequence[Stored] | None
    body: tuple[bytes, bytes]
    layout: int
    deletes: int = 0
    result: WriteResult = None
    emptied: KeyRange | None = None

    @property
    def payload_bytes(self) -> int:
        """The bytes that it brings into memory: a key that is deleted brings no value, also if the log has one."""
        return len(self.body[0]) + (0 if self.values is None else len(self.body[1]))


Judge: TypeAlias = Callable[[NewestValues], KeyChanges | None]
"""Evaluates a condition; None if it does not hold. Raises InvalidRequest, Corruption, StorageFailure."""


def condition_of(header: Header, frames: Sequence[bytes], key_range: KeyRange) -> Judge:
    """What evaluates a COMPARE_AND_SET or INCREMENT of a key in the range. Raises InvalidRequest."""
    key = lone_key_of(header, frames, key_range)
    return lambda newest: _key_change(header.op, key, frames, newest.get(key))


def _key_change(op: int, key: bytes, frames: Sequence[bytes], stored: Stored | None) -> KeyChanges | None:
    """The change of a key with this stored value; None if the condition does not hold. Raises InvalidRequest."""
    value = None if stored is TOMBSTONE else stored
    if op == Op.INCREMENT:
        number = _incremented(amount_of(frames), value)
        if number is None:
            return None
        return KeyChanges(RecordKind.INCREMENT, [key], [number], (key, number), _FIXED, result=number)
    expected, new = expected_and_new(frames)
    if value != expected:
        return None
    if new is None:
        return KeyChanges(RecordKind.DELETE, [key], None, (key, b""), Flag.KEYS_FIXED)
    return KeyChanges(RecordKind.PUT, [key], [new], (key, new), _FIXED)


def _incremented(amount: int, value: bytes | None) -> bytes | None:
    """The counter with its new value; an absent one is 0. None if the value, or the sum, is not a counter."""
    try:
        number = (0 if value is None else counters.of_value(value)) + amount
    except counters.NoCounter:
        return None
    if not counters.is_within(number):
        return None
    return counters.to_value(number)
