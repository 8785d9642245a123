"""Evaluates COMPARE_AND_SET, INCREMENT and EXPIRE on the value that a key has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from shardstore.identifiers import TOMBSTONE, Expiring, Stored, new_expiring
from shardstore.key_range import KeyRange
from shardstore.limits import EXPIRING_BYTES
from shardstore.tables.expired import value_of
from shardstore.wire import counters
from shardstore.wire.expiring_items import encode_items
from shardstore.wire.wire_format import Flag, Header, Op
from shardstore.workers.ranges.results import WriteResult
from shardstore.workers.serving.hybrid_clock import HybridClock
from shardstore.workers.serving.newest_values import NewestValues
from shardstore.workers.serving.requests import amount_of, end_of_request, expected_and_new, lone_key_of
from shardstore.workers.wal.record_format import RecordKind

_FIXED = Flag.KEYS_FIXED | Flag.VALUES_FIXED


class KeyChanges(NamedTuple):
    """What is logged and applied if a condition holds; nothing without keys.

    `values` is None for deletes; `deletes` counts the tombstones among them, and `may_expire` says whether some expire.
    `body` and `layout` are those of the log
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
    may_expire: bool = False

    @property
    def payload_bytes(self) -> int:
        """The bytes that it brings into memory: a key that is deleted brings no value, also if the log has one."""
        payload_bytes = len(self.body[0]) + (0 if self.values is None else len(self.body[1]))
        return payload_bytes + EXPIRING_BYTES * len(self.keys) * self.may_expire


Judge: TypeAlias = Callable[[NewestValues], KeyChanges | None]
"""Evaluates a condition; None if it does not hold. Raises InvalidRequest, Corruption, StorageFailure."""


def stored_changes(
    keys: list[bytes], values: list[Stored], may_expire: bool, body: tuple[bytes, bytes], layout: int
) -> KeyChanges:
    """The changes that store these values, or delete for TOMBSTONE. `body` and `layout`: those of the request.

    Values that expire are encoded anew, as the request may have lifetimes.
    """
    if may_expire:
        body, layout = (body[0], encode_items(values)), layout & ~Flag.VALUES_FIXED
    return KeyChanges(RecordKind.BATCH, keys, values, body, layout, values.count(TOMBSTONE), may_expire=may_expire)


def condition_of(header: Header, frames: Sequence[bytes], key_range: KeyRange) -> Judge:
    """What evaluates a COMPARE_AND_SET, INCREMENT or EXPIRE of a key in the range. Raises InvalidRequest."""
    key = lone_key_of(header, frames, key_range)
    change_of = _CHANGES[header.op]
    return lambda newest: change_of(key, frames, newest.get(key), newest.clock)


def _set(key: bytes, frames: Sequence[bytes], stored: Stored | None, clock: HybridClock) -> KeyChanges | None:
    """The change that COMPARE_AND_SET makes; None if the key has another value. Raises InvalidRequest."""
    expected, new = expected_and_new(frames, clock)
    if value_of(stored, clock) != expected:
        return None
    if new is None:
        return KeyChanges(RecordKind.DELETE, [key], None, (key, b""), Flag.KEYS_FIXED)
    if type(new) is Expiring:
        return stored_changes([key], [new], True, (key, b""), _FIXED)
    assert type(new) is bytes, "a new value is one that is stored"
    return KeyChanges(RecordKind.PUT, [key], [new], (key, new), _FIXED)


def _increment(key: bytes, frames: Sequence[bytes], stored: Stored | None, clock: HybridClock) -> KeyChanges | None:
    """The change that INCREMENT makes; None if the key has no counter. A counter keeps its moment."""
    value = value_of(stored, clock)
    number = _incremented(amount_of(frames), value)
    if number is None:
        return None
    if value is None or type(stored) is not Expiring:
        return KeyChanges(RecordKind.INCREMENT, [key], [number], (key, number), _FIXED, result=number)
    values = [new_expiring((stored.moment, number))]
    body = key, encode_items(values)
    return KeyChanges(RecordKind.INCREMENT, [key], values, body, Flag.KEYS_FIXED, result=number, may_expire=True)


def _expire(key: bytes, frames: Sequence[bytes], stored: Stored | None, clock: HybridClock) -> KeyChanges | None:
    """The change that EXPIRE makes: the same value with another end, or with none; None if that changes nothing.

    Raises InvalidRequest.
    """
    value, end = value_of(stored, clock), end_of_request(frames, clock)
    if value is None or (end is None and type(stored) is not Expiring):
        return None
    if end is None:
        return KeyChanges(RecordKind.PUT, [key], [value], (key, value), _FIXED)
    return stored_changes([key], [new_expiring((end, value))], True, (key, b""), _FIXED)


def _incremented(amount: int, value: bytes | None) -> bytes | None:
    """The counter with its new value; an absent one is 0. None if the value, or the sum, is not a counter."""
    try:
        number = (0 if value is None else counters.of_value(value)) + amount
    except counters.NoCounter:
        return None
    if not counters.is_within(number):
        return None
    return counters.to_value(number)


_CHANGES: dict[int, Callable[[bytes, Sequence[bytes], Stored | None, HybridClock], KeyChanges | None]] = {
    Op.COMPARE_AND_SET: _set,
    Op.INCREMENT: _increment,
    Op.EXPIRE: _expire,
}
"""What makes the change of a key with this stored value; None if the condition does not hold."""
