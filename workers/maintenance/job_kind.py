"""What the queue asks of each kind of job. The kinds are in kinds/; what their jobs do with files is in workers/jobs/.

    next_spec -> the job runs -> finished
                              -> failed              the next job does the same again
                              -> failed -> given_up  stored bytes are damaged: another try does not help

The queue does what is common to all: it starts jobs, takes segments through the steps of state.py, waits before it
tries again, and answers who waits for a job that failed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias, TypeVar

from shardstore.seams.effects import Effect
from shardstore.workers.jobs.specs import Result, Spec, segments_of

SpecOfKind = TypeVar("SpecOfKind", bound=Spec)
ResultOfKind_contra = TypeVar("ResultOfKind_contra", bound=Result, contravariant=True)


class JobKind(Protocol[SpecOfKind, ResultOfKind_contra]):
    """When a job of this kind is due, and what follows from its end. At most one of each kind runs."""

    def next_spec(self, now_ns: int) -> SpecOfKind | None:
        """What the next job is to do, which starts at once; None when none is due."""

    def prepare(self) -> list[Effect]:
        """Bring about what the next job waits for. Nothing is due in its slot now."""
        return []

    def finished(self, result: ResultOfKind_contra, duration_ns: int, now_ns: int) -> list[Effect]:
        """Take over what a job has done."""
        return []

    def failed(self, spec: SpecOfKind, duration_ns: int) -> list[Effect]:
        """Take back what `next_spec` has taken: what the job was to do is still to be done."""

    def given_up(self, spec: SpecOfKind) -> Sequence[int]:
        """Stop trying what failed, because of damage. Returns the segments that get no job any more."""
        return segments_of(spec)


AnyKind: TypeAlias = JobKind[Any, Any]
"""A kind, where it does not matter which: its specs and results come from itself and go back to it."""
