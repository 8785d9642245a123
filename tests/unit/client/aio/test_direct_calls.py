"""Which calls of an asyncio client go past the workers, and when none does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from shardstore.client.aio.call_runner import READS_IN_A_ROW_MAX, AsyncCallRunner
from shardstore.client.aio.client import AsyncClient
from shardstore.client.aio.connect import connect_async
from shardstore.errors import Closed, InvalidRequest
from shardstore.tables.not_ready import NOT_READY, NotReady
from tests.unit.client.blocking.test_direct_calls import FakeReads, requests
from tests.unit.fake_server import FakeServer, await_request, forget_requests

ONLY_LOCAL = pytest.mark.parametrize("server", ["local"], indirect=True)
"""There are files to read on this host only."""
METHODS = pytest.mark.parametrize("method", ["get", "contains", "get_many"])


def argument(method: str) -> Any:
    return [b"a"] if method == "get_many" else b"a"


async def with_files(client: AsyncClient) -> FakeReads:
    """Give the client files that have a and b; the worker has other values."""
    await client.put_many({b"a": b"worker", b"c": b"worker"})
    reads = FakeReads({b"a": b"file", b"b": None})
    client._calls._reads = client._reads = reads  # type: ignore[assignment]
    return reads


async def sent(server: FakeServer, call: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """A task whose call the paused server has."""
    server.pause()
    forget_requests(server)
    task = asyncio.create_task(call)
    await asyncio.to_thread(await_request, server)
    return task


def use(server: FakeServer, program: Callable[[AsyncClient], Awaitable[None]]) -> None:
    async def run() -> None:
        async with connect_async(server.url) as client:
            await with_files(client)
            await program(client)

    asyncio.run(run())


@ONLY_LOCAL
def test_what_the_files_know_is_asked_of_nobody(server: FakeServer) -> None:
    async def program(client: AsyncClient) -> None:
        requests(server)
        assert await client.get(b"a") == b"file"
        assert await client.get(b"b", b"default") == b"default"
        assert [await client.contains(key) for key in (b"a", b"b")] == [True, False]
        assert await client.get_many([b"a", b"b", b"a"]) == [b"file", None, b"file"]
        assert requests(server) == 0
        assert not client._pump._futures

    use(server, program)


@ONLY_LOCAL
def test_the_rest_is_asked_of_workers(server: FakeServer) -> None:
    async def program(client: AsyncClient) -> None:
        assert [await client.get(key) for key in (b"c", b"d")] == [b"worker", None]
        assert [await client.contains(key) for key in (b"c", b"d")] == [True, False]
        assert await client.get_many([b"c", b"a", b"d", b"b", b"c"]) == [b"worker", b"file", None, None, b"worker"]
        assert await client.get_many([b"c", b"d"]) == [b"worker", None]

    use(server, program)


@ONLY_LOCAL
@METHODS
def test_arguments_are_checked_all_the_same(server: FakeServer, method: str) -> None:
    async def program(client: AsyncClient) -> None:
        for timeout in (-1, "soon", float("nan")):
            with pytest.raises(InvalidRequest):
                await getattr(client, method)(argument(method), timeout=timeout)
        with pytest.raises(InvalidRequest):
            await getattr(client, method)([b""] if method == "get_many" else b"")

    use(server, program)


@ONLY_LOCAL
@METHODS
def test_a_closed_client_reads_no_file(server: FakeServer, method: str) -> None:
    async def program(client: AsyncClient) -> None:
        await client.close()
        with pytest.raises(Closed):
            await getattr(client, method)(argument(method))

    use(server, program)


@ONLY_LOCAL
@METHODS
def test_a_read_follows_a_write_whose_task_was_cancelled(server: FakeServer, method: str) -> None:
    async def program(client: AsyncClient) -> None:
        writing = await sent(server, client.put(b"a", b"new"))
        writing.cancel()
        await asyncio.wait([writing])
        assert not client._pump.may_read()
        reading = asyncio.create_task(getattr(client, method)(argument(method)))
        await asyncio.sleep(0)
        server.resume()
        assert await reading == {"get": b"new", "contains": True, "get_many": [b"new"]}[method]
        assert client._pump.may_read(), "the write has ended"
        assert await client.get(b"a") == b"file"

    use(server, program)


@ONLY_LOCAL
def test_a_read_in_the_turn_in_which_a_write_is_cancelled_follows_it(server: FakeServer) -> None:
    """The task of the write does not know yet that it is cancelled."""

    async def program(client: AsyncClient) -> None:
        writing = await sent(server, client.put(b"a", b"new"))
        writing.cancel()
        assert not client._pump.may_read()
        reading = asyncio.create_task(client.get(b"a"))
        await asyncio.sleep(0)
        server.resume()
        assert await reading == b"new"

    use(server, program)


@ONLY_LOCAL
def test_a_cancelled_read_holds_up_no_other_read(server: FakeServer) -> None:
    async def program(client: AsyncClient) -> None:
        reading = await sent(server, client.get(b"c"))
        reading.cancel()
        await asyncio.wait([reading])
        await asyncio.sleep(0)
        assert await client.get(b"a") == b"file"
        server.resume()

    use(server, program)


@ONLY_LOCAL
@METHODS
def test_in_another_loop_no_file_is_read(server: FakeServer, method: str) -> None:
    """Two loops may run in two threads, and reads are for one thread at a time."""

    async def made() -> AsyncClient:
        client = await connect_async(server.url)
        await with_files(client)
        return client

    async def used(client: AsyncClient) -> None:
        with pytest.raises(InvalidRequest, match="event loop in which it was made"):
            await getattr(client, method)(argument(method))

    with asyncio.Runner() as first:
        client = first.run(made())
        with asyncio.Runner() as second:
            second.run(used(client))
        first.run(client.close())


@pytest.mark.parametrize("is_ready", [True, False])
def test_a_loop_of_direct_reads_lets_other_tasks_run(is_ready: bool) -> None:
    class Files:
        def get(self, key: Any) -> bytes:
            return b"file"

        def get_ready(self, key: Any) -> bytes | NotReady:
            return b"file" if is_ready else NOT_READY

    class Quiet:
        def may_read(self) -> bool:
            return True

    async def program() -> int:
        runner = AsyncCallRunner(Quiet(), Files())  # type: ignore[arg-type]
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        for _ in range(10 * READS_IN_A_ROW_MAX):
            found = runner.get_now(b"k", None)
            assert (await runner.get(b"k", None, found) if found is NOT_READY else found) == b"file"
        task.cancel()
        return turns

    assert asyncio.run(program()) >= 9
