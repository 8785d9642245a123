"""Where a process listens in the file system: who is let in there, and how the file comes back when it has vanished.

By default a socket lies in a private directory, which whoever cleans /tmp, or the end of a login, may remove while it
is in use; both are made again then. In a place of the operator's choice only the file is.
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
    """The file of one listening socket. `access` is None in a private directory, where nobody else comes."""

    def __init__(self, path: str, access: SocketAccess | None) -> None:
        self._path = path
        self._access = access

    def make(self, bind: Callable[[], object]) -> None:
        """Let `bind` make the file; until it has its mode and group, it is for this user only. Raises OSError."""
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

    def is_to_be_made_again(self) -> bool:
        """Whether it has vanished, and its directory is there again."""
        if os.path.lexists(self._path):
            return False
        directory = os.path.dirname(self._path)
        return os.path.isdir(directory) if self._access is not None else renew_private_directory(directory)


def renew_private_directory(path: str) -> bool:
    """Make the directory, and what it lies in, unless they are there; False when it is not there and ours alone."""
    for directory in (os.path.dirname(path), path):
        with suppress(OSError):
            os.mkdir(directory, _PRIVATE_MODE)
    return is_private_directory(path)


def is_private_directory(path: str) -> bool:
    """Whether it is a directory of this user, which nobody else may enter."""
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & _OTHERS
