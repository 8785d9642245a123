"""Whether a write is let in, decided before the WAL append from plain numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from shardstore.errors import Busy
from shardstore.limits import (
    MIB,
    MILLISECOND_NS,
    REQUEST_BYTES_MAX,
    REQUEST_ENTRIES_MAX,
    RUN_QUEUE_MAX,
    WAL_RETAINED_BYTES_MAX,
)
from shardstore.options import WORKER_MEMORY_MIN
from workers.overlay.active_layer import ENTRY_OVERHEAD_BYTES

RETRY_AFTER_NS = 50 * MILLISECOND_NS


@dataclass(frozen=True, slots=True)
class MemoryLimits:
    """Byte limits of a worker, derived from its share of `memory=`.

    Overlays get five eighths, what is kept of segments one eighth (cache_bytes_of_share): the rest is for the
    interpreter, messages on their way and scan pages. One range may hold half of what the worker may, and its active
    layer is sealed at an eighth, so that drains run in good time. What only open scans still hold of former overlays
    may be an eighth of the share.
    """

    worker_bytes: int
    range_bytes: int
    seal_bytes: int
    view_bytes: int

    @classmethod
    def of_share(cls, memory: int) -> MemoryLimits:
        """The limits of a worker with this share, in bytes."""
        worker = memory * 5 // 8
        return cls(worker, worker // 2, min(worker // 8, 64 * MIB), memory // 8)


def cache_bytes_of_share(memory: int) -> int:
    """What a worker with this share may keep of its segments."""
    return memory // 8


class Usage(NamedTuple):
    """What is held now."""

    worker_bytes: int
    range_bytes: int
    runs: int
    wal_bytes: int


def admit(incoming_bytes: int, usage: Usage, limits: MemoryLimits) -> None:
    """Raise Busy, naming the bound, when these bytes would pass one."""
    worker_bytes, range_bytes, runs, wal_bytes = usage
    if range_bytes + incoming_bytes > limits.range_bytes:
        raise _busy("buffers of the range are full", range_bytes + incoming_bytes, limits.range_bytes)
    if worker_bytes + incoming_bytes > limits.worker_bytes:
        raise _busy("buffers of the worker are full", worker_bytes + incoming_bytes, limits.worker_bytes)
    if runs > RUN_QUEUE_MAX:
        raise _busy("sealed runs of the range wait for their drain", runs, RUN_QUEUE_MAX)
    if wal_bytes + incoming_bytes > WAL_RETAINED_BYTES_MAX:
        raise _busy("write-ahead log waits for drains", wal_bytes + incoming_bytes, WAL_RETAINED_BYTES_MAX)


def _busy(cause: str, used: int, limit: int) -> Busy:
    return Busy(cause, used, limit, RETRY_AFTER_NS)


_smallest = MemoryLimits.of_share(WORKER_MEMORY_MIN)
assert _smallest.range_bytes >= REQUEST_BYTES_MAX + REQUEST_ENTRIES_MAX * ENTRY_OVERHEAD_BYTES, (
    "the largest request must fit into an empty range"
)


def pressure(usage_bytes: int, limits: MemoryLimits) -> int:
    """How full the worker's buffers are, 0 to 255."""
    return min(255, usage_bytes * 255 // limits.worker_bytes)
