"""A scan after an exception, whoever raised it: it continues or raises again, and skips nothing."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest

from shardstore.client.aio.connect import connect_async
from shardstore.client.blocking import scan as scan_iterator
from shardstore.client.blocking.client import Client
from shardstore.client.blocking.connect import connect
from shardstore.client.calls import scan as calls_scan
from shardstore.client.session.effects import Await
from shardstore.errors import Closed, InvalidRequest, ScanInvalidated, Unavailable
from shardstore.limits import BOUND_BYTES_MAX, KEY_BYTES_MAX, MILLISECOND_NS
from shardstore.options import ScanMode
from shardstore.wire.messages import Refusal
from shardstore.wire.wire_format import Status
from tests.unit.client.session_driver import SessionDriver, new_scan
from tests.unit.fake_cluster import FakeCluster, Lose, Refuse
from tests.unit.fake_server import FakeServer, in_thread

PAIRS = [(bytes([first, second]), b"%d" % first) for first in range(0, 256, 8) for second in (1, 2)]
ENDED = Refuse(Status.SCAN_INVALIDATED, 0, Refusal("so it was scripted"))
DAMAGED = Refuse(Status.FAILED, 0, Refusal("no sum", file="table", offset=7))
LONGEST = b"k" * KEY_BYTES_MAX


@pytest.fixture
def cluster() -> FakeCluster:
    cluster = FakeCluster()
    cluster.page_entries = 3
    cluster.data = dict(PAIRS)
    return cluster


@pytest.mark.parametrize("mode", ScanMode)
@pytest.mark.parametrize("loop", [False, True], ids=["next", "iter"])
def test_a_page_that_did_not_come_is_asked_for_again(client: Client, server: FakeServer, mode: str, loop: bool) -> None:
    """Also by the iterator that a `for` loop uses."""
    server.cluster.script.extend([None, DAMAGED, DAMAGED])
    scan = client.scan(mode=mode)
    entries = iter(scan) if loop else scan
    found: list[Any] = []
    for _ in range(2):
        with pytest.raises(Exception, match="no sum"):
            found.extend(entries)
    assert found + list(entries) == PAIRS
    assert list(entries) == list(scan) == []


def test_a_timeout_loses_nothing(client: Client, server: FakeServer) -> None:
    scan = client.scan(timeout=0.1)
    found = [next(scan)]
    server.pause()
    for _ in range(2):
        with pytest.raises(Unavailable):
            found.extend(scan)
    server.resume()
    assert found + list(scan) == PAIRS


def test_an_invalidated_scan_stays_so_until_it_is_moved(client: Client, server: FakeServer) -> None:
    server.cluster.script.extend([None, ENDED])
    scan = client.scan()
    found: list[Any] = []
    with pytest.raises(ScanInvalidated):
        found.extend(scan)
    for _ in range(2):
        with pytest.raises(ScanInvalidated, match="so it was scripted") as caught:
            next(scan)
        assert caught.value.last_key == found[-1][0]
    assert found + list(client.scan(resume=caught.value.token)) == PAIRS
    scan.seek(PAIRS[9][0])
    assert list(scan) == PAIRS[9:]


def test_a_scan_of_a_closed_client_does_not_seem_complete(server: FakeServer) -> None:
    client = connect(server.url)
    scan = client.scan()
    next(scan)
    client.close()
    for _ in range(3):
        with pytest.raises(Closed):
            list(scan)


def test_a_seek_that_is_refused_changes_nothing(client: Client, server: FakeServer) -> None:
    scan = client.scan()
    found = [next(scan)]
    token = scan.resume_token
    for wrong in (b"", "text", None, 7, b"k" * (BOUND_BYTES_MAX + 1)):
        with pytest.raises(InvalidRequest):
            scan.seek(wrong)  # type: ignore[arg-type]
    assert scan.resume_token == token
    assert found + list(scan) == PAIRS
    assert server.cluster.scans_ended == [], "its moment was kept"


@pytest.mark.parametrize("reverse", [False, True])
def test_a_resumed_scan_has_the_bounds_of_the_first(client: Client, reverse: bool) -> None:
    within = PAIRS[4:20]
    scan = client.scan(within[0][0], PAIRS[20][0], reverse=reverse)
    for _ in range(5):
        next(scan)
    resumed = client.scan(resume=scan.resume_token)
    resumed.seek(b"\xff" if reverse else b"\0")
    assert list(resumed) == within[:: -1 if reverse else 1]
    again = client.scan(resume=client.scan(resume=resumed.resume_token).resume_token)
    again.seek(within[7][0])
    assert list(again) == (within[7::-1] if reverse else within[7:])


def test_an_empty_end_is_before_every_key(client: Client) -> None:
    assert list(client.scan(end=b"")) == list(client.scan(b"\x08", b"")) == []
    assert list(client.scan(start=b"", end=None)) == PAIRS
    empty = client.scan(end=b"")
    empty.seek(b"\x08")
    assert list(empty) == list(client.scan(resume=empty.resume_token)) == []
    with pytest.raises(InvalidRequest, match="no key lies between"):
        client.flush(end=b"")


@pytest.mark.parametrize("mode", ScanMode)
def test_one_may_stand_right_behind_the_longest_key(client: Client, server: FakeServer, mode: str) -> None:
    server.cluster.data = dict.fromkeys([b"a", LONGEST, b"z"], b"")
    server.cluster.page_entries = 1
    behind = LONGEST + b"\0"
    assert len(behind) == BOUND_BYTES_MAX
    assert list(client.scan(mode=mode, keys_only=True)) == [b"a", LONGEST, b"z"]
    assert list(client.scan(behind, mode=mode, keys_only=True)) == [b"z"]
    assert list(client.scan(end=behind, mode=mode, keys_only=True)) == [b"a", LONGEST]
    for reverse, found in ((False, [b"z"]), (True, [LONGEST, b"a"])):
        scan = client.scan(mode=mode, keys_only=True, reverse=reverse)
        scan.seek(behind)
        assert list(scan) == list(client.scan(resume=_sought(client, behind, reverse))) == found
    token = client.scan(behind, behind, mode=mode).resume_token
    assert list(client.scan(resume=token)) == []
    for wrong in ({"start": behind + b"\0"}, {"end": behind + b"\0"}, {"prefix": behind + b"\0"}):
        with pytest.raises(InvalidRequest, match=f"{next(iter(wrong))} has 0 to 4,097 bytes, not 4,098"):
            client.scan(**wrong)


def _sought(client: Client, key: bytes, reverse: bool) -> bytes:
    scan = client.scan(keys_only=True, reverse=reverse)
    scan.seek(key)
    return scan.resume_token


def test_asyncio_scans_do_the_same(server: FakeServer) -> None:
    async def main() -> None:
        client = await connect_async(server.url)
        for made in (lambda: client.scan(timeout=5), lambda: aiter(client.scan(timeout=5))):
            scan = made()
            found = [await anext(scan) for _ in range(3)]
            server.pause()
            for _ in range(3):
                with pytest.raises(TimeoutError):
                    await _read_within(scan, found, 0.05)
            server.resume()
            assert found + [entry async for entry in scan] == PAIRS
        server.cluster.script.extend([None, DAMAGED, ENDED])
        scan = client.scan()
        found = [await anext(scan) for _ in range(3)]
        with pytest.raises(Exception, match="no sum"):
            await anext(scan)
        for _ in range(2):
            with pytest.raises(ScanInvalidated, match="so it was scripted"):
                await anext(scan)
        with pytest.raises(InvalidRequest):
            scan.seek(b"")
        with pytest.raises(ScanInvalidated):
            await anext(scan)
        scan.seek(PAIRS[3][0])
        assert found + [entry async for entry in scan] == PAIRS
        scan = client.scan()
        await anext(scan)
        await client.close()
        for _ in range(2):
            with pytest.raises(Closed):
                [entry async for entry in scan]

    asyncio.run(main())


def test_the_time_of_a_page_ahead_runs_from_when_it_is_wanted() -> None:
    driver = SessionDriver(FakeCluster())
    driver.cluster.page_entries = 1
    driver.cluster.data = {b"a": b"1", b"b": b"2"}
    scan = new_scan(timeout=1)
    scan.take(driver.call(scan.next_call()))  # type: ignore[arg-type]
    ahead = scan.next_call()
    assert ahead is not None
    ahead.held = True
    driver.silent.update(driver.links)
    driver.submit(ahead)
    driver.advance(60_000)
    assert ahead not in driver.ended, "nobody has waited"
    driver.handle(Await(ahead))
    driver.advance(900)
    assert ahead not in driver.ended
    driver.advance(200)
    assert isinstance(driver.ended[ahead], Unavailable)
    wanted = scan.next_call()
    assert wanted is not None
    wanted.held = True
    driver.handle(Await(wanted))
    driver.handle([wanted])
    assert wanted.deadline_ns == driver.now_ns + 1_000 * MILLISECOND_NS, "it was wanted before it was sent"


def test_a_late_answer_to_a_page_that_is_asked_for_again(client: Client, server: FakeServer) -> None:
    server.cluster.script.extend([None, Lose.REPLY])
    scan = client.scan(timeout=0.2)
    found = [next(scan)]
    with pytest.raises(Unavailable):
        found.extend(scan)
    assert found + list(scan) == PAIRS


async def _read_within(scan: Any, found: list[Any], seconds: float) -> None:
    while True:
        found.append(await asyncio.wait_for(anext(scan), seconds))


class Struck(BaseException):
    """Raised like a KeyboardInterrupt."""


@pytest.mark.parametrize("server", ["local"], indirect=True)  # it follows the lines of the scan, not of a link
def test_an_interrupt_anywhere_between_two_pages_loses_nothing(client: Client) -> None:
    """It is raised at each line of the code that turns a page, one line per run."""
    struck_in = {scan_iterator.__file__, calls_scan.__file__}
    for line in range(70):
        scan = client.scan(end=PAIRS[12][0])
        entries = iter(scan)
        found = [next(entries), next(entries)]
        with _striking_at(line, struck_in):
            found.extend(entries)
        assert found + list(entries) == PAIRS[:12], f"struck at line {line}"


@contextmanager
def _striking_at(line: int, files: set[str]) -> Iterator[None]:
    """Raise at this line of the lines that run in the files."""
    left = line

    def strike(frame: FrameType, event: str, _: object) -> Any:
        nonlocal left
        if frame.f_code.co_filename not in files:
            return None
        if event in ("call", "line"):
            left -= 1
            if left == -1:
                raise Struck
        return strike

    before = sys.gettrace()
    sys.settrace(strike)
    try:
        yield
    except Struck as struck:
        struck.__traceback__ = None  # its frames hold a scan, whose end must not be struck later
    finally:
        sys.settrace(before)


def test_a_scan_is_left_when_the_last_of_its_iterators_goes(client: Client, server: FakeServer) -> None:
    entries = iter(client.scan())
    next(entries)
    client.get(b"\0")
    assert server.cluster.scans_ended == []
    del entries
    client.get(b"\0")
    client.get(b"\xff")
    assert server.cluster.scans_ended == [b"cursor of 1"]


@pytest.mark.interpreted
def test_a_scan_that_the_end_of_the_program_lets_go_asks_nothing_of_the_client(
    client: Client, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = iter(client.scan())
    next(entries)
    client.get(b"\0")
    monkeypatch.setattr(scan_iterator, "is_finalizing", lambda: True)
    told: list[Any] = []
    monkeypatch.setattr(client._pump, "tell", told.append)
    del entries
    assert told == []


def test_a_token_that_no_scan_can_have_is_refused(client: Client) -> None:
    for start, end, first, last in (
        (b"b", b"a", b"", b""),
        (b"a", b"", b"", b"b"),
        (b"a", b"c", b"", b"b"),
        (b"a", b"b", b"b", b""),
        (b"c", b"", b"", b"b"),
        (b"k" * (BOUND_BYTES_MAX + 1), b"", b"", b""),
    ):
        point = calls_scan.ResumePoint(start, end, False, False, 9, "live", first, last)
        with pytest.raises(InvalidRequest, match="the token is damaged"):
            client.scan(resume=calls_scan.to_token(point))


def test_a_scan_refuses_a_second_thread_while_one_waits_for_a_page(client: Client, server: FakeServer) -> None:
    scan = client.scan()
    found = [next(scan)]
    server.pause()
    reading, ended = in_thread(found.extend, scan)
    while scan._reader._turned_by != reading.ident:
        time.sleep(0)
    for entries in (scan, iter(scan)):
        with pytest.raises(InvalidRequest, match="one at a time"):
            next(entries)
    server.resume()
    reading.join()
    assert (found, ended) == (PAIRS, [None])


def test_a_scan_refuses_a_second_task_while_one_waits_for_a_page(server: FakeServer) -> None:
    async def program() -> None:
        async with connect_async(server.url) as client:
            scan = client.scan()
            reading = asyncio.create_task(anext(scan))
            await asyncio.sleep(0)
            with pytest.raises(InvalidRequest, match="one at a time"):
                await anext(scan)
            reading.cancel()
            await asyncio.wait([reading])
            assert [entry async for entry in scan] == PAIRS

    asyncio.run(program())
