"""Compactions merge some layers of a segment into one, on request or when the compaction policy says so."""

from __future__ import annotations

from collections.abc import Mapping

from shardstore.seams.effects import Effect
from shardstore.seams.entropy import Entropy
from shardstore.workers.jobs.specs import CompactionKind, CompactResult, CompactSpec
from shardstore.workers.maintenance.kinds.barriers import Barriers
from shardstore.workers.maintenance.kinds.job_kind import JobKind
from shardstore.workers.maintenance.kinds.releases import Releases
from shardstore.workers.maintenance.policies.compaction_choice import due_compaction
from shardstore.workers.maintenance.policies.rest import Rest
from shardstore.workers.ranges.owned_range import OwnedRange
from shardstore.workers.serving.write_path import WritePath


class Compactions(JobKind[CompactSpec, CompactResult]):
    """One job for one segment. `latest`: segment and reason of the latest compaction; empty before the first."""

    def __init__(
        self,
        store: str,
        writes: WritePath,
        ranges: Mapping[int, OwnedRange],
        barriers: Barriers,
        releases: Releases,
        rest: Rest,
        entropy: Entropy,
    ) -> None:
        self.latest = ""
        self._store = store
        self._writes = writes
        self._ranges = ranges
        self._barriers = barriers
        self._releases = releases
        self._rest = rest
        self._entropy = entropy
        self._segment_last = 0

    def next_spec(self, now_ns: int) -> CompactSpec | None:
        """Compact the segment whose turn it is."""
        clock_ms = self._writes.clock.now_ms()
        asked, resting = self._barriers.compactions, self._rest.segments
        due = due_compaction(self._ranges, asked, resting, self._segment_last, clock_ms)
        if due is None:
            return None
        segment, chosen = due
        if chosen.kind == CompactionKind.EVERYTHING:
            self._barriers.compaction_begins(segment)
        self._segment_last = segment
        self.latest = f"segment {segment}: {chosen.reason}"
        return CompactSpec(self._store, segment, chosen.kind, self._entropy.below(2**64), chosen.bottom, clock_ms)

    def finished(self, result: CompactResult, duration_ns: int, now_ns: int) -> list[Effect]:
        """Read the new tables from now on, and reply to each COMPACT that waited for this job."""
        owned = self._ranges[result.manifest.segment]
        owned.compactions.note_end(duration_ns, result.figures)
        self._releases.replace(owned, result.manifest)
        return [asker.accept(self._writes.pressure) for asker in self._barriers.compaction_ends()]

    def failed(self, spec: CompactSpec, duration_ns: int) -> list[Effect]:
        """Let each COMPACT that waited for this job wait for the next one, if there will be one."""
        owned = self._ranges[spec.segment]
        owned.compactions.note_end(duration_ns, None)
        if spec.kind != CompactionKind.EVERYTHING:
            return []
        askers = self._barriers.compaction_ends()
        if owned.role.is_fenced:
            return [asker.bounce() for asker in askers]
        if owned.job_damage:  # which a drain met meanwhile
            return [asker.fail(owned.job_damage) for asker in askers]
        self._barriers.compact_again(spec.segment, askers)
        return []
