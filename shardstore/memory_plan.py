"""What `memory=` comes to: every bound on memory of a store, derived in one place from the whole and the workers.

    sixteenths  what                                                         bound of
            10  overlays, and requests in the log that are not applied yet   the store; leased (router/budget.py)
           1.5  what is kept of segments: filters, indexes, expanded blocks  each worker
           0.5  what is remembered of requests, so that none is done twice   each worker
             1  open scans: former overlays they hold, pages read ahead       each worker
             1  answers that slow clients have not taken                     each worker
             2  the inputs of one drain                                      each maintenance process

The rest of a process, its interpreter and libraries, is not counted: about 60 MiB each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from shardstore.limits import KIB, MESSAGE_BYTES_MAX, MIB, ROUTER_IN_FLIGHT_BYTES_MAX

DEFAULT_MEMORY = "1GiB"
WORKER_MEMORY_MIN = 96 * MIB
"""A worker's share must leave room in one range for the largest request (see workers/serving/admission.py)."""
SEAL_BYTES_MAX = 64 * MIB
SCAN_BYTES = 4 * KIB
"""Memory for what an open scan needs beside the layers that it reads."""
LEASE_FLOOR_BYTES = WORKER_MEMORY_MIN * 10 // 16
"""What a worker may always buffer, whatever the others do."""


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """Bounds in bytes. `buffer_bytes` and `lease_...` are about leases, the others are per process.

    memory            what the user gave
    buffer_bytes      the sum of all leases is never over it
    lease_floor       the least that a worker may buffer, once it has had that much
    lease_start       with how much a worker begins: with nothing, if it was added when the budget was divided already
    lease_max         the most: what is left when all others have the least
    seal_bytes        size at which the active layer of a range is sealed, if the lease allows for it
    cache_bytes       kept of segments by a worker
    window_bytes      what a worker remembers of the requests of clients
    view_bytes        held by a worker for open scans alone
    scans_max         scans that a worker may hold open: those for which `view_bytes` have room
    answer_bytes      answers of a worker that wait for their readers; beyond it reads are refused
    drain_bytes       overlay bytes whose log one drain reads
    in_flight_bytes   requests that the router has passed to one worker and not seen answered
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
    answer_bytes: int
    drain_bytes: int
    in_flight_bytes: int

    def lines(self) -> Iterator[str]:
        """The plan in a few lines for people."""
        yield f"memory {_mib(self.memory)} for {self.workers} workers:"
        yield (
            f"  {_mib(self.buffer_bytes)} of writes not yet in segments, leased: "
            f"{_mib(self.lease_floor)} to {_mib(self.lease_max)} per worker"
        )
        yield (
            f"  per worker {_mib(self.cache_bytes)} of segments, {_mib(self.window_bytes)} of requests remembered, "
            f"{_mib(self.view_bytes)} for {self.scans_max:,} open scans, "
            f"{_mib(self.answer_bytes)} of answers not taken, {_mib(self.drain_bytes)} in a drain"
        )


def plan_of_worker(plan: MemoryPlan, was_first: bool, workers_most: int) -> MemoryPlan:
    """The plan for a worker's next process, where there were at the most so many workers since the budget was divided.

    A process must not begin with more than the router holds reserved for its worker: that is the fair share of the
    least, for those among whom the budget was divided (`was_first`), and nothing for others.
    """
    fair_bytes = min(plan.lease_floor, plan.buffer_bytes // workers_most)
    return replace(plan, lease_start=fair_bytes if was_first else 0)


def derive(memory: int, workers: int, lease_floor: int = LEASE_FLOOR_BYTES) -> MemoryPlan:
    """The bounds of a store that may use this much memory, in bytes."""
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
        answer_bytes=share // 16,
        drain_bytes=share * 2 // 16,
        in_flight_bytes=max(2 * MESSAGE_BYTES_MAX, min(share // 4, ROUTER_IN_FLIGHT_BYTES_MAX)),
    )


def _mib(size: int) -> str:
    return f"{size / MIB:,.0f} MiB"
