"""Recent changes and verdicts, so that the policies leave the ranges concerned alone for a while.

The history is in memory only. For a router that has just started, all ranges count as just changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shardstore.limits import SECOND_NS
from shardstore.router.policies.plan import PlanKind, Unsplittable

VERDICT_NS = 600 * SECOND_NS
"""How long a verdict holds."""


class History:
    """When each range was made, when it last had load, and the verdicts. A changed range is a new segment."""

    def __init__(self, started_ns: int) -> None:
        self._started_ns = started_ns
        self._made_ns: dict[int, int] = {}
        self._verdicts: dict[int, int] = {}
        self._warm_ns: dict[int, int] = {}

    def note_change(self, kind: PlanKind, parents: Sequence[int], children: Sequence[int], now_ns: int) -> None:
        """Note a change that has begun. A verdict on a range still holds after a move."""
        verdicts = [self._verdicts.pop(parent, 0) for parent in parents]
        for parent in parents:
            self._made_ns.pop(parent, None)
            self._warm_ns.pop(parent, None)
        for child in children:
            self._made_ns[child] = now_ns
            if kind is PlanKind.MOVE and verdicts[0]:
                self._verdicts[child] = verdicts[0]

    def note_verdict(self, verdict: Unsplittable, now_ns: int) -> None:
        """Note that a range is unsplittable."""
        self._verdicts[verdict.segment] = now_ns + VERDICT_NS

    def note_warm(self, segments: Iterable[int], now_ns: int) -> None:
        """Note that these ranges have load now."""
        self._warm_ns.update(dict.fromkeys(segments, now_ns))

    def age_ns(self, segment: int, now_ns: int) -> int:
        """How long a range has been unchanged, counted at most from the start of the router."""
        return now_ns - self._made_ns.get(segment, self._started_ns)

    def cold_ns(self, segment: int, now_ns: int) -> int:
        """How long a range has been unchanged and without load, counted at most from the start of the router."""
        return min(self.age_ns(segment, now_ns), now_ns - self._warm_ns.get(segment, self._started_ns))

    def is_unsplittable(self, segment: int, now_ns: int) -> bool:
        """Whether a verdict on the range holds."""
        return now_ns < self._verdicts.get(segment, 0)
