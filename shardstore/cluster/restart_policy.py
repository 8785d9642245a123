"""When a process that died is started again: a pure choice from the times of its deaths."""

from __future__ import annotations

from shardstore.limits import MILLISECOND_NS, SECOND_NS

FIRST_DELAY_NS = 100 * MILLISECOND_NS
LONGEST_DELAY_NS = 5 * SECOND_NS
"""So long, and a start, is what a service needs to come back after the cause of the deaths is gone."""
STEADY_NS = 10 * SECOND_NS
"""A process that lived this long starts again with the first delay."""


class RestartPolicy:
    """Delays double from death to death up to the longest; a long life forgets them. Nobody is ever given up."""

    def __init__(self) -> None:
        self.quick_deaths = 0
        """How often in a row it died soon after its start."""

    def delay_after_ns(self, lived_ns: int) -> int:
        """How long to wait after a life of `lived_ns`."""
        self.quick_deaths = 0 if lived_ns >= STEADY_NS else self.quick_deaths + 1
        doublings = min(self.quick_deaths, 16) - 1
        return min(LONGEST_DELAY_NS, FIRST_DELAY_NS << max(0, doublings))
