"""The private directory that holds a running cluster's sockets.

Its path is short, as the path of a socket has at most 107 bytes. Its mode is 0700, as anyone who can reach the sockets
can use the store. Its name is derived from user, store and data directory, so a restarted cluster has the same path.
If another user has taken that name, as is possible in /tmp, a random name is used.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from shardstore.cluster.endpoints import BOARD_PREFIX, Endpoints
from shardstore.errors import StorageFailure
from shardstore.identifiers import DirectoryIdentity
from shardstore.limits import SOCKET_PATH_BYTES_MAX, WORKERS_MAX
from shardstore.system.socket_file import is_private_directory, renew_private_directory

PREFIX = "shardstore-"
_NAME_DIGITS = 16


def make_runtime_directory(store: str, data: DirectoryIdentity) -> str:
    """Create the directory for the sockets of a store; return its path. The caller holds the lock of the store.

    It is in the user's runtime directory, or else in the directory for temporary files. Raises StorageFailure.
    """
    name = PREFIX + hashlib.sha256(f"{os.geteuid()} {store} {data}".encode()).hexdigest()[:_NAME_DIGITS]
    for base in _bases():
        path = os.path.join(base, name)
        if renew_private_directory(path):
            return path
    for base in _bases():
        with suppress(OSError):
            return tempfile.mkdtemp(prefix=PREFIX, dir=base)
    raise StorageFailure("no directory for sockets can be made in XDG_RUNTIME_DIR, TMPDIR or /tmp: set one of them")


def remove_runtime_directory(path: str) -> None:
    """Remove the sockets and boards, then the directory if it is empty. Does nothing to any other directory."""
    directory = Path(path)
    if not directory.name.startswith(PREFIX) or not is_private_directory(path):
        return
    with suppress(OSError):
        for entry in directory.iterdir():
            if entry.is_socket() or entry.name.startswith(BOARD_PREFIX):
                entry.unlink(missing_ok=True)
        directory.rmdir()


def _bases() -> Iterator[str]:
    return filter(_fits, (os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir(), "/tmp"))  # noqa: S108 (see above)


def _fits(base: str) -> bool:
    longest = Endpoints(f"{base}/{PREFIX}{'x' * _NAME_DIGITS}").worker(WORKERS_MAX).removeprefix("unix://")
    return os.path.isabs(base) and os.path.isdir(base) and len(os.fsencode(longest)) <= SOCKET_PATH_BYTES_MAX
