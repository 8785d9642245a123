"""Seeds of the whole store. `scripts/simulate.py` runs more of them, and replays one."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.simulation.swarm import FAULTS
from tests.simulation.world import simulate

SEEDS = 250
CHUNK = 10


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_every_promise_holds(first: int) -> None:
    for seed in range(first, first + CHUNK):
        simulate(seed)


def test_every_fault_happens() -> None:
    faults: Counter[str] = Counter()
    for seed in range(40):
        faults.update(simulate(seed).faults.count)
        if set(faults) == set(FAULTS):
            return
    pytest.fail(f"never happened: {set(FAULTS) - set(faults)}")
