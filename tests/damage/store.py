"""A whole store in one process without network, time or randomness: router, workers and jobs on files in memory."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from shardstore.cluster.store import create_store, read_store
from shardstore.errors import Corruption, ShardstoreError, StorageFailure, Unavailable
from shardstore.key_range import KeyRange
from shardstore.limits import KEY_BYTES_MAX, MIB, MILLISECOND_NS, SECOND_NS, VALUE_BYTES_MAX
from shardstore.memory_plan import derive
from shardstore.options import Durability, RouterOptions, WorkerOptions
from shardstore.router.core import RouterCore
from shardstore.seams.effects import (
    Core,
    Effect,
    Event,
    JobFailed,
    JobFinished,
    Received,
    Send,
    StartJob,
    Stop,
    StopRequested,
    SyncWal,
    Tick,
    WalSynced,
)
from shardstore.segment_options import SegmentOptions
from shardstore.topology_options import TopologyOptions
from shardstore.wire import columns
from shardstore.wire.admin_messages import AdminRequest
from shardstore.wire.link_names import CLIENTS, ROUTER, WORKERS
from shardstore.wire.messages import Refusal, ScanRequest, decode, encode
from shardstore.wire.wire_format import Flag, Header, Op, Status, decode_reply
from shardstore.workers.core import WorkerCore
from shardstore.workers.jobs.run import run
from shardstore.workers.refusing_core import RefusingCore
from tests.simulation.sim_boards import SimBoards
from tests.simulation.sim_disk import Directory, Inode, SimDisk
from tests.simulation.sim_entropy import SimEntropy
from tests.simulation.sim_filesystem import SimFilesystem
from tests.unit.set_wall import SetWall

Files: TypeAlias = Mapping[str, bytes]
"""The content of files, by path."""
WORKER_COUNT = 2
BOUNDARIES = (b"d", b"h", b"m")
CLIENT = 77
MEMORY = derive(WORKER_COUNT * 16 * MIB, WORKER_COUNT)
SEGMENTS = SegmentOptions(block_bytes=1024, part_min_bytes=2048, part_max_bytes=2048)
TOPOLOGY = TopologyOptions(auto_topology=False)
TURNS_MAX = 10_000
PATIENCE = 8
"""Maximum number of ticks to wait for a reply."""


class MemoryStore:
    """The store on these files, opened as its processes open it. Raises the error that prevents opening it.

    New stores with different `seed`s differ; clients use sequences above `sequence`.
    """

    def __init__(self, files: Files, seed: int = 1, sequence: int = 0) -> None:
        self._disk = disk_of(files)
        self._filesystem = SimFilesystem(self._disk, random.Random(seed))
        self._seed = seed
        self._sequence = sequence
        self._now_ns = SECOND_NS
        self._events: deque[tuple[str, Event]] = deque()
        self._answers: dict[int, tuple[Header, list[bytes]]] = {}
        found = read_store(self._filesystem)
        self._store = found or create_store(self._filesystem, self._entropy("store"), WORKER_COUNT, BOUNDARIES)
        boundaries = tuple(key.hex() for key in self._store.boundaries)
        options = RouterOptions("", self._store.store, CLIENTS, WORKERS, WORKER_COUNT, boundaries, MEMORY, TOPOLOGY)
        self._router = RouterCore(self._filesystem, self._entropy("router"), options)
        self._cores: dict[str, Core] = {"router": self._router}
        self._execute("router", self._router.start(self._now_ns))
        for worker in self._router._table.topology.workers:
            self._open_worker(worker)
        self._run()

    @property
    def sequence(self) -> int:
        """The number of the latest request."""
        return self._sequence

    def files(self) -> dict[str, bytes]:
        """The content of all files."""
        return files_of(self._disk)

    def put(self, pairs: Mapping[bytes, bytes | None]) -> None:
        """Write these pairs, each durably; None deletes."""
        for key, value in pairs.items():
            if value is None:
                self._asked(Op.DELETE, key, [key], Flag.KEYS_FIXED, 1)
            else:
                self._asked(Op.PUT, key, [key, value], Flag.KEYS_FIXED | Flag.VALUES_FIXED, 1)

    def maintain(self, op: Op, key: bytes) -> None:
        """Send FLUSH or COMPACT to the range of a key."""
        self._asked(op, key)

    def split(self, key: bytes) -> None:
        """Split a range at this key, and finish the change."""
        self._sequence += 1
        header = Header(Op.ADMIN, client=CLIENT, sequence=self._sequence, duration_ms=1_000)
        request = AdminRequest("split", key)
        self._events.append(("router", Received(CLIENTS, b"client", [header.encode(), encode(request)])))
        for _ in range(100):
            self._pass_time()
            if self._sequence in self._answers:
                break
        assert self._answers[self._sequence][0].status == Status.OK

    def rest(self) -> None:
        """Let some time pass."""
        for _ in range(10):
            self._pass_time()

    def get(self, key: bytes) -> bytes | None:
        """The value of a key. Raises ShardstoreError."""
        header, frames = self._asked(Op.GET, key, [key], Flag.KEYS_FIXED, 1)
        fixed = bool(header.flags & Flag.VALUES_FIXED)
        [found] = columns.decode(frames[1], fixed, 1, 0, VALUE_BYTES_MAX, nullable=True)
        assert found is None or isinstance(found, bytes)
        return found

    def ranges(self) -> list[KeyRange]:
        """The ranges of the map."""
        route_map = self._router._table.current
        return [route_map.range_of(route.segment) for route in route_map]

    def scan(self, key_range: KeyRange) -> dict[bytes, bytes]:
        """The entries that a scan of one range returns. Raises ShardstoreError."""
        found: dict[bytes, bytes] = {}
        start, more = key_range.start, True
        while more:
            request = ScanRequest(start, key_range.end, False, False, 1_000, "live", b"")
            header, frames = self._asked(Op.SCAN, key_range.start, [encode(request)])
            if header.entries:
                keys = columns.decode(frames[1], bool(header.flags & Flag.KEYS_FIXED), header.entries, 1, KEY_BYTES_MAX)
                fixed = bool(header.flags & Flag.VALUES_FIXED)
                values = columns.decode(frames[2], fixed, header.entries, 0, VALUE_BYTES_MAX)
                found.update(zip(keys, values, strict=True))
            start, more = frames[3], bool(frames[3])
        return found

    def stop(self) -> dict[str, bytes]:
        """Stop the workers in order, and return the files."""
        for name in [name for name in self._cores if name != "router"]:
            self._events.append((name, StopRequested()))
        self._run()
        return self.files()

    def _entropy(self, name: str) -> SimEntropy:
        return SimEntropy(self._seed, f"{name} {self._sequence}")

    def _open_worker(self, worker: int) -> None:
        name = f"worker {worker}"
        options = WorkerOptions(
            "", self._store.store, worker, ROUTER, name, Durability.GROUP_SYNC, MEMORY, segments=SEGMENTS
        )
        try:
            core = WorkerCore(self._filesystem, self._entropy(name), options, name, lambda: 0, SimBoards(), SetWall())
            self._begin(name, core)
        except (Corruption, StorageFailure) as failure:
            self._events = deque((to, event) for to, event in self._events if to != name)
            self._begin(name, RefusingCore(self._filesystem, options, name, failure))

    def _begin(self, name: str, core: Core) -> None:
        self._cores[name] = core
        self._execute(name, core.start(self._now_ns))
        self._run()

    def _pass_time(self) -> None:
        self._now_ns += 250 * MILLISECOND_NS
        self._events.extend((name, Tick()) for name in self._cores)
        self._run()

    def _run(self) -> None:
        """Handle all events, and the events that follow from them."""
        for _ in range(TURNS_MAX):
            if not self._events:
                return
            name, event = self._events.popleft()
            core = self._cores.get(name)
            if core is not None:
                self._execute(name, [*core.handle(event, self._now_ns), *core.end_turn(self._now_ns)])
        raise AssertionError("the processes of the store do not come to rest")

    def _execute(self, name: str, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send():
                    self._send(name, effect)
                case SyncWal():
                    for file in effect.files:
                        file.sync()
                    if effect.directory is not None:
                        self._filesystem.sync_directory(effect.directory)
                    self._events.append((name, WalSynced(effect.lsn)))
                case StartJob():
                    self._events.append((name, self._end_of(effect)))
                case Stop():
                    del self._cores[name]

    def _send(self, name: str, send: Send) -> None:
        frames = [bytes(frame) for frame in send.frames]
        if name != "router" and send.link == ROUTER:
            self._events.append(("router", Received(WORKERS, name.encode(), frames)))
        elif name == "router" and send.link == WORKERS:
            self._events.append((send.peer.decode(), Received(ROUTER, b"", frames)))
        else:
            header = decode_reply(frames)
            self._answers[header.sequence] = header, frames

    def _end_of(self, job: StartJob) -> Event:
        steps = run(job.spec, self._filesystem, SEGMENTS)
        try:
            while True:
                next(steps)
        except StopIteration as end:
            return JobFinished(job.job, end.value)
        except Corruption as damage:
            return JobFailed(job.job, str(damage), damage)
        except StorageFailure as failure:
            return JobFailed(job.job, str(failure))

    def _asked(
        self, op: Op, key: bytes, body: Sequence[bytes] = (), flags: int = 0, entries: int = 0
    ) -> tuple[Header, list[bytes]]:
        """The reply of the owner of a key. Raises the error in the reply."""
        route = self._router._table.current.route_of(key)
        self._sequence += 1
        header = Header(
            op,
            flags=flags,
            entries=entries,
            segment=route.segment,
            epoch=route.epoch,
            duration_ms=1_000,
            client=CLIENT,
            sequence=self._sequence,
        )
        self._events.append((f"worker {route.worker}", Received("clients", b"client", [header.encode(), *body])))
        self._run()
        for _ in range(PATIENCE):  # some replies are made in pieces
            if self._sequence in self._answers:
                break
            self._pass_time()
        if self._sequence not in self._answers:
            raise Unavailable(f"worker {route.worker} does not answer")
        answer, frames = self._answers.pop(self._sequence)
        if answer.status != Status.OK:
            raise _error_of(Status(answer.status), decode(Refusal, frames[1]))
        return answer, frames


def _error_of(status: Status, refusal: Refusal) -> ShardstoreError:
    if status is Status.FAILED and refusal.file:
        return Corruption(refusal.file, refusal.offset, refusal.what)
    return StorageFailure(refusal.what) if status is Status.FAILED else Unavailable(f"{status.name}: {refusal.what}")


def disk_of(files: Files) -> SimDisk:
    """A disk with these files, all on stable storage."""
    disk = SimDisk()
    for path, content in files.items():
        *parents, name = path.split("/")
        directory = disk.root
        for part in parents:
            below = directory.seen.setdefault(part, Directory())
            assert isinstance(below, Directory)
            directory.stable[part] = below
            directory = below
        inode = Inode()
        inode.cache, inode.disk = bytearray(content), bytearray(content)
        directory.seen[name] = directory.stable[name] = inode
    return disk


def files_of(disk: SimDisk) -> dict[str, bytes]:
    """The content of all files of a disk."""
    found: dict[str, bytes] = {}

    def walk(directory: Directory, prefix: str) -> None:
        for name, node in sorted(directory.seen.items()):
            if isinstance(node, Directory):
                walk(node, f"{prefix}{name}/")
            else:
                found[prefix + name] = bytes(node.cache)

    walk(disk.root, "")
    return found
