"""The authoritative route map, and its file.

router/ROUTES is a document (see documents.py for the head) of magic "sSROUTES", version 1, with the body

    store    identity of the store, as in its STORE file
    map      RouteMap.to_document(): version, and per route [start, segment, worker, epoch, created]

A version is on stable storage before anyone is told of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from shardstore import documents
from shardstore.errors import Corruption, InvalidRequest
from shardstore.file_names import ROUTER, ROUTES, SEGMENTS
from shardstore.filesystem import Filesystem
from shardstore.route_map import InvalidRouteMap, Route, RouteMap, presplit

MAGIC = b"sSROUTES"
VERSION = 1


class RouteTable:
    """The current route map; `publish` is the only way to the next one."""

    def __init__(self, filesystem: Filesystem, store: str, current: RouteMap) -> None:
        self._filesystem = filesystem
        self._store = store
        self._current = current

    @property
    def current(self) -> RouteMap:
        """The newest published map."""
        return self._current

    def publish(self, changed: Sequence[Route]) -> None:
        """Make the given routes replace those of the same segment. When it raises, the current map has not changed."""
        following = self._current.with_routes(changed)
        documents.publish(self._filesystem, ROUTES, encode(self._store, following))
        self._current = following


def open_route_table(filesystem: Filesystem, store: str, boundaries: Sequence[str], workers: int) -> RouteTable:
    """The table of the store, made and published if the store is new. Raises Corruption, InvalidRequest."""
    filesystem.make_directory(ROUTER)
    if filesystem.exists(ROUTES):
        current = _load(filesystem, store)
        _check_workers(current, workers)
    elif filesystem.list_directory(SEGMENTS):
        raise Corruption(ROUTES, 0, f"is missing, but {SEGMENTS} holds segments")
    else:
        current = _first_map(boundaries, workers)
        documents.publish(filesystem, ROUTES, encode(store, current))
    return RouteTable(filesystem, store, current)


def encode(store: str, route_map: RouteMap) -> bytes:
    """The bytes of the file."""
    return documents.encode_document(MAGIC, VERSION, {"store": store, "map": route_map.to_document()})


def _load(filesystem: Filesystem, store: str) -> RouteMap:
    body = documents.read_document(filesystem, ROUTES, MAGIC, VERSION)
    if body.get("store") != store:
        raise Corruption(ROUTES, documents.HEAD_BYTES, f"belongs to store {body.get('store')!r}, not {store!r}")
    try:
        return RouteMap.from_document(body.get("map", {}))
    except InvalidRouteMap as error:
        raise Corruption(ROUTES, documents.HEAD_BYTES, str(error)) from None


def _first_map(boundaries: Sequence[str], workers: int) -> RouteMap:
    try:
        return presplit([bytes.fromhex(key) for key in boundaries], workers)
    except ValueError as error:
        raise InvalidRequest(f"boundaries of the first ranges: {error}") from None


def _check_workers(route_map: RouteMap, workers: int) -> None:
    highest = max(route.worker for route in route_map)
    if highest >= workers:
        raise InvalidRequest(f"worker {highest} owns ranges of this store, but only {workers} workers are started")
