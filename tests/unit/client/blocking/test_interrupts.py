"""The blocking client when a call is interrupted, or when no file descriptor is left."""

from __future__ import annotations

import errno
import os
import signal
import socket
import threading
from collections import deque
from collections.abc import Sequence
from queue import SimpleQueue
from typing import Any

import pytest

from shardstore.client.blocking.client import Client
from shardstore.client.blocking.connect import connect
from shardstore.client.blocking.pump import Pump
from shardstore.client.calls.calls import Call, Single
from shardstore.errors import Closed, OutcomeUnknown, Unavailable
from shardstore.limits import SECOND_NS
from shardstore.seams.effects import Received
from shardstore.wire.wire_format import Op
from tests.unit.fake_cluster import FakeCluster, Lose
from tests.unit.fake_server import FakeServer, NoNewSocket, await_request, forget_requests, in_thread


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster([], workers=1)


def test_a_keyboard_interrupt_leaves_the_client_usable(client: Client, server: FakeServer) -> None:
    server.pause()
    forget_requests(server)

    def interrupt() -> None:
        await_request(server)
        os.kill(os.getpid(), signal.SIGINT)

    interrupter, _ = in_thread(interrupt)
    with pytest.raises(KeyboardInterrupt):
        client.put(b"a", b"1")
    interrupter.join()
    server.resume()
    assert client.get(b"a") in (None, b"1")
    client.put(b"a", b"2")
    assert client.get(b"a") == b"2"


class Torn(BaseException):
    """Raised like a KeyboardInterrupt, where the test wants it."""


