"""The simulation can fail: each planted mistake shows within a bounded number of seeds.

Those that need many seeds are for `pytest -m long tests/simulation/test_planted.py`, which takes about half an hour.
"""

from __future__ import annotations

from itertools import count, islice

import pytest

from shardstore.errors import ShardstoreError
from tests.simulation.mistakes import MISTAKES, Mistake
from tests.simulation.oracle import Violation
from tests.simulation.swarm import draw
from tests.simulation.topology_mistakes import TOPOLOGY_MISTAKES
from tests.simulation.world import SimulationFailed, simulate

SEEDS_MAX = 800
ALL = MISTAKES | TOPOLOGY_MISTAKES
RARE = frozenset(
    (
        "believes log files that came back",
        "gives a table of a drain the number of one that is being written",
        "grants at once after a restart of the router",
        "lets a fenced parent accept writes",
        "publishes a child before its tables are durable",
        "retries a failed sync",
    )
)
"""These show in more than about ten seconds of seeds."""
FOUND = Violation | ShardstoreError | AssertionError
"""By a promise that is broken, or a check in the store; any other error says that what was planted is wrong itself."""


def is_shown(mistake: Mistake) -> bool:
    """Whether one of the seeds that are worth a try fails."""
    for swarm in islice(filter(mistake.may_show_in, map(draw, count(mistake.first_seed))), SEEDS_MAX):
        try:
            simulate(swarm.seed, mistake.patches)
        except SimulationFailed as failed:
            return isinstance(failed.__cause__, FOUND)
    return False


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.long] if name in RARE else []) for name in sorted(ALL)]
)
def test_a_planted_mistake_is_found(name: str) -> None:
    assert is_shown(ALL[name])


def test_without_a_mistake_nothing_is_found() -> None:
    for seed in range(10):
        simulate(seed)
