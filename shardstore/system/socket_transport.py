"""The real transport: Unix stream links (unix://), and ZeroMQ links (tcp://) for clients on other hosts.

One epoll serves all of them.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from io import FileIO
from typing import TYPE_CHECKING, TypeAlias

from shardstore.errors import InvalidRequest
from shardstore.options import SocketAccess
from shardstore.seams.effects import Incoming
from shardstore.system.readiness import READABLE, Readiness
from shardstore.system.stream_links import SCHEME, Connection, StreamLink
from shardstore.system.system_clock import SystemClock
from shardstore.system.traffic import TERMS, Terms

if TYPE_CHECKING:
    from shardstore.access.doorkeeper import Doorkeeper
    from shardstore.access.key_files import ClientKey
    from shardstore.system.listener import Listener
    from shardstore.system.zmq_links import ZmqLink, ZmqLinks

_ONE = (1).to_bytes(8, "little")

Link: TypeAlias = "ZmqLink | Listener | StreamLink"


class SocketTransport:
    """The sockets of one process."""

    def __init__(self, key: ClientKey | None = None) -> None:
        """`key` is for links over tcp. Raises OSError if the system has too few file descriptors left."""
        self._key = key
        self._links: dict[str, Link] = {}
        self._unread: dict[Connection, None] = {}
        """The connections of connected links that have unsent bytes."""
        self._zmq: list[ZmqLinks] = []
        """Empty until there is a ZeroMQ link; one item from then on."""
        self._listeners: dict[str, Listener] = {}
        self._pressing: list[Listener] = []
        """The listeners with something to take even if nothing comes, as of the latest wait."""
        self._readiness = Readiness()
        self._polled: list[tuple[int, int]] = []
        self._waker = FileIO(os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK), "r+b")
        self._readiness.add(self._waker.fileno(), READABLE, partial(_woken, self._waker))
        self._drop = weakref.finalize(self, _drop, self._zmq, self._links, self._readiness, self._waker)
        self._drop.atexit = False  # at exit, threads may still use the sockets; the end of the process closes them

    def bind(self, link: str, endpoint: str, terms: Terms = TERMS, access: SocketAccess | None = None) -> str:
        """Listen at the endpoint, within the terms; returns the endpoint to connect to. Raises InvalidRequest.

        Only this user may connect to a socket file, unless `access` allows others.
        """
        from shardstore.system.listener import Listener  # noqa: PLC0415  (slow to load, and clients do not need it)

        listener = Listener(link, endpoint, access, self._readiness, terms, SystemClock().now_ns)
        self._add(link, listener)
        self._listeners[link] = listener
        return listener.endpoint

    def bind_also(self, link: str, endpoint: str, doorkeeper: Doorkeeper) -> str:
        """Let a bound link listen at a tcp endpoint too, for clients with a key that the doorkeeper lets in.

        Returns the endpoint to connect to. Raises InvalidRequest.
        """
        return self._listeners[link].open_door(endpoint, None, doorkeeper)

    def renew(self) -> None:
        """Listen again at paths whose socket file has vanished."""
        for listener in self._listeners.values():
            listener.renew()

    def connect(self, link: str, endpoint: str) -> None:
        """Connect a link to an endpoint, replacing a link of the same name. The endpoint need not exist yet."""
        if endpoint.startswith(SCHEME):
            self._add(link, StreamLink(link, endpoint, self._readiness, self._unread))
        else:
            self._connect(link, endpoint)

    def disconnect(self, link: str) -> None:
        """Close a link and drop its unsent messages."""
        dropped = self._links.get(link)
        if dropped is not None:
            dropped.close()
            self._listeners.pop(link, None)
            del self._links[link]

    def send(self, link: str, peer: bytes, frames: Sequence[bytes]) -> bool:
        """Send a message, or queue it; False if link or peer is unknown or gone, or the peer was cut off."""
        opened = self._links.get(link)
        return opened is not None and opened.send(peer, frames)

    def send_all(self, link: str, peer: bytes, messages: Sequence[Sequence[bytes]]) -> bool:
        """As `send`, for several messages at once: over a stream with one call of the system."""
        opened = self._links.get(link)
        return opened is not None and opened.send_all(peer, messages)

    def unsent_bytes(self) -> int:
        """Return the bytes of messages that peers have not read yet."""
        unsent = sum([connection.stream.unsent_bytes for connection in self._unread]) if self._unread else 0
        for links in self._zmq:
            unsent += links.unsent_bytes
        for listener in self._listeners.values():
            unsent += listener.traffic.unsent.bytes
        return unsent

    def receive(self, timeout_ns: int | None) -> list[Incoming]:
        """Wait for messages, a wake or the timeout, then return some messages of each link that has any.

        The timeout is rounded up to milliseconds. May return early with no message, as ZeroMQ also makes its
        descriptors readable for internal reasons.
        """
        self.wait(timeout_ns)
        return self.take()

    def wait(self, timeout_ns: int | None) -> bool:
        """The first half of `receive`: wait; returns whether data has arrived, perhaps only part of a message.

        An exception raised in here, such as KeyboardInterrupt, loses nothing.
        """
        if self._listeners:
            timeout_ns = self._note_pressing(timeout_ns)
        has_come = False
        for links in self._zmq:
            has_come = links.has_come()
            timeout_ns = 0 if has_come else links.patience_ns(timeout_ns)
        self._polled = self._readiness.poll(timeout_ns)
        return has_come or len(self._polled) > 0

    def take(self) -> list[Incoming]:
        """The second half of `receive`: send what is queued, and return what has arrived."""
        received: list[Incoming] = []
        for links in self._zmq:
            links.take(received)
        for listener in self._pressing:
            listener.take(received)
        self._readiness.serve(self._polled, received)
        return received

    def wake(self) -> None:
        """End a waiting `receive`, or the next one. For any thread or signal handler; does nothing after close."""
        with suppress(ValueError):  # it is closed
            self._waker.write(_ONE)

    def close(self) -> None:
        """Close every socket and drop unsent messages. Closing twice is allowed."""
        if self._drop.detach() is None:
            return
        for link in self._links.values():
            link.close()
        self._links.clear()
        self._listeners.clear()
        self._readiness.close()
        self._waker.close()
        for links in self._zmq:
            links.end()
        self._zmq.clear()

    def drop(self) -> None:
        """Close every socket at once and drop unsent messages. In a forked child this leaves the parent's untouched."""
        self._unread.clear()
        self._polled.clear()
        self._pressing.clear()
        self._drop()

    def descriptor(self) -> int:
        """Return a file descriptor for an event loop; it becomes readable when `receive` may return messages.

        After each send or connect, call `receive(0)` until it returns nothing before waiting for the descriptor again.
        """
        return self._readiness.fileno()

    def _connect(self, name: str, endpoint: str) -> None:
        from shardstore.system.zmq_links import ZmqLink, ZmqLinks  # noqa: PLC0415  (slow to load, and seldom needed)

        if not self._zmq:
            self._zmq.append(ZmqLinks(self._readiness, self._key))
        link = ZmqLink(name, self._zmq[0])
        self._add(name, link)  # before it is opened: otherwise an interrupt could leave a socket that is never closed
        try:
            link.open(endpoint)
        except InvalidRequest:
            self.disconnect(name)
            raise

    def _add(self, name: str, link: Link) -> None:
        self.disconnect(name)
        self._links[name] = link

    def _note_pressing(self, timeout_ns: int | None) -> int | None:
        """Note which listeners have something to take even if nothing comes. Returns how long to wait at most."""
        self._pressing.clear()
        for listener in self._listeners.values():
            patience_ns = listener.patience_ns()
            if patience_ns is not None:
                self._pressing.append(listener)
                timeout_ns = patience_ns if timeout_ns is None else min(timeout_ns, patience_ns)
        return timeout_ns


def _woken(waker: FileIO, events: int, received: list[Incoming]) -> None:
    waker.read(8)


def _drop(zmq: list[ZmqLinks], links: dict[str, Link], readiness: Readiness, waker: FileIO) -> None:
    """Close everything that the owner did not close: the garbage collector might wait for sockets of ZeroMQ forever.

    No argument may refer to the transport, which would otherwise never be collected.
    """
    for link in links.values():
        link.drop()
    links.clear()
    readiness.close()
    waker.close()
    for each in zmq:
        each.end()
    zmq.clear()
