"""The epochs and ranges of a worker that registers. Pure.

A worker that registers gets a new epoch for each of its segments. It is higher than the epoch in the map and higher
than those that the worker found on its disk, since the map's file may have gone back by a version. So a new process
refuses messages for an earlier process of the worker, and an earlier process refuses those for the new one.

Two kinds of processes keep their epochs: one that already serves exactly what the map says, because the router was
restarted or counted it as down; and one that accepts no writes, so that it can register while the disk is full.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import replace

from shardstore.identifiers import Epoch, WorkerId
from shardstore.wire.messages import Assignment, Register
from shardstore.wire.route_map import Route, RouteMap

EPOCH_MAX = 2**32 - 1


def routes_of(route_map: RouteMap, worker: int) -> list[Route]:
    """The routes of the ranges that a worker owns."""
    return [route for route in route_map if route.worker == worker]


def serves_the_map(route_map: RouteMap, worker: int, serving: Mapping[int, int]) -> bool:
    """Whether a worker serves exactly the segments that it owns, with the epochs of the map."""
    return dict(serving) == {route.segment: route.epoch for route in routes_of(route_map, worker)}


def routes_with_new_epochs(route_map: RouteMap, register: Register) -> list[Route]:
    """The routes of a worker that registers, each with a new epoch; empty if it keeps its epochs."""
    if register.failure or serves_the_map(route_map, register.worker, register.serving):
        return []
    return [
        replace(route, epoch=Epoch(1 + max(route.epoch, highest_known_epoch(register, route.segment))))
        for route in routes_of(route_map, register.worker)
    ]


def highest_known_epoch(register: Register, segment: int) -> int:
    """The highest epoch of a segment that the worker knows."""
    return max(register.known.get(segment, 0), register.serving.get(segment, 0))


def newly_created_routes(route_map: RouteMap, worker: WorkerId, children: Container[int]) -> list[Route]:
    """The routes that become `created` when a worker is ready: all its routes except those of `children`."""
    return [
        replace(route, created=True)
        for route in routes_of(route_map, worker)
        if not route.created and route.segment not in children
    ]


def assignments(route_map: RouteMap, worker: WorkerId) -> list[Assignment]:
    """The ranges that a worker must serve."""
    ranges = [(route, route_map.range_of(route.segment)) for route in routes_of(route_map, worker)]
    return [
        Assignment(route.segment, keys.start, keys.end, route.epoch, create=not route.created) for route, keys in ranges
    ]
