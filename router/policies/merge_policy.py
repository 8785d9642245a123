"""Chooses neighbours to merge: small ranges that were cold and unchanged for a long time.

A merged range is far smaller, in bytes and in load, than the ranges that are split (sizes.py), so no split follows. A
store that has RANGES_KEPT ranges for each worker keeps them.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from shardstore.router.policies import split_policy
from shardstore.router.policies.history import History
from shardstore.router.policies.loads import RangeLoad, StoreLoad
from shardstore.router.policies.plan import Plan, PlanKind
from shardstore.router.policies.sizes import split_bytes
from shardstore.topology_options import TopologyOptions

BYTES_SHARE = 0.4
"""The maximum bytes of both ranges together, as a share of the limit. A split leaves more than twice that."""
LOAD_SHARE = 0.25
"""The maximum load of both ranges together, as a share of the minimum load of a split."""
COOLDOWNS = 5
"""The number of cooldowns for which a range must be cold before it is merged, since load may come back."""
RANGES_KEPT = 4


def merges(loads: StoreLoad, history: History, options: TopologyOptions, now_ns: int) -> Iterator[Plan]:
    """Plan the merges that are possible, the smallest first. No range is in two of them."""
    receivers = loads.receivers()
    spare = len(loads.ranges) - RANGES_KEPT * len(receivers)
    rest_ns = COOLDOWNS * options.cooldown_ns

    def is_cold(load: RangeLoad) -> bool:
        return load.settled and load.worker in receivers and history.cold_ns(load.segment, now_ns) >= rest_ns

    limit = split_bytes(loads, options)
    candidates = [pair for pair in pairwise(loads.ranges) if _are_small(*pair, limit)]
    taken: set[int] = set()
    for left, right in sorted(candidates, key=lambda pair: pair[0].size_bytes + pair[1].size_bytes):
        if spare < 1:
            return
        if taken.isdisjoint((left.segment, right.segment)) and is_cold(left) and is_cold(right):
            taken |= {left.segment, right.segment}
            spare -= 1
            yield _merge(left, right, limit)


def warm_ranges(loads: StoreLoad) -> Iterator[int]:
    """The segments with load, to note in the history."""
    return (load.segment for load in loads.ranges if load.busy > LOAD_SHARE * split_policy.SPLIT_BUSY_MIN / 2)


def _are_small(left: RangeLoad, right: RangeLoad, limit: int) -> bool:
    return (
        left.size_bytes + right.size_bytes <= BYTES_SHARE * limit
        and left.busy + right.busy <= LOAD_SHARE * split_policy.SPLIT_BUSY_MIN
    )


def _merge(left: RangeLoad, right: RangeLoad, limit: int) -> Plan:
    larger = max(right, left, key=lambda load: load.size_bytes)
    sizes = f"{left.size_bytes} and {right.size_bytes} bytes, a range may have {limit}"
    return Plan(PlanKind.MERGE, (left.segment, right.segment), (larger.worker,), f"small and cold: {sizes}")
