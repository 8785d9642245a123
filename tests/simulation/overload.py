"""More writers than drains can keep up with: the number of requests it takes, and whether a writer starves.

In this simulation drains are slow, and everything else is as fast as usual. Writers are closed loops without pauses; a
run with fast drains shows how much they would write.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from shardstore.client.calls import operations
from shardstore.limits import BUFFERED_ENTRY_BYTES, KIB, MIB, MILLISECOND_NS, SECOND_NS
from shardstore.memory_plan import derive
from shardstore.options import Durability
from shardstore.segment_options import SegmentOptions
from shardstore.workers.ranges.dedup import WindowLimits
from tests.simulation import servers
from tests.simulation.clients import Actor
from tests.simulation.servers import Worker
from tests.simulation.swarm import Patch, Swarm, draw
from tests.simulation.world import World, patched

VALUE_BYTES = 16 * KIB
MEMORY = 16 * MIB


@dataclass(slots=True)
class Load:
    """The results: requests applied and refused by the worker, failed calls, bytes of the others, and the slowest call.

    `drained_bytes`: the bytes that drains can free in the same time.
    """

    applied: int = 0
    refused: int = 0
    failed: int = 0
    written_bytes: int = 0
    drained_bytes: int = 0
    slowest_ns: int = 0

    @property
    def requests_per_write(self) -> float:
        """The number of requests for each applied one."""
        return (self.applied + self.refused) / self.applied


def load(clients: int, actors: int, slice_ns: int, seconds: float, seed: int = 1) -> Load:
    """Let writers write for some seconds, with drains whose slices take up to `slice_ns`."""
    swarm = _swarm(seed, clients)
    with patched([*swarm.patches(), Patch(servers, "SLICE_NS_MAX", slice_ns)]):
        world = World(swarm)
        world._start_all()
        world.advance(SECOND_NS)
        came = Load()
        for number in range(clients):
            client = world._new_client(f"writer {number}")
            for at in range(actors):
                client.run(_writer(world, came, number * actors + at))
        world.advance(world.host.clock.now_ns() + int(seconds * SECOND_NS))
        worker = world.servers["worker 0"]
        assert isinstance(worker, Worker)
        assert worker.worker_core is not None
        figures = worker.worker_core._statistics(world.host.clock.now_ns())
        came.refused = figures["counts"].get("refused busy", 0)
        came.applied = figures["requests"]["PUT"] - came.refused
        came.drained_bytes = int(figures["memory"]["drain_bytes_per_second"] * seconds)
    return came


def _writer(world: World, came: Load, number: int) -> Actor:
    keys = world.swarm.keys
    at = number
    while True:
        at += 1
        began_ns = world.host.clock.now_ns()
        _, error = yield operations.put(keys[at % len(keys)], bytes(VALUE_BYTES), 30.0)
        came.failed += error is not None
        came.written_bytes += (VALUE_BYTES + BUFFERED_ENTRY_BYTES) * (error is None)
        came.slowest_ns = max(came.slowest_ns, world.host.clock.now_ns() - began_ns)


def _swarm(seed: int, clients: int) -> Swarm:
    keys = tuple(bytes([first, second]) for first in range(0, 256, 8) for second in range(8))
    return replace(
        draw(seed),
        workers=1,
        durability=Durability.GROUP_SYNC,
        memory=derive(MEMORY, 1),
        wal_file_bytes=4 * MIB,
        deltas_max=8,
        segments=SegmentOptions(),
        windows=WindowLimits(),
        window_minute_ns=60 * SECOND_NS,
        keys=keys,
        boundaries=("40", "80", "c0"),
        clients=clients,
        direct=True,
        faults=(),
        sync_ns=2 * MILLISECOND_NS,
        slow_sync=0.0,
    )
