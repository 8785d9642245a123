"""The real transport, behind one epoll: links as of ZeroMQ (ipc:// and tcp://) and Unix streams (unix://)."""

from __future__ import annotations

import os
import weakref
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from io import FileIO
from typing import TYPE_CHECKING, Any, TypeAlias

import zmq

from shardstore.errors import InvalidRequest
from shardstore.limits import MILLISECOND_NS
from shardstore.options import SocketAccess
from shardstore.seams.effects import Incoming
from shardstore.system.readiness import READABLE, Readiness
from shardstore.system.stream_links import SCHEME, StreamLink, path_of
from shardstore.system.system_clock import SystemClock
from shardstore.system.traffic import SWEEP_NS, TERMS, Terms
from shardstore.system.zmq_links import LINGER_MS, ZmqLink, make_sure_of_room

if TYPE_CHECKING:
    from shardstore.system.listener import Listener

_OUTBOX_RETRY_NS = 2 * MILLISECOND_NS
"""ZeroMQ does not tell of room towards one peer, so its outboxes are tried this often."""
_ONE = (1).to_bytes(8, "little")

Link: TypeAlias = "ZmqLink | Listener | StreamLink"


class SocketTransport:
    """The sockets of one process, with a ZeroMQ context of their own."""

    def __init__(self) -> None:
        """Raises OSError when the system has no room for it."""
        make_sure_of_room()
        self._links: dict[str, Link] = {}
        self._unsure: dict[ZmqLink, None] = {}
        self._waiting: dict[ZmqLink, None] = {}
        self._listeners: dict[str, Listener] = {}
        self._readiness = Readiness()
        self._polled: list[tuple[int, int]] = []
        self._waker = FileIO(os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK), "r+b")
        self._readiness.add(self._waker.fileno(), READABLE, partial(_woken, self._waker))
        self._context: zmq.Context[Any] = zmq.Context()
        self._drop = weakref.finalize(self, _drop, self._context, self._links, self._readiness, self._waker)
        self._drop.atexit = False  # threads may still use it then, and the end of the process closes all

    def bind(self, link: str, endpoint: str, terms: Terms = TERMS, access: SocketAccess | None = None) -> str:
        """Accept peers at the endpoint, within the terms.

        A socket in the file system is for this user only, unless `access` says who else is let in.
        """
        from shardstore.system.listener import Listener  # noqa: PLC0415  (it takes a while to load, and clients need none)

        listener = Listener(link, endpoint, access, self._readiness, terms, SystemClock().now_ns)
        self._add(link, listener)
        self._listeners[link] = listener
        return listener.endpoint

    def renew(self) -> None:
        """Listen again wherever the file of a socket has vanished."""
        for listener in self._listeners.values():
            listener.renew()

    def connect(self, link: str, endpoint: str) -> None:
        """Open a link to one endpoint, replacing an earlier one of that name. Nobody need listen there yet."""
        if endpoint.startswith(SCHEME):
            self._add(link, StreamLink(link, endpoint, self._readiness))
        else:
            self._connect(link, endpoint)

    def disconnect(self, link: str) -> None:
        """Drop a link and what waits on it."""
        dropped = self._links.get(link)
        if dropped is not None:
            self._waiting.pop(dropped, None)  # type: ignore[arg-type]  # other links are not in it
            dropped.close()
            self._listeners.pop(link, None)
            del self._links[link]

    def send(self, link: str, peer: bytes, frames: Sequence[bytes]) -> bool:
        """Hand a message over; False when link or peer is unknown or gone, or the peer was cut off."""
        opened = self._links.get(link)
        if opened is None:
            return False
        sent = opened.send(peer, frames)
        if type(opened) is ZmqLink and opened.waiting:
            self._waiting[opened] = None
        return sent

    def unsent_bytes(self) -> int:
        """Bytes of messages that their peers have not taken yet."""
        listeners = sum([listener.unsent_bytes for listener in self._listeners.values()])
        return listeners + sum([link.unsent_bytes for link in self._waiting])

    def receive(self, timeout_ns: int | None) -> list[Incoming]:
        """Wait for messages, a wake or the timeout, then take some from each link that has any.

        The timeout is rounded up to milliseconds. It may end early with nothing: ZeroMQ makes its descriptors readable
        for its own reasons too.
        """
        self.wait(timeout_ns)
        return self.take()

    def wait(self, timeout_ns: int | None) -> bool:
        """The first half of `receive`: wait; whether something has come, perhaps in part.

        An exception in here, such as KeyboardInterrupt, leaves all whole.
        """
        if self._waiting:
            timeout_ns = _OUTBOX_RETRY_NS if timeout_ns is None else min(timeout_ns, _OUTBOX_RETRY_NS)
        has_come = bool(self._unsure) and any(link.readable() for link in list(self._unsure))
        for listener in self._listeners.values():
            if listener.has_more:
                timeout_ns = 0
            elif listener.traffic.is_watched:
                timeout_ns = SWEEP_NS if timeout_ns is None else min(timeout_ns, SWEEP_NS)
        self._polled = self._readiness.poll(0 if has_come else timeout_ns)
        return has_come or bool(self._polled)

    def take(self) -> list[Incoming]:
        """The second half: pass on what waits, and take what has come."""
        received: list[Incoming] = []
        if self._waiting:
            self._retry_waiting()
        if self._unsure:
            for link in list(self._unsure):
                link.take(received)
        for listener in self._listeners.values():
            listener.take(received)
        self._readiness.serve(self._polled, received)
        return received

    def wake(self) -> None:
        """End a `receive` that waits, now or at its next call. From any thread or signal handler; none after close."""
        with suppress(ValueError):  # closed meanwhile
            self._waker.write(_ONE)

    def close(self) -> None:
        """Close every socket; unsent messages of ZeroMQ links get a second to leave. Closing twice is allowed."""
        if self._drop.detach() is None:
            return
        for link in self._links.values():
            if isinstance(link, ZmqLink):
                link.close(LINGER_MS)
            else:
                link.close()
        self._links.clear()
        self._listeners.clear()
        self._waiting.clear()
        self._readiness.close()
        self._waker.close()
        self._context.term()

    def drop(self) -> None:
        """Close every socket at once, whatever waits to be sent. In a fork, what its origin has stays whole."""
        self._waiting.clear()
        self._unsure.clear()
        self._polled.clear()
        self._drop()

    def descriptor(self) -> int:
        """A file descriptor that becomes readable when `receive` may have something, for a foreign event loop.

        After any send, and after connecting, call `receive(0)` until it answers nothing before waiting on it again.
        """
        return self._readiness.fileno()

    def _connect(self, name: str, endpoint: str) -> None:
        if endpoint.startswith("ipc://"):
            path_of(endpoint)  # refuses one that libzmq would cut off in silence
        link = ZmqLink(name, self._context, self._readiness, self._unsure)
        self._add(name, link)  # before it is open: an interrupt must not leave a socket that nobody closes
        try:
            link.open(endpoint)
        except InvalidRequest:
            self.disconnect(name)
            raise

    def _add(self, name: str, link: Link) -> None:
        self.disconnect(name)
        self._links[name] = link

    def _retry_waiting(self) -> None:
        for link in list(self._waiting):
            link.retry()
            if not link.waiting:
                del self._waiting[link]


def _woken(waker: FileIO, events: int, received: list[Incoming]) -> None:
    waker.read(8)


def _drop(context: zmq.Context[Any], links: dict[str, Link], readiness: Readiness, waker: FileIO) -> None:
    """Close what its owner forgot to close: left to the collector, a context may wait for its sockets for ever.

    Nothing that this is given may lead to the transport: else it would never be forgotten.
    """
    for link in links.values():
        link.drop()
    links.clear()
    readiness.close()
    waker.close()
    context.term()
