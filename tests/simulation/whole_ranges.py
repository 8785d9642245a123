"""Every sixth seed deletes and counts whole ranges of keys. The others are as if there were no such operations."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.simulation.swarm import Swarm

SEEDS = 6
OF_COUNTERS = frozenset(("increment", "read_counter"))


def with_whole_ranges(swarm: Swarm, rng: random.Random) -> Swarm:
    """The swarm with these operations, if its seed is one of them. It has no counters, which nobody may delete."""
    if swarm.seed % SEEDS != SEEDS - 1:
        return swarm
    weights = {name: weight for name, weight in swarm.weights.items() if name not in OF_COUNTERS}
    return replace(
        swarm,
        counters=(),
        weights={**weights, "put": 4, "delete_range": rng.choice((1, 4)), "count": rng.choice((1, 4))},
        cleared_in_place_max=rng.choice((0, 2, 4_096)),
        cut_entries_min=rng.choice((1, 3, 4_096)),
        counted_a_step=rng.choice((1, 5, 4_096)),
    )
