"""The real transport: a ROUTER socket for each bound link, a DEALER for each connected one.

A DEALER keeps messages for a server that is not up yet, or not up again, and delivers them to whoever binds the
endpoint next: receivers must judge a message by its content. A ROUTER refuses unknown peers (ROUTER_MANDATORY).
libzmq takes about a thousand messages per peer, then answers EAGAIN; what it does not take waits in an outbox here.

A round trip costs little more than its polls, receives and sends: flags are plain integers (enum arithmetic costs
more than a send), and frames are sent by the compiled base class of zmq.Socket.
"""

from __future__ import annotations

import os
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import zmq
from zmq.backend import Socket as CompiledSocket

from shardstore.effects import Received
from shardstore.errors import InvalidRequest
from shardstore.limits import (
    FRAME_BYTES_MAX,
    FRAMES_MAX,
    IPC_PATH_BYTES_MAX,
    KIB,
    MILLISECOND_NS,
    OUTBOX_BYTES_MAX,
)

_LINGER_MS = 1_000
_OUTBOX_RETRY_MS = 2
"""A ROUTER cannot be polled for room towards one peer, so its outboxes are tried this often."""
_MESSAGES_PER_RECEIVE = 512
_COPY_BYTES_MAX = 64 * KIB
"""Longer frames are sent in place; for shorter ones a copy is cheaper than tracking their use."""
_IPC_MODE_MASK = 0o177
_ONE = (1).to_bytes(8, "little")
_IN, _OUT = int(zmq.POLLIN), int(zmq.POLLOUT)
_LAST = int(zmq.NOBLOCK)
_MORE = int(zmq.NOBLOCK | zmq.SNDMORE)
_OPTIONS = {
    zmq.LINGER: _LINGER_MS,
    zmq.MAXMSGSIZE: FRAME_BYTES_MAX,
    zmq.HANDSHAKE_IVL: 3_000,
    zmq.HEARTBEAT_IVL: 2_000,
    zmq.HEARTBEAT_TIMEOUT: 6_000,
    zmq.RECONNECT_IVL: 20,
    zmq.RECONNECT_IVL_MAX: 500,
}


class _Outbox:
    """Messages one peer has not taken, oldest first."""

    def __init__(self) -> None:
        self.messages: deque[list[bytes]] = deque()
        self.size = 0

    def add(self, message: list[bytes]) -> bool:
        """Keep the message, unless that would exceed the bound."""
        size = self.size + sum(map(len, message))
        if size > OUTBOX_BYTES_MAX:
            return False
        self.messages.append(message)
        self.size = size
        return True

    def remove_first(self) -> None:
        """Forget the oldest message."""
        self.size -= sum(map(len, self.messages.popleft()))


