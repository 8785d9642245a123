"""Seeds of the whole store. `scripts/simulate.py` runs more of them, and replays one."""

from __future__ import annotations

import pytest

from tests.simulation.swarm import FAULTS, draw
from tests.simulation.world import simulate

SEEDS = 250
FAST = 10


@pytest.mark.parametrize(
    "seed", [*range(FAST), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(FAST, SEEDS))]
)
def test_every_promise_holds(seed: int) -> None:
    simulate(seed)


def test_every_fault_happens() -> None:
    """Of 40 seeds, run those that drew a fault that has not happened yet."""
    happened: set[str] = set()
    for swarm in map(draw, range(40)):
        if not happened.issuperset(swarm.faults):
            happened.update(simulate(swarm.seed).faults.count)
    assert happened == set(FAULTS)
