"""Counters: the values that INCREMENT adds to. A value is the shortest decimal text of a signed 64-bit integer."""

from __future__ import annotations

import re

COUNTER_MIN = -(2**63)
COUNTER_MAX = 2**63 - 1
_DECIMAL = re.compile(rb"0|-?[1-9][0-9]{0,18}")


class NoCounter(ValueError):
    """The value is not a counter."""


def to_value(number: int) -> bytes:
    """Return the value that stores this number."""
    return b"%d" % number


def of_value(value: bytes) -> int:
    """Return the number that a value stores. Raises NoCounter."""
    number = int(value) if _DECIMAL.fullmatch(value) else COUNTER_MAX + 1
    if not is_within(number):
        raise NoCounter(f"{value[:24]!r} is no decimal number of 64 bits")
    return number


def is_within(number: int) -> bool:
    """Whether a counter can store this number."""
    return COUNTER_MIN <= number <= COUNTER_MAX
