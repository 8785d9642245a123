"""What was changed and judged lately, so that policies leave it alone for a while.

It is in memory only: for a router that has just started, everything has just changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shardstore.limits import SECOND_NS
from shardstore.router.policies.plan import PlanKind, Unsplittable

VERDICT_NS = 600 * SECOND_NS
"""How long a range counts as unsplittable."""


class History:
    """When each range came to be, and the verdicts. Children have new segments: a range is as old as its segment."""

    def __init__(self, started_ns: int) -> None:
        self._started_ns = started_ns
        self._made_ns: dict[int, int] = {}
        self._verdicts: dict[int, int] = {}
        self._warm_ns: dict[int, int] = {}

    def note_change(self, kind: PlanKind, parents: Sequence[int], children: Sequence[int], now_ns: int) -> None:
        """A change was decided. What was found out about a range holds where it moves to."""
        verdicts = [self._verdicts.pop(parent, 0) for parent in parents]
        for parent in parents:
            self._made_ns.pop(parent, None)
            self._warm_ns.pop(parent, None)
        for child in children:
            self._made_ns[child] = now_ns
            if kind is PlanKind.MOVE and verdicts[0]:
                self._verdicts[child] = verdicts[0]

    def note_verdict(self, verdict: Unsplittable, now_ns: int) -> None:
        """A range was found unsplittable."""
        self._verdicts[verdict.segment] = now_ns + VERDICT_NS

    def note_warm(self, segments: Iterable[int], now_ns: int) -> None:
        """These ranges have load."""
        self._warm_ns.update(dict.fromkeys(segments, now_ns))

    def age_ns(self, segment: int, now_ns: int) -> int:
        """For how long a range has been as it is, as far as is known."""
        return now_ns - self._made_ns.get(segment, self._started_ns)

    def cold_ns(self, segment: int, now_ns: int) -> int:
        """For how long a range has been as it is and without load, as far as is known."""
        return min(self.age_ns(segment, now_ns), now_ns - self._warm_ns.get(segment, self._started_ns))

    def is_unsplittable(self, segment: int, now_ns: int) -> bool:
        """Whether a verdict holds for the range."""
        return now_ns < self._verdicts.get(segment, 0)
