"""The simulation can fail: it finds each planted mistake within a bounded number of seeds."""

from __future__ import annotations

from itertools import count, islice

import pytest

from shardstore.errors import ShardstoreError
from tests.simulation.direct_read_mistakes import DIRECT_READ_MISTAKES, OLD_ROUTES
from tests.simulation.expiry_mistakes import EXPIRY_MISTAKES
from tests.simulation.mistakes import MISTAKES, Mistake
from tests.simulation.oracle import Violation
from tests.simulation.range_mistakes import RANGE_MISTAKES
from tests.simulation.swarm import draw
from tests.simulation.topology_mistakes import TOPOLOGY_MISTAKES
from tests.simulation.world import SimulationFailed, simulate

pytestmark = pytest.mark.slow

SEEDS_MAX = 800
ALL = MISTAKES | TOPOLOGY_MISTAKES | DIRECT_READ_MISTAKES | RANGE_MISTAKES | EXPIRY_MISTAKES
FOUND = Violation | ShardstoreError | AssertionError
"""A mistake must show as a broken promise or a failed check; any other error means that the mistake itself is wrong."""


def is_shown(mistake: Mistake, seeds_max: int = SEEDS_MAX) -> bool:
    """Whether one of the suitable seeds fails."""
    for swarm in islice(filter(mistake.may_show_in, map(draw, count(mistake.first_seed))), seeds_max):
        try:
            simulate(swarm.seed, mistake.patches)
        except SimulationFailed as failed:
            return isinstance(failed.__cause__, FOUND)
    return False


@pytest.mark.parametrize("name", sorted(ALL))
def test_a_planted_mistake_is_found(name: str) -> None:
    assert is_shown(ALL[name])


def test_without_a_mistake_nothing_is_found() -> None:
    assert not is_shown(Mistake(patches=()), seeds_max=1)


def test_old_routes_alone_are_no_mistake() -> None:
    assert not is_shown(Mistake((OLD_ROUTES,), first_seed=33), seeds_max=1)
