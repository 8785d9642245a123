"""Divides `memory=`: derives every memory limit of a store, in one place, from the total and the number of workers.

    sixteenths  use                                                          limit of
            10  overlays, and logged requests that are not applied yet       the store; leased (router/budget.py)
           1.5  segment cache: filters, indexes, expanded blocks             each worker
           0.5  dedup windows                                                each worker
             1  open scans: overlays kept for them, pages read ahead         each worker
             1  replies that slow clients have not read                      each worker
             2  the inputs of one drain                                      each maintenance process

The interpreter and the libraries of a process, about 60 MiB each, are not counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from shardstore.limits import KIB, MESSAGE_BYTES_MAX, MIB, ROUTER_IN_FLIGHT_BYTES_MAX

DEFAULT_MEMORY = "1GiB"
WORKER_MEMORY_MIN = 96 * MIB
"""A worker's share of memory must have room for the largest request to one range (workers/serving/admission.py)."""
SEAL_BYTES_MAX = 64 * MIB
SCAN_BYTES = 4 * KIB
"""Memory of an open scan, in addition to the layers that it reads."""
LEASE_FLOOR_BYTES = WORKER_MEMORY_MIN * 10 // 16
"""What a worker may always buffer, whatever other workers do."""


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """Limits in bytes. `buffer_bytes` and `lease_...` concern leases; the others are per process.

    memory            total given by the user
    buffer_bytes      maximum sum of all leases
    lease_floor       minimum lease of a worker, once it has had that much
    lease_start       a worker's first lease; 0 if the worker was added after the budget was divided
    lease_max         maximum lease: what is left if all other workers have the minimum
    seal_bytes        size at which the active layer of a range is sealed, if the lease allows it
    cache_bytes       segment cache of a worker
    window_bytes      dedup windows of a worker
    view_bytes        data that a worker keeps only for open scans
    scans_max         number of scans that a worker may have open, for which `view_bytes` has room
    reply_bytes       unread replies of a worker; above it, reads are refused
    drain_run_bytes   overlay bytes whose log records one drain reads
    in_flight_bytes   unanswered requests that the router has passed to one worker
    """

    memory: int
    workers: int
    buffer_bytes: int
    lease_floor: int
    lease_start: int
    lease_max: int
    seal_bytes: int
    cache_bytes: int
    window_bytes: int
    view_bytes: int
    scans_max: int
    reply_bytes: int
    drain_run_bytes: int
    in_flight_bytes: int

    def lines(self) -> Iterator[str]:
        """Describe the plan in a few lines for people."""
        yield f"memory {_mib(self.memory)} for {self.workers} workers:"
        yield (
            f"  {_mib(self.buffer_bytes)} for writes that are not yet in tables, leased: "
            f"{_mib(self.lease_floor)} to {_mib(self.lease_max)} per worker"
        )
        yield (
            f"  per worker {_mib(self.cache_bytes)} of segment cache, {_mib(self.window_bytes)} of dedup windows, "
            f"{_mib(self.view_bytes)} for {self.scans_max:,} open scans, "
            f"{_mib(self.reply_bytes)} of unread replies, {_mib(self.drain_run_bytes)} in a drain"
        )


def plan_of_worker(plan: MemoryPlan, was_first: bool, workers_most: int) -> MemoryPlan:
    """Return the plan for a worker's next process. `workers_most`: maximum number of workers so far.

    A process must not begin with a larger lease than the router reserves for its worker. For the workers among whom the
    budget was divided first (`was_first`), that is an equal share, at most the minimum lease; for others it is 0.
    """
    fair_bytes = min(plan.lease_floor, plan.buffer_bytes // workers_most)
    return replace(plan, lease_start=fair_bytes if was_first else 0)


def derive(memory: int, workers: int, lease_floor: int = LEASE_FLOOR_BYTES) -> MemoryPlan:
    """Return the plan of a store that may use this much memory, in bytes."""
    share = memory // workers
    buffer_bytes = memory * 10 // 16
    floor = min(lease_floor, buffer_bytes // workers)
    return MemoryPlan(
        memory=memory,
        workers=workers,
        buffer_bytes=buffer_bytes,
        lease_floor=floor,
        lease_start=floor,
        lease_max=buffer_bytes - (workers - 1) * floor,
        seal_bytes=min(buffer_bytes // workers // 8, SEAL_BYTES_MAX),
        cache_bytes=share * 3 // 32,
        window_bytes=share // 32,
        view_bytes=share // 16,
        scans_max=max(1, share // 16 // SCAN_BYTES),
        reply_bytes=share // 16,
        drain_run_bytes=share * 2 // 16,
        in_flight_bytes=max(2 * MESSAGE_BYTES_MAX, min(share // 4, ROUTER_IN_FLIGHT_BYTES_MAX)),
    )


def _mib(size: int) -> str:
    return f"{size / MIB:,.0f} MiB"
