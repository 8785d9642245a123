"""Seam: time. Only differences between values of `now_ns` have a meaning. Real forms: system_clock.py."""

from __future__ import annotations

from typing import Final, Protocol

NEVER_NS: Final = 2**63
"""A time after all others."""


class Clock(Protocol):
    """A monotonic clock."""

    def now_ns(self) -> int:
        """Return the nanoseconds since an arbitrary start. Never goes backwards."""


class WallClock(Protocol):
    """The time of day. It may jump, also back."""

    def now_ms(self) -> int:
        """Return the milliseconds since the epoch."""
