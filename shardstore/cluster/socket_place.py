"""Sockets at a path of the operator's choice instead of a private directory, so that other users can connect to them.

    PATH              for clients
    PATH.worker-3     for clients that connect to a worker directly

Workers still connect to the router in the private directory: anyone who can pose as a worker controls the store.
"""

from __future__ import annotations

import glob
import grp
import os
import re
import socket
import stat
from contextlib import suppress
from dataclasses import dataclass

from shardstore.errors import InvalidRequest
from shardstore.limits import SOCKET_PATH_BYTES_MAX, WORKERS_MAX
from shardstore.options import SocketAccess

DEFAULT_MODE = 0o600
_MODE = re.compile(r"0?o?[0-7]{3}")
_OF_OWNER = 0o600
_ALLOWED = 0o666


@dataclass(frozen=True, slots=True)
class SocketPlace:
    """A checked path, and which users may connect there."""

    path: str
    access: SocketAccess

    def worker(self, worker: int) -> str:
        """Return the path of a worker's socket."""
        return f"{self.path}.worker-{worker}"

    def refuse_if_taken(self) -> None:
        """Raise InvalidRequest if the path is in use: by a file that is not a socket, or by a listening process."""
        try:
            found = os.lstat(self.path)
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(found.st_mode):
            raise InvalidRequest(f"{self.path} is there and is no socket: name another path, or remove it")
        with socket.socket(socket.AF_UNIX) as probe:
            probe.setblocking(False)
            if probe.connect_ex(self.path) == 0:
                raise InvalidRequest(f"another process listens at {self.path}: name another path, or stop it first")

    def clear(self) -> None:
        """Remove the sockets of a cluster that has ended."""
        for path in (self.path, *glob.glob(f"{glob.escape(self.path)}.worker-*")):
            with suppress(OSError):
                if stat.S_ISSOCK(os.lstat(path).st_mode):
                    os.unlink(path)


def socket_place(
    path: str | os.PathLike[str] | None, mode: int | str | None, group: str | None, listen: str | None
) -> SocketPlace | None:
    """Check a caller's arguments and return the place; None for the private directory. Raises InvalidRequest."""
    if path is None:
        if mode is not None or group is not None:
            raise InvalidRequest("socket_mode and socket_group say who is let in at a socket=PATH: name one")
        return None
    if listen is not None:
        raise InvalidRequest("a cluster has either a socket=PATH for its clients or listens on an address: choose one")
    if not isinstance(path, str | os.PathLike) or not isinstance(os.fspath(path), str) or not os.fspath(path):
        raise InvalidRequest(f"socket is the path of a socket, not {path!r}")
    place = SocketPlace(os.path.abspath(path), SocketAccess(_checked_mode(mode), _checked_group(group)))
    size = len(os.fsencode(place.worker(WORKERS_MAX - 1)))
    if size > SOCKET_PATH_BYTES_MAX:
        raise InvalidRequest(
            f"{place.path} is too long for a socket by {size - SOCKET_PATH_BYTES_MAX} bytes: use a shorter one"
        )
    if not os.path.isdir(os.path.dirname(place.path)):
        raise InvalidRequest(f"there is no directory {os.path.dirname(place.path)} for the socket: make it first")
    return place


def _checked_mode(mode: int | str | None) -> int:
    if mode is None:
        return DEFAULT_MODE
    if type(mode) is str and _MODE.fullmatch(mode):
        mode = int(mode.replace("o", ""), 8)
    if type(mode) is not int or mode & _OF_OWNER != _OF_OWNER or mode & ~_ALLOWED:
        shown = f"{mode:#o}" if type(mode) is int else repr(mode)
        raise InvalidRequest(f'socket_mode is a mode like 0o660 or "660", for the owner at least 600, not {shown}')
    return mode


def _checked_group(group: str | None) -> str:
    if group is None:
        return ""
    try:
        return grp.getgrnam(group).gr_name
    except (KeyError, TypeError, ValueError):
        raise InvalidRequest(f"socket_group: this host has no group {group!r:.60}") from None
