"""Clients that are never closed release what they hold; and clients for which there are no descriptors."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import socket
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from shardstore.client.aio.connect import connect_async
from shardstore.client.blocking.connect import connect
from shardstore.errors import Unavailable
from tests.unit.fake_cluster import FakeCluster
from tests.unit.fake_server import FakeServer


@pytest.fixture
def cluster() -> FakeCluster:
    cluster = FakeCluster([], workers=1)
    cluster.page_entries = 1
    return cluster


def held() -> tuple[int, int]:
    """The descriptors and threads of clients in this process, without those that a server uses for them."""
    gc.collect()
    return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))


def use(url: str) -> weakref.ref[Any]:
    client = connect(url)
    client.put_many({b"a": b"1", b"b": b"2"})
    next(client.scan())
    return weakref.ref(client._pump._transport)


def test_forgotten_clients_are_freed(server: FakeServer) -> None:
    use(server.url)
    threads = held()[1]
    forgotten = [use(server.url) for _ in range(5)]
    assert held()[1] == threads
    assert [transport() for transport in forgotten] == [None] * 5


def test_forgotten_asyncio_clients_are_freed(server: FakeServer) -> None:
    """While their loop continues, and after it has ended."""

    async def use_one() -> weakref.ref[Any]:
        client = await connect_async(server.url)
        await client.put_many({b"a": b"1", b"b": b"2"})
        await anext(client.scan())
        return weakref.ref(client._pump._transport)

    async def use_some() -> list[weakref.ref[Any]]:
        threads = held()[1]
        forgotten = [await use_one() for _ in range(5)]
        gc.collect()
        while any(transport() for transport in forgotten):
            await asyncio.sleep(0.001)  # the loop releases them, one turn later
        assert held()[1] == threads
        async with await connect_async(server.url) as again:  # with descriptors of the same numbers
            assert await again.get(b"a") == b"1"
        return [await use_one()]

    [last] = asyncio.run(use_some())
    gc.collect()
    assert last() is None


def test_a_client_is_closed_when_its_loop_has_ended(server: FakeServer) -> None:
    client = asyncio.run(connect_async(server.url))
    asyncio.run(client.close())


@contextmanager
def _room_for(descriptors: int) -> Iterator[None]:
    """Limit the descriptors of the process for the duration of a block."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 50, before[1]))
    taken: list[int] = []
    try:
        with suppress(OSError):
            while True:
                taken.append(os.eventfd(0))
        for _ in range(descriptors):
            os.close(taken.pop())
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for descriptor in taken:
            os.close(descriptor)


def test_a_client_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "silent")
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(path)
        silent.listen(64)
        for room in range(20):
            why = "Too many open files" if room < 3 else "no router answered"
            with _room_for(room), pytest.raises(Unavailable, match=why):
                connect(f"unix://{path}", timeout=0.05)
