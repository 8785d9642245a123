"""The route map (KeyToSegmentMap): which segment, worker and epoch own each key.

A version is immutable; a change makes the next version. Routes are ordered: the first starts at the empty key, each
ends where the next starts, and the last has no end. So a route map cannot have gaps or overlaps.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from shardstore.identifiers import Epoch, SegmentId, WorkerId
from shardstore.key_range import KeyRange
from shardstore.limits import KEY_BYTES_MAX, RANGES_MAX


class InvalidRouteMap(ValueError):
    """The routes do not cover the key space exactly once, or a field is out of bounds."""


@dataclass(frozen=True, slots=True)
class Route:
    """One range: its first key, its segment, the worker that owns it and the epoch of that ownership.

    `created` is false until the owner has reported that the segment exists on disk.
    """

    start: bytes
    segment: SegmentId
    worker: WorkerId
    epoch: Epoch
    created: bool = False


@dataclass(frozen=True, slots=True)
class RouteMap:
    """One version of the map. `routes` are ordered by their start, `starts` are the starts of the routes."""

    version: int
    routes: tuple[Route, ...]
    starts: tuple[bytes, ...] = field(init=False, repr=False, compare=False)
    _positions: Mapping[SegmentId, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check(self.routes)
        object.__setattr__(self, "starts", tuple(route.start for route in self.routes))
        object.__setattr__(self, "_positions", {route.segment: at for at, route in enumerate(self.routes)})

    def route_of(self, key: bytes) -> Route:
        """Return the route that owns the key."""
        return self.routes[bisect_right(self.starts, key) - 1]

    def route_of_segment(self, segment: int) -> Route | None:
        """Return the route of a segment; None if the map does not have the segment."""
        at = self._positions.get(SegmentId(segment))
        return None if at is None else self.routes[at]

    def range_of(self, segment: SegmentId) -> KeyRange:
        """Return the key range of a segment of this map."""
        at = self._positions[segment]
        return KeyRange(self.starts[at], self.starts[at + 1] if at + 1 < len(self.starts) else b"")

    def with_routes(self, changed: Iterable[Route]) -> RouteMap:
        """Return the next version, in which the given routes replace the routes of the same segments."""
        by_segment = {route.segment: route for route in changed}
        routes = tuple(by_segment.get(route.segment, route) for route in self.routes)
        return replace(self, version=self.version + 1, routes=routes)

    def with_replaced(self, segments: Container[int], children: Iterable[Route]) -> RouteMap:
        """Return the next version, in which the routes of the children replace those of the segments."""
        kept = [route for route in self.routes if route.segment not in segments]
        routes = tuple(sorted([*kept, *children], key=lambda route: route.start))
        return replace(self, version=self.version + 1, routes=routes)

    def __iter__(self) -> Iterator[Route]:
        return iter(self.routes)

    def to_document(self) -> dict[str, Any]:
        """Return the map as plain values for a file or a message."""
        return {
            "version": self.version,
            "routes": [[r.start, r.segment, r.worker, r.epoch, r.created] for r in self.routes],
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> RouteMap:
        """Build a map from the result of `to_document`. Raises InvalidRouteMap."""
        try:
            version = document["version"]
            routes = tuple(
                Route(start, SegmentId(segment), WorkerId(worker), Epoch(epoch), created)
                for start, segment, worker, epoch, created in document["routes"]
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidRouteMap(f"no route map: {error!r}") from None
        if type(version) is not int or version < 1:
            raise InvalidRouteMap(f"version {version!r}")
        return cls(version, routes)


def presplit(boundaries: Sequence[bytes], workers: int) -> RouteMap:
    """Return the map of a new store: one range between each two boundaries; each worker owns neighbouring ranges."""
    starts = [b"", *boundaries]
    routes = (
        Route(start, SegmentId(at + 1), WorkerId(at * workers // len(starts)), Epoch(0))
        for at, start in enumerate(starts)
    )
    return RouteMap(1, tuple(routes))


def even_boundaries(ranges: int) -> list[bytes]:
    """Return the boundary keys that divide all values of a key's first two bytes evenly into `ranges` ranges."""
    if not 1 <= ranges <= RANGES_MAX:
        raise InvalidRouteMap(f"a store has 1 to {RANGES_MAX} ranges, not {ranges}")
    return [(65_536 * at // ranges).to_bytes(2, "big") for at in range(1, ranges)]


def _check(routes: Sequence[Route]) -> None:
    if not 1 <= len(routes) <= RANGES_MAX:
        raise InvalidRouteMap(f"a map has 1 to {RANGES_MAX} routes, not {len(routes)}")
    for route in routes:
        numbers = (route.segment, route.worker, route.epoch)
        if (type(route.start), *map(type, numbers), type(route.created)) != (bytes, int, int, int, bool):
            raise InvalidRouteMap(f"field of a wrong type in {route}")
        if len(route.start) > KEY_BYTES_MAX:
            raise InvalidRouteMap(f"a range starts with a key of {len(route.start)} bytes")
        if not 0 < route.segment < 2**32 or not 0 <= route.epoch < 2**32 or route.worker < 0:
            raise InvalidRouteMap(f"number out of bounds in {route}")
    if routes[0].start:
        raise InvalidRouteMap(f"gap: keys before {routes[0].start!r} have no owner")
    for left, right in pairwise(routes):
        if left.start >= right.start:
            raise InvalidRouteMap(f"overlap: {left.start!r} and {right.start!r} are not in order")
    if len({route.segment for route in routes}) != len(routes):
        raise InvalidRouteMap("a segment appears twice")
