"""A bound link. Every connection is a peer with an id assigned here, and all peers are served fairly.

In each turn the process takes a few messages of each peer, but none of a peer that does not read its replies: one in a
worker, and up to 64 in the router, which only passes them on. So if one peer floods the process with requests, each
other request waits no longer than one turn of each peer takes, and unread replies stop growing. traffic.py bounds the
memory of all peers together.
"""

from __future__ import annotations

import logging
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import count
from typing import BinaryIO

from shardstore.errors import InvalidRequest
from shardstore.limits import SECOND_NS
from shardstore.options import SocketAccess
from shardstore.seams.effects import Incoming, PeerGone, Received
from shardstore.system.readiness import READABLE, WRITABLE, Readiness
from shardstore.system.socket_file import SocketFile
from shardstore.system.stream import Gone, Stream
from shardstore.system.stream_links import Connection, path_of
from shardstore.system.traffic import SWEEP_NS, Terms, Traffic
from shardstore.system.zmtp import ZmtpStream

_BACKLOG = 1_024
_TCP = "tcp://"
LOGGED_NS = 10 * SECOND_NS
"""Minimum time between two log lines of the same kind."""

log = logging.getLogger("shardstore.links")


class PeerConnection(Connection):
    """The connection of one peer of a listener. It is in `loaded` while one of its messages waits for its turn."""

    def __init__(
        self,
        stream: Stream,
        link: str,
        peer: bytes,
        readiness: Readiness,
        forget: Callable[[], object],
        traffic: Traffic,
        loaded: dict[PeerConnection, None],
        cut_off: Callable[[PeerConnection, str], None],
    ) -> None:
        """`cut_off` is called with a connection that this side closes, and the reason. Raises OSError."""
        super().__init__(stream, link, peer, readiness, forget)
        self._traffic = traffic
        self._at_once, self._pause_bytes = traffic.terms.at_once, traffic.terms.pause_bytes
        self._loaded = loaded
        self._cut_off = cut_off
        self._came: deque[list[bytes]] = deque()
        self._is_quiet = self._is_silent = True
        traffic.came(self)

    def close(self) -> None:
        """Close the connection and drop its waiting messages."""
        super().close()
        self._loaded.pop(self, None)
        self._came.clear()
        self._traffic.left(self)

    def cut_off(self, why: str) -> None:
        """Close the connection for this reason, and report that the peer is gone."""
        self._cut_off(self, why)

    def end(self, received: list[Incoming]) -> None:
        """Close the connection and append PeerGone, unless it is closed already."""
        if not self.gone:
            self.close()
            received.append(PeerGone(self._link, self._peer))

    def next_turn(self, received: list[Incoming]) -> None:
        """Append the next waiting messages, as many as one turn allows."""
        for _ in range(min(self._at_once, len(self._came))):
            received.append(Received(self._link, self._peer, self._came.popleft()))
        if not self._came:
            del self._loaded[self]
            self._watch()

    def _take(self, received: list[Incoming]) -> None:
        stream = self.stream
        if self._came or stream.unsent_bytes > self._pause_bytes:
            return
        messages = stream.take()
        if self._is_silent and (messages or stream.shows_life):
            self._is_silent = False
            self._traffic.spoke(self)
        if len(messages) > self._at_once:
            self._came.extend(messages[self._at_once :])
            del messages[self._at_once :]
            self._is_quiet = False
        for frames in messages:
            received.append(Received(self._link, self._peer, frames))
        if not (self._is_quiet and stream.is_quiet()):
            self._watch()

    def _watch(self) -> None:
        self._is_quiet = self.stream.is_quiet() and not self._came
        self._traffic.holds(self, self.stream.unsent_bytes, self.stream.arrived_bytes)
        if self._came and not self._is_paused():
            self._loaded[self] = None
        else:
            self._loaded.pop(self, None)
        super()._watch()

    def _wanted(self) -> int:
        listens = 0 if self._came or self._is_paused() else READABLE
        return listens | WRITABLE if self.stream.waiting else listens

    def _is_paused(self) -> bool:
        return self.stream.unsent_bytes > self._pause_bytes


