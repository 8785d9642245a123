"""A worker whose log cannot be opened registers, refuses everything, and ends when it is time to try again."""

from __future__ import annotations

from pathlib import Path

import pytest

from shardstore.errors import Corruption, StorageFailure
from shardstore.limits import SECOND_NS
from shardstore.memory_plan import derive
from shardstore.options import Durability, WorkerOptions
from shardstore.seams.effects import Effect, Received, ReportReady, Send, Stop, StopRequested, Tick
from shardstore.system.posix_filesystem import PosixFilesystem
from shardstore.wire.columns import encode
from shardstore.wire.messages import Assignment, Assignments, Ready, Refusal, Register, decode
from shardstore.wire.messages import encode as encode_message
from shardstore.wire.wire_format import Flag, Header, Op, Status, decode_header
from shardstore.workers.refusing_core import TRY_AGAIN_NS, RefusingCore
from shardstore.workers.wal.record_format import FILE_HEADER_BYTES
from tests.unit.worker_driver import MEMORY, STORE, WorkerDriver

LOG = "workers/0000/wal-0000000000000001.log"


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """A store whose only log file has lost a byte that was on stable storage."""
    worker = WorkerDriver(tmp_path).serve()
    worker.put({b"a": b"1"})
    worker.put({b"b": b"2"})
    worker.settle()
    worker.handle(StopRequested())
    flip(tmp_path / LOG)
    return tmp_path


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[FILE_HEADER_BYTES + 20] ^= 1
    file.write_bytes(content)


class Driver:
    """A refusing core on these files, and the messages it has sent since the last check."""

    def __init__(self, root: Path, failure: Corruption | StorageFailure | None = None) -> None:
        self.now_ns = SECOND_NS
        if failure is None:
            with pytest.raises(Corruption) as caught:
                WorkerDriver(root)
            failure = caught.value
        options = WorkerOptions(str(root), STORE, 0, "router", "listen", Durability.GROUP_SYNC, derive(MEMORY, 1))
        self.core = RefusingCore(PosixFilesystem(str(root)), options, "endpoint", failure)
        self.effects: list[Effect] = self.core.start(self.now_ns)

    def take(self) -> list[Effect]:
        taken, self.effects = self.effects, []
        return taken

    def sends(self) -> list[Send]:
        return [effect for effect in self.take() if isinstance(effect, Send)]

    def serve(self) -> Driver:
        self.take()
        given = Assignments([Assignment(1, b"", b"", 5, create=False)], b"routes", 9, 100)
        header = Header(Op.REGISTER, status=Status.OK).encode()
        self.effects = self.core.handle(Received("router", b"", [header, encode_message(given)]), self.now_ns)
        return self

    def ask(self, op: Op, epoch: int = 5) -> tuple[Status, Refusal]:
        self.take()
        key = encode([b"a"])
        segment = 0 if op == Op.STATS else 1
        header = Header(op, entries=1, flags=Flag.KEYS_FIXED, segment=segment, epoch=epoch, client=7, sequence=1)
        body = {Op.PUT: [key.frame, key.frame], Op.GET: [key.frame], Op.STATS: []}[op]
        self.effects = self.core.handle(Received("clients", b"peer", [header.encode(), *body]), self.now_ns)
        [send] = self.sends()
        return Status(decode_header(bytes(send.frames[0])).status), decode(Refusal, bytes(send.frames[1]))

    def pass_time(self, length_ns: int) -> list[Effect]:
        self.take()
        self.now_ns += length_ns
        self.effects = self.core.handle(Tick(), self.now_ns)
        return self.take()


def test_it_registers_with_what_is_on_its_disk_and_is_ready_with_the_reason(damaged: Path) -> None:
    driver = Driver(damaged)
    [register] = driver.sends()
    told = decode(Register, bytes(register.frames[1]))
    assert told.known == {1: 1}
    assert LOG in told.failure
    [ready] = driver.serve().sends()
    assert decode(Ready, bytes(ready.frames[1])).serving == {1: 5}
    heard = Received("router", b"", [Header(Op.READY, status=Status.OK).encode()])
    assert driver.core.handle(heard, driver.now_ns) == [ReportReady()]
    assert driver.core.handle(heard, driver.now_ns) == []


@pytest.mark.parametrize("op", [Op.GET, Op.PUT, Op.STATS])
def test_every_request_is_told_at_once_what_is_damaged(damaged: Path, op: Op) -> None:
    status, refusal = Driver(damaged).serve().ask(op)
    assert status is Status.FAILED
    assert (refusal.file, refusal.offset) == (LOG, FILE_HEADER_BYTES)


def test_who_believes_in_another_owner_is_sent_there(damaged: Path) -> None:
    status, refusal = Driver(damaged).serve().ask(Op.GET, epoch=4)
    assert (status, refusal.routes) == (Status.STALE_ROUTE, b"routes")


def test_it_beats_so_that_the_router_knows_it(damaged: Path) -> None:
    driver = Driver(damaged).serve()
    [beat] = driver.pass_time(SECOND_NS // 2)
    assert isinstance(beat, Send)
    assert decode_header(bytes(beat.frames[0])).op == Op.HEARTBEAT


def test_it_stays_as_long_as_the_files_are_the_same_and_ends_when_they_were_repaired(damaged: Path) -> None:
    driver = Driver(damaged).serve()
    before = (damaged / LOG).read_bytes()
    assert not any(isinstance(effect, Stop) for effect in driver.pass_time(TRY_AGAIN_NS))
    assert (damaged / LOG).read_bytes() == before, "nothing of a damaged log is changed"
    flip(damaged / LOG)
    [stop] = driver.pass_time(TRY_AGAIN_NS)
    assert isinstance(stop, Stop)
    assert LOG in stop.failure
    assert WorkerDriver(damaged, epoch=6, create=False).serve().get([b"a", b"b"]) == [b"1", b"2"]


def test_a_refused_file_operation_is_tried_again_after_a_while(tmp_path: Path) -> None:
    driver = Driver(tmp_path, StorageFailure("cannot read workers/0000/LOG: Input/output error")).serve()
    status, refusal = driver.ask(Op.GET)
    assert (status, refusal.what) == (Status.FAILED, "cannot read workers/0000/LOG: Input/output error")
    assert not any(isinstance(effect, Stop) for effect in driver.pass_time(TRY_AGAIN_NS // 2))
    assert any(isinstance(effect, Stop) for effect in driver.pass_time(TRY_AGAIN_NS))


def test_it_ends_in_order_when_asked(damaged: Path) -> None:
    driver = Driver(damaged).serve()
    assert driver.core.handle(StopRequested(), driver.now_ns) == [Stop()]
