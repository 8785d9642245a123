"""The listening sockets of a listener. A door accepts connections at one endpoint, from those whom it may let in.

At a Unix socket the system tells who connects (SO_PEERCRED): this user and root are let in, and others only if the
operator chose that (SocketAccess). A tcp door with a doorkeeper encrypts, and asks for keys.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from shardstore.errors import InvalidRequest
from shardstore.options import SocketAccess
from shardstore.seams.effects import Incoming
from shardstore.system.readiness import READABLE, Readiness
from shardstore.system.socket_file import SocketFile
from shardstore.system.stream import Gone, Stream
from shardstore.system.stream_links import path_of
from shardstore.system.zmtp import ZmtpStream

if TYPE_CHECKING:
    from shardstore.access.doorkeeper import Doorkeeper

NO_ROOM = "the remaining descriptors are reserved for files; raise `ulimit -n`, or close clients"
STRANGER = "another user than that of the store tried to connect to its socket"
_BACKLOG = 1_024
_TCP = "tcp://"
_ROOT = 0
_CREDENTIALS = struct.Struct("=3i")
_SO_PEERGROUPS = 59
"""As in the headers of Linux; the module `socket` does not have it."""
_GROUPS_MAX = 65_536
_GROUP_CONNECTS, _ANYBODY_CONNECTS = 0o020, 0o002
_TCP_OPTIONS = {
    # of a client that is gone, nothing comes: it is asked after 30 s, then three times more, 10 s apart
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE): 1,
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE): 30,
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL): 10,
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT): 3,
    (socket.IPPROTO_TCP, socket.TCP_NODELAY): 1,
    (socket.SOL_SOCKET, socket.SO_REUSEADDR): 1,
}


class Visitor(NamedTuple):
    """Who is at the other end of a Unix socket: the user and the groups."""

    user: int
    groups: frozenset[int]


class Door:
    """One listening socket. `let_in` gets each new connection; `refused` gets the reason if one is not let in."""

    def __init__(
        self,
        endpoint: str,
        access: SocketAccess | None,
        readiness: Readiness,
        bytes_max_of: Callable[[bytes], int],
        descriptors_max: int,
        let_in: Callable[[Stream, Doorkeeper | None], None],
        refused: Callable[[str], None],
        doorkeeper: Doorkeeper | None = None,
    ) -> None:
        """Listen; replaces a socket file that a dead process left. Raises InvalidRequest."""
        self.doorkeeper = doorkeeper
        self._access = access
        self._file = None if endpoint.startswith(_TCP) else SocketFile(path_of(endpoint), access)
        self._readiness = readiness
        self._bytes_max_of = bytes_max_of
        self._descriptors_max = descriptors_max
        self._let_in = let_in
        self._refused = refused
        self._socket, self.endpoint = _listening(endpoint, self._file)
        self._spare = _spare_descriptor()
        readiness.add(self._socket.fileno(), READABLE, self._accept)

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
        """Listen no more."""
        self._readiness.remove(self._socket.fileno())
        self._socket.close()
        if self._spare is not None:
            self._spare.close()

    def drop(self) -> None:
        """Close the socket, without changing anything that a forked child shares with its parent."""
        self._socket.close()

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
        if accepted.fileno() > self._descriptors_max:
            accepted.close()
            self._refused(NO_ROOM)
            return
        try:
            if self._file is not None and not self._may_enter(accepted, self._file):
                accepted.close()
                self._refused(STRANGER)
                return
            self._let_in(self._stream_over(accepted), self.doorkeeper)
        except (OSError, Gone):
            accepted.close()

    def _may_enter(self, accepted: socket.socket, file: SocketFile) -> bool:
        visitor = visitor_at(accepted)
        if visitor.user in (os.geteuid(), _ROOT):
            return True
        return self._access is not None and are_welcome(visitor, self._access.mode, file.group())

    def _stream_over(self, accepted: socket.socket) -> Stream:
        if self._file is not None:
            return Stream(accepted, self._bytes_max_of)
        if self.doorkeeper is None:
            return ZmtpStream(accepted, self._bytes_max_of)
        from shardstore.system.curve_stream import CurveStream  # noqa: PLC0415  (few stores need it)

        return CurveStream(accepted, self._bytes_max_of, self.doorkeeper.connection)

    def _refuse_one(self) -> None:
        """Close a new connection when no descriptor is left, using the spare one. The client then asks the router."""
        if self._spare is not None:
            self._spare.close()
        with suppress(OSError):
            self._socket.accept()[0].close()
        self._spare = _spare_descriptor()
        self._refused(NO_ROOM)


def visitor_at(accepted: socket.socket) -> Visitor:
    """Return who opened a connection to a Unix socket, as the system tells it. Raises OSError."""
    credentials = accepted.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, user, group = _CREDENTIALS.unpack(credentials)
    groups = {group}
    with suppress(OSError):  # a system that does not tell the other groups
        told = accepted.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, 4 * _GROUPS_MAX)
        groups.update(struct.unpack(f"={len(told) // 4}I", told))
    return Visitor(user, frozenset(groups))


def are_welcome(visitor: Visitor, mode: int, group: int) -> bool:
    """Whether another user may connect to a socket with this mode and group."""
    return bool(mode & _ANYBODY_CONNECTS) or bool(mode & _GROUP_CONNECTS and group in visitor.groups)


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
        for (level, option), value in _TCP_OPTIONS.items():  # accepted sockets inherit them
            bound.setsockopt(level, option, value)
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
