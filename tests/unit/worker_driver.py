"""A worker core on real files, driven by hand: syncs and jobs run when the test calls for them."""

from __future__ import annotations

import weakref
from collections import Counter, deque
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shardstore.limits import KEY_BYTES_MAX, SECOND_NS, VALUE_BYTES_MAX
from shardstore.memory_plan import MemoryPlan, derive
from shardstore.options import Durability, WorkerOptions
from shardstore.seams.effects import (
    Effect,
    Event,
    JobFinished,
    Received,
    ReportReady,
    Say,
    Send,
    StartJob,
    Stop,
    SyncWal,
    Tick,
    WalSynced,
)
from shardstore.segment_options import DEFAULTS
from shardstore.system.posix_filesystem import PosixFilesystem
from shardstore.system.system_entropy import SystemEntropy
from shardstore.wire.columns import decode, encode, encode_variable
from shardstore.wire.messages import (
    Assignment,
    Assignments,
    CountReply,
    CountRequest,
    OutcomeQuestion,
    OutcomeReply,
    Refusal,
    ScanRequest,
    Statistics,
    TakeRequest,
)
from shardstore.wire.messages import decode as decode_message
from shardstore.wire.messages import encode as encode_message
from shardstore.wire.wire_format import Flag, Header, Op, Status, decode_header, decode_reply
from shardstore.workers.core import WorkerCore
from shardstore.workers.jobs.run import run
from shardstore.workers.jobs.specs import JobResult
from tests.simulation.sim_boards import SimBoards
from tests.unit.set_wall import SetWall

STORE = "5" * 32
CLIENT = 0xC11E47
MEMORY = 64 << 20
ROUTER_LIFE = 9
SEGMENT_NEXT = 100


