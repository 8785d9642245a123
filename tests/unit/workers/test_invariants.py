"""What the classes of a worker promise is checked: the check finds each promise that is broken by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from shardstore.limits import RUNS_SET_ASIDE_MAX, SCAN_PAGE_BYTES
from shardstore.options import ScanMode
from shardstore.tables import scan_page
from shardstore.tables.scan_page import EncodedPage
from shardstore.wire.columns import Column
from shardstore.workers.overlay.active_layer import ActiveLayer
from shardstore.workers.overlay.immutable_run import ImmutableRun
from shardstore.workers.overlay.overlay import Overlay
from shardstore.workers.ranges.inheritance import Inheritance
from shardstore.workers.ranges.owned_range import OwnedRange
from shardstore.workers.ranges.role import FENCED
from shardstore.workers.serving.open_scans import OpenScan, OpenScans
from shardstore.workers.serving.pages_ahead import PagesAhead
from shardstore.workers.serving.write_path import WritePath
from shardstore.workers.wal.record_format import FILE_HEADER_BYTES
from shardstore.workers.wal.writer import WalFile, WalWriter
from tests.unit.worker_driver import WorkerDriver
from tests.unit.workers.serving.scan_driver import AtWorker, ten_keys

Break = Callable[[WorkerDriver], object]
HUGE_PAGE = EncodedPage(Column(b"k", True), Column(bytes(SCAN_PAGE_BYTES), True), 1, b"l")


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WorkerDriver:
    """A worker with two logged writes that wait for their sync, and a snapshot of which a page was read ahead."""
    monkeypatch.setattr(scan_page, "SCAN_PAGE_ENTRIES", 2)
    worker = ten_keys(tmp_path)
    scan = AtWorker(worker, ScanMode.SNAPSHOT)
    scan.page()
    scan.page()
    worker.put({b"k1": b"new"})
    worker.put({b"k2": b"new"})
    return worker


def owned(worker: WorkerDriver) -> OwnedRange:
    return worker.core._ranges[1]


def overlay(worker: WorkerDriver) -> Overlay:
    return owned(worker).overlay


def writes(worker: WorkerDriver) -> WritePath:
    return worker.core.service.writes


def wal(worker: WorkerDriver) -> WalWriter:
    return writes(worker).wal


def scans(worker: WorkerDriver) -> OpenScans:
    return worker.core.service.scans.open


def ahead(worker: WorkerDriver) -> PagesAhead:
    return scans(worker).ahead


def scan_of(worker: WorkerDriver) -> OpenScan:
    (scan,) = scans(worker)._scans.values()
    return scan


def run(lsn: int, due: bool) -> ImmutableRun:
    layer = ActiveLayer()
    layer.lsn_first = lsn
    return ImmutableRun(layer, lsn, due)


def put_below(worker: WorkerDriver, *runs: ImmutableRun) -> None:
    """Put runs below the active layer."""
    overlay(worker).active.lsn_first = 99
    overlay(worker).runs.extend(runs)


def add_scans(worker: WorkerDriver, *others: OpenScan) -> None:
    for scan in others:
        scans(worker)._scans[scan.cursor] = scans(worker)._by_request[scan.request] = scan


def isolate_twice(worker: WorkerDriver) -> None:
    scan = scan_of(worker)
    add_scans(worker, replace(scan, cursor=b"1", pinned=None), replace(scan, cursor=b"2", pinned=None))


def inherit(worker: WorkerDriver) -> None:
    owned(worker).segment, owned(worker).inheritance = None, Inheritance([], is_remote=True)


def fence(worker: WorkerDriver) -> None:
    owned(worker).role, owned(worker).fence_lsn = FENCED, 1


def read_a_huge_page(worker: WorkerDriver) -> None:
    cursor, page = ahead(worker)._read.popitem()
    ahead(worker)._read[cursor] = page._replace(page=HUGE_PAGE)


def read_again(worker: WorkerDriver) -> None:
    ahead(worker).wanted.update({cursor: page.request for cursor, page in ahead(worker)._read.items()})


def forget_logged(worker: WorkerDriver) -> None:
    writes(worker)._logged.clear()
    writes(worker).logged_bytes = 0


BREAKS: dict[str, Break] = {
    "segment 1 is found as 9": lambda worker: worker.core._ranges.update({9: worker.core._ranges.pop(1)}),
    # OwnedRange
    "there is not one thing below the overlay": lambda worker: setattr(owned(worker), "segment", None),
    "ordinary has an inheritance": inherit,
    "a range that is not fenced has the LSN of a fence": lambda worker: setattr(owned(worker), "fence_lsn", 5),
    "a write came after the fence": fence,
    # Overlay
    "runs overlap or are out of order": lambda worker: put_below(worker, run(2, True), run(1, True)),
    "active layer reaches below a run": lambda worker: put_below(worker, run(99, True)),
    "a run that is due lies above one that is not": lambda worker: put_below(worker, run(1, False), run(2, True)),
    "too many runs are set aside": lambda worker: put_below(
        worker, *(run(1 + number, False) for number in range(RUNS_SET_ASIDE_MAX + 1))
    ),
    "a pin without a holder is kept": lambda worker: setattr(overlay(worker)._pins[0], "holders", 0),
    # BufferLease
    "more is buffered than the lease allows": lambda worker: setattr(worker.core.service.lease, "bytes", 0),
    # WritePath
    "overlays are miscounted": lambda worker: writes(worker).note_drained(1),
    "logged bytes are miscounted": lambda worker: setattr(writes(worker), "logged_bytes", 0),
    "writes are out of order": lambda worker: writes(worker)._logged.reverse(),
    "the overlay holds LSN 99": lambda worker: setattr(overlay(worker).active, "lsn_first", 99),
    "a write was applied before its sync": forget_logged,
    # WalWriter
    "LSNs are out of order": lambda worker: setattr(wal(worker), "lsn_durable", 99),
    "closed files are miscounted": lambda worker: setattr(wal(worker), "_closed_bytes", 1),
    "files overlap": lambda worker: setattr(wal(worker), "_closed", [WalFile("a", 1, 3, 0), WalFile("b", 3, 4, 0)]),
    "a file that is not durable would not be synced": lambda worker: setattr(
        wal(worker), "_closed", [WalFile("a", 1, wal(worker).lsn_durable + 1, 0)]
    ),
    "the active file begins at a wrong record": lambda worker: setattr(wal(worker), "_lsn_first", 99),
    "the active file has a wrong name": lambda worker: setattr(wal(worker), "_lsn_first", wal(worker).lsn_appended),
    "the active file lacks its records": lambda worker: setattr(wal(worker), "_active_bytes", FILE_HEADER_BYTES),
    "the active file holds more or less than is counted": lambda worker: setattr(wal(worker), "_active_bytes", 10**6),
    # OpenScans
    "too many scans are open": lambda worker: setattr(scans(worker), "_scans_max", 0),
    "two scans isolate a range": isolate_twice,
    "a scan is not found by its request": lambda worker: scans(worker)._by_request.clear(),
    "two scans are of one request": lambda worker: add_scans(worker, replace(scan_of(worker), cursor=b"2")),
    "pins are miscounted": lambda worker: scans(worker)._pins.clear(),
    "pages are read ahead for a scan that has no view": lambda worker: ahead(worker).wanted.update({b"1": None}),
    # PagesAhead
    "too many pages were read ahead": lambda worker: setattr(ahead(worker), "_pages_max", 0),
    "a page is too large": read_a_huge_page,
    "a page that was read is to be read again": read_again,
}
"""What breaks a promise, by the words with which the check fails."""


def test_a_worker_that_serves_keeps_its_promises(worker: WorkerDriver) -> None:
    worker.core.check_invariants()
    worker.core.check_entries()


@pytest.mark.parametrize("what", BREAKS)
def test_what_is_broken_is_found(worker: WorkerDriver, what: str) -> None:
    BREAKS[what](worker)
    with pytest.raises(AssertionError, match=what):
        worker.core.check_invariants()


@pytest.mark.parametrize(
    ("field", "what"),
    [("lsn_first", "a layer with entries has no first LSN"), ("size_bytes", "entries take more memory")],
)
def test_what_is_broken_in_a_layer_is_found(worker: WorkerDriver, field: str, what: str) -> None:
    setattr(overlay(worker).active, field, 0)
    with pytest.raises(AssertionError, match=what):
        worker.core.check_entries()


def test_a_layer_that_only_a_scan_needs_is_checked_too(worker: WorkerDriver) -> None:
    worker.settle()
    (pinned,) = overlay(worker)._pins[0].held_alone()
    pinned.lsn_first = 0
    with pytest.raises(AssertionError, match="a layer with entries has no first LSN"):
        worker.core.check_entries()
