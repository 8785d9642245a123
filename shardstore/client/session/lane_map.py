"""The route map as a session uses it: a lane for each segment, a channel for each worker."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable

from shardstore.client.calls.batch_pieces import Boundaries
from shardstore.client.calls.calls import Owner
from shardstore.client.session.effects import Connect, Disconnect
from shardstore.client.session.lanes import Channel, Lane
from shardstore.identifiers import Epoch, SegmentId, WorkerId
from shardstore.key_range import EVERYTHING, KeyRange
from shardstore.wire.link_names import ROUTER
from shardstore.wire.messages import Routes
from shardstore.wire.route_map import InvalidRouteMap, Route, RouteMap
from shardstore.wire.wire_format import MalformedMessage

_REPORTS = "tcp://"
"""Links to such endpoints report when they are up. Others are tried at once."""


class LaneMap:
    """`lanes` are in key order. Until the first routes come there are none, and nothing can be routed.

    Invariants: the lanes are those of the map, in its order and with its keys; each sends to the channel of its worker;
    each worker has a channel.
    """

    def __init__(self, direct: bool, reach: Callable[[str], str]) -> None:
        """`reach` takes the endpoints of a worker, and returns the one to connect to; empty if none can be reached."""
        self._direct = direct
        self._reach = reach
        self._map: RouteMap | None = None
        self._workers: set[WorkerId] = set()
        self._starts: tuple[bytes, ...] = ()
        self.boundaries = Boundaries([b""])
        self.lanes: list[Lane] = []
        self.channels: dict[WorkerId, Channel] = {}
        self.router_lane = Lane(0, EVERYTHING, None, Channel(ROUTER))
        self.known = False
        """Whether routes have come."""

    @property
    def routes(self) -> RouteMap | None:
        """The route map; None until the first routes come."""
        return self._map

    def lane_of(self, key: bytes) -> Lane:
        """The lane of the range that owns the key."""
        return self.lanes[bisect_right(self._starts, key) - 1]

    def last_lane_before(self, end: bytes) -> Lane:
        """The lane of the range that owns the last keys before `end`; empty: no end."""
        if not end:
            return self.lanes[-1]
        at = bisect_right(self._starts, end) - 1
        return self.lanes[at - 1 if self._starts[at] == end else at]

    def lanes_over(self, keys: KeyRange) -> list[Lane]:
        """The lanes of the ranges that own some of the keys, in key order."""
        first = bisect_right(self._starts, keys.start) - 1
        return self.lanes[first : bisect_left(self._starts, keys.end) if keys.end else None]

    def lane_of_owner(self, owner: Owner) -> Lane:
        """A lane to the worker that answered the first page of a scan in a range, even if it has lost the range."""
        return Lane(owner.route.segment, owner.key_range, owner.route, self._channel_of(owner.route.worker))

    def is_superseded(self, route: Route | None) -> bool:
        """Whether the segment of a route has another owner or epoch now. False if the segment is gone."""
        now = self._map.route_of_segment(route.segment) if self._map is not None and route is not None else None
        return now is not None and route is not None and (now.worker, now.epoch) != (route.worker, route.epoch)

    def lane_of_each_worker(self) -> dict[WorkerId, Lane]:
        """For each worker that owns a range or is up, a lane for requests to the worker itself."""
        return {
            worker: Lane(0, EVERYTHING, Route(b"", SegmentId(0), worker, Epoch(worker + 1)), self._channel_of(worker))
            for worker in sorted(self._workers)
        }

    def trust(self, link: str) -> None:
        """Trust a link over which a message has come, if it is the direct link to a worker."""
        for channel in self.channels.values():
            if channel.link == link:
                channel.direct = channel.connected

    def set_up(self, link: str, is_up: bool) -> None:
        """Note that the direct link to a worker can be used from now on, or not until it is up again."""
        for channel in self.channels.values():
            if channel.link == link and channel.linked:
                channel.connected = channel.direct = is_up

    def drop(self, link: str) -> list[Connect | Disconnect]:
        """Do without the direct link to a worker until its endpoint changes. Returns the change of links."""
        for channel in self.channels.values():
            if channel.link == link and channel.linked:
                channel.linked = channel.connected = channel.direct = False
                return [Disconnect(link)]
        return []

    def update(self, routes: Routes) -> tuple[list[Connect | Disconnect], list[Lane]] | None:
        """Go over to these routes. Returns the changes of links, and the lanes whose segments are gone.

        Returns None if newer routes are known. The session must update requests and offers of the lanes afterwards.
        Raises MalformedMessage.
        """
        try:
            route_map = RouteMap.from_document(routes.route_map)
        except InvalidRouteMap as error:
            raise MalformedMessage(str(error)) from None
        if self._map is not None and route_map.version < self._map.version:
            return None
        changes: list[Connect | Disconnect] = []
        self._workers = {route.worker for route in route_map} | {WorkerId(worker) for worker in routes.endpoints}
        for worker in sorted(self._workers | self.channels.keys()):
            changes += self._set_endpoint(worker, routes.endpoints.get(worker, ""))
        return changes, self._set_map(route_map) if route_map != self._map else []

    def check_invariants(self) -> None:
        """Raise AssertionError if an invariant of this class does not hold."""
        routes, starts = (self._map.routes, self._map.starts) if self._map else ((), ())
        lanes = self.lanes
        assert [lane.route for lane in lanes] == [*routes], "the lanes are not those of the map"
        assert [lane.segment for lane in lanes] == [route.segment for route in routes], "a lane is of another segment"
        assert self._starts == starts, "keys are looked up in another map"
        keys = [(lane.key_range.start, lane.key_range.end) for lane in lanes]
        assert keys == [*zip(starts, (*starts[1:], b""), strict=False)], "lanes have other keys than their routes"
        channels = [self.channels.get(route.worker) for route in routes]
        assert [lane.channel for lane in lanes] == channels, "a lane has the channel of another worker"
        assert self._workers <= self.channels.keys(), "a worker has no channel"

    def _set_map(self, route_map: RouteMap) -> list[Lane]:
        """Make the lanes those of the map. Returns the lanes that are gone."""
        by_segment = {lane.segment: lane for lane in self.lanes}
        self.lanes = []
        for route in route_map:
            channel = self.channels[route.worker]
            lane = by_segment.pop(route.segment, None) or Lane(
                route.segment, route_map.range_of(route.segment), route, channel
            )
            if lane.route != route:  # perhaps the owner is a new process: the direct link is worth another try
                channel.direct = channel.connected
            lane.route, lane.channel = route, channel
            self.lanes.append(lane)
        if route_map.starts != self._starts:
            self._starts = route_map.starts
            self.boundaries = Boundaries(route_map.starts)
        self._map = route_map
        self.known = True
        return [*by_segment.values()]

    def _set_endpoint(self, worker: WorkerId, endpoint: str) -> list[Connect | Disconnect]:
        channel = self._channel_of(worker)
        if endpoint == channel.endpoint:
            return []
        was_linked = channel.linked
        channel.endpoint = endpoint
        reached = self._reach(endpoint) if self._direct and endpoint else ""
        channel.linked = bool(reached)
        channel.connected = channel.direct = channel.linked and not reached.startswith(_REPORTS)
        if channel.linked:
            return [Connect(channel.link, reached)]
        return [Disconnect(channel.link)] if was_linked else []

    def _channel_of(self, worker: WorkerId) -> Channel:
        return self.channels.setdefault(worker, Channel(f"worker:{worker}"))