class Listener:
    """Listens on one endpoint and holds its connections, within its terms."""

    def __init__(
        self,
        name: str,
        endpoint: str,
        access: SocketAccess | None,
        readiness: Readiness,
        terms: Terms,
        now_ns: Callable[[], int],
    ) -> None:
        """Listen; replaces a socket file that a dead process left. Raises InvalidRequest."""
        self._name = name
        self._file = None if endpoint.startswith(_TCP) else SocketFile(path_of(endpoint), access)
        self._readiness = readiness
        self._numbers = count(1)
        self._connections: dict[bytes, PeerConnection] = {}
        self._loaded: dict[PeerConnection, None] = {}
        self._gone: list[Incoming] = []
        self._refusals = Repeated(now_ns)
        self._cuts = Repeated(now_ns)
        self.traffic = Traffic(terms, now_ns)
        self._speaks: type[Stream] = ZmtpStream if self._file is None else Stream
        self._socket, self.endpoint = _listening(endpoint, self._file)
        self._spare = _spare_descriptor()
        readiness.add(self._socket.fileno(), READABLE, self._accept)

    def patience_ns(self) -> int | None:
        """The time until `take` has something to do even if nothing comes; None for any time."""
        if self._loaded or self._gone:
            return 0
        return SWEEP_NS if self.traffic.is_watched() else None

    def send(self, peer: bytes, frames: Sequence[bytes]) -> bool:
        """Send to one peer; False if it is unknown, gone, or was cut off because it does not read."""
        connection = self._connections.get(peer)
        return connection is not None and connection.send(frames)

    def send_all(self, peer: bytes, messages: Sequence[Sequence[bytes]]) -> bool:
        """As `send`, for several messages at once."""
        connection = self._connections.get(peer)
        return connection is not None and connection.send_all(messages)

    def take(self, received: list[Incoming]) -> None:
        """Append one waiting message of each peer, and PeerGone for the peers that were cut off."""
        if self._loaded:
            for connection in list(self._loaded):
                connection.next_turn(received)
        if self.traffic.is_watched():
            self.traffic.sweep()
        if self._gone:
            received += self._gone
            self._gone.clear()

    def renew(self) -> None:
        """Listen at the same path again if its file has vanished. Connections stay open."""
        if self._file is not None and self._file.is_to_be_made_again():
            with suppress(InvalidRequest):  # it has vanished again: the next call retries
                again, _ = _listening(self.endpoint, self._file)
                self._readiness.remove(self._socket.fileno())
                self._socket.close()
                self._socket = again
                self._readiness.add(again.fileno(), READABLE, self._accept)

    def close(self) -> None:
        """Close the socket and every connection."""
        self._readiness.remove(self._socket.fileno())
        self._socket.close()
        if self._spare is not None:
            self._spare.close()
        for connection in list(self._connections.values()):
            connection.close()

    def drop(self) -> None:
        """Close the sockets, without changing anything that a forked child shares with its parent."""
        self._socket.close()
        for connection in self._connections.values():
            connection.stream.socket.close()

    def _accept(self, events: int, received: list[Incoming]) -> None:
        """Accept a connection."""
        try:
            accepted, _ = self._socket.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError:
            self._refuse_one()
            return
        if self._spare is None:
            self._spare = _spare_descriptor()
        if accepted.fileno() > self.traffic.terms.descriptors_max:
            accepted.close()
            self._note_refusal()
            return
        peer = next(self._numbers).to_bytes(8, "big")
        forget = partial(self._connections.pop, peer, None)
        try:
            stream = self._speaks(accepted, self.traffic.terms.bytes_max_of)
            self._connections[peer] = PeerConnection(
                stream, self._name, peer, self._readiness, forget, self.traffic, self._loaded, self._cut_off
            )
        except (OSError, Gone):
            accepted.close()

    def _refuse_one(self) -> None:
        """Close a new connection when no descriptor is left, using the spare one. The client then asks the router."""
        if self._spare is not None:
            self._spare.close()
        with suppress(OSError):
            self._socket.accept()[0].close()
        self._spare = _spare_descriptor()
        self._note_refusal()

    def _note_refusal(self) -> None:
        self._refusals.note(
            f"connections are refused on the link {self._name!r}: {len(self._connections)} are open, and the "
            "remaining descriptors are reserved for files; raise `ulimit -n`, or close clients"
        )

    def _cut_off(self, connection: PeerConnection, why: str) -> None:
        connection.end(self._gone)
        self._cuts.note(f"a client on the link {self._name!r} was cut off: {why}; it may connect again")


class Repeated:
    """Logs an event that may happen very often, at most once in LOGGED_NS, with the number of its occurrences."""

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._count = 0
        self._logged_ns: int | None = None

    def note(self, what: str) -> None:
        """Count one more occurrence, and log it if the last log line is old enough."""
        self._count += 1
        now_ns = self._now_ns()
        if self._logged_ns is None or now_ns - self._logged_ns >= LOGGED_NS:
            self._logged_ns = now_ns
            log.warning("%s (%d times so far)", what, self._count)


def _listening(endpoint: str, file: SocketFile | None) -> tuple[socket.socket, str]:
    """Return a socket listening at the path or tcp address, and the endpoint to connect to. Raises InvalidRequest."""
    try:
        listening, name = _bound_to_address(endpoint) if file is None else (_bound_to_path(endpoint, file), endpoint)
        listening.setblocking(False)
        listening.listen(_BACKLOG)
    except OverflowError:
        raise InvalidRequest(f"cannot listen on {endpoint}: a port is at most 65535") from None
    except OSError as error:
        raise InvalidRequest(f"cannot listen on {endpoint}: {error.strerror or error}") from None
    return listening, name


def _bound_to_address(endpoint: str) -> tuple[socket.socket, str]:
    """Return a socket bound to a tcp address, and the endpoint, in which a chosen port replaces port 0.

    Raises InvalidRequest, OSError, OverflowError.
    """
    host, _, port = endpoint.removeprefix(_TCP).rpartition(":")
    if not port.isdecimal():
        raise InvalidRequest(f"cannot listen on {endpoint}: write it like tcp://127.0.0.1:7700 or tcp://[::1]:0")
    bound = socket.socket(socket.AF_INET6 if host.startswith("[") else socket.AF_INET)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # accepted sockets inherit these options
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        bound.bind((host.strip("[]"), int(port)))
        return bound, f"{_TCP}{host}:{bound.getsockname()[1]}"
    except (OSError, OverflowError):
        bound.close()
        raise


def _bound_to_path(endpoint: str, file: SocketFile) -> socket.socket:
    """Return a socket bound to a path, replacing a socket file that a dead process left.

    Raises InvalidRequest, OSError.
    """
    path = path_of(endpoint)
    bound = socket.socket(socket.AF_UNIX)
    try:
        with suppress(FileNotFoundError):
            os.unlink(path)
        file.make(lambda: bound.bind(path))
        return bound
    except OSError:
        bound.close()
        raise


def _spare_descriptor() -> BinaryIO | None:
    """Open a descriptor to hold in reserve for when no other is left; None if none is left now."""
    try:
        return open(os.devnull, "rb")
    except OSError:
        return None
