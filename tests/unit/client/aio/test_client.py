"""The asyncio client over real sockets: its methods, concurrent calls, cancellation and close."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from shardstore.client.aio.client import AsyncClient
from shardstore.client.aio.connect import connect_async
from shardstore.errors import Busy, Closed, Corruption, InvalidRequest, OutcomeUnknown, Unavailable
from shardstore.outcome import Ending, Outcome
from shardstore.wire.messages import Refusal
from shardstore.wire.wire_format import Op, Status
from tests.unit.fake_cluster import Lose, Refuse
from tests.unit.fake_server import FakeServer, NoNewSocket


def use(server: FakeServer, program: Callable[[AsyncClient], Awaitable[Any]], **options: Any) -> Any:
    """Run a program with a client in a new event loop."""

    async def run() -> Any:
        async with await connect_async(server.url, **options) as client, asyncio.timeout(30):
            return await program(client)

    return asyncio.run(run())


async def taken(server: FakeServer) -> None:
    """Wait until the server has taken one more message."""
    assert await asyncio.to_thread(server.received.acquire, timeout=10)


def forget_requests(server: FakeServer) -> None:
    while server.received.acquire(blocking=False):
        pass


@pytest.mark.parametrize("direct", [True, False])
def test_every_method(server: FakeServer, direct: bool) -> None:
    pairs = {bytes([at, at]): str(at).encode() for at in range(250)}

    async def program(client: AsyncClient) -> None:
        assert await client.get(b"k") is None
        assert await client.get(b"k", 7) == 7
        await client.put(b"k", b"")
        assert await client.get(b"k", b"default") == b""
        assert await client.contains(b"k")
        await client.delete(b"k")
        assert not await client.contains(b"k")
        await client.put_many(pairs)
        await client.put_many(iter([(b"a", b"1"), (b"a", b"2")]))
        assert await client.get_many([*pairs, b"a", b"absent"]) == [*pairs.values(), b"2", None]
        await client.delete_many([b"a", b"b"])
        assert [pair async for pair in client.scan()] == sorted(pairs.items())
        assert [key async for key in client.scan(b"\x10", b"\x20", reverse=True, keys_only=True)] == sorted(pairs)[
            31:15:-1
        ]
        assert [pair async for pair in client.scan(limit=3)] == sorted(pairs.items())[:3]
        await client.flush()
        await client.compact()
        assert (await client.stats())["router"]["role"] == "router"
        assert await client.get_many([]) == []

    use(server, program, direct=direct)


def test_large_batches(server: FakeServer) -> None:
    pairs = {at.to_bytes(3, "big") * 3: at.to_bytes(4, "big") for at in range(0, 1 << 24, 83)}

    async def program(client: AsyncClient) -> None:
        await client.put_many(pairs.items())
        assert await client.get_many(pairs) == list(pairs.values())
        scanned = [key async for key in client.scan(keys_only=True)]
        assert scanned == sorted(pairs)

    use(server, program)


def test_calls_of_one_turn_are_gathered(server: FakeServer) -> None:
    async def program(client: AsyncClient) -> None:
        await asyncio.gather(*(client.put(bytes([at]), b"v") for at in range(64)))
        assert [header.entries for header in server.cluster.requests] == [64]
        values = await asyncio.gather(*(client.get(bytes([at])) for at in range(65)))
        assert values == [b"v"] * 64 + [None]
        assert sorted(header.entries for header in server.cluster.requests[1:]) == [1, 64]

    use(server, program)


def test_many_tasks(server: FakeServer) -> None:
    async def task(client: AsyncClient, number: int) -> None:
        for at in range(50):
            key = bytes([number, at])
            await client.put(key, key)
            assert await client.get(key) == key

    async def program(client: AsyncClient) -> None:
        await asyncio.gather(*(task(client, number) for number in range(64)))

    use(server, program)
    assert len(server.cluster.data) == 3_200


def test_errors_reach_the_caller(server: FakeServer) -> None:
    async def program(client: AsyncClient) -> None:
        with pytest.raises(InvalidRequest, match="encode it"):
            await client.put("k", b"v")  # type: ignore[arg-type]
        with pytest.raises(InvalidRequest):
            client.scan(limit=-1)
        server.cluster.script.append(Refuse(Status.FAILED, 0, Refusal("checksum", file="table", offset=1)))
        with pytest.raises(Corruption, match="table at byte 1"):
            await client.get(b"k")
        server.cluster.script.extend([None] * 2 + [Refuse(Status.BUSY, 10)] * 1_000)
        with pytest.raises(OutcomeUnknown) as caught:
            await client.put_many(((at.to_bytes(3, "big"), b"v") for at in range(100_000)), timeout=1)
        cause = caught.value.__cause__
        while isinstance(cause, OutcomeUnknown):  # a call of which a part was applied before another part was refused
            cause = cause.__cause__
        assert isinstance(cause, Busy)
        server.cluster.script.clear()
        assert await client.get(b"\xff") is None

    use(server, program)


def test_conditional_operations_and_outcomes(server: FakeServer) -> None:
    async def program(client: AsyncClient) -> None:
        assert await client.put_if_absent(b"a", b"1")
        assert not await client.compare_and_set(b"a", None, b"2")
        assert await client.compare_and_set(b"a", b"1", None)
        assert sorted(await asyncio.gather(*(client.increment(b"n", 2) for _ in range(5)))) == [2, 4, 6, 8, 10]
        server.cluster.script.extend([Lose.REQUEST] * 1_000)
        with pytest.raises(OutcomeUnknown) as caught:
            await client.increment(b"n", timeout=0.1)
        server.cluster.script.clear()
        assert await client.outcome(caught.value.token) == Outcome(Ending.NOT_APPLIED, ((b"n", Ending.NOT_APPLIED),))
        assert await client.get(b"n") == b"10"

    use(server, program)


def test_timeouts_and_lost_replies(server: FakeServer) -> None:
    async def program(client: AsyncClient) -> None:
        server.cluster.script.append(Lose.REPLY)
        await client.put(b"k", b"v")
        server.pause()
        with pytest.raises(Unavailable):
            await client.get(b"k", timeout=0.05)
        with pytest.raises(OutcomeUnknown):
            await client.put(b"k", b"w", timeout=0.05)
        server.resume()
        assert await client.get(b"k") in (b"v", b"w")

    use(server, program)
    assert len([keys for op, keys, _ in server.cluster.log if op == Op.PUT]) == 2


@pytest.mark.fault("B5")
def test_cancellation_gives_credits_back(server: FakeServer) -> None:
    async def program(client: AsyncClient) -> None:
        server.pause()
        tasks = [asyncio.ensure_future(client.get_many([bytes([at])])) for at in range(100)]
        forget_requests(server)
        await taken(server)
        for task in tasks:
            task.cancel()
        assert all(
            isinstance(end, asyncio.CancelledError) for end in await asyncio.gather(*tasks, return_exceptions=True)
        )
        server.resume()
        assert await client.get_many([b"a", b"\xff"]) == [None, None]
        channels = client._pump._driver._session._lane_map.channels.values()
        while any(channel.in_flight for channel in channels):
            await asyncio.sleep(0)
        assert client._pump._futures == {}

    use(server, program)


def test_a_scan_may_be_left_in_the_middle(server: FakeServer) -> None:
    async def program(client: AsyncClient) -> None:
        await client.put_many({at.to_bytes(2, "big"): b"v" for at in range(5_000)})
        async for key, value in client.scan():
            assert (key, value) == (b"\0\0", b"v")
            break
        assert await client.get(b"\0\0") == b"v"

    use(server, program)


def test_close_wakes_who_waits(server: FakeServer) -> None:
    async def program(client: AsyncClient) -> None:
        server.pause()
        waiting = [asyncio.ensure_future(client.get(b"a")), asyncio.ensure_future(client.put_many({b"a": b"b"}))]
        forget_requests(server)
        await taken(server)
        await client.close()
        ends = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(end) for end in ends] == [Closed, Closed]
        with pytest.raises(Closed, match="was closed"):
            await client.get(b"a")

    use(server, program)


@pytest.mark.interpreted
def test_an_error_in_the_middle_of_an_event_starts_over(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[Any] = []

    def torn(*arguments: Any) -> Any:
        raise RuntimeError("torn")

    async def program(client: AsyncClient) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context["exception"]))
        server.pause()
        read, write = asyncio.ensure_future(client.get(b"a")), asyncio.ensure_future(client.put(b"b", b"1"))
        forget_requests(server)
        await taken(server)
        await taken(server)
        driver = client._pump._driver
        session = driver._session
        monkeypatch.setattr(session, "handle", torn)
        server.resume()
        ends = await asyncio.wait_for(asyncio.gather(read, write, return_exceptions=True), 10)
        assert [type(end) for end in ends] == [Unavailable, OutcomeUnknown]
        assert await client.get(b"b") == b"1"
        assert driver._session is not session
        assert client._pump._futures == {}

    use(server, program)
    assert [str(error) for error in reported] == ["torn"]


@pytest.mark.parametrize("server", ["local"], indirect=True)
def test_without_descriptors_the_client_says_so_and_starts_over_when_there_are_some(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def program(client: AsyncClient) -> None:
        await client.put(b"a", b"1")
        monkeypatch.setattr(socket, "socket", NoNewSocket)
        client._pump._driver.torn = True
        for _ in range(2):
            with pytest.raises(Unavailable, match="cannot open a socket"):
                await client.get(b"a", timeout=0.05)
        monkeypatch.undo()
        assert await client.get(b"a") == b"1"

    use(server, program)


@pytest.mark.fault("C9")
def test_another_event_loop_is_refused(server: FakeServer) -> None:
    kept: list[AsyncClient] = []

    async def first() -> None:
        kept.append(await connect_async(server.url))

    async def second() -> None:
        with pytest.raises(InvalidRequest, match="event loop in which it was made"):
            await kept[0].get(b"a")

    runner = asyncio.Runner()
    runner.run(first())
    asyncio.run(second())
    runner.run(kept[0].close())
    runner.close()


def test_no_router(tmp_path: Path) -> None:
    async def program() -> None:
        with pytest.raises(Unavailable, match=r"no answer within 0\.05 s: there is no socket"):
            await connect_async(f"unix://{tmp_path}/nobody", timeout=0.05)

    asyncio.run(program())


def test_a_client_may_be_entered_as_well_as_awaited(server: FakeServer) -> None:
    async def program() -> None:
        async with connect_async(server.url) as client:
            await client.put(b"a", b"1")
        with pytest.raises(Closed):
            await client.get(b"a")
        opening = asyncio.create_task(connect_async(server.url))
        async with await opening as client:
            assert await client.get(b"a") == b"1"
        with pytest.raises(InvalidRequest, match="fork is"):
            async with connect_async(server.url, fork="never"):
                pass
        first, second = await asyncio.gather(connect_async(server.url), connect_async(server.url))
        await first.close()
        await second.close()
        assert repr(second) == f"<shardstore.AsyncClient of {server.url!r}, closed>"

    asyncio.run(program())
    client = asyncio.run(connect_async(server.url))
    asyncio.run(client.close())
