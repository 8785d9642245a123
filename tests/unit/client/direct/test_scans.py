"""What a client reads of a scan itself, and for what it asks a worker: a real worker shows its board and its files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from shardstore.client.calls.calls import Page, ScanPage
from shardstore.client.calls.scan import Scan
from shardstore.client.direct.ask import ASK, Ask
from shardstore.client.direct.direct_reads import FIRST_READS, DirectReads
from shardstore.client.direct.reader import Reader
from shardstore.errors import Corruption
from shardstore.files.file_names import segment_directory
from shardstore.identifiers import Epoch, SegmentId, WorkerId
from shardstore.limits import BLOCK_ENTRIES, MIB
from shardstore.options import Durability, ScanMode
from shardstore.tables import scan_page
from shardstore.tables.table_format import HEADER_BYTES
from shardstore.wire.route_map import Route, RouteMap
from shardstore.wire.wire_format import Op
from tests.unit.client.session_driver import new_scan
from tests.unit.set_wall import SetWall
from tests.unit.worker_driver import STORE, WorkerDriver

BORDER = b"k500"
ENTRIES = {b"k%03d" % number: b"%03d" % number for number in range(1_000)}
KEYS = list(ENTRIES)
HALF = len(KEYS) // 2
PAGE = 100


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan_page, "SCAN_PAGE_ENTRIES", PAGE)


@pytest.fixture
def worker(tmp_path: Path) -> WorkerDriver:
    """A worker with two ranges, whose entries are all in tables."""
    worker = WorkerDriver(tmp_path, Durability.ASYNC, boundaries=[BORDER]).serve()
    for segment, keys in ((1, KEYS[:HALF]), (2, KEYS[HALF:])):
        worker.put({key: ENTRIES[key] for key in keys}, segment=segment)
        worker.ask(Op.FLUSH, segment=segment)
    worker.settle()
    return worker


class ReadingClient:
    """The direct reads of a client of this worker. `opened` counts its readers."""

    def __init__(self, worker: WorkerDriver, tables_max: int = 10) -> None:
        self.opened = 0
        self.worker = worker
        self.tables_max = tables_max
        self.reads = DirectReads(self.open)
        starts = ((b"", 1), (BORDER, 2))
        routes = [Route(start, SegmentId(segment), WorkerId(0), Epoch(1), created=True) for start, segment in starts]
        self.reads.follow(STORE, RouteMap(1, tuple(routes)), [])

    def open(self, store: str) -> Reader:
        self.opened += 1
        return Reader(self.worker._files(), self.worker.boards, SetWall(), store, MIB, self.tables_max)

    def page(self, scan: Scan) -> Page | Ask:
        """The next page of a scan, which goes on to it."""
        call = scan.next_call()
        assert isinstance(call, ScanPage)
        page = self.reads.page(call) if call.view is None else call.view.page(call)
        if page is not ASK:
            list(scan.take(page))
        return page

    def keys(self, scan: Scan) -> list[bytes]:
        """All keys of a scan that asks no worker."""
        found: list[bytes] = []
        while scan.next_call() is not None:
            page = self.page(scan)
            assert page is not ASK
            found += page.keys[::-1] if scan._reverse else page.keys
        return found


@pytest.fixture
def client(worker: WorkerDriver) -> ReadingClient:
    return ReadingClient(worker)


@pytest.mark.parametrize("mode", [ScanMode.SNAPSHOT, ScanMode.LIVE])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_scan_goes_from_range_to_range_without_a_worker(client: ReadingClient, mode: ScanMode, reverse: bool) -> None:
    assert client.keys(new_scan(mode=mode, reverse=reverse)) == (KEYS[::-1] if reverse else KEYS)
    within = KEYS[450:550]
    bounds = {"start": within[0], "end": within[-1] + b"\0"}
    assert client.keys(new_scan(mode=mode, reverse=reverse, **bounds)) == (within[::-1] if reverse else within)
    up_to_border = client.keys(new_scan(mode=mode, reverse=reverse, end=BORDER))
    assert up_to_border == (KEYS[:HALF][::-1] if reverse else KEYS[:HALF])


def test_a_range_with_keys_in_memory_is_the_workers_until_they_are_drained(client: ReadingClient) -> None:
    client.worker.put({b"k700": b"new"}, segment=2)
    assert client.page(new_scan(start=BORDER)) is ASK
    assert client.page(new_scan(end=BORDER)) is not ASK, "the other range can be read"
    client.worker.ask(Op.FLUSH, segment=2)
    client.worker.settle()
    page = client.page(new_scan(start=b"k700", limit=1))
    assert page is not ASK
    assert page.values == [b"new"]


def test_a_snapshot_stays_as_it_was_and_a_live_scan_does_not(client: ReadingClient) -> None:
    snapshot, live = new_scan(), new_scan(mode="live")
    assert client.page(snapshot) is not ASK
    assert client.page(live) is not ASK
    client.worker.delete(KEYS[PAGE:HALF])
    assert client.page(live) is ASK
    client.worker.ask(Op.COMPACT)
    client.worker.settle()
    assert client.keys(live) == KEYS[HALF:]
    assert client.keys(snapshot) == KEYS[PAGE:]


@pytest.mark.parametrize("mode", [ScanMode.FAIL_FAST, ScanMode.FULL_ISOLATION])
def test_modes_that_need_the_worker_ask_it(client: ReadingClient, mode: ScanMode) -> None:
    assert client.page(new_scan(mode=mode)) is ASK
    assert client.opened == 0


def test_a_scan_that_a_worker_holds_open_is_not_read_from_files(client: ReadingClient) -> None:
    scan = new_scan()
    call = scan.next_call()
    assert isinstance(call, ScanPage)
    call.cursor = b"of the worker"
    assert client.reads.page(call) is ASK


def test_a_few_small_scans_are_not_worth_a_reader(client: ReadingClient) -> None:
    for _ in range(FIRST_READS):
        assert client.page(new_scan(limit=3)) is ASK
    assert client.opened == 0
    assert client.keys(new_scan(limit=3)) == KEYS[:3]
    assert (client.opened, client.reads.asked, client.reads.direct) == (1, FIRST_READS, 3)


def test_a_scan_that_is_done_with_its_first_page_keeps_no_table(client: ReadingClient) -> None:
    for bounds in ({"limit": 20}, {"start": KEYS[HALF - 3], "end": BORDER}):
        page = client.page(new_scan(**bounds))
        assert page is not ASK
        assert page.view is None


def test_the_tables_that_scans_keep_are_bounded(worker: WorkerDriver) -> None:
    client = ReadingClient(worker, tables_max=1)
    scans = [new_scan(), new_scan()]
    assert client.page(scans[0]) is not ASK
    assert client.page(scans[1]) is ASK
    scans[0].stop()
    assert client.keys(scans[1]) == KEYS


def tables_of(worker: WorkerDriver, segment: int) -> list[Path]:
    return sorted((worker.root / segment_directory(segment)).glob("*.sst"))


def remove(table: Path) -> None:
    table.unlink()


def damage(table: Path, block: int = 0) -> None:
    """Change the bytes of a block."""
    content = bytearray(table.read_bytes())
    content[HEADER_BYTES + 5 + block * 2_000] ^= 1
    table.write_bytes(content)


@pytest.mark.parametrize("harm", [remove, damage])
def test_a_worker_is_asked_about_a_file_that_cannot_be_read(
    client: ReadingClient, harm: Callable[[Path], None]
) -> None:
    [table] = tables_of(client.worker, 1)
    harm(table)
    assert client.page(new_scan()) is ASK
    assert client.keys(new_scan(start=BORDER)) == KEYS[HALF:]


def test_damage_found_in_the_middle_of_a_snapshot_is_an_error_at_that_page(client: ReadingClient) -> None:
    """The worker may show another moment, so the scan cannot go on with it."""
    damage(tables_of(client.worker, 1)[0], block=1)
    scan = new_scan()
    with pytest.raises(Corruption, match="block 1"):
        client.keys(scan)
    assert scan.last_key is not None
    assert PAGE <= KEYS.index(scan.last_key) + 1 <= BLOCK_ENTRIES
