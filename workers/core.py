"""The worker as a pure core: messages, syncs and finished jobs in, answers and work to be done out.

    REGISTER -> ranges given -> segments opened, log replayed -> READY -> serving
    request  -> holdings: whose range -> answering: reads | writes | scans | maintenance queue -> answer
    CHANGE   -> topology changes: fence, adopt, materialise -> PROGRESS ... RETIRE

It owns no socket, clock, thread or process. Files are plain calls through the filesystem; syncing the log and
running a job are effects.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from shardstore.columns import InvalidColumn
from shardstore.effects import (
    Effect,
    Event,
    JobFailed,
    JobFinished,
    PeerGone,
    Received,
    Say,
    SendFailed,
    Stop,
    StopRequested,
    Tick,
    WalSynced,
    WalSyncFailed,
)
from shardstore.entropy import Entropy
from shardstore.errors import Busy, Corruption, InvalidRequest, ScanInvalidated, StorageFailure
from shardstore.filesystem import Filesystem
from shardstore.identifiers import client_of_worker
from shardstore.messages import Assignments, Lease, Refusal, decode
from shardstore.options import WorkerOptions
from shardstore.stalls import Stalls
from shardstore.topology import Orders, Retire
from shardstore.wire_format import Header, MalformedMessage, Op, Status, decode_message
from shardstore.workers.load.meter import LoadMeter
from shardstore.workers.maintenance.queue import MaintenanceQueue
from shardstore.workers.ranges.opening import open_log
from shardstore.workers.ranges.replay import replay
from shardstore.workers.registration import ROUTER, Registration
from shardstore.workers.segment.cache import SegmentCache
from shardstore.workers.serving.admission import MemoryLimits
from shardstore.workers.serving.answering import Answering
from shardstore.workers.serving.buffer_lease import SHORT_PRESSURE, BufferLease
from shardstore.workers.serving.open_scans import OpenScans
from shardstore.workers.serving.reply import Asker, refuse_malformed
from shardstore.workers.serving.scanning import Scanning
from shardstore.workers.serving.write_path import WritePath
from shardstore.workers.statistics import figures, memory_figures
from shardstore.workers.topology.holdings import Holdings
from shardstore.workers.topology.remote_reads import RemoteReads
from shardstore.workers.trouble import Trouble
from shardstore.workers.wal.log_document import note_durable
from shardstore.workers.wal.reader import records_in
from shardstore.workers.wal.recovery import check_life
from shardstore.workers.wal.writer import WalWriter

ORDERS = frozenset((Op.CHANGE, Op.RETIRE))
"""What only the router may ask."""
_COUNTED = {InvalidRequest: "invalid requests", Busy: "refused busy", ScanInvalidated: "scans invalidated"}


class WorkerCore:
    """One worker process. `endpoint` is where clients reach it directly."""

    def __init__(
        self,
        filesystem: Filesystem,
        entropy: Entropy,
        options: WorkerOptions,
        endpoint: str,
        unsent_bytes: Callable[[], int],
    ) -> None:
        """Recover the log. `unsent_bytes` tells what of answers is still here. Raises Corruption, StorageFailure."""
        self._filesystem = filesystem
        self._entropy = entropy
        self._options = options
        self._unsent_bytes = unsent_bytes
        worker, store, memory = options.worker, options.store, options.memory
        self._log, known = open_log(filesystem, store, worker, entropy)
        self.recovered = self._log.in_words()
        """What its log was found to be, for whoever operates the store."""
        self._registration = Registration(worker, endpoint, known, self._log.life, self._log.failure)
        self._cache = SegmentCache(memory.cache_bytes)
        self._holdings = Holdings(filesystem, worker, store, self._cache, self._log.segments, memory.window_bytes)
        self._ranges, self._changes = self._holdings.ranges, self._holdings.changes
        self._lease = BufferLease(options.memory, 0)
        self._stalls = Stalls()
        self._trouble = Trouble(self._ranges, self._stalls)
        self._writes: WritePath | None = None
        self._maintenance: MaintenanceQueue | None = None
        self._scans: Scanning | None = None
        self._answering: Answering | None = None
        self._load = LoadMeter(options.worker, entropy, self._holdings.cuts_of)
        self._remote_reads = RemoteReads(client_of_worker(options.worker), entropy.below(2**63))
        self._stopping = False
        self._stopped = False
        self._counts: Counter[str] = Counter()
        self._requests: Counter[int] = Counter()
        self._keys: Counter[int] = Counter()

    def start(self, now_ns: int) -> list[Effect]:
        """Ask the router for ranges."""
        return self._registration.register(now_ns)

    def wakeup_ns(self) -> int | None:
        """The earliest of heartbeat, load report, sync and retried job; at once when a scan waits for its turn."""
        return 0 if self._scans and self._scans.has_work else self._chores_ns()

    def _chores_ns(self) -> int:
        due_ns = self._registration.wakeup_ns()
        for part in (self._writes, self._maintenance, self._changes, self._load if self._writes else None):
            part_due_ns = part.wakeup_ns() if part else None
            if part_due_ns is not None and part_due_ns < due_ns:
                due_ns = part_due_ns
        return due_ns

    def handle(self, event: Event, now_ns: int) -> list[Effect]:
        """Take one event."""
        if self._stopped:  # what was under way then ends in the next life
            return []
        effects = self._handle(event, now_ns)
        if self._stopping:
            return effects + self._stop_when_idle()
        if self._changes and self._writes is not None:
            effects += self._changes.advance(self._writes, self._serving_maintenance, now_ns)
        if self._maintenance is not None:
            effects += self._maintenance.next_jobs(now_ns)
            writes = self._serving_writes
            if writes.held_bytes + writes.refused_bytes > self._lease.asks_above and self._registration.may_ask:
                effects += self._beat(now_ns)
        return effects

    def _handle(self, event: Event, now_ns: int) -> list[Effect]:
        match event:
            case Received():
                return self._received(event, now_ns)
            case Tick():
                return self._tick(now_ns)
            case WalSynced():
                self._serving_maintenance.log_synced()
                effects = self._serving_writes.synced(event.lsn)
                self._seal_when_grown()
                return effects
            case WalSyncFailed():
                return self._serving_writes.fail(event.reason)
            case JobFinished():
                effects = self._serving_maintenance.finished(event, now_ns)
                self._serving_scans.open.shed(now_ns)
                return effects
            case JobFailed():
                return self._serving_maintenance.failed(event, now_ns)
            case SendFailed():
                self._counts["replies nobody took"] += 1
                return self._peer_gone(event.link, event.peer)
            case PeerGone():
                return self._peer_gone(event.link, event.peer)
            case StopRequested():
                self._stopping = True
                return self._writes.require_durable(self._writes.wal.lsn_appended) if self._writes else []

    def _tick(self, now_ns: int) -> list[Effect]:
        turn = self._scans.take_turn(self._answer, now_ns) if self._scans else None
        return turn if turn is not None and now_ns < self._chores_ns() else [*(turn or ()), *self._chores(now_ns)]

    def _chores(self, now_ns: int) -> list[Effect]:
        if self._maintenance:
            self._maintenance.pass_time(now_ns)
        if self._scans:
            self._scans.open.pass_time(now_ns)
            self._changes.forget_former(self._scans.open.has_scans_of)
        self._remote_reads.forget_old(now_ns)
        self._stalls.pass_time(now_ns)
        self._holdings.pass_time(now_ns)
        effects: list[Effect] = []
        if self._registration.is_due(now_ns):
            self._lease.pass_time()
            effects = self._registration.register(now_ns) if self._registration.serving is None else self._beat(now_ns)
        if self._writes is None:
            return effects
        if now_ns >= self._load.wakeup_ns():
            effects.append(self._registration.load(self._load.report(self._holdings.sizes(), now_ns)))
        return effects + self._trouble.news() + self._writes.tick(now_ns)

    def _beat(self, now_ns: int) -> list[Effect]:
        """Report to the router what is buffered, and give back what is not needed."""
        writes = self._serving_writes
        draining_bytes = sum([owned.draining_bytes for owned in self._ranges.values()])
        report = self._lease.report(writes.held_bytes, writes.refused_bytes, draining_bytes)
        writes.refused_bytes = 0
        writes.limits = MemoryLimits.of_lease(self._lease.bytes, self._options.memory)
        scans, full_disk = self._serving_scans.open.in_use(now_ns), self._trouble.full_disk
        return self._registration.beat(writes.pressure, report, scans, full_disk, self._lease.is_short, now_ns)

    def _take_lease(self, lease: Lease, now_ns: int) -> list[Effect]:
        """Buffer at most so much from now on, and drain what the router wants drained."""
        writes = self._serving_writes
        self._lease.take(lease, writes.held_bytes)
        writes.limits = MemoryLimits.of_lease(self._lease.bytes, self._options.memory)
        if self._lease.is_short and writes.pressure > SHORT_PRESSURE:
            self._stalls.refused("the worker waits for a larger lease of the budget", now_ns)
        self._serving_maintenance.seal_largest(lease.drain)
        self._serving_maintenance.seal_full_layers()
        return []

    def _peer_gone(self, link: str, peer: bytes) -> list[Effect]:
        if self._scans and peer:  # the router's link has no peer, and stands for many clients
            self._scans.open.close_all_of(link, peer)
        return []

    def _received(self, event: Received, now_ns: int) -> list[Effect]:
        try:
            header = decode_message(event.frames)
            if not header.status and (header.op not in ORDERS or event.link != ROUTER):
                return self._requested(Asker(event.link, event.peer, header), event.frames, now_ns)
            if event.link == ROUTER:
                return self._heard_router(header, event.frames, now_ns)
            raise MalformedMessage("an answer where a request is expected")
        except (MalformedMessage, InvalidColumn) as error:
            self._counts["malformed messages"] += 1
            return refuse_malformed(event, str(error))

    def _heard_router(self, header: Header, frames: list[bytes], now_ns: int) -> list[Effect]:
        match header.op:
            case Op.CHANGE:
                return self._ordered(decode(Orders, frames[1]))
            case Op.RETIRE:
                return self._retire(decode(Retire, frames[1]))
            case Op.GET:
                return self._remote_reads.answered(header, frames, self._writes.pressure if self._writes else 0)
        given, effects = self._registration.answered(header, frames, now_ns)
        match given:
            case Assignments():
                return effects + self._serve(given)
            case Lease() if self._writes is not None:
                return effects + self._take_lease(given, now_ns)
        return effects

    def _requested(self, asker: Asker, frames: list[bytes], now_ns: int) -> list[Effect]:
        if self._stopping:
            return [asker.refuse(Status.CLOSED, Refusal("the worker is stopping"))]
        self._requests[asker.header.op] += 1
        self._keys[asker.header.op] += asker.header.entries
        if asker.header.op == Op.SCAN and self._scans is not None:
            self._scans.turns.append((asker, frames))
            return []
        return self._answer(asker, frames, now_ns)

    def _answer(self, asker: Asker, frames: Sequence[bytes], now_ns: int) -> list[Effect]:
        try:
            owned = self._holdings.of(asker, frames)
            if self._answering is None or (owned is None and not self._holdings.is_asked_itself(asker.header)):
                self._counts["turned away"] += 1
                return [self._holdings.turn_away(asker, self._registration.routes)]
            effects = self._answering.answer(owned, asker, frames, now_ns)
            self._seal_when_grown()
            return effects
        except (InvalidRequest, Busy, ScanInvalidated, Corruption, StorageFailure) as error:
            self._counts[_COUNTED.get(type(error), "failed requests")] += 1
            if isinstance(error, Busy):
                self._stalls.refused(error.cause, now_ns)
            return [asker.fail(error, self._serving_writes.pressure if self._writes else 0)]

    def _serve(self, assignments: Assignments) -> list[Effect]:
        """Serve what the router gives: open what is new, take over epochs and changes. Raises Corruption."""
        check_life(self._log, self._options.worker, assignments.life)
        try:
            left = self._holdings.take(assignments)
        except StorageFailure as failure:
            return [Stop(f"a range could not be created: {failure}")]
        if (lost := self._holdings.lost(left)) is not None:
            return [Stop(f"the route map does not know segment {lost}, which is served here: it is older than this")]
        effects = [] if self._writes else self._start_writing(assignments.segment_next)
        if self._writes is None:
            return effects
        self._drop([*left, *assignments.retired])
        return effects + self._registration.ready(self._holdings.serving())

    def _ordered(self, orders: Orders) -> list[Effect]:
        """Take part in a change. Before anything is served, the assignments will tell of it."""
        if self._writes is not None:
            self._registration.routes = orders.routes
            self._changes.take(orders.order)
            self._registration.serves(self._holdings.serving())
        return []

    def _retire(self, retire: Retire) -> list[Effect]:
        """A change is done."""
        if self._writes is not None:
            self._registration.routes = retire.routes
            self._drop(retire.segments)
            self._changes.end(retire.change)
        return []

    def _drop(self, segments: Iterable[int]) -> None:
        """Serve these segments no more, and remove their files."""
        retired = self._changes.retire(segments, self._serving_scans.open.has_scans_of)
        self._serving_maintenance.retire(retired)
        self._registration.forget(retired)

    def _start_writing(self, segment_next: int) -> list[Effect]:
        """Replay the log into the ranges, and take writes from here on."""
        log, options = self._log, self._options
        replayed = replay(self._ranges, records_in(self._filesystem, options.worker, log.log_id, log.files), log.log_id)
        if replayed.newest_segment >= segment_next:
            unknown = f"segment {replayed.newest_segment}, of which the log here holds writes"
            return [Stop(f"the route map could not have given {unknown}: it is older than this")]
        wal = WalWriter(self._filesystem, options.worker, log.log_id, log.next_lsn, log.lsn_last, log.files, log.frozen)
        buffered_bytes = sum(owned.overlay.size_bytes for owned in self._ranges.values())
        self._lease = BufferLease(options.memory, buffered_bytes)
        limits = MemoryLimits.of_lease(self._lease.bytes, options.memory)
        self._writes = WritePath(wal, options.durability, limits, buffered_bytes, self._load)
        self._scans = Scanning(self._writes, OpenScans(options.memory, self._entropy), self._load)
        self._maintenance = MaintenanceQueue(
            options.worker,
            options.store,
            log.log_id,
            self._writes,
            self._ranges,
            replayed.first_kept,
            options.memory.drain_bytes,
            self._entropy,
            self._holdings.open_segment,
        )
        self._maintenance.seal_full_layers()
        self._answering = Answering(
            self._writes,
            self._scans,
            self._maintenance,
            self._changes,
            self._remote_reads,
            self._load,
            self._figures,
            self._unsent_bytes,
            self._options.memory.answer_bytes,
        )
        return []

    def _seal_when_grown(self) -> None:
        """Let the drain policy look at the layers, once per some growth and not once per write."""
        writes = self._serving_writes
        if writes.grown_bytes >= writes.limits.seal_bytes // 16:
            writes.grown_bytes = 0
            self._serving_maintenance.seal_full_layers()

    def _stop_when_idle(self) -> list[Effect]:
        writes, maintenance = self._writes, self._maintenance
        if self._stopped or (writes and not writes.idle) or (maintenance and maintenance.releasing):
            return []  # a release publishes LOG too: one after the other
        self._stopped = True
        if maintenance is not None:
            maintenance.close()
        if writes is None:
            return [Stop()]
        flaw = note_durable(self._filesystem, self._options.store, self._options.worker, writes.wal.lsn_durable)
        return [Say(f"where the log ends could not be noted: {flaw}"), Stop()] if flaw else [Stop()]

    def _figures(self, now_ns: int) -> dict[str, Any]:
        plan, writes, scans = self._options.memory, self._serving_writes, self._serving_scans.open
        held, unsent, windows = scans.held(), self._unsent_bytes(), self._holdings.windows
        return figures(self._options.worker, self._ranges, writes, self._serving_maintenance, self._log.cut) | {
            "requests": {Op(op).name: count for op, count in sorted(self._requests.items())},
            "keys": {Op(op).name: count for op, count in sorted(self._keys.items()) if count},
            "counts": dict(self._counts),
            "cache": self._cache.figures(),
            "memory": memory_figures(plan, self._lease, writes, self._cache, windows, unsent, scans),
            "stalls": self._stalls.figures(now_ns),
            "scans": {"open": len(scans), "closed_early": scans.invalidated, **held._asdict()},
        }

    @property
    def lease_bytes(self) -> int:
        """What it may buffer: no more than it has a lease for."""
        return self._lease.bytes

    @property
    def buffered_bytes(self) -> int:
        """What it buffers: overlays, and what waits in the log to be applied."""
        return self._writes.held_bytes if self._writes else 0

    @property
    def _serving_writes(self) -> WritePath:
        assert self._writes is not None, "no range is served before the log is replayed"
        return self._writes

    @property
    def _serving_scans(self) -> Scanning:
        assert self._scans is not None, "no range is served before the log is replayed"
        return self._scans

    @property
    def _serving_maintenance(self) -> MaintenanceQueue:
        assert self._maintenance is not None, "no range is served before the log is replayed"
        return self._maintenance
