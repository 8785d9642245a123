"""Decides whether a write is admitted, from plain numbers and before the WAL append."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from shardstore.errors import Busy, InvalidRequest
from shardstore.limits import (
    BUFFERED_ENTRY_BYTES,
    REQUEST_BYTES_MAX,
    REQUEST_ENTRIES_MAX,
    RUN_QUEUE_MAX,
    WAL_RETAINED_BYTES_MAX,
)
from shardstore.memory_plan import LEASE_FLOOR_BYTES, MemoryPlan
from shardstore.workers.serving.drain_rate import RETRY_UNMEASURED_NS


@dataclass(frozen=True, slots=True)
class MemoryLimits:
    """The byte limits of a worker that follow from its lease.

    One range may hold half of the lease. Its active layer is sealed at a quarter of the lease at the latest, so that
    drains begin in time. A request of more than `request_bytes` can never be admitted.
    """

    worker_bytes: int
    range_bytes: int
    seal_bytes: int
    request_bytes: int

    @classmethod
    def of_lease(cls, lease: int, plan: MemoryPlan) -> MemoryLimits:
        """The limits of a worker with this lease, in bytes."""
        return cls(lease, lease // 2, min(plan.seal_bytes, lease // 4), plan.lease_max // 2)

    def pressure(self, usage_bytes: int) -> int:
        """How full the worker's buffers are, 0 to 255."""
        level = usage_bytes * 255 // (self.worker_bytes or 1)
        return level if level < 255 else 255


Usage: TypeAlias = tuple[int, int, int, int]
"""What is held now: bytes of the worker and of the range, runs that are due for a drain, bytes of the log."""


def admit(incoming_bytes: int, usage: Usage, limits: MemoryLimits) -> None:
    """Raise Busy, which names the limit, if these bytes would exceed one; InvalidRequest if they always would."""
    worker_bytes, range_bytes, runs, wal_bytes = usage
    if incoming_bytes > limits.request_bytes:
        raise InvalidRequest(
            f"a request that takes {incoming_bytes:,} bytes of memory, in a store that has {limits.request_bytes:,} "
            "for one range: write less at once, or give the store more memory"
        )
    if range_bytes + incoming_bytes > limits.range_bytes:
        raise _busy("buffers of the range are full", range_bytes + incoming_bytes, limits.range_bytes)
    if worker_bytes + incoming_bytes > limits.worker_bytes:
        raise _busy("buffers of the worker are full", worker_bytes + incoming_bytes, limits.worker_bytes)
    if runs > RUN_QUEUE_MAX:
        raise _busy("sealed runs of the range wait for their drain", runs, RUN_QUEUE_MAX)
    if wal_bytes + incoming_bytes > WAL_RETAINED_BYTES_MAX:
        raise _busy("write-ahead log waits for drains", wal_bytes + incoming_bytes, WAL_RETAINED_BYTES_MAX)


def _busy(cause: str, used: int, limit: int) -> Busy:
    return Busy(cause, used, limit, RETRY_UNMEASURED_NS)


assert LEASE_FLOOR_BYTES // 2 >= REQUEST_BYTES_MAX + REQUEST_ENTRIES_MAX * BUFFERED_ENTRY_BYTES, (
    "the largest request must fit into an empty range"
)
