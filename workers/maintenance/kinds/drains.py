"""Drains write the durable runs of all ranges into tables, in one pass over the log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import inf

from shardstore.seams.effects import Effect
from shardstore.tables.manifest import Manifest
from shardstore.workers.jobs.specs import DrainedTable, DrainResult, DrainSpec, segments_of
from shardstore.workers.maintenance.kinds.barriers import Barriers
from shardstore.workers.maintenance.kinds.job_kind import JobKind
from shardstore.workers.maintenance.kinds.job_slot import JobSlot
from shardstore.workers.maintenance.kinds.releases import Releases
from shardstore.workers.maintenance.policies.drain_choice import drains_of, freed_bytes
from shardstore.workers.maintenance.policies.drain_pace import drain_pause_ns
from shardstore.workers.ranges.owned_range import OwnedRange
from shardstore.workers.serving.write_path import WritePath


class Drains(JobKind[DrainSpec, DrainResult]):
    """One job for many ranges. `bytes_max` limits the size of its runs, unless there is only one run.

    Until `paused_until_ns`, only fenced ranges are drained while a job runs in `compaction_slot`.
    """

    def __init__(
        self,
        worker: int,
        store: str,
        log_id: int,
        writes: WritePath,
        ranges: Mapping[int, OwnedRange],
        barriers: Barriers,
        releases: Releases,
        compaction_slot: JobSlot,
        bytes_max: int,
    ) -> None:
        self.bytes_max = bytes_max
        self.paused_until_ns: int | None = None
        self._worker = worker
        self._store = store
        self._log_id = log_id
        self._writes = writes
        self._ranges = ranges
        self._barriers = barriers
        self._releases = releases
        self._compaction_slot = compaction_slot
        self._one_by_one = False

    def next_spec(self, now_ns: int) -> DrainSpec | None:
        """Drain the oldest runs that are durable, unless drains pause."""
        if not self._compaction_slot.running or now_ns >= (self.paused_until_ns or 0):
            self.paused_until_ns = None
        pauses = self.paused_until_ns is not None
        ranges = [owned for owned in self._ranges.values() if not pauses or owned.role.is_fenced]
        drains = drains_of(ranges, self._writes.wal.lsn_durable, self.bytes_max)
        if self._one_by_one:
            drains = drains[:1]
        if drains:
            self._writes.drain_rate.begun(freed_bytes(drains, self._ranges), now_ns)
            return DrainSpec(self._worker, self._store, self._log_id, tuple(drains))
        if not pauses:
            self._writes.drain_rate.idle()
        return None

    def prepare(self) -> list[Effect]:
        """Have the log synced up to the runs that are due. Tables must never be ahead of the log on stable storage."""
        lsns = [run.lsn_last for owned in self._ranges.values() for run in owned.overlay.runs if run.due]
        return self._writes.require_durable(max(lsns)) if lsns else []

    def finished(self, result: DrainResult, duration_ns: int, now_ns: int) -> list[Effect]:
        """Read the new tables from now on, free the runs that they hold, and begin the pause."""
        held_before = self._writes.buffered_bytes
        effects: list[Effect] = []
        for manifest, figures in zip(result.manifests, result.figures, strict=True):
            owned = self._ranges[manifest.segment]
            owned.drains.note_end(duration_ns, figures)
            effects += self._drained(owned, manifest, result.tables)
        self._writes.drain_rate.ended(held_before - self._writes.buffered_bytes, now_ns)
        deltas = max([len(manifest.deltas) for manifest in result.manifests])
        self.paused_until_ns = now_ns + drain_pause_ns(duration_ns, deltas)
        return effects

    def failed(self, spec: DrainSpec, duration_ns: int) -> list[Effect]:
        """Count the failure. The runs are still in memory."""
        for segment in segments_of(spec):
            self._ranges[segment].drains.note_end(duration_ns, None)
        self._writes.drain_rate.failed()
        return []

    def given_up(self, spec: DrainSpec) -> Sequence[int]:
        """Give up the range; of several ranges none yet, but drain one by one to find the damaged one."""
        if len(spec.drains) > 1:
            self._one_by_one = True
            return []
        return super().given_up(spec)

    def reply_to_reached(self, owned: OwnedRange, drained_lsn: int) -> list[Effect]:
        """Reply to each FLUSH that is done, as the tables of the range hold everything up to this LSN."""
        lsn = drained_lsn if owned.overlay.runs else inf
        return [asker.accept(self._writes.pressure) for asker in self._barriers.reached(owned.segment_id, lsn)]

    def _drained(self, owned: OwnedRange, manifest: Manifest, tables: Iterable[DrainedTable]) -> list[Effect]:
        self._releases.replace(owned, manifest)
        owned.note_drained(tables)
        lsn = manifest.checkpoint_of(self._log_id)
        self._writes.note_drained(owned.drop_runs(lsn))
        return self.reply_to_reached(owned, lsn)
