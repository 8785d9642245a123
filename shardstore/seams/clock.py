"""Seam: time. Only differences between values of `now_ns` have a meaning. Real form: system_clock.py."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """A monotonic clock."""

    def now_ns(self) -> int:
        """Return the nanoseconds since an arbitrary start. Never goes backwards."""
