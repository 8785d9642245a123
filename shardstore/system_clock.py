"""The real clock."""

from __future__ import annotations

import time


class SystemClock:
    """The operating system's monotonic clock."""

    def now_ns(self) -> int:
        """Nanoseconds since an arbitrary start; never goes back."""
        return time.monotonic_ns()
