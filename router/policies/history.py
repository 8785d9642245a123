"""Recent changes and unsplittable ranges, so that the policies leave the ranges concerned alone for a while.

The history is in memory only. For a router that has just started, all ranges count as just changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shardstore.limits import SECOND_NS
from shardstore.router.policies.plan import PlanKind, Unsplittable

UNSPLITTABLE_NS = 600 * SECOND_NS
"""How long a range counts as unsplittable."""


class History:
    """When each range was made, when it last had load, and which are unsplittable. A changed range is a new segment."""

    def __init__(self, started_ns: int) -> None:
        self._started_ns = started_ns
        self._made_ns: dict[int, int] = {}
        self._unsplittable: dict[int, int] = {}
        self._warm_ns: dict[int, int] = {}

    def note_change(self, kind: PlanKind, parents: Sequence[int], children: Sequence[int], now_ns: int) -> None:
        """Note a change that has begun. A range that is unsplittable still is after a move."""
        until_ns = [self._unsplittable.pop(parent, 0) for parent in parents]
        for parent in parents:
            self._made_ns.pop(parent, None)
            self._warm_ns.pop(parent, None)
        for child in children:
            self._made_ns[child] = now_ns
            if kind is PlanKind.MOVE and until_ns[0]:
                self._unsplittable[child] = until_ns[0]

    def note_unsplittable(self, found: Unsplittable, now_ns: int) -> None:
        """Note that a range is unsplittable."""
        self._unsplittable[found.segment] = now_ns + UNSPLITTABLE_NS

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
        """Whether the range counts as unsplittable."""
        return now_ns < self._unsplittable.get(segment, 0)
