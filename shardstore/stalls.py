"""Stalls: times in which something was refused or kept waiting for want of room, by their causes.

A stall begins with a refusal and has ended when nothing was refused for that cause for QUIET_NS.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from shardstore.limits import MILLISECOND_NS, SECOND_NS
from shardstore.stats_schema import StallStats

QUIET_NS = SECOND_NS
EVENTS_MAX = 64


@dataclass(slots=True)
class Stall:
    """One stall. `refused` counts what was refused, from `begin_ns` to `latest_ns`."""

    cause: str
    begin_ns: int
    latest_ns: int
    refused: int = 1

    @property
    def end_ns(self) -> int:
        """When it is over, if nothing more is refused."""
        return self.latest_ns + QUIET_NS


class Stalls:
    """Stalls that last, by cause, and the latest EVENTS_MAX of those that have ended."""

    def __init__(self) -> None:
        self._lasting: dict[str, Stall] = {}
        self._ended: deque[Stall] = deque(maxlen=EVENTS_MAX)

    def refused(self, cause: str, now_ns: int) -> None:
        """Something was refused, or still waits."""
        stall = self._lasting.get(cause)
        if stall is None or stall.end_ns <= now_ns:
            self.pass_time(now_ns)
            self._lasting[cause] = Stall(cause, now_ns, now_ns)
        else:
            stall.latest_ns = now_ns
            stall.refused += 1

    def pass_time(self, now_ns: int) -> None:
        """Note the end of stalls that are over."""
        for stall in [stall for stall in self._lasting.values() if stall.end_ns <= now_ns]:
            self._ended.append(self._lasting.pop(stall.cause))

    def lasts(self, beginning: str) -> str:
        """The cause, with this beginning, of a stall that lasts; empty when there is none."""
        return next((cause for cause in self._lasting if cause.startswith(beginning)), "")

    def figures(self, now_ns: int) -> StallStats:
        """How many last (`now`), and `events`: the starts and ends of the latest, in their order."""
        self.pass_time(now_ns)
        starts = [(stall.begin_ns, "start", stall) for stall in (*self._ended, *self._lasting.values())]
        ends = [(stall.latest_ns, "end", stall) for stall in self._ended]
        events = sorted(starts + ends, key=lambda event: event[0])
        return {
            "now": len(self._lasting),
            "events": [
                {
                    "event": what,
                    "cause": stall.cause,
                    "ago_ms": (now_ns - at_ns) // MILLISECOND_NS,
                    "refused": stall.refused,
                }
                for at_ns, what, stall in events[-EVENTS_MAX:]
            ],
        }
