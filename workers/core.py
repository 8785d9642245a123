"""The worker as a pure core: messages, syncs and finished jobs in, replies and other effects out.

    REGISTER -> ranges given -> segments opened, log replayed -> READY -> serving
    request  -> holdings: whose range -> operations: reads | writes | scans | maintenance queue -> reply
    CHANGE   -> topology changes: fence, adopt, materialise -> PROGRESS ... RETIRE

It owns no socket, clock, thread or process. File operations are plain calls through the filesystem; syncing the log and
running a job are effects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from shardstore.client_role import ADMIN
from shardstore.errors import Busy, Corruption, InvalidRequest, ScanInvalidated, StorageFailure, Unavailable
from shardstore.identifiers import client_of_worker, tag_of_store
from shardstore.options import WorkerOptions
from shardstore.seams.boards import Boards
from shardstore.seams.clock import WallClock
from shardstore.seams.effects import (
    Effect,
    Event,
    PeerGone,
    Received,
    Say,
    SendFailed,
    Stop,
    StopRequested,
    Tick,
)
from shardstore.seams.entropy import Entropy
from shardstore.seams.filesystem import Filesystem
from shardstore.stalls import Stalls
from shardstore.tables.cache import SegmentCache
from shardstore.wire.columns import InvalidColumn
from shardstore.wire.link_names import ROUTER
from shardstore.wire.messages import Assignments, Lease, Refusal, decode
from shardstore.wire.topology import OrderMessage, Retire
from shardstore.wire.wire_format import Header, MalformedMessage, Op, Status, decode_message
from shardstore.workers.board.worker_board import WorkerBoard
from shardstore.workers.load.meter import LoadMeter
from shardstore.workers.maintenance.queue import MaintenanceQueue
from shardstore.workers.operations import Operations
from shardstore.workers.ranges.range_opener import open_log
from shardstore.workers.ranges.replay import replay
from shardstore.workers.registration import Registration
from shardstore.workers.request_counts import RequestCounts
from shardstore.workers.service import Service
from shardstore.workers.serving.admission import MemoryLimits
from shardstore.workers.serving.buffer_lease import BufferLease
from shardstore.workers.serving.hybrid_clock import LEASE_MS, HybridClock
from shardstore.workers.serving.open_scans import OpenScans
from shardstore.workers.serving.reply import Asker, refuse_denied, refuse_malformed
from shardstore.workers.serving.scan_path import ScanPath
from shardstore.workers.serving.write_path import WritePath
from shardstore.workers.statistics import memory_statistics, worker_statistics
from shardstore.workers.topology.holdings import Holdings
from shardstore.workers.topology.remote_reads import RemoteReads
from shardstore.workers.trouble import Trouble
from shardstore.workers.wal.log_document import note_durable
from shardstore.workers.wal.reader import runs_in
from shardstore.workers.wal.recovery import check_life
from shardstore.workers.wal.writer import WalWriter

ORDERS = frozenset((Op.CHANGE, Op.RETIRE))
"""Operations that only the router may ask for."""
_GET = int(Op.GET)
_TAKE_TURNS = frozenset((Op.SCAN, Op.COUNT))
_COUNTED = {InvalidRequest: "invalid requests", Busy: "refused busy", ScanInvalidated: "scans invalidated"}


class WorkerCore:
    """The core of one worker process. `endpoint` is where clients reach it directly."""

    def __init__(
        self,
        filesystem: Filesystem,
        entropy: Entropy,
        options: WorkerOptions,
        endpoint: str,
        unsent_bytes: Callable[[], int],
        boards: Boards,
        wall: WallClock,
    ) -> None:
        """Recover the log. `unsent_bytes` returns the size of unsent replies. Raises Corruption, StorageFailure."""
        self._filesystem, self._entropy, self._wall, self._unsent_bytes = filesystem, entropy, wall, unsent_bytes
        self._options, worker, store, memory = options, options.worker, options.store, options.memory
        self._board = WorkerBoard(boards.renew(worker, tag_of_store(store)))
        self._log, known = open_log(filesystem, store, worker, entropy, wall.now_ms() + LEASE_MS)
        self.recovered = self._log.in_words()
        """A description of the recovered log, for the operator."""
        self._registration = Registration(worker, endpoint, known, self._log.life, self._log.failure)
        self._cache = SegmentCache(memory.cache_bytes)
        self._holdings = Holdings(
            filesystem, worker, store, self._cache, self._log.segments, memory.window_bytes, self._board
        )
        self._ranges, self._changes = self._holdings.ranges, self._holdings.changes
        self._stalls = Stalls()
        self._trouble = Trouble(self._ranges, self._stalls)
        self.service: Service | None = None
        """None until the router has given the worker its ranges and the log is replayed."""
        self._load = LoadMeter(options.worker, entropy, self._holdings.cuts_of)
        self._remote_reads = RemoteReads(client_of_worker(options.worker), entropy.below(2**63))
        self._due_ns = 0
        """When the next Tick is due, as of the last turn with an event that was no read."""
        self._is_to_follow_up = False
        """Whether any event but a read has come since the last turn."""
        self._stopping = self._stopped = False
        self._counts = RequestCounts()

    def start(self, now_ns: int) -> list[Effect]:
        """Ask the router for ranges."""
        return self._registration.register(now_ns)

    def wakeup_ns(self) -> int | None:
        """The earliest of heartbeat, change, load report, sync and retried job; 0 if a scan waits for its turn."""
        return self._due_ns

    def _chores_ns(self) -> int:
        due_ns, service = [self._registration.due_ns, self._changes.due_ns()], self.service
        if service is not None:
            due_ns += service.writes.sync_due_ns, service.maintenance.due_ns(), self._load.due_ns
        return min(due_ns)

    def handle(self, event: Event, now_ns: int) -> list[Effect]:
        """Handle one event. Returns the effects."""
        if self._stopped:  # what was under way is finished after the next start
            return []
        if type(event) is not Received:
            self._is_to_follow_up = True
            return self._handle(event, now_ns)
        link, frames = event.link, event.frames
        try:
            header = decode_message(frames)
            op = header.op
            if event.role != ADMIN and (denied := refuse_denied(event, header)):
                return denied
            if not header.status and (link != ROUTER or op not in ORDERS):
                effects = self._requested(Asker(link, event.peer, header), op, frames, now_ns)
                if op == _GET:
                    return effects
            elif link == ROUTER:
                effects = self._heard_router(header, frames, now_ns)
            else:
                raise MalformedMessage("a reply where a request is expected")
        except (MalformedMessage, InvalidColumn) as error:
            self._counts.failures["malformed messages"] += 1
            effects = refuse_malformed(event, str(error))
        self._is_to_follow_up = True
        return effects

    def end_turn(self, now_ns: int) -> list[Effect]:
        """What any event but a read may make due: the end, the next step of a change, a job, a larger lease."""
        if not self._is_to_follow_up or self._stopped:
            return []
        self._is_to_follow_up = False
        service = self.service
        effects: list[Effect] = []
        if self._stopping:
            effects = self._stop_when_idle()
        elif service is not None:
            service.seal_when_grown()
            if self._changes.orders:
                effects += self._changes.advance(service.writes, service.maintenance, now_ns)
            effects += service.maintenance.next_jobs(now_ns)
            if service.wants_more() and self._registration.may_ask:
                effects += self._beat(service, now_ns)
        self._due_ns = 0 if service is not None and service.scans.has_work() else self._chores_ns()
        return effects

    def _handle(self, event: Event, now_ns: int) -> list[Effect]:
        match event:
            case Tick():
                return self._tick(now_ns)
            case SendFailed():
                self._counts.failures["replies nobody took"] += 1
                return self._peer_gone(event.link, event.peer)
            case PeerGone():
                return self._peer_gone(event.link, event.peer)
            case StopRequested():
                self._stopping = True
                writes = self.service.writes if self.service else None
                return writes.require_durable(writes.wal.lsn_appended) if writes else []
        assert self.service is not None, "nothing is synced, and no job runs, before the log is replayed"
        return self.service.ended(event, now_ns)

    def _tick(self, now_ns: int) -> list[Effect]:
        turn = self.service.scans.take_turn(self._reply, now_ns) if self.service else None
        return turn if turn is not None and now_ns < self._chores_ns() else [*(turn or ()), *self._chores(now_ns)]

    def _chores(self, now_ns: int) -> list[Effect]:
        service = self.service
        if service:
            service.pass_time(now_ns)
            self._changes.forget_former(service.scans.open.has_scans_of)
        self._remote_reads.forget_old(now_ns)
        self._stalls.pass_time(now_ns)
        effects = self._holdings.pass_time(now_ns)
        if self._registration.is_due(now_ns):
            if service and self._registration.serving is not None:
                service.lease.pass_time()
                effects += self._beat(service, now_ns)
            else:
                effects += self._registration.register(now_ns)
        if service is None:
            return effects
        if now_ns >= self._load.due_ns:
            effects.append(self._registration.load(self._load.report(self._holdings.sizes(), now_ns)))
        return effects + self._trouble.news() + service.tick(self._ranges.values(), now_ns)

    def _beat(self, service: Service, now_ns: int) -> list[Effect]:
        """Report to the router what is buffered, and give back what is not needed of the lease."""
        report = service.report(self._ranges.values())
        scans, full_disk = service.scans.open.in_use(now_ns), self._trouble.full_disk
        pressure, is_short = service.writes.pressure, service.lease.is_short
        return self._registration.beat(pressure, report, scans, full_disk, is_short, now_ns)

    def _peer_gone(self, link: str, peer: bytes) -> list[Effect]:
        if self.service and peer:  # the router's link has no peer, and stands for many clients
            self.service.scans.open.close_all_of(link, peer)
        return []

    def _heard_router(self, header: Header, frames: list[bytes], now_ns: int) -> list[Effect]:
        match header.op:
            case Op.CHANGE:
                return self._ordered(decode(OrderMessage, frames[1]))
            case Op.RETIRE:
                return self._retire(decode(Retire, frames[1]))
            case Op.GET if self.service is not None:
                return self._remote_reads.take_reply(header, frames, self._pressure, self.service.writes.clock)
        given, effects = self._registration.take_reply(header, frames, now_ns)
        match given:
            case Assignments():
                return effects + self._serve(given)
            case Lease() if self.service is not None:
                self.service.take_lease(given, now_ns)
        return effects

    def _requested(self, asker: Asker, op: int, frames: list[bytes], now_ns: int) -> list[Effect]:
        if self._stopping:
            return [asker.refuse(Status.CLOSED, Refusal("the worker is stopping"))]
        self._counts.requests[op] += 1
        self._counts.keys[op] += asker.header.entries
        if op in _TAKE_TURNS and self.service is not None:
            self.service.scans.wait_for_turn(asker, frames)
            return []
        return self._reply(asker, frames, now_ns)

    def _reply(self, asker: Asker, frames: Sequence[bytes], now_ns: int) -> list[Effect]:
        try:
            owned = self._holdings.of(asker, frames)
            if self.service is None or (owned is None and not self._holdings.is_asked_itself(asker.header)):
                self._counts.failures["turned away"] += 1
                return [self._holdings.turn_away(asker, self._registration.routes)]
            return self.service.operations.handle(owned, asker, frames, now_ns)
        except (InvalidRequest, Busy, ScanInvalidated, Corruption, StorageFailure, Unavailable) as error:
            self._counts.failures[_COUNTED.get(type(error), "failed requests")] += 1
            self._holdings.note_failure(asker.header.segment, error)
            if isinstance(error, Busy):
                self._stalls.refused(error.cause, now_ns)
            return [asker.fail(error, self._pressure)]

    def _serve(self, assignments: Assignments) -> list[Effect]:
        """Serve the ranges that the router gives: open new ones, take over epochs and changes. Raises Corruption."""
        check_life(self._log, self._options.worker, assignments.life)
        try:
            left = self._holdings.take(assignments)
        except StorageFailure as failure:
            return [Stop(f"a range could not be created: {failure}")]
        if why := self._holdings.why_to_stop(left):
            return [Stop(why)]
        if self.service is None and (stop := self._begin_service(assignments.segment_next)):
            return [stop]
        self._drop([*left, *assignments.retired])
        self._holdings.show()
        return self._registration.ready(self._holdings.serving())

    def _ordered(self, message: OrderMessage) -> list[Effect]:
        """Take part in a change. Nothing is done until the worker serves: the assignments will name the change."""
        if self.service is not None:
            self._registration.routes = message.routes
            self._changes.take(message.order)
            self._registration.serves(self._holdings.serving())
        return []

    def _retire(self, retire: Retire) -> list[Effect]:
        """End a change: drop the segments that it has replaced."""
        if self.service is not None:
            self._registration.routes = retire.routes
            self._drop(retire.segments)
            self._changes.end(retire.change)
        return []

    def _drop(self, segments: Iterable[int]) -> None:
        """Stop serving these segments, and remove their files."""
        assert self.service is not None, "nothing is retired before the log is replayed"
        retired = self._changes.retire(segments, self.service.scans.open.has_scans_of)
        self.service.maintenance.retire(retired)
        self._registration.forget(retired)

    def _begin_service(self, segment_next: int) -> Stop | None:
        """Replay the log into the ranges, and accept writes from now on. Returns a Stop if that cannot be done."""
        log, options = self._log, self._options
        replayed = replay(
            self._ranges, runs_in(self._filesystem, options.worker, log.log_id, log.recovered), log.log_id
        )
        if replayed.newest_segment >= segment_next:
            unknown = f"segment {replayed.newest_segment}, of which the log here holds writes"
            return Stop(f"the route map could not have given {unknown}: the map is out of date")
        wal = WalWriter(self._filesystem, options.worker, log.log_id, log.next_lsn, log.lsn_last, log.files, log.frozen)
        buffered_bytes = sum(owned.overlay.size_bytes for owned in self._ranges.values())
        lease = BufferLease(options.memory, buffered_bytes)
        limits = MemoryLimits.of_lease(lease.bytes, options.memory)
        clock = HybridClock(self._wall, log.granted_ms, max(log.clock_ms, replayed.clock_ms), self._board.show_clock)
        writes = WritePath(wal, options.durability, limits, buffered_bytes, self._load, clock)
        scans = ScanPath(writes, OpenScans(options.memory, self._entropy), self._load)
        maintenance = MaintenanceQueue(
            options.worker,
            options.store,
            log.log_id,
            writes,
            self._ranges,
            replayed.first_kept,
            options.memory.drain_run_bytes,
            self._entropy,
            self._holdings.open_segment,
            self._board.slot_of,
        )
        operations = Operations(
            writes,
            scans,
            maintenance,
            self._changes,
            self._remote_reads,
            self._load,
            self._statistics,
            self._unsent_bytes,
            options.memory.reply_bytes,
        )
        self.service = Service(options.memory, lease, writes, scans, maintenance, operations, self._stalls)
        maintenance.sealer.seal_full()
        return None

    def _stop_when_idle(self) -> list[Effect]:
        service = self.service
        if self._stopped or (service and not service.is_idle):  # a release publishes LOG too: one after the other
            return []
        self._stopped = True
        if service is None:
            return [Stop()]
        self._board.close()
        service.maintenance.close()
        flaw = note_durable(self._filesystem, self._options.store, self._options.worker, service.writes.wal.lsn_durable)
        return [Say(f"where the log ends could not be noted: {flaw}"), Stop()] if flaw else [Stop()]

    def _statistics(self, now_ns: int) -> dict[str, Any]:
        service = self.service
        assert service is not None, "statistics are asked of a worker that serves"
        plan, scans, unsent = self._options.memory, service.scans.open, self._unsent_bytes()
        return {
            **worker_statistics(self._options.worker, self._ranges, service.writes, service.maintenance, self._log.cut),
            **self._counts.statistics(),
            "cache": self._cache.statistics(),
            "memory": memory_statistics(
                plan, service.lease, service.writes, self._cache, self._holdings.windows, unsent, scans
            ),
            "stalls": self._stalls.statistics(now_ns),
            "scans": {"open": len(scans), "closed_early": scans.invalidated, **scans.held()._asdict()},
        }

    def check_invariants(self) -> None:
        """Raise AssertionError if an invariant of the ranges, or of the parts that serve them, does not hold."""
        self._holdings.check_invariants()
        if self.service is not None:
            self.service.check_invariants(self._ranges.values())

    def check_entries(self) -> None:
        """Raise AssertionError if an invariant of a layer, a dedup window or the cache does not hold.

        This walks over all entries, clients and cached blocks.
        """
        for owned in self._ranges.values():
            owned.check_entries()
        self._cache.check_invariants()

    @property
    def lease_bytes(self) -> int:
        """How many bytes the worker may buffer."""
        return self.service.lease.bytes if self.service else self._options.memory.lease_start

    @property
    def buffered_bytes(self) -> int:
        """How many bytes it buffers: overlays, and logged writes that are not applied yet."""
        return self.service.writes.held_bytes if self.service else 0

    @property
    def _pressure(self) -> int:
        return self.service.writes.pressure if self.service else 0
