"""Reports failures of a worker to the operator: once when they begin, and once when they are over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from shardstore.limits import REFUSAL_CHARACTERS_MAX
from shardstore.seams.effects import Effect, Say
from shardstore.stalls import Stalls
from shardstore.workers.ranges.owned_range import OwnedRange

DISK_FULL = "disk full"
"""How every failure for lack of room begins (posix_filesystem.py)."""


class Trouble:
    """Tracks whether something fails: jobs of a range, or the log for lack of room.

    The words may differ from try to try, so only the first ones are reported.
    """

    def __init__(self, ranges: Mapping[int, OwnedRange], stalls: Stalls) -> None:
        self._ranges = ranges
        self._stalls = stalls
        self._lasts = False

    def news(self) -> list[Effect]:
        """What to report now; nothing unless something has begun to fail, or works again."""
        failure = self._failure()
        lasted, self._lasts = self._lasts, bool(failure)
        if lasted is self._lasts:
            return []
        if not failure:
            return [Say("what failed works again")]
        again = "writes may be refused until there is room" if failure.startswith(DISK_FULL) else "it is tried again"
        return [Say(f"{failure}; {again}")]

    @property
    def full_disk(self) -> str:
        """What fails for lack of room; empty if nothing does."""
        of_jobs = next((failure for failure in self._failures() if failure.startswith(DISK_FULL)), "")
        return (of_jobs or self._stalls.lasts(DISK_FULL))[:REFUSAL_CHARACTERS_MAX]

    def _failure(self) -> str:
        return next(self._failures(), "") or self._stalls.lasts(DISK_FULL)

    def _failures(self) -> Iterator[str]:
        return (owned.last_failure for owned in self._ranges.values() if owned.last_failure)
