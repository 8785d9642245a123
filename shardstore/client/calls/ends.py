"""When values expire: the arguments `ttl` and `expires_at` of a caller, and values with such an end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import repeat
from math import ceil, isfinite
from typing import Any, NamedTuple

from shardstore.errors import InvalidRequest
from shardstore.identifiers import Expiring, Lasting, new_expiring, new_lasting
from shardstore.limits import MOMENT_MS_MAX

MS = 1000
_NUMBERS = (int, float)


class End(NamedTuple):
    """An end in milliseconds: a lifetime, which begins when a worker takes the request, or a moment since the epoch."""

    milliseconds: int
    is_moment: bool

    def of(self, value: bytes) -> Expiring | Lasting:
        """Return the value with this end."""
        return new_expiring((self.milliseconds, value)) if self.is_moment else new_lasting((self.milliseconds, value))

    def of_each(self, values: Sequence[bytes]) -> list[Expiring | Lasting]:
        """Return the values with this end."""
        pairs = zip(repeat(self.milliseconds), values, strict=False)
        return [*map(new_expiring, pairs)] if self.is_moment else [*map(new_lasting, pairs)]


def checked_end_of(ttl: Any, expires_at: Any) -> End | None:
    """The end that a caller gives; None if there is none. Raises InvalidRequest."""
    if ttl is None:
        return None if expires_at is None else End(_moment_ms(expires_at), True)
    if expires_at is not None:
        raise InvalidRequest("a value has a ttl or an expires_at, not both")
    if type(ttl) not in _NUMBERS or not isfinite(ttl) or ttl <= 0 or ttl * MS > MOMENT_MS_MAX:
        raise InvalidRequest(f"ttl is a number of seconds above 0, up to {MOMENT_MS_MAX // MS:,}, not {ttl!r:.60}")
    return End(ceil(ttl * MS), False)


def _moment_ms(moment: Any) -> int:
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise InvalidRequest(f"expires_at is a datetime with a time zone, not {moment!r:.60}")
        moment = moment.timestamp()
    if type(moment) not in _NUMBERS or not isfinite(moment) or not 0 <= moment * MS <= MOMENT_MS_MAX:
        raise InvalidRequest(
            f"expires_at is a datetime, or seconds since the epoch up to the year 9999, not {moment!r:.60}"
        )
    milliseconds: int = ceil(moment * MS)
    return milliseconds
