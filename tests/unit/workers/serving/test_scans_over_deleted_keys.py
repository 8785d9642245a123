"""A scan skips deleted keys, and the next scan begins after them, until something is put there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from shardstore.limits import SECOND_NS
from shardstore.options import ScanMode
from shardstore.seams.effects import Tick
from shardstore.tables import deleted_keys, empty_ranges, scan_page
from shardstore.wire.wire_format import Op
from shardstore.workers.maintenance.policies import compaction_choice, compaction_policy
from tests.unit.worker_driver import WorkerDriver
from tests.unit.workers.serving.scan_driver import AtWorker

DELETED = [b"k%03d" % number for number in range(100, 400)]
LIVING = [b"k%03d" % number for number in (*range(10), *range(990, 1000))]

Put = Callable[[WorkerDriver, bytes], object]
PUTS: dict[str, Put] = {
    "put": lambda worker, key: worker.put({key: b"7"}),
    "put among others": lambda worker, key: worker.put({b"a": b"", key: b"7", b"z": b""}),
    "compare and set": lambda worker, key: worker.compare_and_set(key, None, b"7"),
    "increment": lambda worker, key: worker.increment(key, 7),
}


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan_page, "STRETCH_ENTRIES_MAX", 16)
    monkeypatch.setattr(deleted_keys, "PASSED_ENTRIES_MIN", 32)
    monkeypatch.setattr(deleted_keys, "PASSED_ENTRIES_MAX", 32)


@pytest.fixture
def worker(tmp_path: Path) -> WorkerDriver:
    """A few living keys, 300 deleted ones, whose values are in a table, and a few living ones."""
    worker = WorkerDriver(tmp_path).serve()
    worker.put(dict.fromkeys((*LIVING, *DELETED), b"v"))
    worker.settle()
    worker.ask(Op.FLUSH)
    worker.settle()
    worker.delete(DELETED)
    worker.settle()
    return worker


def pages_to_the_next(worker: WorkerDriver, mode: str, reverse: bool) -> int:
    """The number of pages it takes to skip the deleted keys."""
    scan = behind_the_living(worker, mode, reverse)
    pages = 1
    while not scan.page():
        pages += 1
    return pages


def behind_the_living(worker: WorkerDriver, mode: str, reverse: bool, limit: int = 1) -> AtWorker:
    scan = AtWorker(worker, mode, reverse, limit)
    scan.start, scan.end = (b"", b"k99") if reverse else (b"k01", b"")
    return scan


@pytest.mark.parametrize("mode", ScanMode)
@pytest.mark.parametrize("reverse", [False, True])
def test_the_next_scan_begins_behind_what_one_has_passed(worker: WorkerDriver, mode: str, reverse: bool) -> None:
    assert pages_to_the_next(worker, mode, reverse) > 5
    assert pages_to_the_next(worker, mode, reverse) == 1
    worker.ask(Op.FLUSH)
    worker.ask(Op.COMPACT)
    worker.settle()
    worker.delete([b"k009", b"k990"])
    worker.settle()
    assert pages_to_the_next(worker, mode, reverse) == 1


@pytest.mark.parametrize("mode", ScanMode)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("put", PUTS.values(), ids=PUTS)
def test_what_is_put_where_all_was_deleted_is_shown(worker: WorkerDriver, mode: str, reverse: bool, put: Put) -> None:
    pages_to_the_next(worker, mode, reverse)
    put(worker, b"k250")
    worker.settle()
    assert (b"k250", b"7") in behind_the_living(worker, mode, reverse, limit=0).rest()


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("put", PUTS.values(), ids=PUTS)
def test_a_scan_of_an_older_moment_teaches_nothing(worker: WorkerDriver, reverse: bool, put: Put) -> None:
    """The scan does not see writes made after its first page; the next scan does."""
    scan = behind_the_living(worker, ScanMode.SNAPSHOT, reverse)
    assert not scan.page()
    put(worker, b"k250")
    worker.settle()
    while not (found := scan.page()):
        pass
    assert found == [(b"k009" if reverse else b"k990", b"v")]
    assert (b"k250", b"7") in behind_the_living(worker, ScanMode.SNAPSHOT, reverse, limit=0).rest()


def test_a_range_is_compacted_when_its_deleted_keys_were_skipped_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The heads of more queues than the worker remembers, above so many other entries that few of all are dead."""
    monkeypatch.setattr(empty_ranges, "EMPTY_RANGES_MAX", 1)
    monkeypatch.setattr(compaction_policy, "PASSED_TOMBSTONES_MIN", 100)
    for module in (compaction_policy, compaction_choice):
        monkeypatch.setattr(module, "PASSED_MIN", 2_000)
    worker = WorkerDriver(tmp_path).serve()
    queues = {name: [b"%s%03d" % (name, number) for number in range(100)] for name in (b"p", b"q")}
    worker.put(dict.fromkeys((*queues[b"p"], *queues[b"q"], *(b"z%04d" % number for number in range(2_000))), b"v"))
    worker.settle()
    worker.ask(Op.FLUSH)
    worker.ask(Op.COMPACT)
    worker.settle()
    for keys in queues.values():
        worker.delete(keys[:90])
    worker.settle()
    worker.ask(Op.FLUSH)
    worker.settle()
    passed = []
    while (layers := worker.range_statistics()["layers"])["tombstones"]:
        passed.append(layers["entries_passed"])
        for name, keys in queues.items():
            scan = AtWorker(worker, ScanMode.SNAPSHOT, False, 1)
            scan.start, scan.end = name, b""
            while not (page := scan.page()):
                pass
            assert page[0][0] == keys[90]
        worker.now_ns += SECOND_NS // 10
        worker.handle(Tick())
        worker.settle()
        assert len(passed) < 100, "it is never compacted"
    assert len(passed) > 4
    assert passed == sorted(passed)
    reason = worker.statistics()["jobs"]["last_compaction"]
    assert reason.startswith("segment 1: scans looked at 2")
    assert reason.endswith("entries to skip deleted keys; files have 180 of these")
    assert worker.range_statistics()["layers"]["entries_passed"] == 0
