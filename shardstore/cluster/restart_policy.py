"""Decides when a process that died is started again, from how long its processes lived. No input or output."""

from __future__ import annotations

from shardstore.limits import MILLISECOND_NS, SECOND_NS

FIRST_DELAY_NS = 100 * MILLISECOND_NS
LONGEST_DELAY_NS = 5 * SECOND_NS
"""Maximum delay. Once the cause of the deaths is gone, a service is back after this time and a start."""
STEADY_NS = 10 * SECOND_NS
"""After a process that lived this long, delays begin again at the shortest."""


class RestartPolicy:
    """Delays double with each early death, up to the longest, until a process lives long. It never gives up."""

    def __init__(self) -> None:
        self.quick_deaths = 0
        """How many of the latest processes in a row died soon after their start."""

    def delay_after_ns(self, lived_ns: int) -> int:
        """Return how long to wait after the death of a process that lived for `lived_ns`."""
        self.quick_deaths = 0 if lived_ns >= STEADY_NS else self.quick_deaths + 1
        doublings = min(self.quick_deaths, 16) - 1
        return min(LONGEST_DELAY_NS, FIRST_DELAY_NS << max(0, doublings))
