"""A range that the disk keeps from being opened is not damaged: it is unavailable until the disk works again."""

from __future__ import annotations

from pathlib import Path

import pytest

from shardstore.errors import StorageFailure
from shardstore.seams.effects import Tick
from shardstore.system.posix_filesystem import PosixFilesystem
from shardstore.wire.messages import Refusal, decode
from shardstore.wire.wire_format import Op, Status
from shardstore.workers.ranges.reopening import LONGEST_PAUSE_NS
from tests.unit.worker_driver import WorkerDriver

DIRECTORY = "segments/00000001"


def opened(root: Path, epoch: int) -> WorkerDriver:
    return WorkerDriver(root, boundaries=(b"m",), epoch=epoch, create=epoch == 1).serve()


def test_it_is_unavailable_with_the_reason_and_served_after_a_start_when_the_disk_works_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = opened(tmp_path, 1)
    worker.put({b"a": b"1"})
    worker.put({b"z": b"2"}, segment=2)
    worker.settle()

    sync = PosixFilesystem.sync_directory

    def refuse(filesystem: PosixFilesystem, path: str) -> None:
        if path == DIRECTORY:
            raise StorageFailure(f"cannot sync directory {path}: input/output error")
        sync(filesystem, path)

    monkeypatch.setattr(PosixFilesystem, "sync_directory", refuse)
    worker = opened(tmp_path, 2)
    assert worker.get([b"z"], segment=2) == [b"2"]
    for request in (worker.ask(Op.GET, [b"a"], entries=1, flags=1), worker.put({b"a": b"3"}), worker.ask(Op.FLUSH)):
        header, frames = worker.answer(request)
        assert header.status == Status.UNAVAILABLE
        assert header.duration_ms > 0
        assert "segment 1 cannot be opened, cannot sync directory" in decode(Refusal, frames[1]).what
    assert "it is tried again" in worker.core._statistics(worker.now_ns)["ranges"][0]["failure"]
    for _ in range(4):
        worker.now_ns += LONGEST_PAUSE_NS
        worker.handle(Tick())
    worker.put({b"z": b"4"}, segment=2)
    worker.settle()
    assert worker.stopped is None

    monkeypatch.undo()
    worker.now_ns += 2 * LONGEST_PAUSE_NS
    worker.handle(Tick())
    assert worker.stopped is not None
    assert "segment 1 can be opened again" in worker.stopped.failure
    worker = opened(tmp_path, 3)
    assert worker.get([b"a"]) == [b"1"], "the log was kept for it"
    assert worker.get([b"z"], segment=2) == [b"4"]
