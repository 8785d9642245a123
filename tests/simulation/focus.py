"""Half of the seeds focus on one combination of events, so that rare combinations happen often enough.

answers   no replies arrive during a change, and its workers end: retries and questions about outcomes reach the
          children of the ranges that applied the requests
scans     long scans of small pages in every mode, while ranges change and others write keys not yet scanned
power     everything ends between two file calls of a materialisation job
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

from shardstore.limits import KIB, MILLISECOND_NS, SECOND_NS
from tests.simulation.sim_disk import PowerLoss

if TYPE_CHECKING:
    from tests.simulation.swarm import Swarm

CHANGES = ("split", "merge", "move")


def focused(swarm: Swarm, rng: random.Random) -> Swarm:
    """The swarm with the focus drawn for its seed."""
    return rng.choice((_on_all, _on_all, _on_all, _on_answers, _on_scans, _on_power))(swarm, rng)


def _on_all(swarm: Swarm, rng: random.Random) -> Swarm:
    return swarm


def _on_answers(swarm: Swarm, rng: random.Random) -> Swarm:
    """Few keys, so that a write applied twice or late overwrites that of another client."""
    counted = rng.random() < 0.5
    return replace(
        swarm,
        keys=swarm.keys[:4],
        clients=3,
        actors=2,
        timeout_ns=rng.choice((SECOND_NS // 2, 8 * SECOND_NS)),
        think_ns=5 * MILLISECOND_NS,
        weights={"increment": 8, "read_counter": 1} if counted else dict.fromkeys(("put", "compare_and_set", "get"), 1),
        faults=("strand answers",),
        restart_ns_max=10 * MILLISECOND_NS,
        topology_changes=CHANGES,
        topology_interval_ns=600 * MILLISECOND_NS,
    )


def _on_scans(swarm: Swarm, rng: random.Random) -> Swarm:
    return replace(
        swarm,
        keys=tuple(sorted({*swarm.keys[:12], *(b"%02d" % number for number in range(12))})),
        clients=2,
        actors=3,
        timeout_ns=8 * SECOND_NS,
        think_ns=rng.choice((MILLISECOND_NS, 5 * MILLISECOND_NS)),
        weights={"scan": 4, "put": 4, "delete": 1, "flush": 1},
        faults=(),
        scan_page_entries=rng.choice((1, 2)),
        scan_idle_ns=30 * SECOND_NS,
        isolation_ns_max=rng.choice((300 * MILLISECOND_NS, 5 * SECOND_NS)),
        scans_open_max=256,
        topology_changes=CHANGES,
        topology_interval_ns=rng.choice((10 * MILLISECOND_NS, 50 * MILLISECOND_NS)),
        scan_pause_ns=rng.choice((0, 20 * MILLISECOND_NS)),
        set_aside_bytes_min=rng.choice((0, 256 * KIB)),
    )


def _on_power(swarm: Swarm, rng: random.Random) -> Swarm:
    return replace(
        swarm,
        faults=("lose power in materialisation",),
        power_losses=(PowerLoss.CHAOS,),
        restart_ns_max=10 * MILLISECOND_NS,
        topology_changes=CHANGES,
        topology_interval_ns=600 * MILLISECOND_NS,
    )
