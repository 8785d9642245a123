"""When a process that died is started again: a pure choice from the times of its deaths."""

from __future__ import annotations

from shardstore.limits import MILLISECOND_NS, SECOND_NS

FIRST_DELAY_NS = 100 * MILLISECOND_NS
LONGEST_DELAY_NS = 5 * SECOND_NS
STEADY_NS = 10 * SECOND_NS
"""A process that lived this long starts again with the first delay."""
QUICK_DEATHS_MAX = 10
"""Quick deaths in a row after which a process is given up."""


class RestartPolicy:
    """Delays double from death to death; a long life forgets them; too many quick deaths end it."""

    def __init__(self) -> None:
        self._quick_deaths = 0

    def delay_after_ns(self, lived_ns: int) -> int | None:
        """How long to wait after a life of `lived_ns`; None when the process is to be given up."""
        self._quick_deaths = 0 if lived_ns >= STEADY_NS else self._quick_deaths + 1
        if self._quick_deaths >= QUICK_DEATHS_MAX:
            return None
        return min(LONGEST_DELAY_NS, FIRST_DELAY_NS << max(0, self._quick_deaths - 1))
