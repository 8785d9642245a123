"""Who owns which range under which epoch: the pure rules of a worker's registration.

A worker that registers gets a new epoch for each of its segments, higher than any that was ever granted: than the
map's, and than what the worker found on its disk, because the map's file may have gone back a version. So whatever
was sent to an earlier process of that worker is refused by the new one, and the other way round. One case keeps its
epochs: a process that serves exactly what the map says, and has met a router that was restarted or had lost sight
of it. And one that takes no writes needs no new ones: it can be registered when the disk takes none either.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import replace

from shardstore.identifiers import Epoch, WorkerId
from shardstore.wire.messages import Assignment, Register
from shardstore.wire.route_map import Route, RouteMap

EPOCH_MAX = 2**32 - 1


def routes_of(route_map: RouteMap, worker: int) -> list[Route]:
    """The routes that a worker owns."""
    return [route for route in route_map if route.worker == worker]


def serves_the_map(route_map: RouteMap, worker: int, serving: Mapping[int, int]) -> bool:
    """Whether a worker serves exactly the segments it owns, under exactly the map's epochs."""
    return dict(serving) == {route.segment: route.epoch for route in routes_of(route_map, worker)}


def routes_with_new_epochs(route_map: RouteMap, register: Register) -> list[Route]:
    """The routes that change, each with its new epoch, so that this registration can be answered."""
    if register.failure or serves_the_map(route_map, register.worker, register.serving):
        return []
    return [
        replace(route, epoch=Epoch(1 + max(route.epoch, highest_known_epoch(register, route.segment))))
        for route in routes_of(route_map, register.worker)
    ]


def highest_known_epoch(register: Register, segment: int) -> int:
    """The highest epoch of a segment that the worker knows of."""
    return max(register.known.get(segment, 0), register.serving.get(segment, 0))


def newly_created_routes(route_map: RouteMap, worker: WorkerId, children: Container[int]) -> list[Route]:
    """The routes that change when a worker has all its segments on disk but those of children, which come later."""
    return [
        replace(route, created=True)
        for route in routes_of(route_map, worker)
        if not route.created and route.segment not in children
    ]


def assignments(route_map: RouteMap, worker: WorkerId) -> list[Assignment]:
    """What a worker is to serve."""
    ranges = [(route, route_map.range_of(route.segment)) for route in routes_of(route_map, worker)]
    return [
        Assignment(route.segment, keys.start, keys.end, route.epoch, create=not route.created) for route, keys in ranges
    ]
