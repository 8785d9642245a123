"""Combines all policies: chooses the changes to begin now, within the limits on changes at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from shardstore.limits import RANGES_MAX
from shardstore.router.policies.history import History
from shardstore.router.policies.loads import StoreLoad
from shardstore.router.policies.merge_policy import merges
from shardstore.router.policies.plan import Plan, Unsplittable
from shardstore.router.policies.rebalance_policy import evacuations, moves
from shardstore.router.policies.split_policy import splits
from shardstore.topology_options import TopologyOptions


def choose_changes(
    loads: StoreLoad, history: History, options: TopologyOptions, now_ns: int
) -> tuple[list[Plan], list[Unsplittable]]:
    """Choose the changes to begin now. Returns them, and what was found unsplittable.

    Leaving workers are emptied even if `auto_topology` is off, since an operator requested that.
    """
    asked = list(evacuations(loads))
    if not options.auto_topology:
        return list(_within_bounds(asked, [], loads, options)), []
    splitting, unsplittable = splits(loads, history, options, now_ns)
    chosen = [*splitting, *moves(loads, history, options, now_ns)]
    if not asked and not chosen:
        chosen = list(islice(merges(loads, history, options, now_ns), options.changes_max))
    return list(_within_bounds(asked, chosen, loads, options)), unsplittable


def _within_bounds(
    asked: Sequence[Plan], chosen: Sequence[Plan], loads: StoreLoad, options: TopologyOptions
) -> Iterator[Plan]:
    """The plans that may begin, in order: no segment is in two, and no worker is in two that are chosen for load.

    Drops plans with a worker that is not up: until it writes its files, the children could not be scanned.
    """
    room = options.changes_max - loads.changes
    ranges_room = RANGES_MAX - len(loads.ranges) - loads.changes
    owner = {load.segment: load.worker for load in loads.ranges}
    segments: set[int] = set()
    workers: set[int] = set()
    up = {one.worker for one in loads.workers if one.up}
    for plan in (*asked, *chosen):
        concerned = {*plan.workers, *(owner[segment] for segment in plan.segments)}
        if not concerned <= up:
            continue
        if not plan.for_load or len(concerned) == 1:
            concerned = set()  # no load goes from one worker to another
        if room < 1 or ranges_room < len(plan.keys):
            continue
        if not segments.isdisjoint(plan.segments) or not workers.isdisjoint(concerned):
            continue
        room -= 1
        ranges_room -= len(plan.keys)
        segments |= set(plan.segments)
        workers |= concerned
        yield plan
