"""Writes whose caller is cancelled: they are not undone, and later reads follow them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from shardstore.client.aio.client import AsyncClient
from shardstore.client.aio.connect import connect_async
from shardstore.outcome import Ending
from shardstore.wire.wire_format import Op
from tests.unit.client.session_driver import SessionDriver, get, new_scan, put
from tests.unit.fake_cluster import FakeCluster, Lose
from tests.unit.fake_server import FakeServer, forget_requests


def use(server: FakeServer, program: Callable[[AsyncClient], Awaitable[None]]) -> None:
    async def run() -> None:
        async with connect_async(server.url) as client:
            await program(client)

    asyncio.run(run())


async def token_of(write: Awaitable[Any]) -> bytes:
    """Wait for a write, which a timeout cancels."""
    with pytest.raises(TimeoutError) as caught:
        await asyncio.wait_for(write, 0.1)
    cancelled = caught.value.__cause__
    assert isinstance(cancelled, asyncio.CancelledError)
    assert "outcome(error.token)" in cancelled.__notes__[0]
    return cancelled.token  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize("read", ["get", "scan", "get_many"])
def test_a_later_read_comes_behind_a_cancelled_write(server: FakeServer, read: str) -> None:
    async def program(client: AsyncClient) -> None:
        await client.put(b"a", b"old")
        server.pause()
        token = await token_of(client.put(b"a", b"new"))
        if read == "get":
            reading = asyncio.create_task(client.get(b"a"))
        elif read == "get_many":
            reading = asyncio.create_task(client.get_many([b"a"]))
        else:
            reading = asyncio.create_task(anext(client.scan()))
        asking = asyncio.create_task(client.outcome(token))
        await asyncio.sleep(0)
        server.resume()
        assert await reading in (b"new", [b"new"], (b"a", b"new"))
        assert (await asking).state is Ending.APPLIED

    use(server, program)


def test_a_cancelled_write_that_is_lost_is_sent_again_before_a_read(server: FakeServer) -> None:
    async def program(client: AsyncClient) -> None:
        await client.put(b"a", b"old")
        server.cluster.script.append(Lose.REQUEST)
        await token_of(client.put(b"a", b"new"))
        assert await client.get(b"a") == b"new"
        assert await client.increment(b"n") == 1

    use(server, program)


def test_a_cancelled_put_many_tells_of_all_its_parts(server: FakeServer) -> None:
    async def program(client: AsyncClient) -> None:
        server.pause()
        pairs = {bytes([first]) + b"%d" % at: b"v" for first in (1, 0x50, 0x90, 0xD0) for at in range(10_000)}
        token = await token_of(client.put_many(pairs))
        server.resume()
        outcome = await client.outcome(token)
        found = await client.get_many(list(pairs))
        applied = len([value for value in found if value is not None])
        expected = Ending.APPLIED if applied == len(pairs) else Ending.PARTLY if applied else Ending.NOT_APPLIED
        assert outcome.state is expected

    use(server, program)


def test_a_write_that_has_not_left_is_dropped(server: FakeServer) -> None:
    async def program(client: AsyncClient) -> None:
        server.pause()
        first = asyncio.create_task(client.put(b"a", b"1"))
        await asyncio.sleep(0)
        token = await token_of(client.put(b"a", b"2"))
        server.resume()
        await first
        assert (await client.outcome(token)).state is Ending.NOT_APPLIED
        assert await client.get(b"a") == b"1"

    use(server, program)


def test_reads_wait_for_nothing_else() -> None:
    """A read does not wait for writes that have a waiting caller, nor for those of other ranges."""
    driver = SessionDriver(FakeCluster())
    write, elsewhere = put(b"a", b"1"), get(b"\xff")
    driver.submit(write)
    driver.submit(get(b"a"))
    assert [header.op for _, header in driver.routed()] == [Op.PUT, Op.GET]
    driver.abandon(write)
    behind, scan = get(b"a"), new_scan(start=b"a", end=b"b").next_call()
    assert scan is not None
    driver.submit(behind, scan, elsewhere)
    assert [header.op for _, header in driver.routed()] == [Op.PUT, Op.GET, Op.GET], "elsewhere"
    driver.run()
    assert driver.ended[behind] == b"1"
    assert driver.ended[scan].keys == [b"a"]


def test_reads_go_when_the_time_of_the_cancelled_write_is_over() -> None:
    driver = SessionDriver(FakeCluster())
    write = put(b"a", b"1")
    driver.submit(write)
    driver.wire.clear()
    driver.silent.update(driver.links)
    driver.abandon(write)
    reading = get(b"a")
    driver.submit(reading)
    driver.advance(5_000)
    assert Op.GET not in [header.op for _, header in driver.routed()]
    driver.advance(60_000)
    assert {write, reading} <= driver.ended.keys()
    driver.silent.clear()
    assert driver.call(get(b"a")) is None


@pytest.mark.parametrize("many", [False, True])
def test_an_answer_that_comes_before_the_task_learns_of_its_cancellation_counts(server: FakeServer, many: bool) -> None:
    async def program(client: AsyncClient) -> None:
        await client.put(b"a", b"old")
        server.pause()
        forget_requests(server)
        while server.answered.acquire(blocking=False):
            pass
        write = asyncio.create_task(client.put_many({b"a": b"1"}) if many else client.put(b"a", b"1"))
        while not server.received.acquire(blocking=False):
            await asyncio.sleep(0)
        server.resume()
        assert server.answered.acquire(timeout=10)
        reading = asyncio.create_task(client.get(b"b"))
        await asyncio.sleep(0)  # now the turn is due in which the reply is taken
        write.cancel()
        await asyncio.wait([write])
        token = cancelled_in(write).token  # type: ignore[attr-defined]
        assert (await client.outcome(token)).state is Ending.APPLIED
        await reading

    use(server, program)


def test_a_write_that_is_cancelled_when_it_is_answered_tells_that_it_is_applied(server: FakeServer) -> None:
    async def program(client: AsyncClient) -> None:
        async def cancel_after_put() -> None:
            await client.put(b"a", b"1")
            write.cancel()

        await client.put(b"a", b"0")
        first = asyncio.create_task(cancel_after_put())
        write = asyncio.create_task(client.put(b"b", b"2"))
        await asyncio.wait([first, write])
        assert (await client.outcome(cancelled_in(write).token)).state is Ending.APPLIED  # type: ignore[attr-defined]

    use(server, program)


def test_a_read_right_behind_the_cancellation_comes_behind_the_write(server: FakeServer) -> None:
    async def program(client: AsyncClient) -> None:
        await client.put(b"a", b"old")
        forget_requests(server)
        server.cluster.script.append(Lose.REQUEST)
        write = asyncio.create_task(client.put(b"a", b"new"))
        while not server.received.acquire(blocking=False):
            await asyncio.sleep(0)
        reading = asyncio.create_task(client.get(b"b"))
        await asyncio.sleep(0)  # now a turn is due before the task of the write runs again
        write.cancel()
        assert await client.get(b"a") == b"new"
        await reading

    use(server, program)


def test_a_write_that_is_cancelled_before_it_is_sent_is_dropped(server: FakeServer) -> None:
    async def program(client: AsyncClient) -> None:
        await client.put(b"a", b"old")
        for write in (client.put(b"a", b"new"), client.put_many({b"a": b"new"}), client.delete(b"a")):
            writing = asyncio.create_task(write)
            await asyncio.sleep(0)
            writing.cancel()
            assert await client.get(b"a") == b"old"
            token = cancelled_in(writing).token  # type: ignore[attr-defined]
            assert (await client.outcome(token)).state is Ending.NOT_APPLIED

    use(server, program)


def cancelled_in(write: asyncio.Task[None]) -> asyncio.CancelledError:
    """The error of a cancelled write."""
    with pytest.raises(asyncio.CancelledError) as caught:
        write.result()
    return caught.value
