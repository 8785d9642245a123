"""The state of the cluster, which the parts of the router share."""

from __future__ import annotations

from dataclasses import dataclass

from shardstore.router.budget import Budget
from shardstore.router.membership import Membership
from shardstore.router.route_table import RouteTable


@dataclass(frozen=True, slots=True)
class ClusterState:
    """Who owns which keys, which worker processes live, and how much memory they lease.

    `router_life` is a random number of this router process. Workers repeat it, so that a restarted router recognises
    messages that were meant for the one before.
    """

    table: RouteTable
    membership: Membership
    budget: Budget
    router_life: int
