"""What the maintenance process is to do next, chosen from what the ranges need.

    seal -> drain of every range with durable runs, in one pass over the log -> manifests published
         -> release of log files and tables that nothing refers to any more
    adopt, for a child of a topology change, once its parents are drained; retire, for parents, once that is done
    compact, when asked, then only after its runs are drained, or when the compaction policy says so

A compaction may take minutes. All other jobs are short, and overtake it: there is a lane for each. A job that fails is
tried again with a growing delay; its inputs are intact. Damage is not tried again: the range keeps the reason, and
whoever waits for it gets it. Every job takes its segments through the steps of state.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import inf

from shardstore.effects import Effect, JobFailed, JobFinished, StartJob
from shardstore.entropy import Entropy
from shardstore.errors import Busy, Corruption
from shardstore.wire_format import Flag, Op
from shardstore.workers.jobs.specs import (
    AdoptResult,
    AdoptSpec,
    CompactionKind,
    CompactResult,
    CompactSpec,
    DrainedTable,
    DrainResult,
    DrainSpec,
    ReleaseSpec,
    RetireSpec,
    Spec,
    segments_of,
)
from shardstore.workers.maintenance.barriers import Barrier, Barriers
from shardstore.workers.maintenance.compaction_choice import due_compaction
from shardstore.workers.maintenance.compaction_policy import Compaction
from shardstore.workers.maintenance.drain_choice import drains_of, freed_bytes
from shardstore.workers.maintenance.drain_pace import pause_ns
from shardstore.workers.maintenance.drain_policy import layers_at_rest, layers_to_seal
from shardstore.workers.maintenance.lane import RETRY_FIRST_NS, Lane
from shardstore.workers.maintenance.layer_sizes import layer_size
from shardstore.workers.maintenance.rest import Rest
from shardstore.workers.ranges.owned_range import OwnedRange
from shardstore.workers.segment.manifest import Manifest
from shardstore.workers.segment.segment import Segment
from shardstore.workers.segment.state import SegmentState, Step
from shardstore.workers.serving.reply import Asker
from shardstore.workers.serving.write_path import WritePath


@dataclass(slots=True)
class MaintenanceQueue:
    """Jobs of one worker. `log_first_kept`: LSN from which the log is kept for ranges that could not be opened.

    `drain_bytes_max` bounds the overlay bytes that one drain is given, if these are more than one run.
    """

    worker: int
    store: str
    log_id: int
    writes: WritePath
    ranges: Mapping[int, OwnedRange]
    log_first_kept: int | None
    drain_bytes_max: int
    entropy: Entropy
    open_segment: Callable[[Manifest], Segment]
    _short: Lane = field(default_factory=Lane)
    _compaction: Lane = field(default_factory=Lane)
    _jobs_started: int = 0
    _rest: Rest = field(default_factory=Rest)
    _barriers: Barriers = field(default_factory=Barriers)
    _adoptions: dict[int, AdoptSpec] = field(default_factory=dict)
    _retired: set[int] = field(default_factory=set)
    _obsolete: list[str] = field(default_factory=list)
    _release_wanted: bool = True  # what was recovered may be of segments that are gone, and then nothing else asks
    _drain_alone: bool = False
    _drains_from_ns: int | None = None
    _compacted_last: int = 0
    jobs_finished: int = 0
    last_failure: str = ""
    last_compaction: str = ""
    """Which segment was compacted last, and why."""

    @property
    def running(self) -> list[Spec]:
        """What the jobs that run are to do."""
        return [lane.running.spec for lane in (self._short, self._compaction) if lane.running]

    @property
    def releasing(self) -> bool:
        """Whether a running job may publish the LOG document."""
        return any(isinstance(spec, ReleaseSpec) for spec in self.running)

    def seal_full_layers(self) -> None:
        """Seal what the drain policy chooses."""
        sizes = [layer_size(owned) for owned in self.ranges.values()]
        writes = self.writes
        for segment in layers_to_seal(sizes, writes.buffered_bytes, writes.wal.retained_bytes, writes.limits):
            self.seal(self.ranges[segment])

    def pass_time(self, now_ns: int) -> None:
        """Seal what rests, and look at all jobs again."""
        if self._rest.is_to_look(now_ns):
            self._rest.look(self.ranges, now_ns)
            filled = [owned for owned in self.ranges.values() if owned.overlay.lsn_first]
            sizes = [layer_size(owned, self._rest.rested_ns(owned.segment_id, now_ns)) for owned in filled]
            for segment in layers_at_rest(sizes):
                self.seal(self.ranges[segment])
        self.look_again()

    def seal(self, owned: OwnedRange) -> None:
        """Turn the active layer of a range into a run."""
        owned.overlay.seal(self.writes.lsn_applied)
        if owned.overlay.runs:
            self._short.worth_a_look = True

    def seal_largest(self, wanted_bytes: int) -> None:
        """Seal active layers, the largest first, until so many bytes more are due for a drain."""
        by_size = sorted(self.ranges.values(), key=lambda owned: owned.overlay.active.size_bytes, reverse=True)
        for owned in by_size:
            if wanted_bytes <= 0 or not owned.overlay.active:
                return
            wanted_bytes -= owned.overlay.size_bytes - owned.overlay.due_bytes
            self.seal(owned)

    def look_again(self) -> None:
        """Something has changed that may make a job due: the next `next_jobs` is worth its cost."""
        self._short.worth_a_look = self._compaction.worth_a_look = True

    def log_synced(self) -> None:
        """More of the log is durable: maybe a drain is due."""
        self._short.worth_a_look = True

    def barrier(self, owned: OwnedRange, asker: Asker) -> list[Effect]:
        """Take a FLUSH or COMPACT of a range. Raises Corruption."""
        owned.stored()
        if owned.job_damage:
            raise owned.job_damage
        if owned.segment is None:
            return [asker.wait_for_files(owned.segment_id, self.last_failure)]
        header = asker.header
        waits = not header.flags & Flag.NO_WAIT
        if not waits and owned.segment_id in self._barriers:
            raise Busy(f"a flush or compaction of segment {owned.segment_id} runs", 1, 1, RETRY_FIRST_NS)
        self.seal(owned)
        lsn = owned.overlay.runs[-1].lsn_last if owned.overlay.runs else 0
        self._barriers.add(owned.segment_id, Barrier(header.op, lsn, asker if waits else None))
        self._compaction.worth_a_look |= header.op == Op.COMPACT
        accepted = [] if waits else [asker.accept(self.writes.pressure)]
        return accepted + self._pass_barriers(owned, drained_lsn=0)

    def fence(self, owned: OwnedRange) -> list[Effect]:
        """The range is the parent of a change: it is drained, and not compacted any more."""
        return [asker.bounce() for asker in self._barriers.leave(owned.segment_id)]

    def adopts(self, segment: int) -> bool:
        """Whether a job that gives this child files of its own runs or waits."""
        is_running = any(isinstance(running, AdoptSpec) and running.segment == segment for running in self.running)
        return is_running or segment in self._adoptions

    def adopt(self, spec: AdoptSpec) -> None:
        """Give a child files of its own."""
        self._adoptions[spec.segment] = spec
        self.look_again()

    def retire(self, segments: Iterable[int]) -> None:
        """Remove these segments, which are not served here any more."""
        self._retired.update(segments)
        self.look_again()

    def close(self) -> None:
        """The worker stops: no segment is served any more."""
        for owned in self.ranges.values():
            owned.take(Step.CLOSE)

    def next_jobs(self, now_ns: int) -> list[Effect]:
        """Start the next job of each lane, if there is one and none runs."""
        if not (self._short.worth_a_look or self._compaction.worth_a_look):  # as after nearly every event
            return []
        effects: list[Effect] = []
        if self._short.is_to_look(now_ns):
            short = self._choose(now_ns)
            effects += self._start(self._short, short, now_ns) if short else self._sync_for_drain()
        if self._compaction.is_to_look(now_ns) and (compaction := self._compact()):
            effects += self._start(self._compaction, compaction, now_ns)
        return effects

    def _start(self, lane: Lane, spec: Spec, now_ns: int) -> list[Effect]:
        self._jobs_started += 1
        job = StartJob(self._jobs_started, spec)
        lane.start(job, now_ns)
        if isinstance(spec, DrainSpec):
            self.writes.drain_rate.begun(freed_bytes(spec.drains, self.ranges), now_ns)
        for segment in segments_of(spec):
            self.ranges[segment].take(Step.SEAL, Step.START)
        return [job]

    def wakeup_ns(self) -> int | None:
        """When a failed job is tried again, or a drain has paused for long enough."""
        short_ns = None if self._short.running else self._short.retry_at_ns or self._drains_from_ns
        compaction_ns = self._compaction.retry_at_ns
        if short_ns is None or compaction_ns is None:
            return short_ns or compaction_ns
        return min(short_ns, compaction_ns)

    def finished(self, event: JobFinished, now_ns: int) -> list[Effect]:
        """Take over the result of a running job."""
        lane = self._lane_of(event)
        lane.finished()
        self.look_again()
        self.last_failure = ""
        self.jobs_finished += 1
        effects: list[Effect] = []
        duration_ns = now_ns - lane.started_ns
        if isinstance(event.result, DrainResult):
            held_before = self.writes.buffered_bytes
            for manifest, figures in zip(event.result.manifests, event.result.figures, strict=True):
                self.ranges[manifest.segment].drains.note_end(duration_ns, figures)
                effects += self._drained(manifest, event.result.tables)
            self.writes.drain_rate.ended(held_before - self.writes.buffered_bytes, now_ns)
            deltas = max([len(manifest.deltas) for manifest in event.result.manifests])
            self._drains_from_ns = now_ns + pause_ns(duration_ns, deltas)
        elif isinstance(event.result, CompactResult):
            self.ranges[event.result.manifest.segment].compactions.note_end(duration_ns, event.result.figures)
            effects += self._compacted(event.result.manifest)
        elif isinstance(event.result, AdoptResult):
            self._adopted(event.result.manifest)
        return effects

    def failed(self, event: JobFailed, now_ns: int) -> list[Effect]:
        """A running job ended badly: try again later, or tell who waits when it cannot get better."""
        lane = self._lane_of(event)
        assert lane.running is not None
        spec = lane.running.spec
        retry_ns = lane.failed(now_ns)
        self.look_again()
        self.last_failure = event.reason
        for segment in segments_of(spec):
            owned = self.ranges[segment]
            self._end(owned, Step.FAIL)
            owned.last_failure = event.reason
            if not isinstance(spec, AdoptSpec):
                totals = owned.compactions if isinstance(spec, CompactSpec) else owned.drains
                totals.note_end(now_ns - lane.started_ns, None)
        if isinstance(spec, DrainSpec):
            self.writes.drain_rate.failed()
        effects: list[Effect] = []
        if isinstance(spec, CompactSpec) and spec.kind == CompactionKind.EVERYTHING:
            askers, owned = self._barriers.compaction_ends(), self.ranges[spec.segment]
            if owned.fence_lsn is not None:
                effects += [asker.bounce() for asker in askers]
            elif owned.job_damage and not event.damage:  # a drain met it meanwhile
                effects += [asker.fail(owned.job_damage) for asker in askers]
            else:
                self._barriers.compact_again(spec.segment, askers)
        elif isinstance(spec, ReleaseSpec):
            self._obsolete += spec.paths
            self._release_wanted = True
        elif isinstance(spec, RetireSpec):
            self._retired.update(spec.segments)
        elif isinstance(spec, AdoptSpec) and not event.damage:
            self._adoptions[spec.segment] = spec
        told = self._give_up(spec, event.damage) if event.damage else self._put_off(spec, event.reason, retry_ns)
        return effects + told

    def _put_off(self, spec: Spec, reason: str, retry_ns: int) -> list[Effect]:
        """Tell who waits for a job that failed why. Clients ask again, and raise it when their time is over."""
        askers = [asker for segment in segments_of(spec) for asker in self._barriers.put_off(segment)]
        return [asker.refuse_busy(Busy(reason, 1, 1, retry_ns), self.writes.pressure) for asker in askers]

    def _choose(self, now_ns: int) -> Spec | None:
        """What gives back room goes first; what failed last goes last, so that it keeps nothing else from its turn."""
        kinds: dict[type[Spec], Callable[[], Spec | None]] = {
            ReleaseSpec: self._release,
            RetireSpec: self._retire,
            AdoptSpec: self._adopt,
            DrainSpec: lambda: self._drain(now_ns),
        }
        for kind in sorted(kinds, key=lambda kind: kind is self._short.failed_last):
            if spec := kinds[kind]():
                return spec
        return None

    def _drain(self, now_ns: int) -> DrainSpec | None:
        if not self._compaction.running or now_ns >= (self._drains_from_ns or 0):
            self._drains_from_ns = None
        pauses = self._drains_from_ns is not None
        ranges = [owned for owned in self.ranges.values() if not pauses or owned.fence_lsn is not None]
        drains = drains_of(ranges, self.writes.wal.lsn_durable, self.drain_bytes_max)
        if self._drain_alone:
            drains = drains[:1]
        if not drains and not pauses:
            self.writes.drain_rate.idle()
        return DrainSpec(self.worker, self.store, self.log_id, tuple(drains)) if drains else None

    def _sync_for_drain(self) -> list[Effect]:
        """A run is drained only when its log is durable: else a power cut could leave tables ahead of a lost log."""
        lsns = [run.lsn_last for owned in self.ranges.values() for run in owned.overlay.runs if run.due]
        return self.writes.require_durable(max(lsns)) if lsns else []

    def _compact(self) -> CompactSpec | None:
        due = due_compaction(self.ranges, self._barriers.compactions, self._rest.segments, self._compacted_last)
        return self._compact_segment(*due) if due else None

    def _compact_segment(self, segment: int, chosen: Compaction) -> CompactSpec:
        if chosen.kind == CompactionKind.EVERYTHING:
            self._barriers.compaction_begins(segment)
        self._compacted_last = segment
        self.last_compaction = f"segment {segment}: {chosen.reason}"
        return CompactSpec(self.store, segment, chosen.kind, self.entropy.below(2**64), chosen.bottom)

    def _release(self) -> ReleaseSpec | None:
        if not self._release_wanted:
            return None
        self._release_wanted = False
        checkpoint = self.checkpoint()
        wal = self.writes.wal
        if checkpoint == wal.lsn_appended and wal.retained_bytes > wal.file_bytes // 64:
            wal.rotate()  # nothing in the active file is needed any more: a fresh one lets it go
        files = wal.files_before(checkpoint)
        paths, self._obsolete = (*files, *self._obsolete), []
        wal.forget(files)
        if not paths:
            return None
        versions = {segment: version for segment, owned in self.ranges.items() if (version := owned.version_known)}
        return ReleaseSpec(self.worker, self.store, self.log_id, checkpoint, wal.lsn_durable, versions, paths)

    def _retire(self) -> RetireSpec | None:
        segments, self._retired = tuple(sorted(self._retired)), set()
        return RetireSpec(self.store, segments) if segments else None

    def _adopt(self) -> AdoptSpec | None:
        return self._adoptions.pop(next(iter(self._adoptions))) if self._adoptions else None

    def checkpoint(self) -> int:
        """The LSN up to which no range needs the log."""
        kept = [owned.overlay.lsn_first for owned in self.ranges.values() if owned.overlay.lsn_first]
        if self.log_first_kept is not None:
            kept.append(self.log_first_kept)
        return min([self.writes.wal.lsn_durable, self.writes.lsn_applied, *(lsn - 1 for lsn in kept)])

    def _drained(self, manifest: Manifest, tables: Iterable[DrainedTable]) -> list[Effect]:
        owned = self.ranges[manifest.segment]
        self._replace(owned, manifest)
        owned.note_drained(tables)
        lsn = manifest.checkpoint_of(self.log_id)
        self.writes.buffered_bytes -= owned.overlay.drop_runs(lsn)
        return self._pass_barriers(owned, lsn)

    def _compacted(self, manifest: Manifest) -> list[Effect]:
        self._replace(self.ranges[manifest.segment], manifest)
        return [asker.accept(self.writes.pressure) for asker in self._barriers.compaction_ends()]

    def _adopted(self, manifest: Manifest) -> None:
        owned = self.ranges[manifest.segment]
        owned.segment, owned.inheritance = self.open_segment(manifest), None
        owned.last_failure = ""
        self._end(owned, Step.SWAP)

    def _replace(self, owned: OwnedRange, manifest: Manifest) -> None:
        assert owned.segment is not None, "only what is open is published anew"
        self._obsolete += owned.segment.replace(manifest)
        owned.last_failure = ""
        self._end(owned, Step.SWAP)
        self._release_wanted = True

    def _end(self, owned: OwnedRange, step: Step) -> None:
        """A job of the range has ended, with this step; unless another one met damage, which is the end of all."""
        if owned.state is not SegmentState.ERROR:
            goes_on = any(owned.segment_id in segments_of(spec) for spec in self.running)
            owned.take(step, Step.CONTINUE if goes_on else Step.RESUME)

    def _lane_of(self, ended: JobFinished | JobFailed) -> Lane:
        return next(lane for lane in (self._short, self._compaction) if lane.running and lane.running.job == ended.job)

    def _pass_barriers(self, owned: OwnedRange, drained_lsn: int) -> list[Effect]:
        """Answer each FLUSH that is reached."""
        lsn = drained_lsn if owned.overlay.runs else inf
        return [asker.accept(self.writes.pressure) for asker in self._barriers.reached(owned.segment_id, lsn)]

    def _give_up(self, spec: Spec, damage: Corruption) -> list[Effect]:
        """Mark the range of a job that met damage, and tell everybody who waits for it."""
        segments: Iterable[int] = ()
        if isinstance(spec, DrainSpec) and len(spec.drains) > 1:
            self._drain_alone = True  # to find out whose damage it is, and spare the others
        elif isinstance(spec, DrainSpec):
            segments = [spec.drains[0].segment]
        elif isinstance(spec, CompactSpec | AdoptSpec):
            segments = [spec.segment]
        effects: list[Effect] = []
        for segment in segments:
            owned = self.ranges[segment]
            if owned.job_damage is None:  # there may be two jobs of a segment
                owned.job_damage = damage
                owned.take(Step.DAMAGE)
            effects += [asker.fail(damage) for asker in self._barriers.leave_all(segment)]
        return effects
