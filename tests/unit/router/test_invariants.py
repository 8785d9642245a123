"""What the classes of the router promise is checked: the check finds each promise that is broken by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from shardstore.identifiers import WorkerId
from shardstore.router.budget import Account, Budget
from shardstore.router.in_flight import ForwardedRequest, InFlight
from shardstore.router.known_clients import KnownClients
from shardstore.router.membership import Membership, MemberState
from shardstore.router.route_table import RouteTable
from shardstore.router.topology_changes import ChangeUnderWay, TopologyChanges
from shardstore.wire.wire_format import Header, Op
from tests.unit.router.router_driver import CountingEntropy
from tests.unit.router.test_budget import PLAN
from tests.unit.router.test_route_table import GOLDEN_CHANGE, GOLDEN_TOPOLOGY
from tests.unit.topology_driver import TopologyDriver

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


@pytest.mark.fault("B2")
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
        (lambda in_flight: setattr(in_flight.load_of(0), "size_bytes", 0), "bytes are miscounted"),
        (lambda in_flight: in_flight.load_of(0).of_peers.clear(), "requests of peers are miscounted"),
    ],
)
def test_requests_that_are_miscounted_are_found(miscount: Callable[[InFlight], None], what: str) -> None:
    in_flight = InFlight()
    in_flight.add(ForwardedRequest("clients", b"peer", Header(Op.GET), WorkerId(0), 10, 0))
    in_flight.check_invariants()
    miscount(in_flight)
    with pytest.raises(AssertionError, match=what):
        in_flight.check_invariants()


@pytest.mark.parametrize(
    ("break_by_hand", "what"),
    [
        (lambda members: members._members.update({9: members._members.pop(0)}), "worker 0 is found as 9"),
        (lambda members: members._by_peer.update({b"a": members.of_worker(1)}), "a member is not found by its peer"),
        (
            lambda members: setattr(members.of_worker(0), "state", MemberState.DOWN),
            "a peer belongs to a member that is down or was removed",
        ),
    ],
)
def test_members_with_wrong_peers_are_found(break_by_hand: Callable[[Membership], None], what: str) -> None:
    members = Membership()
    members.join(WorkerId(0), b"a", "endpoint", 0)
    members.join(WorkerId(1), b"b", "endpoint", 0)
    members.check_invariants()
    break_by_hand(members)
    with pytest.raises(AssertionError, match=what):
        members.check_invariants()


@pytest.mark.parametrize(
    ("break_by_hand", "what"),
    [
        (lambda clients: setattr(clients, "_clients_max", 1), "too many clients are known"),
        (lambda clients: clients._clients.update({b"c": 3}), "a peer has no client any more"),
        (lambda clients: clients._clients.update({b"a": 2}), "the peer of client 1 is that of another one"),
    ],
)
def test_clients_and_peers_that_do_not_match_are_found(
    break_by_hand: Callable[[KnownClients], None], what: str
) -> None:
    clients = KnownClients(CountingEntropy())
    clients.learn(1, b"a")
    clients.learn(2, b"b")
    clients.check_invariants()
    break_by_hand(clients)
    with pytest.raises(AssertionError, match=what):
        clients.check_invariants()


def under_way(changes: TopologyChanges) -> ChangeUnderWay:
    return changes._under_way[1]


@pytest.mark.parametrize(
    ("break_by_hand", "what"),
    [
        (
            lambda changes: changes._under_way.clear(),
            "the changes under way are not those of the route table",
        ),
        (lambda changes: changes._under_way.update({9: changes._under_way.pop(1)}), "change 1 is found as 9"),
        (lambda changes: under_way(changes).reports.update({9: None}), "a worker reports that takes no part"),
        (lambda changes: under_way(changes).windows.update({9: {}}), "a dedup window is that of no parent"),
    ],
)
def test_changes_that_cannot_be_are_found(break_by_hand: Callable[[TopologyChanges], None], what: str) -> None:
    cluster = TopologyDriver()
    cluster.split(b"m", 1)
    cluster.exchange()
    cluster.router.check_invariants()
    break_by_hand(cluster.router._changes)
    with pytest.raises(AssertionError, match=what):
        cluster.router.check_invariants()
