"""The interface between the queue and a kind of job. The kinds are in this folder; the jobs are in workers/jobs/.

    next_spec -> the job runs -> finished
                              -> failed              the next job does the same again
                              -> failed -> given_up  stored bytes are damaged: another try cannot succeed

The queue does what all kinds have in common: it starts jobs, takes segments through the steps of segment/state.py,
waits before it tries again, and replies to the requests that wait for a failed job.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias, TypeVar

from shardstore.seams.effects import Effect
from shardstore.workers.jobs.specs import JobResult, Spec, segments_of

SpecOfKind = TypeVar("SpecOfKind", bound=Spec)
ResultOfKind_contra = TypeVar("ResultOfKind_contra", bound=JobResult, contravariant=True)


class JobKind(Protocol[SpecOfKind, ResultOfKind_contra]):
    """When a job of this kind is due, and what follows from its end. At most one of each kind runs."""

    def next_spec(self, now_ns: int) -> SpecOfKind | None:
        """Take what is to be done now, and return it as the spec of a job that starts at once; None if none is due."""

    def prepare(self) -> list[Effect]:
        """Begin what the next job has to wait for, such as a sync of the log. Called if no job of its slot is due."""
        return []

    def finished(self, result: ResultOfKind_contra, duration_ns: int, now_ns: int) -> list[Effect]:
        """Take over the result of a job."""
        return []

    def failed(self, spec: SpecOfKind, duration_ns: int) -> list[Effect]:
        """Take back what `next_spec` had taken, so that another job will do it."""

    def given_up(self, spec: SpecOfKind) -> Sequence[int]:
        """Give up a job that met damage. Returns the segments that get no more jobs."""
        return segments_of(spec)


AnyKind: TypeAlias = JobKind[Any, Any]
"""Any kind of job. A kind gets only specs that it made, and their results, so the types need not be checked."""