class _Link:
    """One socket and what waits to be sent on it. On a connected link the one peer is b""."""

    def __init__(self, context: zmq.Context[Any], name: str, kind: zmq.SocketType) -> None:
        self.name = name
        self.bound = kind == zmq.ROUTER
        self.socket = context.socket(kind)
        self._send: Callable[..., object] = partial(CompiledSocket.send, self.socket)
        self.outboxes: dict[bytes, _Outbox] = {}
        self.discarded = 0
        for option, value in _OPTIONS.items():
            self.socket.set(option, value)
        if self.bound:
            self.socket.set(zmq.ROUTER_MANDATORY, 1)

    def send(self, peer: bytes, frames: Sequence[bytes]) -> bool:
        """Pass the message on, or keep it behind others; False when the peer is gone or has too much waiting."""
        message = [peer, *frames] if self.bound else list(frames)
        outbox = self.outboxes.get(peer)
        if outbox is None:
            try:
                return self._pass_on(message)
            except zmq.Again:
                outbox = self.outboxes[peer] = _Outbox()
        if outbox.add(message):
            return True
        del self.outboxes[peer]
        return False

    def retry(self) -> None:
        """Pass on what waits and is taken now."""
        for peer, outbox in list(self.outboxes.items()):
            with suppress(zmq.Again):
                while outbox.messages and self._pass_on(outbox.messages[0]):
                    outbox.remove_first()
                del self.outboxes[peer]

    def _pass_on(self, message: list[bytes]) -> bool:
        """Give the message to libzmq; False when it knows no such peer. Only the first frame can be refused."""
        send = self._send
        try:
            for frame in message[:-1]:
                send(frame, _MORE, len(frame) <= _COPY_BYTES_MAX)
            send(message[-1], _LAST, len(message[-1]) <= _COPY_BYTES_MAX)
        except zmq.ZMQError as error:
            if error.errno == zmq.EHOSTUNREACH:
                return False
            raise
        return True

    def take(self) -> Received | None:
        """The next message; None when there is none, or when it has more frames than any message may have."""
        receive = self.socket.recv
        peer = b""
        try:
            frame = receive(_LAST, False)
        except zmq.Again:
            return None
        if self.bound:
            peer = frame.bytes
            frame = receive(_LAST, False)
        frames = [frame.bytes]
        excess = 0
        while frame.more:
            frame = receive(_LAST, False)
            if len(frames) < FRAMES_MAX:
                frames.append(frame.bytes)
            else:
                excess += 1
        if excess:
            self.discarded += 1
            return None
        return Received(self.name, peer, frames)


