"""Where stored values become those that a reader gets: deleted and expired keys have none.

A value expires at its moment: with a clock that shows this moment or a later one, its key is absent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import repeat
from operator import is_not
from typing import Protocol

from shardstore.identifiers import TOMBSTONE, Expiring, Stored, Tombstone
from shardstore.wire.columns import positions_of


class NowMs(Protocol):
    """A clock by which values expire."""

    def now_ms(self) -> int:
        """Return the milliseconds since the epoch."""


def value_of(stored: Stored | None, clock: NowMs) -> bytes | None:
    """Return the value that a reader gets; None if the key is deleted, expired or unknown."""
    if type(stored) is Expiring:
        return stored.value if clock.now_ms() < stored.moment else None
    return None if stored is TOMBSTONE else stored  # type: ignore[return-value]  # the check of the type is exact


def values_of(found: list[Stored | None], clock: NowMs) -> list[bytes | None]:
    """Return the same list with the values that a reader gets. The clock is asked only if a value is to expire."""
    kinds = set(map(type, found))
    if Tombstone in kinds:
        deque(map(found.__setitem__, positions_of(found, TOMBSTONE), repeat(None)), maxlen=0)
    if Expiring in kinds:
        now_ms = clock.now_ms()
        found[:] = [_value_at(each, now_ms) for each in found]
    return found  # type: ignore[return-value]  # all others are gone


def are_living(values: Sequence[Stored], may_expire: bool, now_ms: int) -> list[bool]:
    """Return for each stored value whether its key has a value at a moment."""
    if not may_expire:
        return list(map(is_not, values, repeat(TOMBSTONE)))
    return [each is not TOMBSTONE and (type(each) is not Expiring or now_ms < each.moment) for each in values]


def bare(values: Sequence[Stored]) -> list[bytes]:
    """Return the values of living keys."""
    return [each.value if type(each) is Expiring else each for each in values]  # type: ignore[misc]  # none is deleted


def _value_at(stored: Stored | None, now_ms: int) -> Stored | None:
    if type(stored) is Expiring:
        return stored.value if now_ms < stored.moment else None
    return stored
