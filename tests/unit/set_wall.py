"""A time of day that tests set."""

from __future__ import annotations

WALL_MS = 1_700_000_000_000
"""What it shows first."""


class SetWall:
    """A wall clock that stands until it is moved."""

    def __init__(self, now_ms: int = WALL_MS) -> None:
        self.ms = now_ms

    def now_ms(self) -> int:
        """Return the milliseconds since the epoch."""
        return self.ms
