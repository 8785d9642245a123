"""The values of a BATCH, in requests and in the log: what is put for each key, nil for each that is deleted."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import repeat
from operator import itemgetter
from typing import Any

from shardstore.identifiers import TOMBSTONE, Buffer, Expiring, Lasting, Stored, new_expiring
from shardstore.limits import MOMENT_MS_MAX, VALUE_BYTES_MAX
from shardstore.wire.columns import InvalidColumn, decode, decode_ending, positions_of

_lifetime, _value = itemgetter(0), itemgetter(1)


def stored_values(frame: Buffer, fixed: bool, entries: int) -> tuple[list[Stored], bool]:
    """What is stored for each key, as the log has it: a value or TOMBSTONE. And whether some values expire.

    Raises InvalidColumn.
    """
    if fixed:
        return decode(frame, True, entries, 0, VALUE_BYTES_MAX), False
    values, kinds = decode_ending(frame, entries, VALUE_BYTES_MAX, nullable=True)
    if Lasting in kinds:
        raise InvalidColumn("a lifetime where a moment is expected")
    return _with_tombstones(values), Expiring in kinds


def requested_values(frame: Buffer, entries: int, begin_ms: int, nullable: bool) -> tuple[list[Stored], bool]:
    """What is to be stored for each key of a request that comes at this moment. And whether some values expire.

    Raises InvalidColumn.
    """
    values, kinds = decode_ending(frame, entries, VALUE_BYTES_MAX, nullable)
    if Lasting in kinds:
        values = _all_begun(values, begin_ms) if kinds == {Lasting} else [begun(each, begin_ms) for each in values]
    return _with_tombstones(values), bool(kinds & {Expiring, Lasting})


def begun(value: Any, begin_ms: int) -> Any:
    """The value as it is stored, if it comes at this moment."""
    if type(value) is Lasting:
        return new_expiring((min(begin_ms + value.lifetime, MOMENT_MS_MAX), value.value))
    return value


def _all_begun(values: list[Lasting], begin_ms: int) -> list[Any]:
    """As `begun`, for values that usually have one lifetime."""
    lifetimes = set(map(_lifetime, values))
    if len(lifetimes) > 1:
        return [begun(each, begin_ms) for each in values]
    moment = min(begin_ms + lifetimes.pop(), MOMENT_MS_MAX)
    return list(map(new_expiring, zip(repeat(moment), map(_value, values), strict=False)))


def number_of_increment(values: Sequence[Stored]) -> bytes:
    """The new number of a counter that may expire."""
    [value] = values
    return value.value if type(value) is Expiring else bytes(value)  # type: ignore[arg-type]  # no INCREMENT deletes


def _with_tombstones(values: list[Any]) -> list[Stored]:
    deque(map(values.__setitem__, positions_of(values, None), repeat(TOMBSTONE)), maxlen=0)
    return values
