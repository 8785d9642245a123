"""A router core and worker cores on one simulated disk, connected in memory and driven by hand.

Messages between router and workers, syncs and jobs wait until the test delivers, drops or ends them. Clients send to
the workers directly and without delay, by the latest published map.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from shardstore.errors import Corruption
from shardstore.files.file_names import SEGMENTS, segment_of
from shardstore.limits import KEY_BYTES_MAX, MILLISECOND_NS, SECOND_NS, VALUE_BYTES_MAX
from shardstore.memory_plan import MemoryPlan, derive
from shardstore.options import Durability, RouterOptions, ScanMode, WorkerOptions
from shardstore.router import change_plan
from shardstore.router.change_stage import Stage
from shardstore.router.core import RouterCore
from shardstore.router.route_table import Topology
from shardstore.router.topology_changes import Resolved
from shardstore.seams.boards import Boards
from shardstore.seams.clock import NEVER_NS
from shardstore.seams.effects import (
    Effect,
    Event,
    JobFailed,
    JobFinished,
    Received,
    Send,
    StartJob,
    Stop,
    SyncWal,
    Tick,
    WalSynced,
)
from shardstore.segment_options import DEFAULTS
from shardstore.wire.columns import decode, encode
from shardstore.wire.link_names import CLIENTS, ROUTER, WORKERS
from shardstore.wire.messages import ScanRequest
from shardstore.wire.messages import encode as encode_message
from shardstore.wire.route_map import Route, RouteMap
from shardstore.wire.topology import Change, Resolution
from shardstore.wire.wire_format import Flag, Header, Op, Status, decode_header, decode_reply
from shardstore.workers.core import WorkerCore
from shardstore.workers.jobs.run import run
from shardstore.workers.ranges.owned_range import OwnedRange
from tests.simulation.sim_boards import SimBoards
from tests.simulation.sim_disk import PowerLoss, SimDisk
from tests.simulation.sim_entropy import SimEntropy
from tests.simulation.sim_filesystem import SimFilesystem
from tests.unit.set_wall import SetWall

STORE = "5" * 32
CLIENT = 0xC11E47
MEMORY = 64 << 20
ROUNDS_MAX = 400
_CLIENTS_OF_WORKER = "clients of the worker"

Answer = tuple[Header, list[bytes]]


@dataclass
class WorkerPlace:
    """One worker: its current process, and the work waiting for it."""

    number: int
    core: WorkerCore
    peer: bytes
    filesystem: SimFilesystem
    syncs: deque[SyncWal] = field(default_factory=deque)
    jobs: deque[StartJob] = field(default_factory=deque)
    inbox: deque[list[bytes]] = field(default_factory=deque)
    outbox: deque[list[bytes]] = field(default_factory=deque)
    stopped: Stop | None = None

    @property
    def job(self) -> StartJob | None:
        """The job that ends next; None if none is running."""
        return self.jobs[0] if self.jobs else None


class TopologyDriver:
    """A cluster; the new store is split at `boundaries` (hex)."""

    def __init__(
        self,
        durability: Durability = Durability.GROUP_SYNC,
        workers: int = 2,
        boundaries: Sequence[str] = ("80",),
        seed: int = 1,
        boards: Boards | None = None,
    ) -> None:
        self.durability = durability
        self.boards = boards or SimBoards()
        self.boundaries = tuple(boundaries)
        self.seed = seed
        self.rng = Random(seed)
        self.disk = SimDisk()
        self.now_ns = SECOND_NS
        self.answered: dict[int, list[Answer]] = {}
        self.sequence = 0
        self._lives = 0
        self.workers: dict[int, WorkerPlace] = {}
        self._workers = workers
        self.router = self._new_router()
        for number in range(workers):
            self.start_worker(number)
        self.settle()

    # ---------------------------------------------------------------- processes

    def start_worker(self, number: int) -> WorkerPlace:
        """Start a process of this worker; a former one is killed."""
        former = self.workers.pop(number, None)
        if former is not None:
            former.filesystem.kill()
        self._lives += 1
        filesystem = self.new_filesystem()
        options = WorkerOptions("data", STORE, number, "router", "listen", self.durability, self._plan)
        entropy = SimEntropy(self.seed, f"worker {self._lives}")
        core = WorkerCore(filesystem, entropy, options, f"endpoint {number}", lambda: 0, self.boards, SetWall())
        place = WorkerPlace(number, core, b"worker %d, life %d" % (number, self._lives), filesystem)
        self.workers[number] = place
        self._take(place, core.start(self.now_ns))
        return place

    def new_filesystem(self) -> SimFilesystem:
        """The files as the next process of a worker uses them."""
        return SimFilesystem(self.disk, self.rng)

    def restart_router(self) -> None:
        """Kill the router and start it again; messages under way are lost."""
        for place in self.workers.values():
            place.inbox.clear()
            place.outbox.clear()
        self.router = self._new_router()

    def lose_power(self) -> None:
        """Kill everything, lose what is not durable, and start everything again."""
        for place in self.workers.values():
            place.filesystem.kill()
        self.disk.lose_power(PowerLoss.STRICT, self.rng)
        assert isinstance(self.boards, SimBoards)
        self.boards.lose_power()
        self.workers.clear()
        self.router = self._new_router()
        for number in range(self._workers):
            self.start_worker(number)

    def _new_router(self) -> RouterCore:
        options = RouterOptions("data", STORE, "listen", "internal", self._workers, self.boundaries, self._plan)
        router = RouterCore(SimFilesystem(self.disk, self.rng), SimEntropy(self.seed, "router"), options)
        router.start(self.now_ns)
        return router

    @property
    def _plan(self) -> MemoryPlan:
        return derive(MEMORY, self._workers)

    # ---------------------------------------------------------------- waiting work

    def deliver_to_router(self, number: int) -> list[bytes]:
        """Deliver the oldest message of a worker to the router; returns its frames."""
        place = self.workers[number]
        frames = place.outbox.popleft()
        self.tell_router(Received(WORKERS, place.peer, frames))
        return frames

    def deliver_to_worker(self, number: int) -> list[bytes]:
        """Deliver the oldest message of the router to a worker; returns its frames."""
        place = self.workers[number]
        frames = place.inbox.popleft()
        self.tell_worker(number, Received(ROUTER, b"", frames))
        return frames

    def tell_router(self, event: Event) -> None:
        """Pass an event to the router."""
        self._take_of_router(self.router.handle(event, self.now_ns))
        self.router.check_invariants()

    def tell_worker(self, number: int, event: Event) -> None:
        """Pass an event to a worker."""
        place = self.workers[number]
        if place.stopped is None:
            self._take_turn(place, event)
            while place.core.wakeup_ns() == 0:  # each waiting scan gets its turns
                self._take_turn(place, Tick())
            if place.stopped is None:
                place.core.check_invariants()

    def _take_turn(self, place: WorkerPlace, event: Event) -> None:
        self._take(place, place.core.handle(event, self.now_ns))
        self._take(place, place.core.end_turn(self.now_ns))

    def sync(self, number: int) -> None:
        """Let the sync that a worker waits for succeed."""
        place = self.workers[number]
        effect = place.syncs.popleft()
        for file in effect.files:
            file.sync()
        if effect.directory is not None:
            place.filesystem.sync_directory(effect.directory)
        self.tell_worker(number, WalSynced(effect.lsn))

    def run_job(self, number: int) -> None:
        """Let the job of a worker succeed."""
        place = self.workers[number]
        job = place.jobs.popleft()
        steps = run(job.spec, place.filesystem, DEFAULTS)
        try:
            while True:
                next(steps)
        except StopIteration as end:
            self.tell_worker(number, JobFinished(job.job, end.value))

    def fail_job(self, number: int, damage: Corruption | None = None, reason: str = "it was to fail") -> None:
        """Let the job of a worker fail before it does anything."""
        place = self.workers[number]
        job = place.jobs.popleft()
        self.tell_worker(number, JobFailed(job.job, reason, damage))

    def exchange(self, wanted: Callable[[int], bool] = lambda op: True) -> None:
        """Deliver the messages with a wanted operation and drop the others, until none is left."""
        while any(place.inbox or place.outbox for place in self.workers.values()):
            for number, place in self.workers.items():
                for box, deliver in ((place.outbox, self.deliver_to_router), (place.inbox, self.deliver_to_worker)):
                    if box and wanted(decode_header(box[0][0]).op):
                        deliver(number)
                    elif box:
                        box.popleft()

    def settle(self) -> None:
        """Deliver all messages and end all syncs and jobs, until nothing waits."""
        for _ in range(ROUNDS_MAX):
            self.exchange()
            waiting = [place for place in self.workers.values() if place.syncs or place.job]
            for place in waiting:
                if place.syncs:
                    self.sync(place.number)
                elif place.job:
                    self.run_job(place.number)
            if not waiting and not any(place.inbox or place.outbox for place in self.workers.values()):
                return
        raise AssertionError("it does not come to rest")

    def pass_time(self, milliseconds: int = 250) -> None:
        """Let time pass in one step, with a Tick for every core."""
        self.now_ns += milliseconds * MILLISECOND_NS
        for number in list(self.workers):
            self.tell_worker(number, Tick())
        self.tell_router(Tick())

    def finish(self) -> None:
        """Run everything until no change is under way and all workers are up."""
        for _ in range(ROUNDS_MAX):
            self.settle()
            if self._is_at_rest():
                return
            self.pass_time()
        raise AssertionError(f"changes are stuck: {self.stages}")

    def _is_at_rest(self) -> bool:
        up = len(self.router._membership.endpoints())
        serving: dict[int, int] = {}
        for place in self.workers.values():
            served = place.core._registration.serving
            if served is None or place.core._changes.orders:
                return False
            assert place.core.service is not None
            if place.core.service.maintenance.due_ns() != NEVER_NS:  # as after a job that failed
                return False
            serving |= served
        return not self.changes and up == self._workers and serving == {each.segment: each.epoch for each in self.map}

    # ---------------------------------------------------------------- changes

    @property
    def changes(self) -> tuple[Change, ...]:
        """The changes under way, as in ROUTES."""
        return self.topology.changes

    @property
    def topology(self) -> Topology:
        """The topology in ROUTES."""
        return self.router._table.topology

    @property
    def stages(self) -> dict[int, Stage]:
        """The stages of the changes in the router, by child."""
        return self.router._changes.stages()

    def begin(self, change: Change) -> Change:
        """Begin a change, even if no policy would plan it."""
        self._take_of_router(self.router._balancer.begin(change, "asked for", self.now_ns))
        return change

    def resolve(self, change: Change, how: Resolution) -> Resolved:
        """Resolve a change, as an operator does."""
        resolved = self.router._balancer.resolve(change.number, how, False, self.now_ns)
        self._take_of_router(resolved.effects)
        return resolved

    def restart_stopped(self) -> list[int]:
        """Start the workers again that have stopped, as the supervisor does; returns them."""
        stopped = [place.number for place in self.workers.values() if place.stopped is not None]
        for number in stopped:
            self.start_worker(number)
        return stopped

    def split(self, key: bytes, worker: int | None = None) -> Change:
        """Begin a split."""
        owner = int(self.topology.map.route_of(key).worker)
        return self.split_into([key], [owner, owner if worker is None else worker])

    def split_into(self, keys: Sequence[bytes], workers: Sequence[int]) -> Change:
        """Begin a split into several children."""
        return self.begin(change_plan.split_change(self.topology, keys, workers))

    def merge(self, key: bytes) -> Change:
        """Begin a merge."""
        return self.begin(change_plan.merge_change(self.topology, key))

    def move(self, key: bytes, worker: int) -> Change:
        """Begin a move."""
        return self.begin(change_plan.move_change(self.topology, key, worker))

    def owned(self, segment: int) -> OwnedRange:
        """The range of a segment, wherever it is."""
        found = [place.core._ranges[segment] for place in self.workers.values() if segment in place.core._ranges]
        assert len(found) == 1, f"segment {segment} is in {len(found)} workers"
        return found[0]

    def segments_on_disk(self) -> set[int]:
        """The segments that have a directory."""
        names = SimFilesystem(self.disk, self.rng).list_directory(SEGMENTS)
        return {segment for segment in map(segment_of, names) if segment is not None}

    def accepting(self, key: bytes) -> list[tuple[int, int]]:
        """Worker and segment of every range that would accept a write of the key now."""
        return [
            (place.number, segment)
            for place in self.workers.values()
            for segment, owned in place.core._ranges.items()
            if key in owned.key_range and owned.role.is_served
        ]

    # ---------------------------------------------------------------- clients

    @property
    def map(self) -> RouteMap:
        """The newest published map."""
        return self.topology.map

    def ask(self, op: Op, body: Sequence[bytes], route: Route, **fields: int) -> int:
        """Send a request to the worker of a route; returns its sequence."""
        sequence = fields.pop("sequence", 0)
        if not sequence:
            self.sequence += 1
            sequence = self.sequence
        defaults = {"segment": route.segment, "epoch": route.epoch, "client": CLIENT, "duration_ms": 1000}
        header = Header(op, **{**defaults, **fields}, sequence=sequence)
        self.tell_worker(route.worker, Received(_CLIENTS_OF_WORKER, b"peer", [header.encode(), *body]))
        return sequence

    def put(self, pairs: Mapping[bytes, bytes], route: Route | None = None, **fields: int) -> int:
        """Write pairs that belong to one range."""
        keys, values = encode(list(pairs)), encode(list(pairs.values()))
        flags = Flag.KEYS_FIXED * keys.fixed | Flag.VALUES_FIXED * values.fixed | fields.pop("flags", 0)
        route = route or self.map.route_of(next(iter(pairs)))
        return self.ask(Op.PUT, [keys.frame, values.frame], route, entries=len(pairs), flags=flags, **fields)

    def delete(self, keys: Sequence[bytes], route: Route | None = None, **fields: int) -> int:
        """Delete keys that belong to one range."""
        column = encode(keys)
        flags = Flag.KEYS_FIXED * column.fixed | fields.pop("flags", 0)
        route = route or self.map.route_of(keys[0])
        return self.ask(Op.DELETE, [column.frame], route, entries=len(keys), flags=flags, **fields)

    def ask_get(self, keys: Sequence[bytes], route: Route | None = None, **fields: int) -> int:
        """Request keys that belong to one range."""
        column = encode(keys)
        flags = Flag.KEYS_FIXED * column.fixed | fields.pop("flags", 0)
        return self.ask(
            Op.GET, [column.frame], route or self.map.route_of(keys[0]), entries=len(keys), flags=flags, **fields
        )

    def get(self, keys: Sequence[bytes], **fields: int) -> list[bytes | None]:
        """Read keys of one range, delivering messages between workers meanwhile."""
        sequence = self.ask_get(keys, None, **fields)
        if sequence not in self.answered:
            self.exchange()
        return self.values(sequence)

    def values(self, sequence: int) -> list[bytes | None]:
        """The values in the reply to a GET."""
        header, frames = self.answer(sequence)
        assert header.status == Status.OK, Status(header.status)
        fixed = bool(header.flags & Flag.VALUES_FIXED)
        return decode(frames[1], fixed, header.entries, 0, VALUE_BYTES_MAX, nullable=True)

    def ask_scan(self, request: ScanRequest, route: Route) -> int:
        """Request one page."""
        return self.ask(Op.SCAN, [encode_message(request)], route)

    def page(self, request: ScanRequest, route: Route) -> tuple[dict[bytes, bytes], bytes, bytes]:
        """Read one page; returns its entries, resume key and cursor."""
        return self.page_of(self.ask_scan(request, route))

    def page_of(self, sequence: int) -> tuple[dict[bytes, bytes], bytes, bytes]:
        """The page in the reply to a SCAN, its resume key and its cursor."""
        header, frames = self.answer(sequence)
        assert header.status == Status.OK, Status(header.status)
        if not header.entries:
            return {}, frames[3], frames[4]
        keys = decode(frames[1], bool(header.flags & Flag.KEYS_FIXED), header.entries, 1, KEY_BYTES_MAX)
        values = decode(frames[2], bool(header.flags & Flag.VALUES_FIXED), header.entries, 0, VALUE_BYTES_MAX)
        return dict(zip(keys, values, strict=True)), frames[3], frames[4]

    def content(self, mode: ScanMode = ScanMode.LIVE, reverse: bool = False) -> dict[bytes, bytes]:
        """Read everything, range by range, each in one page."""
        found: dict[bytes, bytes] = {}
        for route in self.map:
            entries, resume, _ = self.page(ScanRequest(mode=mode.value, reverse=reverse), route)
            assert not resume
            found |= entries
        return found

    def status(self, sequence: int) -> Status | None:
        """The status of the latest reply to a request; None while it waits."""
        answers = self.answered.get(sequence)
        return Status(answers[-1][0].status) if answers else None

    def answer(self, sequence: int) -> Answer:
        """The only reply to a request."""
        [answer] = self.answered[sequence]
        return answer

    # ---------------------------------------------------------------- effects

    def _take(self, place: WorkerPlace, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(link, _, frames) if link == ROUTER:
                    place.outbox.append([bytes(frame) for frame in frames])
                case Send(_, _, frames):
                    self._take_answer(frames)
                case SyncWal():
                    place.syncs.append(effect)
                case StartJob():
                    place.jobs.append(effect)
                case Stop():
                    place.stopped = effect

    def _take_of_router(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(link, peer, frames) if link == WORKERS:
                    for place in self.workers.values():
                        if place.peer == peer:
                            place.inbox.append([bytes(frame) for frame in frames])
                case Send(link, _, frames) if link == CLIENTS:
                    self._take_answer(frames)
                case Stop():
                    raise AssertionError(f"the router stops: {effect.failure}")

    def _take_answer(self, frames: Sequence[bytes]) -> None:
        copied = [bytes(frame) for frame in frames]
        header = decode_header(copied[0])
        if header.status and header.client >= CLIENT:
            decode_reply(copied)
            self.answered.setdefault(header.sequence, []).append((header, copied))
