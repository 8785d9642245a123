"""A worker detects files replaced by older versions: a manifest, or its whole directory."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from shardstore.errors import Corruption
from shardstore.identifiers import LIFE_NONCE_BITS, is_later_life
from shardstore.seams.effects import StopRequested
from shardstore.system.posix_filesystem import PosixFilesystem
from shardstore.wire.messages import Refusal, decode
from shardstore.wire.wire_format import Flag, Op, Status
from shardstore.workers.wal.log_document import read_log_document
from tests.unit.router.router_driver import RouterDriver
from tests.unit.worker_driver import STORE, WorkerDriver

MANIFEST = "segments/00000001/MANIFEST"


def flushed(worker: WorkerDriver, value: bytes) -> WorkerDriver:
    """The same store after a write and its flush; the next process then releases this log."""
    worker.put({b"a": value}, sequence=int(value) + 10 * worker.epoch)
    worker.sync()
    worker.ask(Op.FLUSH, sequence=9 + 10 * worker.epoch)
    worker.settle()
    return stopped(worker)


def stopped(worker: WorkerDriver) -> WorkerDriver:
    worker.handle(StopRequested())
    worker.settle()
    assert worker.stopped is not None
    return worker


def opened(root: Path, epoch: int, boundaries: tuple[bytes, ...] = (b"m",)) -> WorkerDriver:
    worker = WorkerDriver(root, boundaries=boundaries, epoch=epoch, create=epoch == 1).serve()
    worker.settle()
    return worker


def refusal_of(worker: WorkerDriver, key: bytes, segment: int = 1) -> Refusal:
    sequence = worker.ask(Op.GET, [key], entries=1, flags=Flag.KEYS_FIXED, segment=segment)
    header, frames = worker.answer(sequence)
    assert header.status == Status.FAILED
    return decode(Refusal, frames[1])


def test_an_older_manifest_is_refused_once_the_log_has_let_go_of_what_it_lacks(tmp_path: Path) -> None:
    flushed(opened(tmp_path, 1), b"1")
    older = (tmp_path / MANIFEST).read_bytes()
    flushed(opened(tmp_path, 2), b"2")
    newest, tables = (tmp_path / MANIFEST).read_bytes(), sorted((tmp_path / MANIFEST).parent.glob("*.sst"))
    stopped(opened(tmp_path, 3))
    assert read_log_document(PosixFilesystem(str(tmp_path)), STORE, 0).segments == {1: 3, 2: 1}

    (tmp_path / MANIFEST).write_bytes(older)
    damaged = opened(tmp_path, 4)
    refusal = refusal_of(damaged, b"a")
    assert refusal.file == MANIFEST
    assert refusal.what == "is version 2, older than version 3, which was there before"
    damaged.put({b"z": b"1"}, segment=2)
    damaged.ask(Op.FLUSH, segment=2)
    damaged.settle()
    assert damaged.get([b"z"], segment=2) == [b"1"]
    assert sorted((tmp_path / MANIFEST).parent.glob("*.sst")) == tables
    stopped(opened(tmp_path, 5))
    assert read_log_document(PosixFilesystem(str(tmp_path)), STORE, 0).segments[1] == 3, "it is not forgotten"

    (tmp_path / MANIFEST).write_bytes(newest)
    assert opened(tmp_path, 6).get([b"a"]) == [b"2"]


def test_an_older_manifest_is_made_up_for_as_long_as_the_log_has_all(tmp_path: Path) -> None:
    flushed(opened(tmp_path, 1), b"1")
    older = (tmp_path / MANIFEST).read_bytes()
    flushed(opened(tmp_path, 2), b"2")
    (tmp_path / MANIFEST).write_bytes(older)
    assert opened(tmp_path, 3).get([b"a"]) == [b"2"]


def test_a_segment_whose_first_manifest_is_gone_is_not_made_anew(tmp_path: Path) -> None:
    flushed(opened(tmp_path, 1), b"1")
    stopped(opened(tmp_path, 2))
    shutil.rmtree((tmp_path / MANIFEST).parent)
    worker = WorkerDriver(tmp_path, boundaries=(b"m",), epoch=3, create=True).serve()
    assert refusal_of(worker, b"a").file == MANIFEST


@pytest.mark.parametrize("older", ["gone", "as it was one start ago", "as it was two starts ago"])
def test_a_directory_that_is_gone_or_an_older_copy_is_refused(tmp_path: Path, older: str) -> None:
    data = tmp_path / "data"
    for epoch in (1, 2, 3):
        stopped(opened(data, epoch))
        shutil.copytree(data / "workers", tmp_path / f"after {epoch}")
    life = read_log_document(PosixFilesystem(str(data)), STORE, 0).life
    shutil.rmtree(data / "workers")
    copies = {"as it was one start ago": tmp_path / "after 2", "as it was two starts ago": tmp_path / "after 1"}
    if older in copies:
        shutil.copytree(copies[older], data / "workers")
    with pytest.raises(Corruption, match="its directory was removed, or is an older copy") as caught:
        WorkerDriver(data, boundaries=(b"m",), epoch=4, create=False).serve(life=life)
    assert caught.value.file == "workers/0000/LOG"
    shutil.rmtree(data / "workers")
    shutil.copytree(tmp_path / "after 3", data / "workers")
    worker = WorkerDriver(data, boundaries=(b"m",), epoch=5, create=False)
    assert is_later_life(worker.core._log.life, life)


def test_the_router_keeps_the_newest_life_of_each_log_until_its_worker_has_left(tmp_path: Path) -> None:
    filesystem = PosixFilesystem(str(tmp_path))
    router = RouterDriver(filesystem)
    first, second = [(number << LIFE_NONCE_BITS) + 5 for number in (1, 2)]
    assert router.life_told(1, b"refuses", 0) == 0
    assert router.life_told(1, b"first", first) == first
    assert router.life_told(1, b"second", second) == second
    assert router.life_told(1, b"older", first) == second
    assert router.life_told(1, b"as often opened", second + 1) == second
    router = RouterDriver(filesystem)
    assert router.life_told(1, b"refuses", 0) == second
    assert router.life_told(0, b"other", first) == first
    table = router.core._table
    table.publish_workers([0], [])
    assert table.topology.lives == {0: first}
