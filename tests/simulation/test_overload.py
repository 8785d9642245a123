"""Under several times the load that drains can handle, clients slow down: no storm of retries, no starved writer."""

from __future__ import annotations

import pytest

from shardstore.limits import MILLISECOND_NS, SECOND_NS
from tests.simulation.overload import load

SECONDS = 12.0


@pytest.mark.fault("B1")
@pytest.mark.slow
def test_overload_costs_few_requests_and_little_of_what_is_sustainable() -> None:
    offered = load(clients=8, actors=4, slice_ns=MILLISECOND_NS // 2, seconds=2.0)
    came = load(clients=8, actors=4, slice_ns=60 * MILLISECOND_NS, seconds=SECONDS)
    assert offered.written_bytes / 2.0 > 4 * came.drained_bytes / SECONDS, "this is no overload"
    assert came.requests_per_write <= 1.1
    assert came.written_bytes >= came.drained_bytes * 0.7  # the latest rate, an estimate
    assert came.failed == 0
    assert came.slowest_ns < 5 * SECOND_NS
