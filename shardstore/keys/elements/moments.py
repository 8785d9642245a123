"""Dates, and datetimes with a zone. Two datetimes of the same instant are one key, as they are equal in Python.

The codes are ours; the specification leaves them to users. A datetime is read back in UTC: it equals the one that was
written, whatever its zone was.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import repeat
from operator import floordiv, sub

from shardstore.keys.elements.batch import EncodedKeys, Places, encoded_rows
from shardstore.keys.elements.codes import DATE, DATETIME
from shardstore.keys.elements.element import Element, Malformed, Mismatch, checked_fixed
from shardstore.lazy_numpy import np

_DATE_BYTES = 3
_DATE_MAX = date.max.toordinal()
_DATE_CODE = DATE << 8 * _DATE_BYTES
_DATETIME_CODE = bytes([DATETIME])
_BEGINNING = datetime.min.replace(tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_INSTANT_MAX = (datetime.max.replace(tzinfo=UTC) - _BEGINNING) // _MICROSECOND


class DateElement(Element[date]):
    """Writes the number of the day."""

    kind = date
    name = "date"

    def accepts(self, kind: type) -> bool:
        """Whether it is date itself; datetime is a subclass with another meaning."""
        return kind is date

    def encode(self, value: date) -> bytes:
        """Return the bytes of a date."""
        return (_DATE_CODE + value.toordinal()).to_bytes(1 + _DATE_BYTES, "big")

    def encode_column(self, values: Sequence[date]) -> list[bytes]:
        """Return the bytes of each date."""
        days = map(_DATE_CODE.__add__, map(date.toordinal, values))
        return list(map(int.to_bytes, days, repeat(1 + _DATE_BYTES)))

    def decode(self, data: bytes, at: int, end: int) -> tuple[date, int]:
        """Return the date at a place."""
        day = int.from_bytes(checked_fixed(data, at, end, DATE, _DATE_BYTES, self.name), "big")
        if not 1 <= day <= _DATE_MAX:
            raise Malformed(f"no day of the years 1 to 9999 at byte {at}")
        return date.fromordinal(day), at + 1 + _DATE_BYTES

    def decode_column(self, batch: EncodedKeys, places: Places) -> tuple[list[date], Places]:
        """Return the dates at these places."""
        days = batch.words(places + 1) >> np.uint64(64 - 8 * _DATE_BYTES)
        after = places + 1 + _DATE_BYTES
        is_not_ours = (days < 1) | (days > _DATE_MAX) | (batch.codes(places) != DATE) | (after > batch.ends)
        if is_not_ours.any():
            return super().decode_column(batch, places)
        return list(map(date.fromordinal, days.tolist())), after


class DatetimeElement(Element[datetime]):
    """Writes the instant, in microseconds since the year 1 began in UTC."""

    kind = datetime
    name = "datetime"

    def accepts(self, kind: type) -> bool:
        """Whether it is datetime itself. A subclass may mean more than the microsecond."""
        return kind is datetime

    def encode(self, value: datetime) -> bytes:
        """Return the bytes of a datetime with a zone."""
        (instant,) = self._instants((value,))
        return _DATETIME_CODE + instant.to_bytes(8, "big")

    def encode_column(self, values: Sequence[datetime]) -> list[bytes]:
        """Return the bytes of each datetime."""
        return encoded_rows(DATETIME, np.array(self._instants(values), dtype=np.uint64))

    def _instants(self, values: Sequence[datetime]) -> list[int]:
        try:
            instants = list(map(floordiv, map(sub, values, repeat(_BEGINNING)), repeat(_MICROSECOND)))
        except TypeError:  # Python subtracts nothing from a datetime without a zone
            raise Mismatch("datetime with a zone", _first_naive(values)) from None
        if min(instants) < 0 or max(instants) > _INSTANT_MAX:
            outside = next(value for value, at in zip(values, instants, strict=True) if not 0 <= at <= _INSTANT_MAX)
            raise Mismatch("datetime that is in the years 1 to 9999 in UTC", outside)
        return instants

    def decode(self, data: bytes, at: int, end: int) -> tuple[datetime, int]:
        """Return the datetime at a place, in UTC."""
        instant = int.from_bytes(checked_fixed(data, at, end, DATETIME, 8, self.name), "big")
        if instant > _INSTANT_MAX:
            raise Malformed(f"no instant of the years 1 to 9999 at byte {at}")
        return _BEGINNING + timedelta(microseconds=instant), at + 9

    def decode_column(self, batch: EncodedKeys, places: Places) -> tuple[list[datetime], Places]:
        """Return the datetimes at these places, in UTC."""
        instants = batch.words(places + 1)
        is_not_ours = (instants > _INSTANT_MAX) | (batch.codes(places) != DATETIME) | (places + 9 > batch.ends)
        if is_not_ours.any():
            return super().decode_column(batch, places)
        since = map(timedelta, repeat(0), repeat(0), instants.tolist())
        return list(map(_BEGINNING.__add__, since)), places + 9


def _first_naive(values: Sequence[datetime]) -> datetime:
    return next(value for value in values if value.utcoffset() is None)
