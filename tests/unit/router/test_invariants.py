"""What the classes of the router promise is checked: the check finds each promise that is broken by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from shardstore.identifiers import WorkerId
from shardstore.router.budget import Account, Budget
from shardstore.router.in_flight import ForwardedRequest, InFlight
from shardstore.router.route_table import RouteTable
from shardstore.wire.wire_format import Header, Op
from tests.unit.router.test_budget import PLAN
from tests.unit.router.test_route_table import GOLDEN_CHANGE, GOLDEN_TOPOLOGY

CHILDREN = (replace(GOLDEN_TOPOLOGY.map.routes[0], segment=7), replace(GOLDEN_TOPOLOGY.map.routes[1], segment=8))
SOUND = replace(GOLDEN_TOPOLOGY, map=GOLDEN_TOPOLOGY.map.with_replaced({1, 2}, CHILDREN))
"""The children of its change are in the map."""
TOPOLOGIES: dict[str, dict[str, Any]] = {
    "a segment has the number of the next one": {"segment_next": 8},
    "changes are out of order": {"changes": (GOLDEN_CHANGE, GOLDEN_CHANGE)},
    "a change has the number of the next one": {"change_next": 3},
    "a child of a change is not in the map": {"map": GOLDEN_TOPOLOGY.map},
    "workers are inconsistent": {"leaving": SOUND.workers},
}


@pytest.mark.parametrize("what", TOPOLOGIES)
def test_a_topology_that_cannot_be_is_found(what: str) -> None:
    RouteTable(None, "store", SOUND).check_invariants()  # type: ignore[arg-type]
    with pytest.raises(AssertionError, match=what):
        RouteTable(None, "store", replace(SOUND, **TOPOLOGIES[what])).check_invariants()  # type: ignore[arg-type]


def test_leases_beyond_the_budget_are_found_once_all_are_known() -> None:
    budget = Budget(PLAN, range(3))
    budget.accounts[0] = Account(PLAN.buffer_bytes)
    budget.accounts[1] = Account(1)
    budget.check_invariants()
    budget.accounts[2] = Account(0)
    with pytest.raises(AssertionError, match="bytes are leased of"):
        budget.check_invariants()


@pytest.mark.parametrize(
    ("miscount", "what"),
    [
        (lambda in_flight: in_flight._bytes.clear(), "bytes are miscounted"),
        (lambda in_flight: in_flight._of_peers.clear(), "requests of peers are miscounted"),
    ],
)
def test_requests_that_are_miscounted_are_found(miscount: Callable[[InFlight], None], what: str) -> None:
    in_flight = InFlight()
    in_flight.add(ForwardedRequest("clients", b"peer", Header(Op.GET), WorkerId(0), 10, 0))
    in_flight.check_invariants()
    miscount(in_flight)
    with pytest.raises(AssertionError, match=what):
        in_flight.check_invariants()