@pytest.mark.interpreted
def test_an_interrupt_in_the_middle_of_an_event_starts_over(
    client: Client, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.put(b"a", b"1")
    server.pause()
    forget_requests(server)
    other, other_ended = in_thread(client.put, b"b", b"1")
    await_request(server)
    session = client._pump._driver._session
    finish = session._sender.finish

    def torn(request: Any) -> None:
        finish(request)
        raise Torn

    monkeypatch.setattr(session._sender, "finish", torn)
    server.resume()
    other.join(10)
    assert isinstance(other_ended[0], Torn)
    assert client._pump._driver._session is not session
    assert client.get(b"a") == b"1"
    assert client.get(b"b") == b"1"
    client.put(b"b", b"2")
    assert server.cluster.data == {b"a": b"1", b"b": b"2"}
    assert server.cluster.clients == 2


class StrikingSocket:
    """A socket that sends and receives a thousand bytes at a time, and raises in one thread just after that."""

    def __init__(self, socket: Any, strikes: str) -> None:
        self._socket = socket
        self._strikes = strikes
        self.thread: threading.Thread | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def sendmsg(self, parts: Sequence[bytes], *arguments: Any) -> Any:
        return self._socket.send(parts[0][:10])

    def send(self, data: bytes, *flags: int) -> Any:
        sent = self._socket.send(data[:1_000], *flags)
        self._strike("send")
        return sent

    def recv(self, size: int) -> Any:
        came = self._socket.recv(min(size, 1_000))
        self._strike("recv")
        return came

    def _strike(self, where: str) -> None:
        if where == self._strikes and threading.current_thread() is self.thread:
            self.thread = None
            raise Torn


def striking_socket(client: Client, strikes: str) -> StrikingSocket:
    """Replace the socket between the client and its worker."""
    stream = client._pump._transport._links["worker:0"]._connection.stream  # type: ignore[attr-defined]
    stream.socket = StrikingSocket(stream.socket, strikes)
    return stream.socket  # type: ignore[no-any-return]


@pytest.mark.parametrize("server", ["local"], indirect=True)
def test_a_write_that_was_torn_while_it_waited_for_room_is_not_stored_in_another_form(
    client: Client, server: FakeServer
) -> None:
    pairs = {b"k%06d" % at: at.to_bytes(4, "big") * 75 for at in range(100)}
    client.put(b"k", b"v")
    striking_socket(client, "send").thread = threading.current_thread()
    with pytest.raises(Torn):
        client.put_many(pairs)
    client.put(b"after", b"1")
    assert server.cluster.data.items() <= {b"k": b"v", b"after": b"1", **pairs}.items()


@pytest.mark.parametrize("server", ["local"], indirect=True)
def test_an_answer_that_was_torn_while_it_came_is_not_completed_by_the_next(client: Client, server: FakeServer) -> None:
    values = {bytes([at]): bytes([at]) * 200_000 for at in range(3)}
    client.put_many(values)
    socket = striking_socket(client, "recv")
    server.cluster.script.append(Lose.REPLY)
    server.pause()
    forget_requests(server)
    leader, leader_ended = in_thread(client.get, b"k")
    await_request(server)
    socket.thread = leader
    others = {}
    for key in values:
        others[key] = in_thread(client.get, key)
        await_request(server)
    server.resume()
    leader.join(10)
    assert isinstance(leader_ended[0], Torn)
    for key, (thread, ended) in others.items():
        thread.join(10)
        assert isinstance(ended[0], Unavailable) or ended == [values[key]]


def test_messages_that_were_taken_and_torn_away_are_not_waited_for(
    client: Client, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.put(b"a", b"1")
    transport, session = client._pump._transport, client._pump._driver._session
    take = transport.take

    def torn() -> list[Received]:
        if take():
            monkeypatch.undo()
            raise Torn
        return []

    monkeypatch.setattr(transport, "take", torn)
    with pytest.raises(Torn):
        client.get(b"a")
    assert client._pump._driver._session is not session
    assert client.get(b"a") == b"1"


def test_an_interrupted_wait_is_no_reason_to_start_over(
    client: Client, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.put(b"a", b"1")
    session = client._pump._driver._session
    wait = client._pump._transport.wait

    def torn(timeout_ns: int | None) -> None:
        wait(timeout_ns)
        monkeypatch.undo()
        raise Torn

    monkeypatch.setattr(client._pump._transport, "wait", torn)
    with pytest.raises(Torn):
        client.get(b"a")
    assert client.get(b"a") == b"1"
    assert client._pump._driver._session is session


class StrikingInbox(deque[Call]):
    """Raises in one thread, just after it sent a call."""

    thread: threading.Thread | None = None

    def popleft(self) -> Call:
        call = super().popleft()
        if threading.current_thread() is self.thread:
            raise Torn
        return call


def test_calls_that_were_taken_out_of_the_inbox_and_torn_away_end(client: Client, server: FakeServer) -> None:
    inbox = client._pump._submitted = StrikingInbox()
    server.pause()
    forget_requests(server)
    leader, leader_ended = in_thread(client.get, b"a")
    await_request(server)
    inbox.thread = leader
    other, other_ended = in_thread(client.put, b"b", b"1")
    leader.join(10)
    other.join(10)
    server.resume()
    assert isinstance(leader_ended[0], Torn)
    assert isinstance(other_ended[0], OutcomeUnknown)
    assert client.get(b"b") is None


@pytest.mark.interpreted
def test_a_call_whose_settlement_was_torn_ends(
    client: Client, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.pause()
    forget_requests(server)
    leader, leader_ended = in_thread(client.get, b"a")
    await_request(server)
    other, other_ended = in_thread(client.get, b"b")
    await_request(server)
    settle = Call.settle

    def torn(call: Call, answer: Any, error: Exception | None) -> None:
        assert isinstance(call, Single)
        if call.key == b"b" and error is None:
            raise Torn
        settle(call, answer, error)

    monkeypatch.setattr(Call, "settle", torn)
    server.cluster.script.append(Lose.REPLY)
    server.resume()
    leader.join(10)
    other.join(10)
    assert isinstance(leader_ended[0], Torn)
    assert isinstance(other_ended[0], Unavailable)


@pytest.mark.parametrize("server", ["local"], indirect=True)
@pytest.mark.interpreted
def test_without_descriptors_the_client_says_so_and_starts_over_when_there_are_some(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.put(b"a", b"1")

    def torn(event: Any, now_ns: int) -> Any:
        raise Torn

    monkeypatch.setattr(socket, "socket", NoNewSocket)
    monkeypatch.setattr(client._pump._driver._session, "handle", torn)
    with pytest.raises(Torn):
        client.get(b"a")
    for _ in range(2):
        with pytest.raises(Unavailable, match="cannot open a socket: Too many open files"):
            client.get(b"a", timeout=0.05)
    monkeypatch.undo()
    assert client.get(b"a") == b"1"


def test_without_descriptors_a_new_client_says_so(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_descriptor(*arguments: Any) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "eventfd", no_descriptor)
    with pytest.raises(Unavailable, match="Too many open files"):
        connect(server.url)


class ScriptedLead:
    """The lock of a pump, with hooks that run just before it is acquired or released.

    A hook before the acquisition may return that the lock is taken.
    """

    def __init__(self, pump: Pump) -> None:
        self._lock = threading.RLock()
        self.before_acquire: deque[Any] = deque()
        self.before_release: Any = None
        pump._leader = self  # type: ignore[assignment]

    def acquire(self, blocking: bool = True) -> bool:
        if self.before_acquire and self.before_acquire.popleft()() == "taken":
            return False
        return self._lock.acquire(blocking)

    def release(self) -> None:
        if self.before_release:
            self.before_release()
        self._lock.release()

    def _is_owned(self) -> bool:
        return self._lock._is_owned()  # type: ignore[attr-defined, no-any-return]

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *exception: object) -> None:
        self.release()


def parked(pump: Pump, key: bytes) -> Call:
    """The call of a thread that waits to be woken."""
    call = Single(SECOND_NS, Op.GET, key)
    call.parking = SimpleQueue()
    pump._under_way[call] = pump._parked[call] = None
    return call


def test_who_takes_the_lead_for_a_moment_only_hands_it_over(client: Client) -> None:
    """The thread's call ends just before it tries to lead; meanwhile another thread finds the lead taken."""
    pump = client._pump
    lead = ScriptedLead(pump)
    mine, others = Single(SECOND_NS, Op.GET, b"a"), []

    def settle_and_let_another_park() -> None:
        mine.settle(b"value", None)
        others.append(parked(pump, b"b"))

    lead.before_acquire.extend([lambda: "taken", settle_and_let_another_park])
    assert pump.wait(mine) == b"value"
    assert others[0].parking.qsize() == 1


@pytest.mark.interpreted
def test_an_exception_wakes_all_as_one_may_have_been_chosen_and_not_woken(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def torn(timeout_ns: int | None) -> bool:
        raise Torn

    chosen = parked(client._pump, b"a")
    client._pump._parked.clear()
    monkeypatch.setattr(client._pump._driver, "receive", torn)
    with pytest.raises(Torn):
        client._pump.send()
    assert chosen.parking is not None
    assert chosen.parking.qsize() == 1


def test_close_wakes_who_submitted_while_it_closed(client: Client) -> None:
    lead = ScriptedLead(client._pump)
    late: list[Any] = []
    lead.before_release = lambda: late.append(parked(client._pump, b"late"))
    client.close()
    assert late[0].parking.qsize() == 1
    with pytest.raises(Closed):
        client._pump.wait(late[0])
