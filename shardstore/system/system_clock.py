"""The real clocks."""

from __future__ import annotations

import time

from shardstore.limits import MILLISECOND_NS


class SystemClock:
    """The operating system's monotonic clock."""

    now_ns = staticmethod(time.monotonic_ns)
    """Return the nanoseconds since an arbitrary start. Never goes backwards."""


class SystemWallClock:
    """The operating system's time of day."""

    def now_ms(self) -> int:
        """Return the milliseconds since the epoch."""
        return time.time_ns() // MILLISECOND_NS
