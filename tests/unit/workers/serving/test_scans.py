"""The modes of a scan at the worker: what they show, hold and refuse; test_snapshots.py tests snapshots."""

from __future__ import annotations

from pathlib import Path

import pytest

from shardstore.limits import (
    ISOLATION_NS_MAX,
    SECOND_NS,
)
from shardstore.options import Durability, ScanMode
from shardstore.tables import deleted_keys, scan_page
from shardstore.wire.messages import Refusal, ScanRequest, encode
from shardstore.wire.messages import decode as decode_message
from shardstore.wire.wire_format import Flag, Op, Status
from tests.unit.worker_driver import WorkerDriver
from tests.unit.workers.serving.scan_driver import AtWorker, open_scans_of, ten_keys, write

pytestmark = pytest.mark.usefixtures("small_pages")
HELD = [ScanMode.SNAPSHOT, ScanMode.FULL_ISOLATION]


@pytest.fixture
def worker(tmp_path: Path) -> WorkerDriver:
    return ten_keys(tmp_path)


@pytest.mark.parametrize("mode", ScanMode)
def test_the_overlay_lies_over_the_main_in_every_mode(tmp_path: Path, mode: str) -> None:
    worker = WorkerDriver(tmp_path).serve()
    write(worker, {b"a": b"20", b"b": b"30", b"c": b"40"})
    worker.ask(Op.COMPACT)
    worker.settle()
    write(worker, {b"a": b"25", b"e": b"28"})
    worker.delete([b"b"])
    worker.settle()
    expected = [(b"a", b"25"), (b"c", b"40"), (b"e", b"28")]
    assert AtWorker(worker, mode).rest() == expected
    assert AtWorker(worker, mode, reverse=True).rest() == expected[::-1]


@pytest.mark.parametrize("reverse", [False, True])
def test_fail_fast_ends_with_a_write_or_a_publish(worker: WorkerDriver, reverse: bool) -> None:
    undisturbed = AtWorker(worker, ScanMode.FAIL_FAST, reverse)
    assert len(undisturbed.rest()) == 10
    assert undisturbed.end_scan() is Status.OK
    for disturb in (
        lambda: write(worker, {b"k1": b"new"}),
        lambda: (worker.delete([b"nobody"]), worker.settle()),
        lambda: (worker.ask(Op.FLUSH), worker.settle()),
        lambda: (worker.ask(Op.COMPACT), worker.settle()),
    ):
        scan, at_end = AtWorker(worker, ScanMode.FAIL_FAST, reverse), AtWorker(worker, ScanMode.FAIL_FAST, reverse)
        scan.page()
        at_end.rest()
        disturb()
        assert "was written or published" in scan.why_not()
        assert at_end.end_scan() is Status.SCAN_INVALIDATED
        assert open_scans_of(worker) == 0


def test_fail_fast_sees_a_write_when_it_is_applied_not_when_it_is_logged(worker: WorkerDriver) -> None:
    scan = AtWorker(worker, ScanMode.FAIL_FAST)
    scan.page()
    worker.put({b"k1": b"new"})
    assert len(scan.page()) == 2
    worker.settle()
    assert "was written" in scan.why_not()


def test_writers_wait_while_a_scan_isolates_the_range(worker: WorkerDriver) -> None:
    scan = AtWorker(worker, ScanMode.FULL_ISOLATION)
    scan.page()
    header, frames = worker.answer(worker.put({b"k1": b"new"}))
    assert (header.status, decode_message(Refusal, frames[1]).what) == (Status.BUSY, "a scan isolates the range")
    assert 0 < header.duration_ms <= 100
    assert not worker.syncs, "nothing was logged"
    assert worker.get([b"k1"]) == [b"old"]
    assert all(value == b"old" for _, value in scan.rest())
    assert write(worker, {b"k1": b"new"}) is Status.OK


@pytest.mark.fault("C1")
def test_an_isolation_ends_with_its_lease_and_writers_go_on(worker: WorkerDriver) -> None:
    scan = AtWorker(worker, ScanMode.FULL_ISOLATION)
    scan.page()
    worker.now_ns += ISOLATION_NS_MAX // 2
    scan.page()  # the time begins with the first page
    worker.now_ns += ISOLATION_NS_MAX // 2
    assert write(worker, {b"k1": b"new"}) is Status.OK
    assert "writers of the range waiting for 5 s" in scan.why_not()


def test_one_scan_at_a_time_isolates_a_range(worker: WorkerDriver) -> None:
    first, second = AtWorker(worker, ScanMode.FULL_ISOLATION), AtWorker(worker, ScanMode.FULL_ISOLATION)
    first.page()
    assert worker.status(second.ask()) is Status.BUSY
    worker.now_ns += ISOLATION_NS_MAX
    second.page()
    first.end_scan()
    assert worker.status(worker.put({b"k1": b"new"})) is Status.BUSY
    second.rest()
    assert write(worker, {b"k1": b"new"}) is Status.OK


