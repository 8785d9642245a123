"""Pages that a worker reads ahead: they equal those read later, are few, and are released with their scans."""

from __future__ import annotations

from pathlib import Path

import pytest

from shardstore.errors import Corruption
from shardstore.limits import MIB, SCAN_PAGE_BYTES
from shardstore.options import ScanMode
from shardstore.seams.effects import Received, Send, Tick
from shardstore.tables.scan_page import EncodedPage
from shardstore.wire.columns import Column
from shardstore.wire.messages import ScanRequest
from shardstore.wire.wire_format import Header, Op, decode_header
from shardstore.workers.serving.pages_ahead import PAGES_MAX, PagesAhead
from tests.unit.worker_driver import CLIENT, WorkerDriver
from tests.unit.workers.serving.scan_driver import AtWorker, open_scans_of, ten_keys, write

pytestmark = pytest.mark.usefixtures("small_pages")
PAGE = EncodedPage(Column(b"k1k2", True), Column(b"", False), 2, b"k2\0")
MUCH_MEMORY = 1_000 * MIB


@pytest.fixture
def worker(tmp_path: Path) -> WorkerDriver:
    return ten_keys(tmp_path)


def request(cursor: bytes = b"cursor", **fields: object) -> ScanRequest:
    return ScanRequest(mode=ScanMode.SNAPSHOT.value, cursor=cursor, **fields)  # type: ignore[arg-type]


def ahead_bytes(worker: WorkerDriver) -> int:
    return worker.core.service.scans.open.ahead.size_bytes


@pytest.mark.parametrize("limit", [0, 7])
@pytest.mark.parametrize("reverse", [False, True])
def test_the_page_read_is_the_one_that_is_asked_for_next(reverse: bool, limit: int) -> None:
    ahead = PagesAhead(MUCH_MEMORY)
    ahead.want(request(start=b"k0", end=b"k3", reverse=reverse, limit=limit), PAGE)
    assert ahead.wanted
    read: list[ScanRequest] = []
    ahead.read_next(lambda wanted: read.append(wanted) or PAGE)
    start, end = (b"k0", b"k2\0") if reverse else (b"k2\0", b"k3")
    following = request(start=start, end=end, reverse=reverse, limit=limit and 5)
    assert (read, ahead.wanted) == ([following], {})
    assert ahead.size_bytes == 4
    assert ahead.take(following) is PAGE
    assert (ahead.size_bytes, ahead.take(following)) == (0, None)


def test_any_other_request_of_the_scan_makes_it_forget() -> None:
    ahead = PagesAhead(MUCH_MEMORY)
    ahead.want(request(), PAGE)
    assert ahead.take(request(start=b"k7")) is None
    assert not ahead.wanted
    ahead.want(request(), PAGE)
    ahead.read_next(lambda _: PAGE)
    assert ahead.take(request(start=b"k7")) is None
    assert ahead.size_bytes == 0


def test_so_many_pages_as_memory_allows_are_kept_the_newest() -> None:
    for view_bytes, pages in ((0, 1), (8 * MIB, 2), (MUCH_MEMORY, PAGES_MAX)):
        ahead = PagesAhead(view_bytes)
        for number in range(PAGES_MAX + 2):
            ahead.want(request(b"%d" % number), PAGE)
            ahead.read_next(lambda _: PAGE)
        assert ahead.size_bytes == pages * PAGE.payload_bytes
        newest = request(b"%d" % (PAGES_MAX + 1), start=PAGE.resume)
        assert ahead.take(newest) is PAGE


def test_a_page_of_one_huge_value_is_not_kept() -> None:
    ahead = PagesAhead(MUCH_MEMORY)
    ahead.want(request(), PAGE)
    ahead.read_next(lambda _: EncodedPage(Column(b"k", True), Column(bytes(SCAN_PAGE_BYTES), True), 1, b"l"))
    assert ahead.size_bytes == 0


def test_damage_is_met_by_the_client_that_asks() -> None:
    def read(_: ScanRequest) -> EncodedPage:
        raise Corruption("table", 0, "checksum does not match")

    ahead = PagesAhead(MUCH_MEMORY)
    ahead.want(request(), PAGE)
    ahead.read_next(read)
    assert ahead.take(request(start=PAGE.resume)) is None


@pytest.mark.parametrize("reverse", [False, True])
def test_from_its_second_page_on_a_snapshot_is_read_ahead(worker: WorkerDriver, reverse: bool) -> None:
    scan = AtWorker(worker, ScanMode.SNAPSHOT, reverse)
    shown = scan.page()
    assert ahead_bytes(worker) == 0, "the first page does not show that there will be a second"
    for _ in range(3):
        shown += scan.page()
        assert ahead_bytes(worker) == 2 * len(b"k0" + b"old")
        write(worker, {b"k%d" % number: b"new" for number in range(10)})
    shown += scan.rest()
    expected = [(b"k%d" % number, b"old") for number in range(10)]
    assert shown == (expected[::-1] if reverse else expected)
    assert (open_scans_of(worker), worker.core.service.scans.open.memory_bytes) == (0, 0)


@pytest.mark.parametrize("mode", [ScanMode.LIVE, ScanMode.FAIL_FAST, ScanMode.FULL_ISOLATION])
def test_only_views_are_read_ahead(worker: WorkerDriver, mode: ScanMode) -> None:
    scan = AtWorker(worker, mode)
    scan.page()
    scan.page()
    assert ahead_bytes(worker) == 0


def test_what_was_read_ahead_goes_with_its_scan(worker: WorkerDriver) -> None:
    scan = AtWorker(worker, ScanMode.SNAPSHOT)
    scan.page()
    scan.page()
    assert worker.core.service.scans.open.memory_bytes == ahead_bytes(worker) > 0
    scan.end_scan()
    assert worker.core.service.scans.open.memory_bytes == 0


def test_a_page_that_is_asked_for_goes_before_one_that_is_read_ahead(worker: WorkerDriver) -> None:
    core, now_ns = worker.core, worker.now_ns
    scan = AtWorker(worker, ScanMode.SNAPSHOT)
    scan.page()
    fields = {"segment": 1, "epoch": worker.epoch, "client": CLIENT, "duration_ms": 1000}
    for sequence in (101, 102):  # its second page, and the first of another scan
        body = scan.request() if sequence == 101 else AtWorker(worker, ScanMode.SNAPSHOT).request()
        asked = Received("clients", b"peer", [Header(Op.SCAN, **fields, sequence=sequence).encode(), *body])
        assert core.handle(asked, now_ns) + core.end_turn(now_ns) == []
    answered = []
    while core.wakeup_ns() == 0:
        effects = core.handle(Tick(), now_ns) + core.end_turn(now_ns)
        answered += [decode_header(effect.frames[0]).sequence for effect in effects if isinstance(effect, Send)] or [0]
    assert answered == [101, 102, 0]
    assert ahead_bytes(worker) > 0
