"""Links over Unix stream sockets; see stream.py for what is on the wire.

Other than a ZeroMQ link, a connected one keeps nothing for a server that is not up: `send` says no at once, and the
next one tries to connect again.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import count
from typing import BinaryIO

from shardstore.effects import Incoming, PeerGone, Received
from shardstore.errors import InvalidRequest
from shardstore.limits import IPC_PATH_BYTES_MAX, MIB
from shardstore.readiness import READABLE, WRITABLE, Readiness
from shardstore.stream import Gone, Stream

SCHEME = "unix://"
_BACKLOG = 1_024
_BUFFER_BYTES = MIB
"""Asked for; the system gives what it allows."""
_SOCKET_MODE_MASK = 0o177


class Connection:
    """A stream that is watched, from whichever side it was opened."""

    def __init__(
        self,
        opened: socket.socket,
        link: str,
        peer: bytes,
        readiness: Readiness,
        slow: dict[Connection, None],
        forget: Callable[[], object],
    ) -> None:
        """`forget` is called when it is closed; it is in `slow` while something waits on it. Raises OSError."""
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
        self.stream = Stream(opened)
        self.gone = False
        self._link = link
        self._peer = peer
        self._readiness = readiness
        self._slow = slow
        self._forget = forget
        self._descriptor = opened.fileno()
        self._writable_wanted = False
        readiness.add(self._descriptor, READABLE, self._ready)

    def send(self, frames: Sequence[bytes]) -> bool:
        """Send a message; False when the other side is gone, or does not read: then the connection is closed."""
        try:
            self.stream.send(frames)
            if self.stream.waiting is not self._writable_wanted:
                self._watch_for_room()
        except Gone:
            self.close()
        return not self.gone

    def close(self) -> None:
        """Close it, with what waits on it."""
        if not self.gone:
            self._readiness.remove(self._descriptor)
            self.gone = True
            self._slow.pop(self, None)
            self.stream.close()
            self._forget()

    def _ready(self, events: int, received: list[Incoming]) -> None:
        try:
            if events & WRITABLE:
                self.stream.send_waiting()
                if not self.stream.waiting:
                    self._watch_for_room()
            if events & ~WRITABLE:
                for frames in self.stream.take():
                    received.append(Received(self._link, self._peer, frames))
        except Gone:
            self.close()
            if self._peer:
                received.append(PeerGone(self._link, self._peer))

    def _watch_for_room(self) -> None:
        """Be told when there is room to send, exactly while something waits for it."""
        self._writable_wanted = self.stream.waiting
        if self._writable_wanted:
            self._slow[self] = None
        else:
            self._slow.pop(self, None)
        events = READABLE | WRITABLE if self._writable_wanted else READABLE
        self._readiness.change(self._descriptor, events)


class StreamListener:
    """A bound link: everyone who connects is a peer, with an id from here."""

    def __init__(self, name: str, endpoint: str, readiness: Readiness, slow: dict[Connection, None]) -> None:
        """Listen; a socket that a dead process left in this place goes. Raises InvalidRequest."""
        self._name = name
        self._readiness = readiness
        self._slow = slow
        self._numbers = count(1)
        self._connections: dict[bytes, Connection] = {}
        path = path_of(endpoint)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        mask = os.umask(_SOCKET_MODE_MASK)
        try:
            with suppress(FileNotFoundError):
                os.unlink(path)
            self._socket.bind(path)
            self._socket.listen(_BACKLOG)
        except OSError as error:
            self._socket.close()
            raise InvalidRequest(f"cannot listen on {endpoint}: {error}") from None
        finally:
            os.umask(mask)
        self._spare = _spare_descriptor()
        readiness.add(self._socket.fileno(), READABLE, self._accept)

    def send(self, peer: bytes, frames: Sequence[bytes]) -> bool:
        """Send to one peer; False when it is unknown, gone, or was cut off because it does not read."""
        connection = self._connections.get(peer)
        return connection is not None and connection.send(frames)

    def close(self) -> None:
        """Close the socket and every connection."""
        self._readiness.remove(self._socket.fileno())
        self._socket.close()
        if self._spare is not None:
            self._spare.close()
        for connection in list(self._connections.values()):
            connection.close()

    def drop(self) -> None:
        """Close the sockets and leave everything that a fork shares with its origin alone."""
        self._socket.close()
        for connection in self._connections.values():
            connection.stream.socket.close()

    def _accept(self, events: int, received: list[Incoming]) -> None:
        """Take who wants to connect."""
        try:
            accepted, _ = self._socket.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError:
            self._refuse_one()
            return
        if self._spare is None:
            self._spare = _spare_descriptor()
        peer = next(self._numbers).to_bytes(8, "big")
        forget = partial(self._connections.pop, peer, None)
        try:
            self._connections[peer] = Connection(accepted, self._name, peer, self._readiness, self._slow, forget)
        except OSError:
            accepted.close()

    def _refuse_one(self) -> None:
        """No descriptor is left: free one for as long as it takes to turn somebody away, who then asks the router."""
        if self._spare is not None:
            self._spare.close()
        with suppress(OSError):
            self._socket.accept()[0].close()
        self._spare = _spare_descriptor()


class StreamLink:
    """A connected link to one listener, opened when something is to be sent."""

    def __init__(self, name: str, endpoint: str, readiness: Readiness, slow: dict[Connection, None]) -> None:
        self._name = name
        self._slow = slow
        self._path = path_of(endpoint)
        self._readiness = readiness
        self._connection: Connection | None = None

    def send(self, peer: bytes, frames: Sequence[bytes]) -> bool:
        """Send a message; False when nobody listens, or who did is gone or does not read."""
        if self._connection is None:
            self._connection = self._connect()
        return self._connection is not None and self._connection.send(frames)

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()

    def drop(self) -> None:
        """Close the socket and leave everything that a fork shares with its origin alone."""
        if self._connection is not None:
            self._connection.stream.socket.close()

    def _connect(self) -> Connection | None:
        """A new connection; None when nobody listens, more wait to be accepted than may, or no descriptor is left."""
        try:
            opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        except OSError:
            return None
        try:
            opened.setblocking(False)
            opened.connect(self._path)
            return Connection(opened, self._name, b"", self._readiness, self._slow, self._forget)
        except OSError:
            opened.close()
            return None

    def _forget(self) -> None:
        self._connection = None


def _spare_descriptor() -> BinaryIO | None:
    """Held for the day on which no other descriptor is left; None when that is today."""
    try:
        return open(os.devnull, "rb")
    except OSError:
        return None


def path_of(endpoint: str) -> str:
    """The path of a unix or ipc endpoint. Raises InvalidRequest when no socket can have it."""
    path = endpoint.partition("://")[2]
    if len(path.encode()) > IPC_PATH_BYTES_MAX:
        raise InvalidRequest(
            f"the path of {endpoint} has {len(path.encode())} bytes, allowed are {IPC_PATH_BYTES_MAX}: "
            "use a shorter directory"
        )
    return path
