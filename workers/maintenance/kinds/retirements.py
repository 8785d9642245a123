"""Retirements remove segments that are not served here any more, with all their files."""

from __future__ import annotations

from collections.abc import Iterable

from shardstore.seams.effects import Effect
from shardstore.workers.jobs.specs import RetireResult, RetireSpec
from shardstore.workers.maintenance.kinds.job_kind import JobKind


class Retirements(JobKind[RetireSpec, RetireResult]):
    """One job removes all segments that wait."""

    def __init__(self, store: str) -> None:
        self._store = store
        self._waiting: set[int] = set()

    def add(self, segments: Iterable[int]) -> None:
        """Have these segments removed."""
        self._waiting.update(segments)

    def next_spec(self, now_ns: int) -> RetireSpec | None:
        """Remove all segments that wait."""
        segments, self._waiting = tuple(sorted(self._waiting)), set()
        return RetireSpec(self._store, segments) if segments else None

    def failed(self, spec: RetireSpec, duration_ns: int) -> list[Effect]:
        """Let the segments wait for another job."""
        self._waiting.update(spec.segments)
        return []
