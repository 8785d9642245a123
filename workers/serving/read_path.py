"""Handles GET and TTL. It changes nothing and waits for nothing."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from itertools import accumulate, repeat
from typing import TypeVar

from shardstore.identifiers import TOMBSTONE, Expiring
from shardstore.limits import REPLY_BYTES_AIM
from shardstore.seams.effects import Send
from shardstore.tables.expired import value_of, values_of
from shardstore.wire.columns import encode, positions_of
from shardstore.wire.lifetimes import NO_END, NO_VALUE, encode_ttl
from shardstore.wire.wire_format import Flag, Op
from shardstore.workers.load.meter import LoadMeter
from shardstore.workers.ranges.owned_range import OwnedRange
from shardstore.workers.serving.hybrid_clock import HybridClock
from shardstore.workers.serving.reply import Asker
from shardstore.workers.serving.requests import is_single, key_of, keys_of, lone_key_of

KEYS_AT_ONCE = 4
_Value = TypeVar("_Value", bound=bytes | Expiring | None)
_GET = int(Op.GET)
_PRESENCE = int(Flag.PRESENCE)
_OF_PARENT = int(Flag.OF_PARENT)
_IN_MEMORY = int(Flag.IN_MEMORY)
_VALUES_FIXED = int(Flag.VALUES_FIXED)
_ONE_ABSENT = encode([None]).frame


def reply_to_get(
    owned: OwnedRange, asker: Asker, frames: Sequence[bytes], pressure: int, load: LoadMeter, clock: HybridClock
) -> Send:
    """Reply to a GET. Raises InvalidRequest, Corruption."""
    header = asker.header
    if header.flags & _IN_MEMORY:
        owned.note_read_in_memory()
    if is_single(header) and not header.flags & _OF_PARENT:
        return _get_one(owned, asker, key_of(frames, owned.key_range), pressure, load, clock)
    keys = keys_of(header, frames, owned.key_range)
    presence = bool(header.flags & _PRESENCE)
    values = _values(owned, keys, presence, clock if not header.flags & _OF_PARENT else None)
    column = encode(values)
    load.note(owned.segment_id, _GET, keys, len(values), len(column.frame))
    flags = (Flag.VALUES_FIXED if column.fixed else 0) | (Flag.MORE if len(values) < len(keys) else 0)
    return asker.accept(pressure, (column.frame,), flags, len(values))


def cut_to_size(values: list[_Value]) -> list[_Value]:
    """As many of the first values as fit into a reply of REPLY_BYTES_AIM; at least one."""
    sizes = accumulate(map(_size, values))
    return values[: max(1, bisect_right(list(sizes), REPLY_BYTES_AIM))]


def _get_one(owned: OwnedRange, asker: Asker, key: bytes, pressure: int, load: LoadMeter, clock: HybridClock) -> Send:
    """Reply to a GET of one key: the same as for many, without the work for columns."""
    value = owned.get(key)
    if type(value) is not bytes:
        value = value_of(value, clock)
    if value is None:
        load.note(owned.segment_id, _GET, (key,), 1, 0)
        return asker.accept(pressure, (_ONE_ABSENT,), 0, 1)
    load.note(owned.segment_id, _GET, (key,), 1, len(value))
    return asker.accept(pressure, (b"" if asker.header.flags & _PRESENCE else value,), _VALUES_FIXED, 1)


def reply_to_ttl(owned: OwnedRange, asker: Asker, frames: Sequence[bytes], pressure: int, clock: HybridClock) -> Send:
    """Reply to a TTL: how many milliseconds the value of a key has left. Raises InvalidRequest, Corruption."""
    stored = owned.get(lone_key_of(asker.header, frames, owned.key_range))
    left_ms = NO_VALUE if value_of(stored, clock) is None else NO_END
    if left_ms == NO_END and type(stored) is Expiring:
        left_ms = max(1, stored.moment - clock.now_ms())
    return asker.accept(pressure, (encode_ttl(left_ms),))


def _values(
    owned: OwnedRange, keys: Sequence[bytes], presence: bool, clock: HybridClock | None
) -> list[bytes | Expiring | None]:
    """The values of the keys, or of as many of the first ones as fit into a reply. Without a clock, with moments."""
    values: list[bytes | Expiring | None] = []
    held_bytes = 0
    while len(values) < len(keys) and held_bytes < REPLY_BYTES_AIM:
        step = KEYS_AT_ONCE if len(keys) <= KEYS_AT_ONCE else max(1, REPLY_BYTES_AIM // owned.value_bytes_mean())
        stored = owned.get_many(keys[len(values) : len(values) + step])
        if clock is None:
            return cut_to_size([None if each is TOMBSTONE else each for each in stored])
        found = values_of(stored, clock)
        values += _presence(found) if presence else found
        held_bytes += 0 if presence else sum(map(len, filter(None, found)))
    return values if held_bytes <= REPLY_BYTES_AIM else cut_to_size(values)


def _size(value: bytes | Expiring | None) -> int:
    return len(value.value if type(value) is Expiring else value or b"")


def _presence(found: list[bytes | None]) -> list[bytes | None]:
    """An empty value for each key that is there."""
    present: list[bytes | None] = [b""] * len(found)
    deque(map(present.__setitem__, positions_of(found, None), repeat(None)), maxlen=0)
    return present
