"""Scan iterators: seek, resume tokens, close and abandonment, blocking and asyncio, over real sockets."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shardstore.client.aio.connect import connect_async
from shardstore.client.blocking.client import Client
from shardstore.client.blocking.connect import connect
from shardstore.errors import Closed, InvalidRequest, ScanInvalidated, Unavailable
from shardstore.options import ScanMode
from shardstore.wire.messages import Refusal
from shardstore.wire.wire_format import Op, Status
from tests.unit.fake_cluster import FakeCluster, Refuse
from tests.unit.fake_server import FakeServer

PAIRS = [(bytes([first, second]), b"%d" % first) for first in range(0, 256, 8) for second in (1, 2)]
KEYS = [key for key, _ in PAIRS]
ENDED = Refuse(Status.SCAN_INVALIDATED, 0, Refusal("so it was scripted"))


@pytest.fixture
def cluster() -> FakeCluster:
    cluster = FakeCluster()
    cluster.page_entries = 3
    cluster.data = dict(PAIRS)
    return cluster


def ended(client: Client, server: FakeServer) -> list[bytes]:
    """The cursors of ended scans, once the server has received everything sent."""
    client.get(b"\0")
    client.get(b"\xff")
    return server.cluster.scans_ended


@pytest.mark.parametrize("mode", ScanMode)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("taken", [0, 1, 3, 4, 17, 64])
def test_a_token_goes_on_right_behind_the_last_entry(client: Client, mode: str, reverse: bool, taken: int) -> None:
    whole = PAIRS[::-1] if reverse else PAIRS
    scan = client.scan(reverse=reverse, mode=mode)
    assert [next(scan) for _ in range(taken)] == whole[:taken]
    assert list(client.scan(resume=scan.resume_token)) == whole[taken:]
    limited = client.scan(reverse=reverse, mode=mode, limit=20, start=KEYS[2], keys_only=True)
    within = [key for key, _ in whole if key >= KEYS[2]]
    assert [next(limited) for _ in range(taken if taken < 20 else 20)] == within[: min(taken, 20)]
    limited.close()
    assert list(client.scan(resume=limited.resume_token)) == within[min(taken, 20) : 20]


def test_a_token_is_for_any_client_and_for_no_other_arguments(server: FakeServer, client: Client) -> None:
    scan = client.scan(KEYS[3], KEYS[9], limit=4, reverse=True)
    next(scan)
    with connect(server.url) as other:
        assert list(other.scan(resume=scan.resume_token)) == PAIRS[5:8][::-1]
    for more in ({"prefix": b"a"}, {"reverse": True}, {"mode": "live"}, {"limit": 0}, {"keys_only": True}):
        with pytest.raises(InvalidRequest, match="token"):
            client.scan(resume=scan.resume_token, **more)


@pytest.mark.parametrize("mode", ScanMode)
def test_seek_goes_anywhere_within_the_bounds(client: Client, mode: str) -> None:
    scan = client.scan(KEYS[2], KEYS[60], mode=mode, limit=40)
    assert next(scan) == PAIRS[2]
    scan.seek(KEYS[30])
    assert [next(scan) for _ in range(5)] == PAIRS[30:35]
    scan.seek(KEYS[4] + b"\0")
    assert next(scan) == PAIRS[5]
    scan.seek(b"\0")
    assert next(scan) == PAIRS[2]
    scan.seek(b"\xff\xff")
    assert list(scan) == []
    scan.seek(KEYS[59])
    assert list(scan) == PAIRS[59:60], "it goes on after its end, and stays within its bounds"
    scan.seek(KEYS[2])
    assert list(client.scan(resume=scan.resume_token)) == PAIRS[2:33], "9 of 40 entries were yielded"
    backward = client.scan(KEYS[2], KEYS[60], mode=mode, reverse=True)
    backward.seek(KEYS[7] + b"\0")
    assert list(backward) == PAIRS[2:8][::-1]
    backward.seek(KEYS[7])
    assert next(backward) == PAIRS[7]
    backward.seek(b"\xff\xff")
    assert next(backward) == PAIRS[59]
    with pytest.raises(InvalidRequest):
        backward.seek(b"")


def test_a_loop_may_seek(client: Client) -> None:
    """Seek to the next first byte, each time."""
    scan = client.scan(keys_only=True)
    found = []
    for key in scan:
        found.append(key)
        if key[0] < 248:
            scan.seek(bytes([key[0] + 8]))
    assert found == [key for key in KEYS if key[1] == 1] + [KEYS[-1]]


def test_workers_are_told_when_a_scan_leaves_early(client: Client, server: FakeServer) -> None:
    with client.scan() as scan:
        next(scan)
    assert ended(client, server) == [b"cursor of 1"]
    assert list(scan) == []
    for _ in client.scan(reverse=True):
        break
    assert ended(client, server)[1:] == [b"cursor of 4"]
    scan = client.scan(start=b"\x41")
    next(scan)
    scan.seek(b"\x81")
    assert ended(client, server)[2:] == [b"cursor of 2"]
    next(scan)
    del scan
    assert ended(client, server)[3:] == [b"cursor of 3"]


def test_complete_scans_and_live_ones_have_nothing_to_end(client: Client, server: FakeServer) -> None:
    assert list(client.scan()) == PAIRS
    assert list(client.scan(limit=4)) == PAIRS[:4]
    scan = client.scan(mode="live")
    next(scan)
    scan.close()
    assert ended(client, server) == []


def test_fail_fast_looks_once_more_at_each_range_behind_its_last_entry(client: Client, server: FakeServer) -> None:
    assert list(client.scan(mode="fail_fast")) == PAIRS
    assert server.cluster.scans_ended == [b"cursor of %d" % segment for segment in (1, 2, 3, 4)]
    server.cluster.scans_ended.clear()
    assert list(client.scan(mode="fail_fast", limit=3)) == PAIRS[:3]
    assert server.cluster.scans_ended == [b"cursor of 1"]
    asked = len(server.cluster.requests)
    scan = client.scan(mode="fail_fast")
    next(scan)
    assert [header.op for header in server.cluster.requests[asked:]] == [Op.SCAN], "and it reads no page ahead"


@pytest.mark.parametrize("mode", ["snapshot", "fail_fast", "full_isolation"])
def test_an_invalidated_scan_says_how_far_it_came(client: Client, server: FakeServer, mode: str) -> None:
    server.cluster.script.extend([None, None, ENDED])
    scan = client.scan(mode=mode)
    found: list[Any] = []
    with pytest.raises(ScanInvalidated, match="so it was scripted") as caught:
        found.extend(scan)
    assert found == PAIRS[:6]
    assert (caught.value.last_key, caught.value.token) == (KEYS[5], scan.resume_token)
    assert found + list(client.scan(resume=caught.value.token)) == PAIRS
    scan.seek(KEYS[60])
    assert list(scan) == PAIRS[60:]


def test_a_scan_that_ends_before_its_first_entry(client: Client, server: FakeServer) -> None:
    server.cluster.script.append(ENDED)
    with pytest.raises(ScanInvalidated, match="before its first entry") as caught:
        next(client.scan(start=KEYS[5]))
    assert caught.value.last_key is None
    assert list(client.scan(resume=caught.value.token)) == PAIRS[5:]


def test_an_error_in_the_middle_leaves_a_token_that_goes_on(client: Client, server: FakeServer) -> None:
    scan = client.scan(timeout=0.2)
    found = [next(scan) for _ in range(3)]
    server.cluster.down = {0, 1}
    with pytest.raises(Unavailable):
        found += list(scan)
    server.cluster.down = set()
    assert found[:3] == PAIRS[:3]
    assert list(client.scan(resume=scan.resume_token))[-1] == PAIRS[-1]


def test_a_closed_scan_stays_closed(client: Client) -> None:
    scan = client.scan()
    scan.close()
    scan.close()
    assert list(scan) == []
    with pytest.raises(Closed):
        scan.seek(b"a")


def test_scans_of_a_closed_client(server: FakeServer) -> None:
    client = connect(server.url)
    scan = client.scan()
    next(scan)
    client.close()
    del scan  # sends nothing, and raises nothing
    with pytest.raises(Closed):
        list(client.scan())


def test_asyncio_scans_do_the_same(server: FakeServer) -> None:
    async def main() -> None:
        client = await connect_async(server.url)
        scan = client.scan(mode="full_isolation")
        assert [await anext(scan) for _ in range(4)] == PAIRS[:4]
        assert [entry async for entry in client.scan(resume=scan.resume_token)] == PAIRS[4:]
        found: list[Any] = []
        async for entry in scan:
            found.append(entry)
            if entry == PAIRS[5]:
                scan.seek(KEYS[60])
        assert found == PAIRS[4:6] + PAIRS[60:]
        scan.seek(KEYS[62])
        assert [entry async for entry in scan] == PAIRS[62:]
        server.cluster.scans_ended.clear()
        async with client.scan() as scan:
            await anext(scan)
        await client.get(b"\0")
        assert server.cluster.scans_ended == [b"cursor of 1"]
        assert [entry async for entry in scan] == []
        with pytest.raises(Closed):
            scan.seek(b"a")
        assert [key async for key in client.scan(mode="fail_fast", keys_only=True, reverse=True)] == KEYS[::-1]
        server.cluster.script.extend([None, ENDED])
        with pytest.raises(ScanInvalidated) as caught:
            [entry async for entry in client.scan()]
        assert [entry async for entry in client.scan(resume=caught.value.token)] == PAIRS[3:]
        await client.close()

    asyncio.run(main())


@pytest.mark.parametrize("reverse", [False, True])
def test_a_token_taken_after_a_seek_beyond_the_bounds_stands_for_nothing_left(client: Client, reverse: bool) -> None:
    scan = client.scan(KEYS[2], KEYS[60], reverse=reverse)
    scan.seek(b"\0" if reverse else b"\xff\xff")
    assert list(client.scan(resume=scan.resume_token)) == []
    assert list(scan) == []
