"""Runs jobs one after the other, with a pause after a job that failed."""

from __future__ import annotations

from typing import NamedTuple

from shardstore.limits import MILLISECOND_NS, SECOND_NS
from shardstore.seams.effects import Effect
from shardstore.workers.jobs.specs import Spec
from shardstore.workers.maintenance.kinds.job_kind import AnyKind

RETRY_FIRST_NS = 100 * MILLISECOND_NS
RETRY_MAX_NS = 10 * SECOND_NS


class RunningJob(NamedTuple):
    """A job that has started and not ended."""

    number: int
    kind: AnyKind
    spec: Spec
    started_ns: int


class JobSlot:
    """Runs one job at a time: of the first of `kinds` that has one due.

    `worth_a_look`: a job may have become due since the latest look. `retry_at_ns`: no job starts before this time.

    Invariants: the running job is of one of the `kinds`; while it runs, no time to try again is set; after failures,
    and only then, it is known which kind failed last.
    """

    def __init__(self, *kinds: AnyKind) -> None:
        self.running: RunningJob | None = None
        self.worth_a_look = True
        self.retry_at_ns: int | None = None
        self._kinds = kinds
        self._failed_last: AnyKind | None = None
        self._failures = 0

    def is_to_look(self, now_ns: int) -> bool:
        """Whether to look for a job now."""
        if self.running or not self.worth_a_look or (self.retry_at_ns is not None and now_ns < self.retry_at_ns):
            return False
        self.worth_a_look = False
        self.retry_at_ns = None
        return True

    def start_next(self, number: int, now_ns: int) -> RunningJob | None:
        """Start the next job, with this number. Returns None if none is due.

        If the latest job failed, its kind is asked last, so that it cannot keep the others waiting.
        """
        for kind in sorted(self._kinds, key=lambda kind: kind is self._failed_last):
            if spec := kind.next_spec(now_ns):
                self.running = RunningJob(number, kind, spec, now_ns)
                return self.running
        return None

    def prepare(self) -> list[Effect]:
        """Begin what the next job has to wait for."""
        return [effect for kind in self._kinds for effect in kind.prepare()]

    def finished(self) -> None:
        """Note that the job succeeded."""
        self.running, self._failures, self._failed_last, self.worth_a_look = None, 0, None, True

    def failed(self, now_ns: int) -> int:
        """Note that the job failed. Returns how long no job starts: longer after each further failure."""
        assert self.running is not None
        self._failed_last = self.running.kind
        self.running, self.worth_a_look = None, True
        self._failures += 1
        retry_ns = min(RETRY_FIRST_NS << min(self._failures, 16), RETRY_MAX_NS)
        self.retry_at_ns = now_ns + retry_ns
        return retry_ns

    def check_invariants(self) -> None:
        """Raise AssertionError if an invariant of this class does not hold."""
        assert self.running is None or self.running.kind in self._kinds, "a job of a strange kind runs"
        assert self.running is None or self.retry_at_ns is None, "a job runs that has to wait"
        assert bool(self._failures) == (self._failed_last is not None), "failures are miscounted"