@dataclass
class WorkerDriver:
    """One worker process. It opens the files under `root`, which an earlier driver may have left."""

    root: Path
    durability: Durability = Durability.GROUP_SYNC
    memory: int | MemoryPlan = MEMORY
    boundaries: Sequence[bytes] = ()
    epoch: int = 1
    create: bool = True
    now_ns: int = SECOND_NS
    sent: list[Send] = field(default_factory=list)
    syncs: deque[SyncWal] = field(default_factory=deque)
    jobs: deque[StartJob] = field(default_factory=deque)
    stopped: Stop | None = None
    said: list[str] = field(default_factory=list)
    ready: bool = False
    boards: SimBoards = field(default_factory=SimBoards)
    wall: SetWall = field(default_factory=SetWall)
    filesystem: PosixFilesystem | None = None
    unsent: Counter[str] = field(default_factory=Counter)
    """The bytes of replies not yet taken. A separate object, so that the core does not keep the driver alive."""
    _sequence: int = 0
    _begun: dict[int, Generator[None, None, JobResult]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        options = WorkerOptions(str(self.root), STORE, 0, "router", "listen", self.durability, _plan(self.memory))
        self.filesystem = self.filesystem or self._files()
        seams = self.unsent.total, self.boards, self.wall
        self.core = WorkerCore(self.filesystem, SystemEntropy(), options, "endpoint", *seams)
        self.execute(self.core.start(self.now_ns))

    def _files(self) -> PosixFilesystem:
        """The files under `root`, open as long as this driver is there."""
        filesystem = PosixFilesystem(str(self.root))
        weakref.finalize(self, filesystem.close)
        return filesystem

    def serve(self, segment_next: int = SEGMENT_NEXT, life: int = 0) -> WorkerDriver:
        """Give the worker its ranges: one, or those between the boundaries."""
        starts = [b"", *self.boundaries]
        ends = [*self.boundaries, b""]
        ranges = [
            Assignment(at + 1, start, end, self.epoch, self.create)
            for at, (start, end) in enumerate(zip(starts, ends, strict=True))
        ]
        assignments = Assignments(ranges, b"routes", ROUTER_LIFE, segment_next, life=life)
        header = Header(Op.REGISTER, status=Status.OK).encode()
        self.handle(Received("router", b"", [header, encode_message(assignments)]))
        if any(decode_header(send.frames[0]).op == Op.READY for send in self.sent):
            self.handle(Received("router", b"", [Header(Op.READY, status=Status.OK).encode()]))
        return self

    def handle(self, event: Event) -> None:
        """Pass an event to the core, and then give each waiting scan its turns."""
        self.take_turn(event)
        while self.core.wakeup_ns() == 0:
            self.take_turn(Tick())
        if self.stopped is None:
            self.core.check_invariants()

    def take_turn(self, event: Event) -> None:
        """Pass an event to the core, and end the turn."""
        self.execute(self.core.handle(event, self.now_ns))
        self.execute(self.core.end_turn(self.now_ns))

    def execute(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send():
                    self.sent.append(effect)
                case SyncWal():
                    self.syncs.append(effect)
                case StartJob():
                    self.jobs.append(effect)
                case ReportReady():
                    self.ready = True
                case Say():
                    self.said.append(effect.words)
                case Stop():
                    self.stopped = effect

    def sync(self) -> None:
        """Let the running sync succeed."""
        effect = self.syncs.popleft()
        for file in effect.files:
            file.sync()
        if effect.directory is not None:
            self.filesystem.sync_directory(effect.directory)
        self.handle(WalSynced(effect.lsn))

    def begin_job(self) -> None:
        """Run one slice of the first job."""
        job = self.jobs[0]
        next(self._begun.setdefault(job.job, self._slices(job)))

    def _slices(self, job: StartJob) -> Generator[None, None, JobResult]:
        return run(job.spec, self._files(), DEFAULTS)

    def run_job(self) -> None:
        """Let the first job succeed."""
        job = self.jobs.popleft()
        steps = self._begun.pop(job.job, None) or self._slices(job)
        try:
            while True:
                next(steps)
        except StopIteration as end:
            self.handle(JobFinished(job.job, end.value))

    def settle(self) -> None:
        """Let all syncs and jobs end, until none is running."""
        while self.syncs or self.jobs:
            while self.syncs:
                self.sync()
            if self.jobs:
                self.run_job()

    def ask(self, op: Op, body: Sequence[bytes] = (), **fields: int) -> int:
        """Send a request from a client; returns its sequence."""
        sequence = fields.pop("sequence", self._sequence + 1)
        self._sequence = max(sequence, self._sequence)
        defaults = {"segment": 1, "epoch": self.epoch, "client": CLIENT, "duration_ms": 1000}
        header = Header(op, **{**defaults, **fields}, sequence=sequence)
        self.handle(Received("clients", b"peer", [header.encode(), *body]))
        return sequence

    def put(self, pairs: Mapping[bytes, bytes], **fields: int) -> int:
        keys, values = encode(list(pairs)), encode(list(pairs.values()))
        flags = Flag.KEYS_FIXED * keys.fixed | Flag.VALUES_FIXED * values.fixed | fields.pop("flags", 0)
        return self.ask(Op.PUT, [keys.frame, values.frame], entries=len(pairs), flags=flags, **fields)

    def delete(self, keys: Sequence[bytes], **fields: int) -> int:
        column = encode(keys)
        return self.ask(Op.DELETE, [column.frame], entries=len(keys), flags=Flag.KEYS_FIXED * column.fixed, **fields)

    def delete_range(self, start: bytes = b"", end: bytes = b"", **fields: int) -> int:
        return self.ask(Op.DELETE_RANGE, [start, end], **fields)

    def count(self, start: bytes = b"", end: bytes = b"", estimate: bool = False, **fields: int) -> CountReply:
        """The reply to a COUNT, which may take several turns."""
        asked = self.ask(Op.COUNT, [encode_message(CountRequest(start, end, estimate))], **fields)
        header, frames = self.answer(asked)
        assert header.status == Status.OK, header
        return decode_message(CountReply, frames[1])

    def compare_and_set(self, key: bytes, expected: bytes | None, value: bytes | None, **fields: int) -> int:
        return self._ask_of_one(Op.COMPARE_AND_SET, key, encode_variable([expected, value]), **fields)

    def increment(self, key: bytes, by: int = 1, **fields: int) -> int:
        return self._ask_of_one(Op.INCREMENT, key, b"%d" % by, **fields)

    def batch(
        self, changes: Mapping[bytes, bytes | None], required: Mapping[bytes, bytes | None] | None = None, **fields: int
    ) -> int:
        keys, values = encode([*changes]), encode([*changes.values()])
        conditions = [encode_variable([*(required or {})]), encode_variable([*(required or {}).values()])]
        flags = Flag.KEYS_FIXED * keys.fixed | Flag.VALUES_FIXED * values.fixed | fields.pop("flags", 0)
        body = [keys.frame, values.frame, *conditions]
        return self.ask(Op.BATCH, body, entries=len(changes), flags=flags, **fields)

    def take(self, start: bytes = b"", end: bytes = b"", reverse: bool = False, **fields: int) -> int:
        return self.ask(Op.TAKE, [encode_message(TakeRequest(start, end, reverse))], **fields)

    def taken(self, sequence: int) -> tuple[bytes, bytes] | None:
        """The entry in the latest reply to a TAKE."""
        header, frames = self.answers(sequence)[-1]
        assert header.status == Status.OK, header
        return (frames[1], frames[2]) if header.entries else None

    def outcome(
        self,
        key: bytes,
        sequence_asked: int,
        client_asked: int = CLIENT,
        elsewhere: Sequence[bytes] = (),
        **fields: int,
    ) -> int:
        question = encode_message(OutcomeQuestion(client_asked, sequence_asked, [*elsewhere]))
        return self._ask_of_one(Op.OUTCOME, key, question, **fields)

    def told(self, sequence: int) -> bool | int | str:
        """The result in the reply to a conditional operation or an OUTCOME."""
        header, frames = self.answers(sequence)[-1]
        assert header.status == Status.OK, header
        if header.op in (Op.COMPARE_AND_SET, Op.BATCH):
            return bool(header.entries)
        return int(frames[1]) if header.op == Op.INCREMENT else decode_message(OutcomeReply, frames[1]).ending

    def _ask_of_one(self, op: Op, key: bytes, frame: bytes, **fields: int) -> int:
        flags = Flag.KEYS_FIXED | fields.pop("flags", 0)
        return self.ask(op, [key, frame], entries=1, flags=flags, **fields)

    def get(self, keys: Sequence[bytes], **fields: int) -> list[bytes | None]:
        column = encode(keys)
        flags = Flag.KEYS_FIXED * column.fixed | fields.pop("flags", 0)
        header, frames = self.answer(self.ask(Op.GET, [column.frame], entries=len(keys), flags=flags, **fields))
        assert header.status == Status.OK
        fixed = bool(header.flags & Flag.VALUES_FIXED)
        return decode(frames[1], fixed, header.entries, 0, VALUE_BYTES_MAX, nullable=True)

    def scan(self, request: ScanRequest, **fields: int) -> tuple[list[tuple[bytes, bytes]], bytes]:
        """Read one page; returns its entries and its resume key."""
        return self.scan_page(request, **fields)[:2]

    def scan_page(self, request: ScanRequest, **fields: int) -> tuple[list[tuple[bytes, bytes]], bytes, bytes]:
        """Read one page; returns its entries, its resume key and its cursor."""
        header, frames = self.answer(self.ask(Op.SCAN, [encode_message(request)], **fields))
        assert header.status == Status.OK
        if not header.entries:
            return [], frames[3], frames[4]
        keys = decode(frames[1], bool(header.flags & Flag.KEYS_FIXED), header.entries, 1, KEY_BYTES_MAX)
        values = decode(frames[2], bool(header.flags & Flag.VALUES_FIXED), header.entries, 0, VALUE_BYTES_MAX)
        return list(zip(keys, values, strict=True)), frames[3], frames[4]

    def statistics(self) -> dict[str, Any]:
        """The statistics of the worker."""
        return decode_message(Statistics, self.answer(self.ask(Op.STATS, segment=0))[1][1]).figures

    def range_statistics(self) -> dict[str, Any]:
        """The statistics of the first range."""
        found: dict[str, Any] = self.statistics()["ranges"][0]
        return found

    def answer(self, sequence: int) -> tuple[Header, list[bytes]]:
        """The only reply to a request."""
        answers = self.answers(sequence)
        assert len(answers) == 1, f"{len(answers)} answers to request {sequence}"
        return answers[0]

    def status(self, sequence: int) -> Status | None:
        """The status of the latest reply to a request; None while it waits."""
        answers = self.answers(sequence)
        return Status(answers[-1][0].status) if answers else None

    def answers(self, sequence: int) -> list[tuple[Header, list[bytes]]]:
        found = []
        for send in self.sent:
            if send.link == "clients":
                frames = [bytes(frame) for frame in send.frames]
                header = decode_reply(frames)
                if header.sequence == sequence:
                    found.append((header, frames))
        return found


def refusal(worker: WorkerDriver, sequence: int) -> Refusal:
    """The text of a refusal of the worker."""
    return decode_message(Refusal, worker.answer(sequence)[1][1])


def reopened(worker: WorkerDriver, **changes: object) -> WorkerDriver:
    """Start the next process on the same files, as after a kill."""
    settings = {"durability": worker.durability, "memory": worker.memory, "boundaries": worker.boundaries}
    return WorkerDriver(worker.root, **{**settings, "epoch": worker.epoch + 1, "create": False, **changes}).serve()  # type: ignore[arg-type]


def scan_all(worker: WorkerDriver, request: ScanRequest) -> list[tuple[bytes, bytes]]:
    entries: list[tuple[bytes, bytes]] = []
    while True:
        page, resume = worker.scan(request)
        entries = page + entries if request.reverse else entries + page
        if not resume:
            return entries
        start, end = (request.start, resume) if request.reverse else (resume, request.end)
        request = ScanRequest(start, end, request.reverse, request.keys_only, request.limit)


def _plan(memory: int | MemoryPlan) -> MemoryPlan:
    """The memory plan of the only worker of a store, unless one is given."""
    return derive(memory, 1) if isinstance(memory, int) else memory
