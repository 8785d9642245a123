"""Clients in the child of a fork are opened anew or refused; the parent is not affected."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shardstore.client.aio.connect import connect_async
from shardstore.client.blocking.client import Client
from shardstore.client.blocking.connect import connect
from shardstore.client.calls.scan import CARRIED_OVER
from shardstore.errors import InvalidRequest, OutcomeUnknown, ScanInvalidated, ShardstoreError
from shardstore.wire.wire_format import Op
from tests.unit.fake_cluster import FakeCluster
from tests.unit.fake_server import FakeServer, await_request, forget_requests, in_thread

SECONDS = 20
OF_THIS_PROGRAM: list[Client] = []


@pytest.fixture
def cluster() -> FakeCluster:
    cluster = FakeCluster([], workers=1)
    cluster.page_entries = 2
    return cluster


def in_child(work: Callable[[], Any]) -> str:
    """Run the work in a forked child; returns the repr of its result, or its error."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:  # pytest must not run in the child
        signal.alarm(SECONDS)
        try:
            os.write(writer, repr(work()).encode())
        except ShardstoreError as error:
            os.write(writer, f"{type(error).__name__}: {error}".encode())
        except BaseException:
            os.write(writer, traceback.format_exc().encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read().decode()
    assert os.waitpid(child, 0)[1] == 0
    return said


@pytest.mark.fault("C9")
def test_a_client_opens_itself_anew(client: Client, server: FakeServer) -> None:
    client.put(b"a", b"1")

    def use() -> Any:
        client.put(b"b", client.get(b"a"))
        grandchild = in_child(lambda: client.get(b"b"))
        client.close()
        return client.get_many([b"a"]) if client is None else grandchild

    assert in_child(use) == repr(repr(b"1"))
    assert client.get_many([b"a", b"b"]) == [b"1", b"1"]
    assert server.cluster.clients == 3, "parent, child and grandchild"


@pytest.mark.fault("C9")
def test_a_client_that_is_to_refuse_says_whose_it_is(server: FakeServer) -> None:
    with connect(server.url, fork="refuse") as client:
        client.put(b"a", b"1")
        said = in_child(lambda: client.get(b"a"))
        whose = f"the client belongs to process {os.getpid()} and was carried over a fork"
        assert said == f"Closed: {whose}; open a new one"
        assert client.get(b"a") == b"1"
    with pytest.raises(InvalidRequest, match="fork is 'reopen' or 'refuse', not True"):
        connect(server.url, fork=True)  # type: ignore[arg-type]


def test_a_closed_client_stays_closed(server: FakeServer) -> None:
    client = connect(server.url)
    client.close()
    assert in_child(lambda: client.get(b"a")) == "Closed: the client was closed"


def test_what_other_threads_wait_for_is_the_parents(client: Client, server: FakeServer) -> None:
    """Also if the fork happens while everything is under way."""
    client.put(b"a", b"0")
    server.pause()
    forget_requests(server)
    threads = [in_thread(client.put, b"a", b"1") for _ in range(3)]
    await_request(server)
    reader, writer = os.pipe()
    child = os.fork()
    if not child:  # pytest must not run in the child
        signal.alarm(SECONDS)
        os.write(writer, b"begun")
        try:
            os._exit(int(client.get(b"a")) + 10)
        finally:
            os._exit(1)
    assert os.read(reader, 5) == b"begun"
    server.resume()
    for thread, ended in threads:
        thread.join(10)
        assert ended == [None]
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) in (10, 11)
    for descriptor in (reader, writer):
        os.close(descriptor)
    assert client.get(b"a") == b"1"


def test_a_fork_while_pairs_are_read(client: Client, server: FakeServer) -> None:
    """A generator read by `put_many` may fork; the calls under way in the child belong to the parent."""
    said: list[str] = []

    def pairs() -> Iterator[tuple[bytes, bytes]]:
        for at in range(100_000):
            if at == 40_000:
                server.pause()  # so that calls are under way at the fork
            if at == 60_000 and threading.current_thread() is threading.main_thread():
                reader, writer = os.pipe()
                child = os.fork()
                if not child:
                    state["writer"] = writer
                else:
                    server.resume()
                    os.close(writer)
                    state["child"] = child
                    state["reader"] = reader
            yield at.to_bytes(4, "big"), b"v"

    state: dict[str, int] = {}
    try:
        client.put_many(pairs())
    except OutcomeUnknown as error:
        if "writer" in state:
            os.write(state["writer"], f"{error}; {client.get(b'x')}".encode())
    finally:
        if "writer" in state:
            os._exit(0)
    with os.fdopen(state["reader"], "rb") as pipe:
        said.append(pipe.read().decode())
    os.waitpid(state["child"], 0)
    assert "it goes on in the parent" in said[0]
    assert said[0].endswith("; None")
    assert len(server.cluster.data) == 100_000


def _get(key: bytes) -> Any:
    return OF_THIS_PROGRAM[0].get(key)


