"""The file of a listening socket: who may connect to it, and how it is created again if it has vanished.

By default a socket is in a private directory. A cleaner of /tmp, or the end of a login session, may remove that
directory while it is in use; then directory and socket are created again. At a path of the operator's choice only the
socket is.
"""

from __future__ import annotations

import grp
import os
import stat
from collections.abc import Callable
from contextlib import suppress

from shardstore.options import SocketAccess

_PRIVATE_MODE = 0o700
_OTHERS = 0o077
_MASK = 0o177


class SocketFile:
    """The file of one listening socket. `access` is None in a private directory, which no other user can enter."""

    def __init__(self, path: str, access: SocketAccess | None) -> None:
        self._path = path
        self._access = access

    def make(self, bind: Callable[[], object]) -> None:
        """Create the file with `bind`, for this user only until its group and mode are set. Raises OSError."""
        directory = os.path.dirname(self._path)
        if self._access is None and not renew_private_directory(directory):
            raise PermissionError(f"{directory} is no directory that is this user's alone")
        mask = os.umask(_MASK)
        try:
            bind()
        finally:
            os.umask(mask)
        if self._access is not None:
            if self._access.group:
                os.chown(self._path, -1, grp.getgrnam(self._access.group).gr_gid)
            os.chmod(self._path, self._access.mode)

    def group(self) -> int:
        """Return the id of the group of the file. Raises OSError."""
        return os.stat(self._path).st_gid

    def is_to_be_made_again(self) -> bool:
        """Whether the file has vanished and its directory exists; a private directory is created if needed."""
        if os.path.lexists(self._path):
            return False
        directory = os.path.dirname(self._path)
        return os.path.isdir(directory) if self._access is not None else renew_private_directory(directory)


def renew_private_directory(path: str) -> bool:
    """Create the directory and its parent if they are missing; False if it is not a private directory of this user."""
    for directory in (os.path.dirname(path), path):
        with suppress(OSError):
            os.mkdir(directory, _PRIVATE_MODE)
    return is_private_directory(path)


def is_private_directory(path: str) -> bool:
    """Whether the path is a directory of this user that no other user may enter."""
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & _OTHERS
