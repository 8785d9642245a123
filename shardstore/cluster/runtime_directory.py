"""The private directory that holds a running cluster's sockets.

It is short, because the path of a socket is limited to 107 bytes, and of mode 0700, because whoever can reach the
sockets can use the store.
"""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from shardstore.cluster.endpoints import Endpoints
from shardstore.errors import StorageFailure
from shardstore.limits import IPC_PATH_BYTES_MAX, WORKERS_MAX

PREFIX = "shardstore-"
_NAME_BYTES_MAX = len(PREFIX) + 16
"""What tempfile adds to its base directory, with room to spare."""


def make_runtime_directory() -> str:
    """A new private directory under the user's runtime directory, or a temporary one."""
    candidates = (os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir(), "/tmp")  # noqa: S108 (mkdtemp is private)
    for base in filter(_fits, candidates):
        try:
            return tempfile.mkdtemp(prefix=PREFIX, dir=base)
        except OSError:
            continue
    raise StorageFailure(f"no directory for sockets can be made in any of {', '.join(filter(None, candidates))}")


def remove_runtime_directory(path: str) -> None:
    """Remove the sockets and the directory, if it is one of ours; anything else in it stays, and so does it."""
    directory = Path(path)
    try:
        found = directory.lstat()
        if not directory.name.startswith(PREFIX) or not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            return
        for entry in directory.iterdir():
            if entry.is_socket():
                entry.unlink(missing_ok=True)
        directory.rmdir()
    except OSError:
        return


def _fits(base: str) -> bool:
    longest = Endpoints(f"{base}/{'x' * _NAME_BYTES_MAX}").worker(WORKERS_MAX).removeprefix("unix://")
    return bool(base) and Path(base).is_dir() and len(os.fsencode(longest)) <= IPC_PATH_BYTES_MAX