def test_a_pool_of_forked_processes(client: Client) -> None:
    OF_THIS_PROGRAM[:] = [client]
    client.put_many({b"%d" % at: b"%d" % (at * at) for at in range(8)})
    with multiprocessing.get_context("fork").Pool(2) as pool:
        found = pool.map(_get, [b"%d" % at for at in range(8)])
    assert found == [b"%d" % (at * at) for at in range(8)]


@pytest.mark.parametrize("mode", ["snapshot", "full_isolation", "fail_fast"])
def test_what_is_held_for_a_scan_is_held_for_the_parent(client: Client, server: FakeServer, mode: str) -> None:
    keys = [b"%d" % at for at in range(9)]
    client.put_many(dict.fromkeys(keys, b"v"))
    scan = client.scan(keys_only=True, mode=mode)
    assert next(scan) == keys[0]

    def read_on() -> Any:
        found = [next(scan)]
        for _ in range(2):
            try:
                next(scan)
            except ScanInvalidated as error:
                token, cause = error.token, error.cause
        found += client.scan(resume=token)
        scan.seek(keys[7])
        return found, cause, list(scan)

    said = in_child(read_on)
    assert said == repr((keys[1:], CARRIED_OVER, keys[7:]))
    if mode != "fail_fast":
        assert server.cluster.scans_ended == [], "the child has ended the scan of its parent"
    scans = [header.op for header in server.cluster.requests].count(Op.SCAN)
    assert list(scan) == keys[1:]
    assert [header.op for header in server.cluster.requests].count(Op.SCAN) > scans, "the child took nothing away"


def test_a_scan_for_which_nothing_is_held_goes_on(client: Client) -> None:
    keys = [b"%d" % at for at in range(9)]
    client.put_many(dict.fromkeys(keys, b"v"))
    scan = client.scan(keys_only=True, mode="live")
    next(scan)
    assert in_child(lambda: list(scan)) == repr(keys[1:])
    assert list(scan) == keys[1:]


def test_an_asyncio_client_goes_on_in_the_loop_of_the_child(server: FakeServer) -> None:
    async def begin() -> Any:
        client = await connect_async(server.url)
        await client.put_many({b"%d" % at: b"v" for at in range(9)})
        scan = client.scan(keys_only=True)
        await anext(scan)
        return client, scan

    async def use(client: Any, scan: Any) -> Any:
        await client.put(b"a", b"1")
        await anext(scan)
        with pytest.raises(ScanInvalidated):
            await anext(scan)
        found = await client.get(b"a")
        await client.close()
        return found

    loop = asyncio.new_event_loop()
    client, scan = loop.run_until_complete(begin())
    assert in_child(lambda: asyncio.run(use(client, scan))) == repr(b"1")
    assert loop.run_until_complete(client.get(b"a")) == b"1"
    assert loop.run_until_complete(anext(scan)) == b"1"
    loop.run_until_complete(client.close())
    loop.close()


def test_an_asyncio_client_that_is_to_refuse(server: FakeServer) -> None:
    async def program() -> None:
        client = await connect_async(server.url, fork="refuse")

        async def use() -> None:
            await client.get(b"a")

        def in_another_loop() -> None:
            loop = asyncio.new_event_loop()
            asyncio._set_running_loop(None)
            loop.run_until_complete(use())

        assert "was carried over a fork" in in_child(in_another_loop)
        assert await client.get(b"a") is None
        await client.close()

    asyncio.run(program())


def test_no_room_in_the_child_is_no_reason_to_give_up(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    client.put(b"a", b"1")

    def use() -> Any:
        def full(*_: Any) -> Any:
            raise OSError(24, "Too many open files")

        with monkeypatch.context() as patched:
            patched.setattr("shardstore.client.surroundings.SocketTransport", full)
            try:
                client.get(b"a")
            except ShardstoreError as error:
                said = str(error)
        return said, client.get(b"a")

    assert in_child(use) == repr(
        (
            "the client has no room for its sockets: Too many open files; close some of what is open, or raise "
            "`ulimit -n`",
            b"1",
        )
    )


def test_a_fork_in_the_middle_of_a_call_of_the_same_thread(client: Client, server: FakeServer) -> None:
    """A fork in a signal handler while a call waits: in the child the call ends, in the parent it continues."""
    client.put(b"a", b"1")
    children: list[int] = []

    def fork(*_: Any) -> None:
        children.append(os.fork())

    server.pause()
    forget_requests(server)

    def strike() -> None:
        await_request(server)
        os.kill(os.getpid(), signal.SIGUSR1)
        server.resume()

    before = signal.signal(signal.SIGUSR1, fork)
    parent = os.getpid()
    striker, _ = in_thread(strike)
    try:
        found = client.get(b"a")
    except BaseException:
        if os.getpid() != parent:
            os._exit(7 if client.get(b"a") == b"1" else 1)
        raise
    finally:
        if os.getpid() != parent:
            os._exit(2)
        signal.signal(signal.SIGUSR1, before)
    striker.join()
    assert found == b"1"
    assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 7
