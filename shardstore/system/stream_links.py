"""Connected links over Unix stream sockets. The format is in stream.py, the other side in listener.py.

Unlike a ZeroMQ link, such a link keeps no messages for a server that is down: `send` fails at once, and the next `send`
tries to connect again.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence

from shardstore.errors import InvalidRequest
from shardstore.limits import MIB, SOCKET_PATH_BYTES_MAX
from shardstore.seams.effects import Incoming, Received
from shardstore.system.readiness import READABLE, WRITABLE, Readiness
from shardstore.system.stream import Gone, Stream

SCHEME = "unix://"
_BUFFER_BYTES = MIB
"""Requested size; the system may give less."""


class Connection:
    """A watched stream, on the side that opened it. All messages that arrive are passed on."""

    def __init__(
        self, stream: Stream, link: str, peer: bytes, readiness: Readiness, forget: Callable[[], object]
    ) -> None:
        """`forget` is called when the connection is closed. Raises OSError."""
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
        self.stream = stream
        self.gone = False
        self._link = link
        self._peer = peer
        self._readiness = readiness
        self._forget = forget
        self._descriptor = stream.socket.fileno()
        self._watched = READABLE
        readiness.add(self._descriptor, READABLE, self._ready)

    def send(self, frames: Sequence[bytes]) -> bool:
        """Send a message. If the other side is gone or does not read, close the connection and return False."""
        try:
            if self.stream.send(frames):
                return True
            self._watch()
        except Gone:
            self.close()
        return not self.gone

    def send_all(self, messages: Sequence[Sequence[bytes]]) -> bool:
        """As `send`, for several messages at once."""
        try:
            if self.stream.send_all(messages):
                return True
            self._watch()
        except Gone:
            self.close()
        return not self.gone

    def close(self) -> None:
        """Close the connection and drop its unsent messages."""
        if not self.gone:
            self._readiness.remove(self._descriptor)
            self.gone = True
            self.stream.close()
            self._forget()

    def _ready(self, events: int, received: list[Incoming]) -> None:
        try:
            if events & WRITABLE:
                self.stream.send_waiting()
                self._watch()
                if events == WRITABLE:
                    return
            self._take(received)
        except Gone:
            self.end(received)

    def _take(self, received: list[Incoming]) -> None:
        """Append the messages that have arrived. Raises Gone."""
        for frames in self.stream.take():
            received.append(Received(self._link, self._peer, frames))

    def end(self, received: list[Incoming]) -> None:
        """Close the connection, as the other side is gone."""
        self.close()

    def _watch(self) -> None:
        """Watch for arriving bytes and, while bytes are unsent, for room to send them."""
        wanted = self._wanted()
        if wanted != self._watched and not self.gone:
            self._watched = wanted
            self._readiness.change(self._descriptor, wanted)

    def _wanted(self) -> int:
        return READABLE | WRITABLE if self.stream.waiting else READABLE


class _LinkConnection(Connection):
    """The connection of a connected link. It is in `unread` while it has unsent bytes."""

    def __init__(
        self,
        stream: Stream,
        link: str,
        readiness: Readiness,
        forget: Callable[[], object],
        unread: dict[Connection, None],
    ) -> None:
        super().__init__(stream, link, b"", readiness, forget)
        self._unread = unread

    def close(self) -> None:
        """Close the connection and drop its unsent messages."""
        super().close()
        self._unread.pop(self, None)

    def _watch(self) -> None:
        if self.stream.waiting:
            self._unread[self] = None
        else:
            self._unread.pop(self, None)
        super()._watch()


class StreamLink:
    """A connected link to one listener. `send` opens the connection if needed.

    The links of a transport share `unread`, the connections with bytes that the other side has not read.
    """

    def __init__(self, name: str, endpoint: str, readiness: Readiness, unread: dict[Connection, None]) -> None:
        self._name = name
        self._path = path_of(endpoint)
        self._readiness = readiness
        self._unread = unread
        self._connection: Connection | None = None

    def send(self, peer: bytes, frames: Sequence[bytes]) -> bool:
        """Send a message; False if there is no listener, or it is gone or does not read."""
        if self._connection is None:
            self._connection = self._connect()
        return self._connection is not None and self._connection.send(frames)

    def send_all(self, peer: bytes, messages: Sequence[Sequence[bytes]]) -> bool:
        """As `send`, for several messages at once."""
        if self._connection is None:
            self._connection = self._connect()
        return self._connection is not None and self._connection.send_all(messages)

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()

    def drop(self) -> None:
        """Close the socket, without changing anything that a forked child shares with its parent."""
        if self._connection is not None:
            self._connection.stream.socket.close()

    def _connect(self) -> Connection | None:
        """Open a connection; None if nothing listens, the listener's queue is full, or no descriptor is left."""
        try:
            opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        except OSError:
            return None
        try:
            opened.setblocking(False)
            opened.connect(self._path)
            return _LinkConnection(Stream(opened), self._name, self._readiness, self._forget, self._unread)
        except OSError:
            opened.close()
            return None

    def _forget(self) -> None:
        self._connection = None


def path_of(endpoint: str) -> str:
    """Return the path of a unix endpoint. Raises InvalidRequest if it is too long for a socket."""
    path = endpoint.partition("://")[2]
    if len(path.encode()) > SOCKET_PATH_BYTES_MAX:
        raise InvalidRequest(
            f"the path of {endpoint} has {len(path.encode())} bytes, allowed are {SOCKET_PATH_BYTES_MAX}: "
            "use a shorter directory"
        )
    return path
