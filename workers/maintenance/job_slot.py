"""Jobs that run one after the other, and after one that failed none for a while."""

from __future__ import annotations

from dataclasses import dataclass

from shardstore.limits import MILLISECOND_NS, SECOND_NS
from shardstore.seams.effects import StartJob
from shardstore.workers.jobs.specs import Spec

RETRY_FIRST_NS = 100 * MILLISECOND_NS
RETRY_MAX_NS = 10 * SECOND_NS


@dataclass(slots=True)
class JobSlot:
    """`worth_a_look`: something has changed since there was no job to start. `failed_last`: of which kind that was."""

    running: StartJob | None = None
    started_ns: int = 0
    retry_at_ns: int | None = None
    failed_last: type[Spec] | None = None
    worth_a_look: bool = True
    _failures: int = 0

    def is_to_look(self, now_ns: int) -> bool:
        """Whether to look for a job now."""
        if self.running or not self.worth_a_look or (self.retry_at_ns is not None and now_ns < self.retry_at_ns):
            return False
        self.worth_a_look = False
        self.retry_at_ns = None
        return True

    def start(self, job: StartJob, now_ns: int) -> None:
        """This job runs from now on."""
        self.running, self.started_ns = job, now_ns

    def finished(self) -> None:
        """The job ended well."""
        self.running, self._failures, self.failed_last, self.worth_a_look = None, 0, None, True

    def failed(self, now_ns: int) -> int:
        """The job ended badly: none starts for the time answered, the longer, the more have failed on end."""
        assert self.running is not None
        self.failed_last = type(self.running.spec)
        self.running, self.worth_a_look = None, True
        self._failures += 1
        retry_ns = min(RETRY_FIRST_NS << min(self._failures, 16), RETRY_MAX_NS)
        self.retry_at_ns = now_ns + retry_ns
        return retry_ns
