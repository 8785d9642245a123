"""Makes topology changes from what an operator or a policy wants, and checks them against the route map. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shardstore.errors import Busy, InvalidRequest
from shardstore.limits import BOUNDARY_BYTES_MAX, KEY_BYTES_MAX, RANGES_MAX, SECOND_NS
from shardstore.router.policies.plan import Plan, PlanKind
from shardstore.router.policies.together import check_splits
from shardstore.router.route_table import Topology
from shardstore.wire.route_map import Route
from shardstore.wire.topology import Change, ChangeKind, Relative

CHANGE_RETRY_NS = SECOND_NS // 10


def split_change(topology: Topology, keys: Sequence[bytes], workers: Sequence[int]) -> Change:
    """The change that splits the range that holds these keys at each of them. The workers get the pieces, in key order.

    Raises InvalidRequest, Busy.
    """
    route = topology.map.route_of(keys[0])
    end = topology.map.range_of(route.segment).end
    if route.start == keys[0]:
        raise InvalidRequest("a range already starts at this key")
    if end and keys[-1] >= end:
        raise InvalidRequest("the keys lie in more than one range")
    check_splits(topology.together, keys)
    if max(map(len, keys)) > KEY_BYTES_MAX:
        raise InvalidRequest(f"the first key of a range has at most {KEY_BYTES_MAX} bytes, not {max(map(len, keys))}")
    if len(topology.map.routes) + len(keys) > RANGES_MAX:
        raise InvalidRequest(f"a store has at most {RANGES_MAX} ranges")
    if sum(map(len, (*topology.map.starts, *keys))) > BOUNDARY_BYTES_MAX:
        raise InvalidRequest(f"the first keys of all ranges have at most {BOUNDARY_BYTES_MAX:,} bytes together")
    bounds = [route.start, *keys, end]
    return _change(topology, ChangeKind.SPLIT, [route], zip(bounds, bounds[1:], workers, strict=False))


def merge_change(topology: Topology, key: bytes, worker: int | None = None) -> Change:
    """The change that merges the range that holds this key with its right neighbour.

    The worker gets the merged range; if it is None, the owner of the left range does. Raises InvalidRequest, Busy.
    """
    left = topology.map.route_of(key)
    end = topology.map.range_of(left.segment).end
    if not end:
        raise InvalidRequest("the last range has no right neighbour")
    right = topology.map.route_of(end)
    owner = int(left.worker) if worker is None else worker
    keys = (left.start, topology.map.range_of(right.segment).end, owner)
    return _change(topology, ChangeKind.MERGE, [left, right], [keys])


def move_change(topology: Topology, key: bytes, worker: int) -> Change:
    """The change that moves the range that holds this key to the worker. Raises InvalidRequest, Busy."""
    route = topology.map.route_of(key)
    if route.worker == worker:
        raise InvalidRequest(f"worker {worker} already owns this range")
    end = topology.map.range_of(route.segment).end
    return _change(topology, ChangeKind.MOVE, [route], [(route.start, end, worker)])


def change_of_plan(topology: Topology, plan: Plan) -> Change:
    """The planned change. Raises InvalidRequest, Busy, for example if the map has changed since the plan."""
    route = topology.map.route_of_segment(plan.segments[0])
    if route is None:
        raise InvalidRequest(f"segment {plan.segments[0]} is no longer in the route map")
    match plan.kind:
        case PlanKind.SPLIT:
            change = split_change(topology, plan.keys, plan.workers)
        case PlanKind.MERGE:
            change = merge_change(topology, route.start, plan.workers[0])
        case PlanKind.MOVE:
            change = move_change(topology, route.start, plan.workers[0])
    if tuple(parent.segment for parent in change.parents) != plan.segments:
        raise InvalidRequest(f"segments {plan.segments} have changed since the plan was made")
    return change


def _change(
    topology: Topology, kind: ChangeKind, parents: Iterable[Route], children: Iterable[tuple[bytes, bytes, int]]
) -> Change:
    parents, children = list(parents), list(children)
    _check_receivers(topology, parents, [worker for _, _, worker in children])
    changing = {child.segment: change.number for change in topology.changes for child in change.children}
    for parent in parents:
        if parent.segment in changing:
            raise Busy(
                f"change {changing[parent.segment]} of segment {parent.segment} is under way", 1, 1, CHANGE_RETRY_NS
            )
        if not parent.created:
            raise Busy(f"segment {parent.segment} is not created yet", 1, 1, CHANGE_RETRY_NS)
    ranges = [topology.map.range_of(parent.segment) for parent in parents]
    return Change(
        topology.change_next,
        str(kind),
        tuple(
            Relative(int(parent.segment), keys.start, keys.end, int(parent.worker), int(parent.epoch))
            for parent, keys in zip(parents, ranges, strict=True)
        ),
        tuple(
            Relative(topology.segment_next + at, start, end, worker) for at, (start, end, worker) in enumerate(children)
        ),
    )


def _check_receivers(topology: Topology, parents: Iterable[Route], receivers: Iterable[int]) -> None:
    """Raise InvalidRequest if a worker may not get a child. A leaving worker gets only children of its own ranges."""
    givers = {int(parent.worker) for parent in parents}
    for worker in receivers:
        if worker not in topology.workers:
            raise InvalidRequest(f"there is no worker {worker}")
        if worker in topology.leaving and givers != {worker}:
            raise InvalidRequest(f"worker {worker} is leaving")
