"""The worker as a pure core: messages, syncs and finished jobs in, answers and work to be done out.

    REGISTER -> ranges given -> segments opened, log replayed -> READY -> serving
    request  -> epoch check -> read_path | write_path | maintenance_queue -> answer

It owns no socket, clock, thread or process. Files are plain calls through the filesystem; syncing the log and
running a job are effects.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from shardstore.columns import InvalidColumn
from shardstore.effects import (
    Effect,
    Event,
    JobFailed,
    JobFinished,
    PeerGone,
    Received,
    ReportReady,
    Send,
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
from shardstore.limits import MILLISECOND_NS
from shardstore.messages import Assignment, Assignments, Refusal, decode, encode
from shardstore.options import WorkerOptions
from shardstore.topology import Orders, Relative, Retire
from shardstore.wire_format import Flag, Header, MalformedMessage, Op, Status, decode_message
from workers.load.meter import LoadMeter
from workers.load.range_size import size_of
from workers.maintenance.queue import MaintenanceQueue
from workers.ranges.opening import highest_lsn_in_tables, known_segments, open_child, open_range, readable_manifests
from workers.ranges.owned_range import OwnedRange
from workers.ranges.replay import replay
from workers.registration import ROUTER, Registration
from workers.segment.cache import SegmentCache
from workers.segment.manifest import Manifest
from workers.segment.segment import Segment
from workers.serving.admission import MemoryLimits, cache_bytes_of_share
from workers.serving.answering import Answering
from workers.serving.reply import Asker
from workers.serving.requests import is_marked
from workers.serving.scanning import Scanning
from workers.serving.write_path import WritePath
from workers.statistics import figures
from workers.topology.changes import Changes
from workers.topology.remote_reads import RemoteReads
from workers.wal.log_document import note_durable
from workers.wal.reader import records_in
from workers.wal.recovery import recover
from workers.wal.writer import WalWriter

ORDERS = frozenset((Op.CHANGE, Op.RETIRE))
"""What only the router may ask."""
ADOPTION_RETRY_NS = 2 * MILLISECOND_NS


class WorkerCore:
    """One worker process. `endpoint` is where clients reach it directly."""

    def __init__(self, filesystem: Filesystem, entropy: Entropy, options: WorkerOptions, endpoint: str) -> None:
        """Recover the log. Raises Corruption, StorageFailure."""
        self._filesystem = filesystem
        self._entropy = entropy
        self._options = options
        manifests = readable_manifests(filesystem, options.store)
        lsn_floor = highest_lsn_in_tables(filesystem, options.store, options.worker, manifests)
        self._log = recover(filesystem, options.worker, options.store, lsn_floor, entropy)
        self._registration = Registration(options.worker, endpoint, known_segments(filesystem, manifests))
        self._ranges: dict[int, OwnedRange] = {}
        self._cache = SegmentCache(cache_bytes_of_share(options.memory))
        self._writes: WritePath | None = None
        self._maintenance: MaintenanceQueue | None = None
        self._scans: Scanning | None = None
        self._answering: Answering | None = None
        self._changes = Changes(options.worker, options.store, self._ranges, self._open)
        self._load = LoadMeter(options.worker, entropy, self._middle_of)
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
        """The earliest of heartbeat, sync and retried job."""
        due_ns = self._registration.wakeup_ns()
        for part in (self._writes, self._maintenance, self._changes):
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
            effects += self._maintenance.next_job(now_ns)
        return effects

    def _handle(self, event: Event, now_ns: int) -> list[Effect]:
        match event:
            case Received():
                return self._received(event, now_ns)
            case Tick():
                return self._tick(now_ns)
            case WalSynced():
                self._serving_maintenance.look_again()
                return self._serving_writes.synced(event.lsn) + self._seal_when_grown()
            case WalSyncFailed():
                return self._serving_writes.fail(event.reason)
            case JobFinished():
                effects = self._serving_maintenance.finished(event, now_ns)
                self._serving_scans.open.shed()
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
        if self._maintenance:
            self._maintenance.look_again()
        if self._scans:
            self._scans.open.expire(now_ns)
            self._scans.open.shed()
            self._changes.forget_former(self._scans.open.has_scans_of)
        self._remote_reads.forget_old(now_ns)
        pressure = self._writes.pressure if self._writes else 0
        effects = self._registration.tick(pressure, now_ns)
        if self._writes is None:
            return effects
        if now_ns >= self._load.wakeup_ns():
            effects.append(self._load_report(now_ns))
        return effects + self._writes.tick(now_ns)

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
        except (MalformedMessage, InvalidColumn):
            pass
        self._counts["malformed messages"] += 1
        return []

    def _heard_router(self, header: Header, frames: list[bytes], now_ns: int) -> list[Effect]:
        match header.op:
            case Op.CHANGE:
                return self._ordered(decode(Orders, frames[1]))
            case Op.RETIRE:
                return self._retire(decode(Retire, frames[1]))
            case Op.GET:
                return self._remote_reads.answered(header, frames, self._writes.pressure if self._writes else 0)
        assignments, effects = self._registration.answered(header, frames, now_ns)
        return effects + self._serve(assignments) if assignments else effects

    def _requested(self, asker: Asker, frames: list[bytes], now_ns: int) -> list[Effect]:
        header = asker.header
        if self._stopping:
            return [asker.refuse(Status.CLOSED, Refusal("the worker is stopping"))]
        try:
            owned = self._ranges.get(header.segment)
            if owned is None or owned.epoch != header.epoch or owned.fence_lsn is not None or not owned.adopted:
                owned = self._former_of(asker, frames)
                if owned is None:
                    return [self._turn_away(asker)]
            self._requests[header.op] += 1
            self._keys[header.op] += header.entries
            assert self._answering is not None, "no range is served before the log is replayed"
            effects = self._answering.answer(owned, asker, frames, now_ns)
            return effects + self._seal_when_grown()
        except InvalidRequest as error:
            return [asker.refuse(Status.INVALID, Refusal(str(error)))]
        except Busy as busy:
            self._counts["refused busy"] += 1
            return [asker.refuse_busy(busy)]
        except ScanInvalidated as ended:
            self._counts["scans invalidated"] += 1
            return [asker.refuse(Status.SCAN_INVALIDATED, Refusal(ended.cause))]
        except (Corruption, StorageFailure) as error:
            self._counts["failed requests"] += 1
            return [asker.fail(error)]

    def _former_of(self, asker: Asker, frames: list[bytes]) -> OwnedRange | None:
        """The range for a request that the parent of a change still answers; None when this is none of those.

        It answers what the owner of a child asks, and scans that began before the change.
        """
        header = asker.header
        owned = self._ranges.get(header.segment) or self._changes.former.get(header.segment)
        if owned is None or owned.epoch != header.epoch or owned.fence_lsn is None:
            return None
        if header.op == Op.GET and header.flags & Flag.OF_PARENT and asker.link == ROUTER:
            return owned
        return owned if header.op in (Op.SCAN, Op.END_SCAN) and is_marked(frames) else None

    def _turn_away(self, asker: Asker) -> Effect:
        header = asker.header
        owned = self._ranges.get(header.segment)
        if owned is not None and owned.epoch == header.epoch and not owned.adopted:
            what = Refusal(f"segment {header.segment} waits for the fence of its parents")
            return asker.refuse(Status.UNAVAILABLE, what, ADOPTION_RETRY_NS)
        self._counts["stale routes"] += 1
        stale = f"segment {header.segment} is not served here at epoch {header.epoch}"
        return asker.refuse(Status.STALE_ROUTE, Refusal(stale, routes=self._registration.routes))

    def _serve(self, assignments: Assignments) -> list[Effect]:
        """Serve what the router gives: open what is new, take over the epochs and the changes that are under way."""
        children = {child.segment for order in assignments.orders for child in order.change.children}
        assigned = {assignment.segment for assignment in assignments.ranges}
        for assignment in assignments.ranges:
            owned = self._ranges.get(assignment.segment)
            if owned is not None:
                owned.epoch = max(owned.epoch, assignment.epoch)
            elif assignment.segment not in children:
                filesystem, store = self._filesystem, self._options.store
                self._ranges[assignment.segment] = open_range(filesystem, store, assignment, self._cache)
        self._changes.keep_only({order.change.number for order in assignments.orders})
        for order in assignments.orders:
            self._changes.take(order)
        left = self._ranges.keys() - assigned - self._changes.parents
        lost = [segment for segment in sorted(left) if self._ranges[segment].fence_lsn is None]
        if lost:
            return [Stop(f"the route map does not know segment {lost[0]}, which is served here: it is older than this")]
        effects: list[Effect] = []
        if self._writes is None:
            self._start_writing()
            effects.append(ReportReady())
        self._drop([*left, *assignments.retired])
        return effects + self._registration.ready(self._serving())

    def _serving(self) -> dict[int, int]:
        """Epochs of the ranges that are served, or will be as soon as they are adopted."""
        parents = self._changes.parents
        return {
            segment: owned.epoch
            for segment, owned in self._ranges.items()
            if segment not in parents and owned.fence_lsn is None
        }

    def _ordered(self, orders: Orders) -> list[Effect]:
        """Take part in a change. Before anything is served, the assignments will tell of it."""
        if self._writes is not None:
            self._registration.routes = orders.routes
            self._changes.take(orders.order)
            self._registration.serves(self._serving())
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
        scanned = self._serving_scans.open.has_scans_of
        retired = self._changes.retire(segments, scanned)
        self._serving_maintenance.retire(retired)
        self._registration.forget(retired)

    def _open(self, relative: Relative, epoch: int, is_child: bool) -> OwnedRange:
        """A parent or child, from its files if it has any."""
        assignment = Assignment(relative.segment, relative.start, relative.end, epoch, create=False)
        opened = open_child if is_child else open_range
        return opened(self._filesystem, self._options.store, assignment, self._cache)

    def _start_writing(self) -> None:
        """Replay the log into the ranges, and take writes from here on."""
        log, options = self._log, self._options
        records = records_in(self._filesystem, options.worker, log.log_id, log.files)
        log_first_kept = replay(self._ranges, records, log.log_id)
        wal = WalWriter(self._filesystem, options.worker, log.log_id, log.next_lsn, log.lsn_last, log.files)
        buffered_bytes = sum(owned.overlay.size_bytes for owned in self._ranges.values())
        limits = MemoryLimits.of_share(options.memory)
        self._writes = WritePath(wal, options.durability, limits, buffered_bytes, self._load)
        self._scans = Scanning(self._writes, self._load)
        self._maintenance = MaintenanceQueue(
            options.worker,
            options.store,
            log.log_id,
            self._writes,
            self._ranges,
            log_first_kept,
            self._entropy,
            self._open_segment,
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
        )

    def _load_report(self, now_ns: int) -> Effect:
        sizes = {segment: size_of(owned) for segment, owned in self._ranges.items() if owned.fence_lsn is None}
        return Send(ROUTER, b"", (Header(Op.LOAD).encode(), encode(self._load.report(sizes, now_ns))))

    def _middle_of(self, segment: int) -> bytes | None:
        stored = self._ranges[segment].segment
        try:
            return stored.middle_key() if stored else None
        except Corruption:  # it is named to whom it concerns, the readers of these keys
            return None

    def _open_segment(self, manifest: Manifest) -> Segment:
        return Segment(self._filesystem, manifest, self._cache)

    def _seal_when_grown(self) -> list[Effect]:
        """Let the drain policy look at the layers, once per some growth and not once per write."""
        writes = self._serving_writes
        if writes.grown_bytes >= writes.limits.seal_bytes // 16:
            writes.grown_bytes = 0
            self._serving_maintenance.seal_full_layers()
        return []

    def _stop_when_idle(self) -> list[Effect]:
        if self._stopped or (self._writes is not None and not self._writes.idle):
            return []
        self._stopped = True
        if self._maintenance is not None:
            self._maintenance.close()
        if self._writes is not None and not self._serving_maintenance.releasing:
            with suppress(StorageFailure):  # then the next recovery only knows less
                note_durable(self._filesystem, self._options.store, self._options.worker, self._writes.wal.lsn_durable)
        return [Stop()]

    def _figures(self) -> dict[str, Any]:
        log = self._log
        scans = self._serving_scans.open
        held = scans.held()
        return figures(self._options.worker, self._ranges, self._serving_writes, self._serving_maintenance, log.cut) | {
            "requests": {Op(op).name: count for op, count in sorted(self._requests.items())},
            "keys": {Op(op).name: count for op, count in sorted(self._keys.items()) if count},
            "counts": dict(self._counts),
            "cache": self._cache.figures(),
            "scans": {"open": len(scans), "closed_early": scans.invalidated, **held._asdict()},
        }

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
