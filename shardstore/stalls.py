"""Stalls: periods in which requests were refused or delayed because space ran out, by cause.

A stall begins with a refusal. It ends when nothing has been refused for the same cause for QUIET_NS.
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
    """One stall. `refused` counts the refusals from `begin_ns` to `latest_ns`."""

    cause: str
    begin_ns: int
    latest_ns: int
    refused: int = 1

    @property
    def end_ns(self) -> int:
        """When the stall ends if nothing more is refused."""
        return self.latest_ns + QUIET_NS


class Stalls:
    """The current stalls, by cause, and the latest EVENTS_MAX stalls that have ended."""

    def __init__(self) -> None:
        self._lasting: dict[str, Stall] = {}
        self._ended: deque[Stall] = deque(maxlen=EVENTS_MAX)

    def refused(self, cause: str, now_ns: int) -> None:
        """Count a refusal or a delay for this cause; starts a stall if there is none."""
        stall = self._lasting.get(cause)
        if stall is None or stall.end_ns <= now_ns:
            self.pass_time(now_ns)
            self._lasting[cause] = Stall(cause, now_ns, now_ns)
        else:
            stall.latest_ns = now_ns
            stall.refused += 1

    def pass_time(self, now_ns: int) -> None:
        """Move stalls that are over to the ended ones."""
        for stall in [stall for stall in self._lasting.values() if stall.end_ns <= now_ns]:
            self._ended.append(self._lasting.pop(stall.cause))

    def lasts(self, beginning: str) -> str:
        """Return the cause of a current stall whose cause begins like this; empty if there is none."""
        return next((cause for cause in self._lasting if cause.startswith(beginning)), "")

    def statistics(self, now_ns: int) -> StallStats:
        """Return statistics: `now`, the number of current stalls, and `events`, the latest starts and ends in order."""
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
