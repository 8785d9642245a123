"""Opens the files of a store for direct reads, if they are on this host and belong to this user."""

from __future__ import annotations

import resource
import weakref
from typing import TYPE_CHECKING

from shardstore.errors import StorageFailure
from shardstore.system.board_files import KEEPS_ORDER, BoardFiles
from shardstore.system.posix_filesystem import PosixFilesystem
from shardstore.system.running_cluster import identity_of
from shardstore.system.system_clock import SystemWallClock

if TYPE_CHECKING:
    from shardstore.client.direct.reader import Reader

TABLES_MIN = 64
TABLES_MAX = 4_096
_DESCRIPTORS_PER_TABLE = 4
"""A client keeps at most one in so many of its process's descriptors for tables."""


def open_reader(data: str, store: str, memory_bytes: int) -> Reader | None:
    """Return a reader of the store in this data directory; None if there is none, or it cannot be read."""
    if not data or not KEEPS_ORDER:
        return None
    from shardstore.client.direct.reader import Reader  # noqa: PLC0415  # loads numpy

    try:
        identity = identity_of(data)
        filesystem = PosixFilesystem(data, identity)
    except (OSError, StorageFailure):
        return None
    reader = Reader(filesystem, BoardFiles(data, identity), SystemWallClock(), store, memory_bytes, _tables_max())
    weakref.finalize(reader, filesystem.close).atexit = False
    return reader


def _tables_max() -> int:
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if descriptors == resource.RLIM_INFINITY:
        return TABLES_MAX
    return min(max(descriptors // _DESCRIPTORS_PER_TABLE, TABLES_MIN), TABLES_MAX)
