"""Reads keys and pages of scans from the files of their ranges, as far as that is possible."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from weakref import WeakSet

import numpy as np

from shardstore.client.calls.arguments import Items
from shardstore.client.calls.batch_pieces import Boundaries, Positions, group_by_range
from shardstore.client.calls.calls import Page, ScanPage
from shardstore.client.calls.some_read import SomeRead
from shardstore.client.direct.ask import ASK, IN_MEMORY, Ask, InMemory
from shardstore.client.direct.open_files import OpenFiles
from shardstore.client.direct.readable_range import LeftToWorkers, ReadableRange
from shardstore.client.direct.slots import Slots
from shardstore.client.direct.table_view import TableView
from shardstore.errors import Corruption, StorageFailure
from shardstore.options import ScanMode
from shardstore.seams.boards import Boards
from shardstore.seams.clock import WallClock
from shardstore.seams.filesystem import Filesystem
from shardstore.tables.digests import digest_of
from shardstore.tables.not_ready import NOT_READY, NotReady
from shardstore.tables.wanted import Wanted
from shardstore.wire.route_map import Route, RouteMap

LOOK_AFTER = 1_024
"""After so many reads of ranges, the reader closes the files that are not served any more."""
_FLAWS = (Corruption, StorageFailure, FileNotFoundError)
"""A file is damaged, or was removed meanwhile. The worker is asked, which knows which of these it is."""


class Reader:
    """Reads the store with this identity. For one thread at a time.

    `tables_max` bounds the open tables, and once more those of scans.
    """

    def __init__(
        self,
        filesystem: Filesystem,
        boards: Boards,
        wall: WallClock,
        store: str,
        memory_bytes: int,
        tables_max: int,
    ) -> None:
        self.store = store
        self.refused = LeftToWorkers()
        self._wall = wall
        self._slots = Slots(boards, store)
        self._files = OpenFiles(filesystem, store, memory_bytes, tables_max)
        self._ranges: dict[int, ReadableRange] = {}
        self._tables_max = tables_max
        self._views: WeakSet[TableView] = WeakSet()
        self._reads = 0

    def get_ready(self, key: bytes, routes: RouteMap) -> bytes | InMemory | NotReady | None:
        """Return the value of a key, None, or IN_MEMORY, for any thread at any time; NOT_READY if `get` can tell."""
        route = routes.routes[bisect_right(routes.starts, key) - 1]
        readable = self._ranges.get(route.segment)
        self._reads += 1
        if readable is None or readable.route is not route or self._reads >= LOOK_AFTER:
            return NOT_READY
        try:
            return readable.get_ready(key)
        except _FLAWS:
            return NOT_READY

    def get(self, key: bytes, routes: RouteMap) -> bytes | Ask | None:
        """Return the value of a key, None if it has none, or why a worker must be asked."""
        route = routes.routes[bisect_right(routes.starts, key) - 1]
        readable = self._readable(route)
        if readable is None:
            return ASK
        try:
            found = readable.get(key, digest_of(key))
        except _FLAWS:
            self._files.close(route.segment)
            return ASK
        if found is ASK and not readable.board.is_current():
            del self._ranges[route.segment]
        return found

    def get_many(self, keys: Items, routes: RouteMap, boundaries: Boundaries) -> SomeRead:
        """Return the values of the keys that can be read."""
        order, spans = group_by_range(keys, boundaries)
        wanted = _wanted(keys) if order is None else _wanted(keys).at(order)
        positions = np.arange(len(wanted)) if order is None else order
        found = SomeRead(np.empty(len(wanted), object), np.zeros(len(wanted), np.bool_))
        flags = 0
        for number, begin, end in spans:
            route = routes.routes[number]
            readable = self._readable(route)
            if readable is not None:
                try:
                    flags |= _read_some(readable, wanted.span(begin, end), found, positions[begin:end])
                except _FLAWS:
                    self._files.close(route.segment)
                if not readable.board.is_current():
                    del self._ranges[route.segment]
        return found._replace(flags=flags)

    def page(self, call: ScanPage, routes: RouteMap) -> Page | Ask:
        """Return the first page of a scan in a range, or ASK. In a snapshot it has the view for the next pages."""
        route = _route_of(call, routes)
        readable = self._readable(route)
        if readable is None:
            return ASK
        try:
            view = readable.view(routes.range_of(route.segment))
            if view is None:
                return ASK
            page = view.page(call)
        except _FLAWS:
            self._files.close(route.segment)
            return ASK
        if call.mode is ScanMode.LIVE or not page.more or 0 < call.limit == len(page.keys):
            return page._replace(view=None)
        kept = self._kept(view)
        return ASK if kept is None else page._replace(view=kept)

    def _kept(self, view: TableView) -> TableView | None:
        """Return a view that a scan can keep; None if scans keep enough tables open already."""
        tables = sum([each.tables for each in self._views])
        if tables and tables + view.tables > self._tables_max:
            return None
        kept = view.apart()
        self._views.add(kept)
        return kept

    def _readable(self, route: Route) -> ReadableRange | None:
        """Return the range of a route; None if its worker tells nothing about it."""
        self._reads += 1
        if self._reads >= LOOK_AFTER:
            self._reads = 0
            self._close_outdated()
        readable = self._ranges.get(route.segment)
        if readable is not None and readable.route is route:
            return readable
        found = self._slots.find(route.worker, route.segment)
        if found is None:
            self._ranges.pop(route.segment, None)
            return None
        readable = self._ranges[route.segment] = ReadableRange(route, *found, self._files, self._wall, self.refused)
        return readable

    def _close_outdated(self) -> None:
        """Forget the ranges that are not served as they were, and let go of their files and of replaced boards.

        The space of removed files cannot be used as long as they are open here.
        """
        self._slots.close_lost()
        self._ranges = {
            segment: each
            for segment, each in self._ranges.items()
            if self._slots.has(each.board) and not each.is_outdated
        }
        for segment in [*self._files]:
            if segment not in self._ranges:
                self._files.close(segment)


def _route_of(call: ScanPage, routes: RouteMap) -> Route:
    """Return the route of the keys at which the page begins."""
    if not call.reverse:
        return routes.route_of(call.start)
    return routes.routes[bisect_left(routes.starts, call.end) - 1 if call.end else -1]


def _wanted(keys: Items) -> Wanted:
    """Return the keys of a call with their digests."""
    if keys.frame is None:
        return Wanted.variable(keys.items)
    return Wanted.fixed(np.frombuffer(keys.frame, f"V{keys.stride}"), keys.items)


def _read_some(readable: ReadableRange, wanted: Wanted, found: SomeRead, positions: Positions) -> int:
    """Read keys of a range, and put what it has into `found`, each at its position.

    Returns flags for the request for those that were not read. Raises Corruption, StorageFailure, FileNotFoundError.
    """
    some = readable.get_many(wanted)
    if isinstance(some, Ask):
        return some.flags
    values, read = some
    found.put(positions if read is None else positions[read], values)
    return 0 if read is None else IN_MEMORY.flags
