"""What the router knows of the cluster. The parts of the router share it."""

from __future__ import annotations

from dataclasses import dataclass

from shardstore.router.budget import Budget
from shardstore.router.membership import Membership
from shardstore.router.route_table import RouteTable


@dataclass(frozen=True, slots=True)
class ClusterState:
    """Which worker owns which keys, which worker processes are up, and how much memory each may use.

    `router_life` is a random number that identifies this router process. A worker learns it when it registers and sends
    it with each heartbeat, so a restarted router notices workers that have not registered with it.
    """

    table: RouteTable
    membership: Membership
    budget: Budget
    router_life: int
