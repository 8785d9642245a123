"""Every sixth seed has values that expire, and wall clocks that are wrong. The others are as if there were none."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

from shardstore.limits import KIB, MILLISECOND_NS, SECOND_NS
from shardstore.workers.serving.hybrid_clock import LEASE_MS
from tests.simulation.sim_wall import DRIFT, HORIZON_NS

if TYPE_CHECKING:
    from tests.simulation.swarm import Swarm

SEEDS = 6
REST = 2
LIFETIMES_MS = (1, 50, 500, 2_000, 10_000)
LATE_NS = 30 * SECOND_NS
"""How long a clock may stand, as its lease waits for the disk, or for a worker that starts."""


def with_expiry(swarm: Swarm, rng: random.Random) -> Swarm:
    """The swarm with values that expire, if its seed is one of them."""
    if swarm.seed % SEEDS != REST:
        return swarm
    weights = {**swarm.weights, "put_until": rng.choice((4, 12)), "expire": rng.choice((0, 2)), "get": 8}
    segments = swarm.segments
    if rng.random() < 0.5:  # bottom mains soon, so that older values lie below what a compaction of deltas merges
        segments = replace(segments, part_min_bytes=KIB, part_max_bytes=KIB, main_max_bytes=KIB)
    return replace(swarm, weights=weights, walls_off_ms=rng.choice((0, 500, 5_000)), segments=segments)


def earliest_ns(swarm: Swarm, begun_ns: int, lifetime_ms: int) -> int:
    """The earliest time at which a value that was put then can have expired by any clock."""
    return begun_ns + (lifetime_ms - LEASE_MS) * MILLISECOND_NS - _apart_ns(swarm)


def latest_ns(swarm: Swarm, done_ns: int, lifetime_ms: int) -> int:
    """The latest time at which a value whose put was acknowledged then must have expired."""
    return done_ns + (lifetime_ms + LEASE_MS) * MILLISECOND_NS + _apart_ns(swarm) + LATE_NS


def _apart_ns(swarm: Swarm) -> int:
    """How far the clocks of two processes, or of one at two times, are apart."""
    drift_ns = int(2 * DRIFT * HORIZON_NS) if swarm.walls_off_ms else 0
    return 2 * swarm.walls_off_ms * MILLISECOND_NS + drift_ns + MILLISECOND_NS
