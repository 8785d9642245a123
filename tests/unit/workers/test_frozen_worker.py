"""A worker whose disk accepts no writes serves reads, refuses writes, and starts again once there is room."""

from __future__ import annotations

from pathlib import Path

import pytest

from shardstore.errors import DiskFull, NotWritable, ReadOnlyDisk
from shardstore.seams.effects import Tick
from shardstore.system.posix_filesystem import PosixFilesystem
from shardstore.wire.messages import Refusal, Register, decode
from shardstore.wire.wire_format import Op, Status
from shardstore.workers.serving.write_path import THAW_NS
from tests.unit.worker_driver import WorkerDriver


@pytest.fixture
def root(tmp_path: Path) -> Path:
    worker = WorkerDriver(tmp_path).serve()
    worker.put({b"a": b"1"})
    worker.settle()
    return tmp_path


def frozen(root: Path, failure: NotWritable, monkeypatch: pytest.MonkeyPatch) -> WorkerDriver:
    def refuse(_filesystem: PosixFilesystem, _path: str) -> None:
        raise failure

    monkeypatch.setattr(PosixFilesystem, "create", refuse)
    return WorkerDriver(root, epoch=1, create=False).serve()


@pytest.mark.fault("L9")
@pytest.mark.parametrize(
    ("failure", "status"), [(DiskFull("no space"), Status.BUSY), (ReadOnlyDisk("read-only"), Status.FAILED)]
)
def test_it_serves_reads_and_refuses_writes(
    root: Path, failure: NotWritable, status: Status, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = frozen(root, failure, monkeypatch)
    register = decode(Register, bytes(worker.sent[0].frames[1]))
    assert register.failure == str(failure)
    assert worker.get([b"a"]) == [b"1"]
    header, frames = worker.answer(worker.put({b"a": b"2"}, sequence=9))
    assert header.status == status
    assert str(failure) in decode(Refusal, frames[1]).what
    assert worker.status(worker.ask(Op.FLUSH)) is status
    assert worker.get([b"a"]) == [b"1"]


def test_it_ends_to_be_started_again_when_there_is_room(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = frozen(root, DiskFull("no space"), monkeypatch)
    for _ in range(3):
        worker.now_ns += THAW_NS
        worker.handle(Tick())
    assert worker.stopped is None
    monkeypatch.undo()
    worker.now_ns += THAW_NS
    worker.handle(Tick())
    assert worker.stopped is not None
    assert "no space" in worker.stopped.failure
    again = WorkerDriver(root, epoch=2, create=False).serve()
    again.put({b"a": b"2"}, sequence=9)
    again.sync()
    assert again.get([b"a"]) == [b"2"]