class ZmqTransport:
    """The sockets of one process, with a context of their own."""

    def __init__(self) -> None:
        self._context: zmq.Context[Any] = zmq.Context()
        self._links: dict[str, _Link] = {}
        self._waker = open(os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK), "r+b", buffering=0)  # noqa: SIM115
        self._waiting: dict[str, _Link] = {}
        self._by_socket: dict[zmq.Socket[bytes] | int, _Link] = {}
        self._items: list[tuple[Any, int]] = [(self._waker.fileno(), _IN)]
        self._drop = weakref.finalize(self, _drop, self._context, self._links)
        self._drop.atexit = False  # threads may still use it then, and the end of the process closes all

    @property
    def discarded(self) -> int:
        """Messages that had more frames than any message may have, on the links that are open."""
        return sum(link.discarded for link in self._links.values())

    def bind(self, link: str, endpoint: str) -> str:
        """Accept peers at the endpoint. The file of an ipc endpoint is for this user only."""
        _check_path(endpoint)
        opened = _Link(self._context, link, zmq.ROUTER)
        opened.socket.set(zmq.IPV6, _is_ipv6(endpoint))
        mask = os.umask(_IPC_MODE_MASK)
        try:
            opened.socket.bind(endpoint)
        except zmq.ZMQError as error:
            opened.socket.close(linger=0)
            raise InvalidRequest(f"cannot listen on {endpoint}: {error}") from None
        finally:
            os.umask(mask)
        self._add(opened)
        bound: bytes = opened.socket.get(zmq.LAST_ENDPOINT)
        return bound.rstrip(b"\0").decode()

    def connect(self, link: str, endpoint: str) -> None:
        """Open a link to one endpoint, replacing an earlier one of that name. Nobody need listen there yet."""
        _check_path(endpoint)
        opened = _Link(self._context, link, zmq.DEALER)
        opened.socket.set(zmq.IPV6, _is_ipv6(endpoint))
        try:
            opened.socket.connect(endpoint)
        except zmq.ZMQError as error:
            opened.socket.close(linger=0)
            raise InvalidRequest(f"cannot connect to {endpoint}: {error}") from None
        self._add(opened)

    def disconnect(self, link: str) -> None:
        """Drop a link and what waits on it."""
        if link in self._links:
            self._links.pop(link).socket.close(linger=0)
            self._waiting.pop(link, None)
            self._list_sockets()

    def send(self, link: str, peer: bytes, frames: Sequence[bytes]) -> bool:
        """Hand a message over; False when link or peer is unknown or gone, or the peer was cut off."""
        opened = self._links.get(link)
        if opened is None:
            return False
        sent = opened.send(peer, frames)
        if opened.outboxes:
            self._waiting[link] = opened
        return sent

    def receive(self, timeout_ns: int | None) -> list[Received]:
        """Wait for messages, a wake or the timeout, then take what is there, one message from each link in turn.

        The timeout is rounded up to milliseconds. While messages wait in an outbox, it may end early with nothing.
        """
        timeout_ms = -1 if timeout_ns is None else -(-timeout_ns // MILLISECOND_NS)
        ready = self._wait_with_outboxes(timeout_ms) if self._waiting else zmq.zmq_poll(self._items, timeout_ms)
        received: list[Received] = []
        for _ in range(_MESSAGES_PER_RECEIVE):
            for source, events in ready:
                link = self._by_socket.get(source)
                if link is None:
                    self._waker.read(8)
                elif events & _IN and (message := link.take()) is not None:
                    received.append(message)
            if not received or len(received) >= _MESSAGES_PER_RECEIVE:
                break
            ready = zmq.zmq_poll(self._items, 0)
            if not ready:
                break
        return received

    def wake(self) -> None:
        """End a `receive` that waits, now or at its next call. From any thread or signal handler; none after close."""
        with suppress(ValueError):  # closed meanwhile
            self._waker.write(_ONE)

    def close(self) -> None:
        """Close every socket; unsent messages get a second to leave. Closing twice is allowed."""
        if self._drop.detach() is None:
            return
        for link in self._links.values():
            link.socket.close(linger=_LINGER_MS)
        self._links.clear()
        self._waiting.clear()
        self._list_sockets()
        self._waker.close()
        self._context.term()

    def descriptors(self) -> list[int]:
        """File descriptors that become readable when `receive` may have something, for a foreign event loop.

        Those of sockets tell of a change once, not of a state: after any send or receive, and after connecting or
        disconnecting, call `receive(0)` until it answers nothing before waiting on them again.
        """
        return [self._waker.fileno(), *(link.socket.get(zmq.FD) for link in self._links.values())]

    def _add(self, link: _Link) -> None:
        self.disconnect(link.name)
        self._links[link.name] = link
        self._list_sockets()

    def _list_sockets(self) -> None:
        self._by_socket = {link.socket: link for link in self._links.values()}
        self._items = [(self._waker.fileno(), _IN), *((link.socket, _IN) for link in self._links.values())]

    def _wait_with_outboxes(self, timeout_ms: int) -> list[tuple[Any, int]]:
        """Poll after another try to send what waits; while something still does, also for room to send."""
        for name, link in list(self._waiting.items()):
            link.retry()
            if not link.outboxes:
                del self._waiting[name]
        room = [(link.socket, _OUT) for link in self._waiting.values() if not link.bound]
        if len(room) < len(self._waiting):
            timeout_ms = _OUTBOX_RETRY_MS if timeout_ms < 0 else min(timeout_ms, _OUTBOX_RETRY_MS)
        ready: list[tuple[Any, int]] = zmq.zmq_poll(self._items + room, timeout_ms)
        return ready


def _drop(context: zmq.Context[Any], links: dict[str, _Link]) -> None:
    """Close what its owner forgot to close: left to the collector, a context may wait for its sockets for ever."""
    for link in links.values():
        link.socket.close(linger=0)
    context.term()


def _is_ipv6(endpoint: str) -> int:
    """1 for an address in brackets. Not set for all: libzmq would report 127.0.0.1 in the form of IPv6."""
    return int(endpoint.startswith("tcp://["))


def _check_path(endpoint: str) -> None:
    path = endpoint.removeprefix("ipc://").encode()
    if endpoint.startswith("ipc://") and len(path) > IPC_PATH_BYTES_MAX:
        raise InvalidRequest(
            f"the path of {endpoint} has {len(path)} bytes, allowed are {IPC_PATH_BYTES_MAX}: use a shorter directory"
        )