def test_an_isolation_begins_when_the_writes_before_it_are_applied(worker: WorkerDriver) -> None:
    before = worker.put({b"k9": b"new"})
    scan = AtWorker(worker, ScanMode.FULL_ISOLATION)
    first = scan.ask()
    assert worker.status(first) is Status.BUSY
    assert worker.status(worker.put({b"k8": b"new"})) is Status.BUSY
    worker.settle()
    assert worker.status(before) is Status.OK
    worker.ask(Op.SCAN, scan.request(), sequence=first)
    entries = scan.take(first) + scan.rest()
    assert entries == [(b"k%d" % number, b"old") for number in range(9)] + [(b"k9", b"new")]


def test_a_retry_of_an_applied_write_is_answered_in_an_isolated_range(worker: WorkerDriver) -> None:
    sequence = worker.put({b"k1": b"new"})
    worker.settle()
    AtWorker(worker, ScanMode.FULL_ISOLATION).page()
    worker.put({b"k1": b"new"}, sequence=sequence, flags=Flag.RETRY)
    assert worker.status(sequence) is Status.OK


def test_live_pages_show_their_own_moments_and_outlive_the_worker(tmp_path: Path) -> None:
    worker = WorkerDriver(tmp_path, durability=Durability.ASYNC).serve()
    write(worker, {b"k%d" % number: b"old" for number in range(6)})
    scan = AtWorker(worker, ScanMode.LIVE)
    shown = scan.page()
    write(worker, {b"k0": b"new", b"k3": b"new"})
    shown += scan.page()
    scan.worker = WorkerDriver(tmp_path, epoch=2, create=False, now_ns=2 * SECOND_NS).serve()
    shown += scan.rest()
    assert shown == [(b"k%d" % number, b"new" if number == 3 else b"old") for number in range(6)]


def test_requests_that_make_no_scan_are_refused(worker: WorkerDriver) -> None:
    for mode in ("", "dirty"):
        assert worker.status(AtWorker(worker, mode).ask()) is Status.INVALID
    nobody = AtWorker(worker, ScanMode.SNAPSHOT)
    nobody.client = 0
    assert worker.status(nobody.ask()) is Status.INVALID
    assert worker.status(worker.ask(Op.END_SCAN, [b"\xc1"])) is Status.INVALID


def test_a_page_that_ends_at_the_border_of_the_range_ends_the_range(tmp_path: Path) -> None:
    worker = WorkerDriver(tmp_path, boundaries=[b"b\0"]).serve()
    write(worker, {b"a": b"", b"b": b""})
    page, resume, cursor = worker.scan_page(ScanRequest(limit=9, mode=ScanMode.SNAPSHOT.value))
    assert ([key for key, _ in page], resume, cursor) == ([b"a", b"b"], b"", b"")
    write(worker, {b"a%d" % number: b"" for number in range(5)})
    worker.delete([b"a%d" % number for number in range(5)])
    worker.settle()
    scan = AtWorker(worker, ScanMode.SNAPSHOT)
    assert [key for key, _ in scan.rest()] == [b"a", b"b"]


def test_keys_only_pages_have_no_values_on_the_wire(worker: WorkerDriver) -> None:
    for _ in range(2):
        sequence = worker.ask(Op.SCAN, [encode(ScanRequest(keys_only=True))])
        header, frames = worker.answer(sequence)
        assert (header.entries, frames[1], frames[2]) == (2, b"k0k1", b"")
        worker.ask(Op.COMPACT)  # the same from blocks
        worker.settle()


@pytest.mark.parametrize("mode", HELD)
@pytest.mark.parametrize("start", [b"", b"k40"], ids=["in the middle", "as the first"])
def test_an_empty_page_among_deleted_keys_ends_nothing(
    worker: WorkerDriver, mode: str, start: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More entries follow, so what is held for the scan stays held."""
    monkeypatch.setattr(scan_page, "STRETCH_ENTRIES_MAX", 32)
    monkeypatch.setattr(deleted_keys, "PASSED_ENTRIES_MIN", 32)
    monkeypatch.setattr(deleted_keys, "PASSED_ENTRIES_MAX", 32)
    deleted = [b"k4%04d" % number for number in range(100)]
    worker.put(dict.fromkeys(deleted, b""))
    worker.delete(deleted)
    worker.settle()
    scan = AtWorker(worker, mode)
    scan.start = start
    while scan.page():
        assert not scan.done
    assert open_scans_of(worker) == 1
    assert write(worker, {b"k9": b"new"}) == (Status.OK if mode == ScanMode.SNAPSHOT else Status.BUSY)
    assert scan.rest() == [(b"k%d" % number, b"old") for number in range(5, 10)]
    assert open_scans_of(worker) == 0
