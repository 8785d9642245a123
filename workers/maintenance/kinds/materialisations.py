"""Materialisations give children of topology changes files of their own, made from those of their parents."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from shardstore.seams.effects import Effect
from shardstore.tables.manifest import Manifest
from shardstore.tables.segment import Segment
from shardstore.workers.board.range_slot import RangeSlot
from shardstore.workers.jobs.specs import MaterialiseResult, MaterialiseSpec
from shardstore.workers.maintenance.kinds.job_kind import JobKind
from shardstore.workers.ranges.owned_range import OwnedRange


class Materialisations(JobKind[MaterialiseSpec, MaterialiseResult]):
    """One job for each child, in the order in which they were added. A child whose job failed moves to the end."""

    def __init__(
        self,
        ranges: Mapping[int, OwnedRange],
        open_segment: Callable[[Manifest], Segment],
        slot_of: Callable[[int], RangeSlot | None],
    ) -> None:
        self._ranges = ranges
        self._open_segment = open_segment
        self._slot_of = slot_of
        self._wanted: dict[int, MaterialiseSpec] = {}

    def __contains__(self, segment: int) -> bool:
        """Whether the job of this child runs or waits."""
        return segment in self._wanted

    def add(self, spec: MaterialiseSpec) -> None:
        """Queue the job that gives this child its files."""
        self._wanted[spec.segment] = spec

    def next_spec(self, now_ns: int) -> MaterialiseSpec | None:
        """Materialise the first child in the queue."""
        return next(iter(self._wanted.values()), None)

    def finished(self, result: MaterialiseResult, duration_ns: int, now_ns: int) -> list[Effect]:
        """Read the child from its own files from now on."""
        manifest = result.manifest
        del self._wanted[manifest.segment]
        child = self._ranges[manifest.segment]
        child.materialise(self._open_segment(manifest))
        child.show(self._slot_of(manifest.segment))
        return []

    def failed(self, spec: MaterialiseSpec, duration_ns: int) -> list[Effect]:
        """Move the child to the end of the queue."""
        self._wanted[spec.segment] = self._wanted.pop(spec.segment)
        return []

    def given_up(self, spec: MaterialiseSpec) -> Sequence[int]:
        """Drop the child, which will never get files."""
        del self._wanted[spec.segment]
        return super().given_up(spec)
