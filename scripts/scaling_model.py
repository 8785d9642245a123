"""A paper model: what the costs of an operation, measured on one machine, allow on a machine with more cores.

An operation costs CPU time in the client, the router, a worker and its maintenance process. Clients, workers and
maintenance processes can be as many as there are cores, so together they share all cores. There is one router, which
can use one core. All processes share the disk and the memory. The lowest of these limits is the rate of the machine:

    cores       cores / CPU seconds of an operation in all processes
    router      1 / CPU seconds of an operation in the router
    disk        bytes a second / bytes that an operation causes to be written, by the log and by jobs
    memory      bytes a second / bytes that an operation moves between cores and memory

So the model assumes enough callers, keys that spread evenly over the workers, and cores as fast as those measured. It
leaves out what waiting processes cost each other: wake-ups across sockets, a full cache, a scheduler at its limit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

US_PER_SECOND = 1e6
MB = 1e6
GB = 1e9
CORES = "cores"
ROUTER = "router"
DISK = "disk"
MEMORY = "memory"


@dataclass(frozen=True, slots=True)
class Costs:
    """What one operation costs: CPU microseconds by kind of process, and bytes."""

    client_us: float
    router_us: float
    worker_us: float
    maintenance_us: float
    disk_bytes: float
    memory_bytes: float

    @property
    def cpu_us(self) -> float:
        """CPU microseconds in all processes."""
        return self.client_us + self.router_us + self.worker_us + self.maintenance_us


@dataclass(frozen=True, slots=True)
class Machine:
    """What all processes share."""

    cores: int
    disk_mb_per_s: float
    memory_gb_per_s: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """The rate of a machine, what limits it, and what it needs at that rate."""

    per_second: float
    limit: str
    clients: int
    workers: int
    maintenance: int
    disk_mb_per_s: float
    memory_gb_per_s: float


def limits(costs: Costs, machine: Machine) -> dict[str, float]:
    """The operations a second that each limit allows; without end where an operation needs nothing of it."""
    return {
        CORES: _per_second(machine.cores * US_PER_SECOND, costs.cpu_us),
        ROUTER: _per_second(US_PER_SECOND, costs.router_us),
        DISK: _per_second(machine.disk_mb_per_s * MB, costs.disk_bytes),
        MEMORY: _per_second(machine.memory_gb_per_s * GB, costs.memory_bytes),
    }


def predict(costs: Costs, machine: Machine) -> Prediction:
    """The rate that the lowest limit allows. Processes are counted as the cores that their work fills, rounded up."""
    allowed = limits(costs, machine)
    limit = min(allowed, key=lambda name: allowed[name])
    rate = allowed[limit]
    return Prediction(
        rate,
        limit,
        _cores_filled(rate, costs.client_us),
        _cores_filled(rate, costs.worker_us),
        _cores_filled(rate, costs.maintenance_us),
        rate * costs.disk_bytes / MB,
        rate * costs.memory_bytes / GB,
    )


def cores_until(limit: str, costs: Costs, machine: Machine) -> float:
    """The number of cores from which on this limit, not the cores, sets the rate."""
    return limits(costs, machine)[limit] * costs.cpu_us / US_PER_SECOND


def _per_second(available: float, needed: float) -> float:
    return available / needed if needed else math.inf


def _cores_filled(per_second: float, us: float) -> int:
    return math.ceil(round(per_second * us / US_PER_SECOND, 6))
