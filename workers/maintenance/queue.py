"""Starts the jobs of the maintenance process, and handles their results.

    seal -> drain every range with durable runs, in one pass over the log -> publish the manifests
         -> release log files and tables that nothing refers to any more
    materialise a child of a topology change once its parents are drained; then retire the parents
    compact a segment if the compaction policy says so, or on request, then only after its runs are drained

The kind of a job (kinds/) says when it is due, and what follows from its end. A compaction may take minutes. All other
jobs are short, and overtake it: compactions have one slot, all others another one. A job that failed is tried again
after a growing delay; its inputs are intact. After damage it is not tried again: the range keeps the error, and all
requests that wait for the job get it. Every job takes its segments through the steps of segment/state.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from shardstore.errors import Busy, Corruption
from shardstore.seams.clock import NEVER_NS
from shardstore.seams.effects import Effect, JobFailed, JobFinished, StartJob
from shardstore.seams.entropy import Entropy
from shardstore.tables.manifest import Manifest
from shardstore.tables.segment import Segment
from shardstore.wire.wire_format import Flag, Op
from shardstore.workers.board.range_slot import RangeSlot
from shardstore.workers.jobs.specs import MaterialiseSpec, segments_of
from shardstore.workers.maintenance.kinds.barriers import Barrier, Barriers
from shardstore.workers.maintenance.kinds.compactions import Compactions
from shardstore.workers.maintenance.kinds.drains import Drains
from shardstore.workers.maintenance.kinds.job_slot import RETRY_FIRST_NS, JobSlot, RunningJob
from shardstore.workers.maintenance.kinds.materialisations import Materialisations
from shardstore.workers.maintenance.kinds.releases import Releases
from shardstore.workers.maintenance.kinds.retirements import Retirements
from shardstore.workers.maintenance.policies.rest import Rest
from shardstore.workers.maintenance.sealer import Sealer
from shardstore.workers.ranges.owned_range import OwnedRange
from shardstore.workers.segment.state import SegmentState, SegmentStep
from shardstore.workers.serving.reply import Asker
from shardstore.workers.serving.write_path import WritePath


class MaintenanceQueue:
    """The jobs of one worker.

    Invariants: the segments of a job are here, and a segment is MAINTENANCE_RUNNING exactly while a job of it runs,
    unless damage or the end of the worker has stopped it for good.
    """

    def __init__(
        self,
        worker: int,
        store: str,
        log_id: int,
        writes: WritePath,
        ranges: Mapping[int, OwnedRange],
        log_first_kept: int | None,
        drain_run_bytes_max: int,
        entropy: Entropy,
        open_segment: Callable[[Manifest], Segment],
        slot_of: Callable[[int], RangeSlot | None],
    ) -> None:
        """Start no job yet. `log_first_kept`: LSN from which the log is kept for ranges that could not be opened."""
        self.jobs_finished = 0
        self.last_failure = ""
        self._writes = writes
        self._ranges = ranges
        self._jobs_started = 0
        self._barriers = Barriers()
        rest = Rest()
        self.releases = Releases(worker, store, log_id, writes, ranges, log_first_kept)
        self.retirements = Retirements(store)
        self.materialisations = Materialisations(ranges, open_segment, slot_of)
        self.compactions = Compactions(store, writes, ranges, self._barriers, self.releases, rest, entropy)
        self._long = JobSlot(self.compactions)
        self.drains = Drains(
            worker, store, log_id, writes, ranges, self._barriers, self.releases, self._long, drain_run_bytes_max
        )
        # jobs that free disk space come first
        self._short = JobSlot(self.releases, self.retirements, self.materialisations, self.drains)
        self._slots = (self._short, self._long)
        self.sealer = Sealer(ranges, writes, rest, self._short)

    @property
    def running(self) -> list[RunningJob]:
        """The running jobs."""
        return [slot.running for slot in self._slots if slot.running]

    @property
    def releasing(self) -> bool:
        """Whether a running job may publish the LOG document."""
        return any(job.kind is self.releases for job in self.running)

    def pass_time(self, now_ns: int) -> None:
        """Seal the layers that rest, and look for due jobs again."""
        self.sealer.seal_resting(now_ns)
        self.look_again()

    def look_again(self) -> None:
        """Note that a job may have become due, so that `next_jobs` looks for one."""
        self._short.worth_a_look = self._long.worth_a_look = True

    def log_synced(self) -> None:
        """Note that more of the log is durable, so that a drain may be due."""
        self._short.worth_a_look = True

    def barrier(self, owned: OwnedRange, asker: Asker) -> list[Effect]:
        """Handle a FLUSH or COMPACT of a range. Raises Corruption, StorageFailure, Busy."""
        owned.stored()
        if owned.job_damage:
            raise owned.job_damage
        if owned.segment is None:
            return [asker.wait_for_files(owned.segment_id, self.last_failure)]
        header = asker.header
        waits = not header.flags & Flag.NO_WAIT
        if not waits and owned.segment_id in self._barriers:
            raise Busy(f"a flush or compaction of segment {owned.segment_id} runs", 1, 1, RETRY_FIRST_NS)
        self.sealer.seal(owned)
        lsn = owned.overlay.runs[-1].lsn_last if owned.overlay.runs else 0
        self._barriers.add(owned.segment_id, Barrier(header.op, lsn, asker if waits else None))
        self._long.worth_a_look |= header.op == Op.COMPACT
        accepted = [] if waits else [asker.accept(self._writes.pressure)]
        return accepted + self.drains.reply_to_reached(owned, drained_lsn=0)

    def fence(self, owned: OwnedRange) -> list[Effect]:
        """Stop compacting a range that is fenced now; it is still drained. Each COMPACT that waits is bounced."""
        return [asker.bounce() for asker in self._barriers.drop_compacts(owned.segment_id)]

    def materialise(self, spec: MaterialiseSpec) -> None:
        """Have a job give a child files of its own."""
        self.materialisations.add(spec)
        self.look_again()

    def retire(self, segments: Iterable[int]) -> None:
        """Have a job remove these segments, which are not served here any more."""
        self.retirements.add(segments)
        self.look_again()

    def close(self) -> None:
        """Close all segments, as the worker stops."""
        for owned in self._ranges.values():
            owned.advance(SegmentStep.CLOSE)

    def next_jobs(self, now_ns: int) -> list[Effect]:
        """Start a job in each slot that has none, if one is due."""
        if not (self._short.worth_a_look or self._long.worth_a_look):  # as after nearly every event
            return []
        effects: list[Effect] = []
        for slot in self._slots:
            if slot.is_to_look(now_ns):
                effects += self._start(slot, now_ns)
        return effects

    def due_ns(self) -> int:
        """When to try a failed job again, or when the pause of drains ends."""
        short, long_ns = self._short, self._long.retry_at_ns or NEVER_NS
        if short.running:
            return long_ns
        return min(short.retry_at_ns or self.drains.paused_until_ns or NEVER_NS, long_ns)

    def finished(self, event: JobFinished, now_ns: int) -> list[Effect]:
        """Take over the result of a running job."""
        slot, ended = self._ended(event.job)
        slot.finished()
        self.look_again()
        self.last_failure = ""
        self.jobs_finished += 1
        effects = ended.kind.finished(event.result, now_ns - ended.started_ns, now_ns)
        self._step_on(ended, SegmentStep.SWAP, failure="")
        return effects

    def failed(self, event: JobFailed, now_ns: int) -> list[Effect]:
        """Note that a running job failed. It is tried again later, or given up if it met damage."""
        slot, ended = self._ended(event.job)
        retry_ns = slot.failed(now_ns)
        self.look_again()
        self.last_failure = event.reason
        self._step_on(ended, SegmentStep.FAIL, event.reason)
        effects = ended.kind.failed(ended.spec, now_ns - ended.started_ns)
        told = self._give_up(ended, event.damage) if event.damage else self._put_off(ended, event.reason, retry_ns)
        return effects + told

    def check_invariants(self) -> None:
        """Raise AssertionError if an invariant of this class, of a slot or of the barriers does not hold."""
        for slot in self._slots:
            slot.check_invariants()
        self._barriers.check_invariants(self._ranges, self._long.running.spec if self._long.running else None)
        running = {segment for job in self.running for segment in segments_of(job.spec)}
        assert running <= self._ranges.keys(), "a job of a segment that is not here runs"
        for segment, owned in self._ranges.items():
            expected = SegmentState.MAINTENANCE_RUNNING if segment in running else SegmentState.READY
            is_sound = owned.state in (expected, SegmentState.ERROR, SegmentState.CLOSED)
            assert is_sound, f"segment {segment} is {owned.state}, and not {expected}"

    def _start(self, slot: JobSlot, now_ns: int) -> list[Effect]:
        """Start the next job of a slot that has none."""
        job = slot.start_next(self._jobs_started + 1, now_ns)
        if job is None:
            return slot.prepare()
        self._jobs_started += 1
        for segment in segments_of(job.spec):
            self._ranges[segment].advance(SegmentStep.PREPARE, SegmentStep.START)
        return [StartJob(job.number, job.spec)]

    def _ended(self, number: int) -> tuple[JobSlot, RunningJob]:
        """The job with this number, and its slot."""
        return next((slot, slot.running) for slot in self._slots if slot.running and slot.running.number == number)

    def _step_on(self, ended: RunningJob, step: SegmentStep, failure: str) -> None:
        """Take the segments of an ended job through this step, except those that damage has stopped for good."""
        for segment in segments_of(ended.spec):
            owned = self._ranges[segment]
            owned.note_failure(failure)
            if owned.state is not SegmentState.ERROR:
                goes_on = any(segment in segments_of(job.spec) for job in self.running)
                owned.advance(step, SegmentStep.CONTINUE if goes_on else SegmentStep.RESUME)

    def _put_off(self, ended: RunningJob, reason: str, retry_ns: int) -> list[Effect]:
        """Reply to the requests that wait for a failed job with Busy. Clients repeat them until their deadlines."""
        askers = [asker for segment in segments_of(ended.spec) for asker in self._barriers.drop_to_retry(segment)]
        return [asker.refuse_busy(Busy(reason, 1, 1, retry_ns), self._writes.pressure) for asker in askers]

    def _give_up(self, ended: RunningJob, damage: Corruption) -> list[Effect]:
        """Mark the ranges of a job that met damage, and reply to all requests that wait for them with it."""
        effects: list[Effect] = []
        for segment in ended.kind.given_up(ended.spec):
            owned = self._ranges[segment]
            owned.note_damage(damage)
            effects += [asker.fail(damage) for asker in self._barriers.drop_all(segment)]
        return effects
