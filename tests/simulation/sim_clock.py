"""Simulated time: a heap of scheduled events. Time jumps from one to the next."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable


class SimClock:
    """The clock seam, and the schedule that advances it. Events due at the same time happen in random order."""

    def __init__(self, rng: random.Random) -> None:
        self._random = rng
        self._now_ns = 0
        self._count = 0
        self._due: list[tuple[int, int, int, Callable[[], None]]] = []

    def now_ns(self) -> int:
        """Simulated nanoseconds since the start."""
        return self._now_ns

    def after(self, delay_ns: int, action: Callable[[], None]) -> None:
        """Schedule an event in `delay_ns`."""
        self.at(self._now_ns + delay_ns, action)

    def at(self, time_ns: int, action: Callable[[], None]) -> None:
        """Schedule an event at `time_ns`, or now if that has passed."""
        self._count += 1
        tie_break = self._random.getrandbits(32)
        heapq.heappush(self._due, (max(time_ns, self._now_ns), tie_break, self._count, action))

    def next_ns(self) -> int | None:
        """The time of the next event."""
        return self._due[0][0] if self._due else None

    def advance(self, until_ns: int) -> bool:
        """Run the next event. If none is due by `until_ns`, move the time there and return False."""
        if not self._due or self._due[0][0] > until_ns:
            self._now_ns = max(self._now_ns, until_ns)
            return False
        self._now_ns, _, _, action = heapq.heappop(self._due)
        action()
        return True
