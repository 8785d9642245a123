"""Which neighbours to merge: small and cold ones, long after either was changed.

What a merge leaves lies well below what is split, in bytes and in load, so no split follows from it. A store keeps
RANGES_KEPT ranges for each worker, those a new store has: an empty store stays cut for what comes.
"""

from __future__ import annotations

from itertools import pairwise

from shardstore.router.policies import split_policy
from shardstore.router.policies.history import History
from shardstore.router.policies.loads import RangeLoad, StoreLoad
from shardstore.router.policies.plan import Plan, PlanKind
from shardstore.topology_options import TopologyOptions

BYTES_SHARE = 0.4
"""Of `split_bytes`: what both hold together at most. What a split leaves is more than twice that."""
LOAD_SHARE = 0.25
"""Of what a range must have to be split for its load: what both have together at most."""
COOLDOWNS = 5
"""Nothing is merged before it was left alone for so many cooldowns: a load may come back."""
RANGES_KEPT = 4


def merges(loads: StoreLoad, history: History, options: TopologyOptions, now_ns: int) -> list[Plan]:
    """Merges that may be made, the smallest first. No range is in two of them."""
    receivers = loads.receivers()
    spare = len(loads.ranges) - RANGES_KEPT * len(receivers)
    if spare < 1:
        return []

    def is_cold(load: RangeLoad) -> bool:
        is_rested = history.age_ns(load.segment, now_ns) >= COOLDOWNS * options.cooldown_ns
        return load.settled and is_rested and load.worker in receivers

    candidates = [pair for pair in pairwise(loads.ranges) if _are_small(*pair, options) and all(map(is_cold, pair))]
    plans: list[Plan] = []
    taken: set[int] = set()
    for left, right in sorted(candidates, key=lambda pair: pair[0].size_bytes + pair[1].size_bytes):
        if len(plans) < spare and taken.isdisjoint((left.segment, right.segment)):
            taken |= {left.segment, right.segment}
            plans.append(_merge(left, right, options))
    return plans


def _are_small(left: RangeLoad, right: RangeLoad, options: TopologyOptions) -> bool:
    return (
        left.size_bytes + right.size_bytes <= BYTES_SHARE * options.split_bytes
        and left.busy + right.busy <= LOAD_SHARE * split_policy.BUSY_MIN
    )


def _merge(left: RangeLoad, right: RangeLoad, options: TopologyOptions) -> Plan:
    larger = max(right, left, key=lambda load: load.size_bytes)
    sizes = f"{left.size_bytes} and {right.size_bytes} bytes, a range may have {options.split_bytes}"
    return Plan(PlanKind.MERGE, (left.segment, right.segment), larger.worker, f"small and cold: {sizes}")
