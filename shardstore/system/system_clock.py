"""The real clock."""

from __future__ import annotations

import time


class SystemClock:
    """The operating system's monotonic clock."""

    now_ns = staticmethod(time.monotonic_ns)
    """Return the nanoseconds since an arbitrary start. Never goes backwards."""
