"""Measures how long nothing has been written to each range of a worker, and how much was read from its memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from shardstore.limits import SECOND_NS
from shardstore.workers.maintenance.policies.drain_policy import REST_NS
from shardstore.workers.ranges.owned_range import OwnedRange

REST_LOOK_NS = SECOND_NS
"""Time between two looks. A look costs some time for every range."""


@dataclass(slots=True)
class Rest:
    """Compares the number of writes to each range with that at the previous look. `segments` are those that rest."""

    segments: set[int] = field(default_factory=set)
    _next_look_ns: int = 0
    _seen: dict[int, tuple[int, int]] = field(default_factory=dict)
    """By segment, its number of writes and the time of the look that first saw this number."""
    _counts: dict[int, tuple[int, int]] = field(default_factory=dict)
    """By segment, its numbers of reads in memory and of writes at the latest look."""
    _since: dict[int, tuple[int, int]] = field(default_factory=dict)
    """By segment, the same numbers since the look before."""

    def is_to_look(self, now_ns: int) -> bool:
        """Whether the next look is due."""
        return now_ns >= self._next_look_ns

    def look(self, ranges: Mapping[int, OwnedRange], now_ns: int) -> None:
        """Compare the number of writes to each range with that at the previous look."""
        self._next_look_ns = now_ns + REST_LOOK_NS
        unseen = (-1, now_ns)
        before = {segment: self._seen.get(segment, unseen) for segment in ranges}
        self._seen = {
            segment: before[segment] if before[segment][0] == owned.writes_applied else (owned.writes_applied, now_ns)
            for segment, owned in ranges.items()
        }
        counts = {segment: (owned.reads_in_memory, owned.writes_applied) for segment, owned in ranges.items()}
        self._since = {
            segment: (reads - self._counts[segment][0], writes - self._counts[segment][1])
            for segment, (reads, writes) in counts.items()
            if segment in self._counts
        }
        self._counts = counts
        self.segments = {segment for segment in ranges if self.rested_ns(segment, now_ns) >= REST_NS}

    def rested_ns(self, segment: int, now_ns: int) -> int:
        """How long nothing has been written to the range, to within the time between two looks."""
        return now_ns - self._seen.get(segment, (0, now_ns))[1]

    def reads_and_writes(self, segment: int) -> tuple[int, int]:
        """How many requests had to read in memory, and how many wrote, between the latest two looks."""
        return self._since.get(segment, (0, 0))
