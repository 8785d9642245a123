"""Scans of a session whose ranges are split, merged or moved: where they read the next page, and what ends them."""

from __future__ import annotations

from typing import Any

import pytest

from shardstore.client.calls.calls import EndScan, ScanPage
from shardstore.client.calls.scan import Scan
from shardstore.errors import ScanInvalidated
from shardstore.options import ScanMode
from shardstore.wire.wire_format import Op
from tests.unit.client.session.session_changes import late, merge, split
from tests.unit.client.session_driver import TIMEOUT_NS, SessionDriver, get, new_scan
from tests.unit.fake_cluster import Lose


@pytest.fixture
def full(driver: SessionDriver) -> SessionDriver:
    driver.cluster.page_entries = 3
    driver.cluster.data = {bytes([at]): b"v" for at in range(0, 256, 4)}
    return driver


def ask(driver: SessionDriver, scan: Scan) -> list[Any]:
    """Read the next page."""
    call = scan.next_call()
    assert call is not None
    answer = driver.call(call)
    if isinstance(call, EndScan):
        assert answer is None, answer
        scan.confirm()
        return []
    return list(scan.take(answer))


def rest(driver: SessionDriver, scan: Scan) -> list[Any]:
    found = []
    while scan.next_call() is not None:
        found += ask(driver, scan)
    return found


def scanned(driver: SessionDriver) -> list[int]:
    return [header.segment for _, header in driver.sent if header.op == Op.SCAN]


@pytest.mark.fault("H8")
@pytest.mark.parametrize("mode", [ScanMode.SNAPSHOT, ScanMode.FULL_ISOLATION, ScanMode.FAIL_FAST])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("told", [False, True])
def test_a_scan_stays_with_the_former_owner_of_its_range(
    full: SessionDriver, mode: ScanMode, reverse: bool, told: bool
) -> None:
    scan = new_scan(start=b"\x40", end=b"\xc0", mode=mode, reverse=reverse, keys_only=True)
    if reverse:
        full.cluster.page_entries = 16
        found = ask(full, scan)
        full.cluster.page_entries = 3
    else:
        found = []
    found += ask(full, scan) or ask(full, scan)
    full.cluster.split(2, b"\x60", [0, 1])
    full.cluster.merge(3, 0)
    full.cluster.fence()
    if told:
        full.receive(full.cluster.broadcast())
    found += rest(full, scan)
    keys = [bytes([at]) for at in range(0x40, 0xC0, 4)]
    assert found == (keys[::-1] if reverse else keys)
    ends = [header.segment for _, header in full.sent if header.op == Op.END_SCAN]
    assert ends == ([] if mode is not ScanMode.FAIL_FAST else [3, 2] if reverse else [2, 7])
    assert set(scanned(full)) == ({3, 2} if reverse else {2, 7} if told else {2, 3, 7})


def test_a_scan_whose_former_owner_has_nothing_for_it_any_more_says_so(full: SessionDriver) -> None:
    scan = new_scan(start=b"\x40", keys_only=True)
    found = ask(full, scan)
    split(full)
    full.cluster.forget_former()
    call = scan.next_call()
    assert call is not None
    error = full.call(call)
    assert isinstance(error, ScanInvalidated)
    assert error.cause == "the worker that answered for the range when the scan came there no longer owns it"
    told = scan.invalidated(error.cause)
    assert told.last_key == found[-1] == b"\x48"
    assert found + rest(full, new_scan_of(told.token)) == [bytes([at]) for at in range(0x40, 256, 4)]


def new_scan_of(token: bytes) -> Scan:
    return new_scan(resume=token)


def test_fail_fast_does_not_end_well_when_nobody_can_confirm(full: SessionDriver) -> None:
    scan = new_scan(start=b"\x40", end=b"\x44", mode="fail_fast")
    ask(full, scan)
    split(full)
    full.cluster.forget_former()
    call = scan.next_call()
    assert isinstance(call, EndScan)
    assert isinstance(full.call(call), ScanInvalidated)


def test_first_and_live_pages_go_to_the_owners_of_their_keys(full: SessionDriver) -> None:
    scan = new_scan(start=b"\x40", mode="live", keys_only=True)
    found = ask(full, scan)
    call = scan.next_call()
    assert isinstance(call, ScanPage)
    full.submit(call)
    split(full)
    full.run()
    found += scan.take(full.ended[call])
    assert scanned(full) == [2, 2, 5]
    assert found + rest(full, scan) == [bytes([at]) for at in range(0x40, 256, 4)]


def test_a_page_of_the_former_wider_range_is_right(full: SessionDriver) -> None:
    scan = new_scan(start=b"\x40", mode="live", keys_only=True)
    full.cluster.page_entries = 100
    call = scan.next_call()
    assert isinstance(call, ScanPage)
    full.submit(call)
    answer = late(full)
    split(full)
    full.receive(answer, "worker:0")
    found = list(scan.take(full.ended[call]))
    assert len(found) == 16
    assert found + rest(full, scan) == [bytes([at]) for at in range(0x40, 256, 4)]
    assert scanned(full) == [2, 3, 4]


def test_a_scan_that_leaves_tells_the_former_owner(full: SessionDriver) -> None:
    scan = new_scan(start=b"\x40")
    ask(full, scan)
    split(full)
    leaving = scan.leave()
    assert leaving is not None
    assert full.call(leaving) is None
    assert full.cluster.scans_ended == [b"cursor of 2"]


def test_a_scan_that_leaves_before_it_took_the_page_ahead_tells_its_owner(full: SessionDriver) -> None:
    scan = new_scan(start=b"\x7c")
    ask(full, scan)
    ahead = scan.next_call()
    assert ahead is not None
    page = full.call(ahead)
    merge(full, 3)
    leaving = scan.leave(page)
    assert leaving is not None
    assert full.call(leaving) is None
    assert full.cluster.scans_ended == [b"cursor of 3"]


def test_a_page_nobody_waits_for_is_ended_at_its_former_owner(full: SessionDriver) -> None:
    call = ScanPage(TIMEOUT_NS, b"\x40", b"", False, False, 0, ScanMode.SNAPSHOT)
    full.submit(call)
    answer = late(full)
    split(full)
    full.abandon(call)
    full.receive(answer, "worker:0")
    full.run()
    assert full.cluster.scans_ended == [b"cursor of 2"]


def test_a_scan_of_a_worker_that_was_started_again_ends_at_once(full: SessionDriver) -> None:
    scan = new_scan(start=b"\x40")
    ask(full, scan)
    call = scan.next_call()
    assert call is not None
    full.cluster.script.append(Lose.REQUEST)
    full.call(call)
    full.cluster.new_epochs(0)
    full.receive(full.cluster.broadcast())
    full.run()
    assert isinstance(full.ended[call], ScanInvalidated)


def test_pages_of_a_scan_wait_for_credits_across_a_change(full: SessionDriver) -> None:
    full.cluster.credits = 1
    scan = new_scan(start=b"\x40", keys_only=True)
    found = ask(full, scan)
    full.submit(get(b"\x40"))
    call = scan.next_call()
    assert call is not None
    full.submit(call)
    assert scanned(full) == [2], "there is no credit for it"
    split(full)
    full.run()
    found += scan.take(full.ended[call])
    assert found + rest(full, scan) == [bytes([at]) for at in range(0x40, 256, 4)]
