"""Calls within other calls of the same thread: from signal handlers, and from finalizers."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from shardstore.client.blocking.client import Client
from shardstore.client.blocking.connect import connect
from shardstore.errors import Closed, InvalidRequest
from tests.unit.fake_cluster import FakeCluster
from tests.unit.fake_server import FakeServer, await_request, forget_requests, in_thread

CLIENT_FOLDER = str(Path(sys.modules[Client.__module__].__file__ or "").parent)


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster([], workers=1)


def strike_when_asked(server: FakeServer) -> None:
    """Send the main thread a signal while the server has an unanswered message."""
    await_request(server)
    main = threading.main_thread().ident
    assert main is not None
    signal.pthread_kill(main, signal.SIGUSR1)


def call_while_waiting(server: FakeServer, outer: Callable[[], Any], inner: Callable[[], Any]) -> tuple[Any, Any]:
    """The ends of a call, and of a call made by a signal handler while the first waits for its reply."""
    ended: list[Any] = []

    def handler(*_: object) -> None:
        server.resume()
        try:
            ended.append(inner())
        except Exception as error:
            ended.append(error)

    before = signal.signal(signal.SIGUSR1, handler)
    server.pause()
    forget_requests(server)
    striker, _ = in_thread(strike_when_asked, server)
    try:
        found: Any = outer()
    except Exception as error:
        found = error
    finally:
        striker.join(10)
        signal.signal(signal.SIGUSR1, before)
    return found, ended[0]


def test_a_signal_handler_may_call_while_a_call_waits(client: Client, server: FakeServer) -> None:
    client.put(b"a", b"1")
    found = call_while_waiting(server, lambda: client.get(b"a"), lambda: client.increment(b"n"))
    assert found == (b"1", 1)
    found = call_while_waiting(server, lambda: client.increment(b"n"), lambda: list(client.scan()))
    assert found[0] == 2
    assert found[1][0] == (b"a", b"1")
    assert client.put_many([(b"b", b"2")]) is None
    assert client.get(b"b") == b"2"


def test_a_signal_handler_may_close_the_client(client: Client, server: FakeServer) -> None:
    found, ended = call_while_waiting(server, lambda: client.get(b"a"), client.close)
    assert found is None or isinstance(found, Closed)
    assert ended is None
    assert client._pump._transport is not None
    with pytest.raises(ValueError, match="closed"):
        client._pump._transport.descriptor()
    with pytest.raises(Closed):
        client.get(b"a")


def test_a_scan_of_the_outer_call_is_not_read_by_the_inner_one(client: Client, server: FakeServer) -> None:
    server.cluster.page_entries = 1
    client.put_many({b"a": b"1", b"b": b"2", b"c": b"3"})
    scan = client.scan(keys_only=True)
    assert [next(scan), next(scan)] == [b"a", b"b"]
    found, ended = call_while_waiting(server, lambda: client.get(b"a"), lambda: next(scan))
    assert found == b"1"
    refused = "a call in the middle of another one of the same thread cannot wait for a request made before it"
    assert ended == b"c" or (isinstance(ended, InvalidRequest) and str(ended) == refused)
    assert list(scan) == ([] if ended == b"c" else [b"c"])


def test_a_handler_of_a_thread_that_waits_for_another_to_lead(client: Client, server: FakeServer) -> None:
    """Python runs handlers in the main thread, which is not the receiving thread here."""
    server.pause()
    forget_requests(server)
    leader, leader_ended = in_thread(client.get, b"a")
    await_request(server)
    found, ended = call_while_waiting(server, lambda: client.get(b"b"), lambda: client.increment(b"n"))
    leader.join(10)
    assert (found, ended, leader_ended) == (None, 1, [None])
    assert client.increment(b"n") == 2


@pytest.mark.parametrize("every", [1, 7])
def test_a_call_at_any_line_of_another(client: Client, server: FakeServer, every: int) -> None:
    """The collector may finalize an object anywhere. No outer call is harmed, and no inner one is lost."""
    inner, striking, lines = 0, False, 0

    def strike(frame: FrameType, event: str, _: object) -> Any:
        nonlocal inner, striking, lines
        if striking or not frame.f_code.co_filename.startswith(CLIENT_FOLDER):
            return None
        lines += 1
        if event in ("call", "line") and lines % every == 0:
            striking = True
            assert client.increment(b"inner") > inner
            inner += 1
            striking = False
        return strike

    client.put(b"first", b"1")
    before = sys.gettrace()
    sys.settrace(strike)
    try:
        for at in range(3):
            client.put(b"outer", b"%d" % at)
            assert client.get(b"outer") == b"%d" % at
        assert client.get_many([b"outer", b"first"]) == [b"2", b"1"]
        assert [key for key in client.scan(keys_only=True) if key != b"inner"] == [b"first", b"outer"]
    finally:
        sys.settrace(before)
    assert inner > 100 // every
    assert client.get(b"inner") == b"%d" % inner


def test_the_client_for_inner_calls_goes_with_the_client(server: FakeServer) -> None:
    client = connect(server.url)
    call_while_waiting(server, lambda: client.get(b"a"), lambda: client.increment(b"n"))
    inner = client._pump._inner
    assert inner is not None
    client.close()
    with pytest.raises(Closed):
        inner.send()
