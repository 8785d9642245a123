"""The route map of the store with the topology changes under way, and their file.

router/ROUTES is a document (see documents.py for the head) of the format ROUTE_MAP, version 5, with the body

    store         identity of the store, as in its STORE file
    map           RouteMap.to_document(): version, and per route [start, segment, worker, epoch, created]
    segment_next  number of the next segment; no segment has had this number or a higher one
    change_next   number of the next change
    changes       those under way, the oldest first: Change (shardstore/wire/topology.py). Their children are in the map
    workers       numbers of the store's workers, including all that own a range or take part in a change
    leaving       numbers of the workers that give away their ranges and are then removed; never all workers
    together      prefixes, in order, whose keys are kept in one range each (policies/together.py)
    lives         by worker, the newest life of its log (workers/wal/log_document.py). It shows that a log is missing or
                  is an older copy

Each version is on stable storage before it is announced. In version 4 of the format no change had been resolved by an
operator: the last four fields of Change were missing. Version 3 had no `together` either. Older ones are not read:
version 1 had only store and map, version 2 had no lives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from shardstore.errors import Corruption, InvalidRequest
from shardstore.files import documents
from shardstore.files.file_names import ROUTER_DIRECTORY, ROUTES, SEGMENTS, segment_of
from shardstore.files.formats import ROUTE_MAP
from shardstore.identifiers import Epoch, SegmentId, WorkerId
from shardstore.limits import WORKERS_MAX
from shardstore.router.former_owners import FormerOwners
from shardstore.router.policies.together import are_kept
from shardstore.seams.filesystem import Filesystem
from shardstore.wire.messages import from_plain, to_plain
from shardstore.wire.route_map import InvalidRouteMap, Route, RouteMap, presplit
from shardstore.wire.topology import Change
from shardstore.wire.wire_format import MalformedMessage

_UNRESOLVED_VERSION: Final = 4
"""The newest version of the format without resolved changes."""


@dataclass(frozen=True, slots=True)
class Topology:
    """One version of the content of ROUTES, except the identity of the store."""

    map: RouteMap
    segment_next: int
    change_next: int = 1
    changes: tuple[Change, ...] = ()
    leaving: tuple[int, ...] = ()
    workers: tuple[int, ...] = ()
    lives: Mapping[int, int] = field(default_factory=dict)
    together: tuple[bytes, ...] = ()

    @property
    def engaged(self) -> set[int]:
        """The workers that own a range or take part in a change."""
        return {int(route.worker) for route in self.map}.union(*(change.workers for change in self.changes))

    @property
    def staying(self) -> list[int]:
        """The workers that do not leave."""
        return [worker for worker in self.workers if worker not in self.leaving]


class RouteTable:
    """The current topology. Only the `publish` methods change it; if one raises, the current topology is unchanged.

    Invariants: no segment or change has a number at or above the next one; changes are in the order of their numbers,
    and their children are in the map; workers are as described above; no range begins within a prefix of `together`.
    """

    def __init__(self, filesystem: Filesystem, store: str, topology: Topology) -> None:
        self.filesystem = filesystem
        self._store = store
        self._topology = topology
        self.former_owners = FormerOwners(topology.changes)

    @property
    def current(self) -> RouteMap:
        """The current route map."""
        return self._topology.map

    @property
    def topology(self) -> Topology:
        """The current topology."""
        return self._topology

    def publish(self, changed: Sequence[Route], lives: Mapping[int, int] | None = None) -> None:
        """Replace the routes of these segments, and the lives of these workers."""
        route_map = self.current.with_routes(changed) if changed else self.current
        self._publish(replace(self._topology, map=route_map, lives={**self._topology.lives, **(lives or {})}))

    def publish_begin(self, change: Change) -> None:
        """Begin a change, whose number must be `change_next`: replace its parents in the map by its children."""
        topology = self._topology
        assert change.number == topology.change_next
        parents = {parent.segment for parent in change.parents}
        children = [
            Route(each.start, SegmentId(each.segment), WorkerId(each.worker), Epoch(1)) for each in change.children
        ]
        self._publish(
            replace(
                topology,
                map=self.current.with_replaced(parents, children),
                segment_next=max(topology.segment_next, *(child.segment + 1 for child in children)),
                change_next=change.number + 1,
                changes=(*topology.changes, change),
            )
        )
        self.former_owners.add(change)

    def publish_end(self, change: Change) -> None:
        """End a change: its children become ordinary ranges."""
        segments = {child.segment for child in change.children}
        created = [replace(route, created=True) for route in self.current if route.segment in segments]
        changes = tuple(each for each in self._topology.changes if each.number != change.number)
        self._publish(replace(self._topology, map=self.current.with_routes(created), changes=changes))

    def publish_resolution(self, change: Change, following: Sequence[Change]) -> None:
        """Let what an operator resolved take the place of a change: the same one resolved, or others in its place.

        The children of others, in the map, take the place of those of the change; their numbers begin with
        `change_next`.
        """
        topology = self._topology
        others = [each for each in following if each.number != change.number]
        children = [
            Route(child.start, SegmentId(child.segment), WorkerId(child.worker), Epoch(1))
            for each in others
            for child in each.children
        ]
        former = {child.segment for child in change.children} if others else set()
        kept = [each for each in topology.changes if each.number != change.number]
        self._publish(
            replace(
                topology,
                map=self.current.with_replaced(former, children),
                segment_next=max([topology.segment_next, *(int(child.segment) + 1 for child in children)]),
                change_next=max([topology.change_next, *(each.number + 1 for each in others)]),
                changes=tuple(sorted([*kept, *following], key=lambda each: each.number)),
            )
        )

    def publish_workers(self, workers: Iterable[int], leaving: Iterable[int]) -> None:
        """Set the workers of the store, and which of them leave. Drops the lives of all other workers."""
        self._publish(_with_workers(self._topology, workers, leaving))

    def publish_together(self, together: tuple[bytes, ...]) -> None:
        """Set the prefixes whose keys are kept together."""
        if together != self._topology.together:
            self._publish(replace(self._topology, together=together))

    def check_invariants(self) -> None:
        """Raise AssertionError if an invariant of this class does not hold."""
        topology = self._topology
        segments = {int(route.segment) for route in topology.map}
        numbers = [change.number for change in topology.changes]
        children = {child.segment for change in topology.changes for child in change.children}
        assert max(segments) < topology.segment_next, "a segment has the number of the next one"
        assert numbers == sorted(set(numbers)), "changes are out of order"
        assert not numbers or numbers[-1] < topology.change_next, "a change has the number of the next one"
        assert children <= segments, "a child of a change is not in the map"
        assert _are_sound_workers(topology), "workers are inconsistent"
        assert are_kept(topology.together, topology.map.starts), "a range begins within what is kept together"

    def _publish(self, following: Topology) -> None:
        documents.publish(self.filesystem, ROUTES, encode(self._store, following))
        self._topology = following


def open_route_table(
    filesystem: Filesystem, store: str, boundaries: Sequence[str], workers: int, workers_asked: int | None = None
) -> RouteTable:
    """Open the route table of the store. Publishes it if the store is new or its workers change.

    `workers`: the number of workers of a new store. `workers_asked`: the number of workers from now on, in addition to
    others that still own ranges; None keeps the workers. Raises Corruption, InvalidRequest, StorageFailure.
    """
    filesystem.make_directory(ROUTER_DIRECTORY)
    stored, is_old = None, False
    if filesystem.exists(ROUTES):
        stored, is_old = _load(filesystem, store)
        current = stored
        check_segments(filesystem, stored.segment_next)
    elif filesystem.list_directory(SEGMENTS):
        raise Corruption(ROUTES, 0, f"is missing, but {SEGMENTS} holds segments")
    else:
        first = _first_map(boundaries, workers)
        current = Topology(first, len(first.routes) + 1, workers=tuple(range(workers)))
    if workers_asked is not None:
        current = _with_as_many_workers(current, workers_asked)
    if current != stored or is_old:
        documents.publish(filesystem, ROUTES, encode(store, current))
    return RouteTable(filesystem, store, current)


def encode(store: str, topology: Topology) -> bytes:
    """Encode the content of ROUTES."""
    body = {
        "store": store,
        "map": topology.map.to_document(),
        "segment_next": topology.segment_next,
        "change_next": topology.change_next,
        "changes": [to_plain(change) for change in topology.changes],
        "workers": list(topology.workers),
        "leaving": list(topology.leaving),
        "lives": dict(topology.lives),
        "together": list(topology.together),
    }
    return documents.encode_document(ROUTE_MAP, body)


def read_topology(filesystem: Filesystem, store: str) -> Topology:
    """The content of ROUTES. Raises FileNotFoundError, Corruption."""
    return _load(filesystem, store)[0]


def _load(filesystem: Filesystem, store: str) -> tuple[Topology, bool]:
    """Return the topology, and whether its file has a former format version. Raises FileNotFoundError, Corruption."""
    version, body = documents.read_document(filesystem, ROUTES, ROUTE_MAP)
    if body.get("store") != store:
        raise Corruption(ROUTES, documents.HEAD_BYTES, f"belongs to store {body.get('store')!r}, not {store!r}")
    try:
        current = RouteMap.from_document(body.get("map", {}))
        changes = tuple(from_plain(Change, _filled_in(change, version)) for change in body["changes"])
        numbers = (body["segment_next"], body["change_next"])
        workers, leaving = tuple(body["workers"]), tuple(body["leaving"])
        lives = dict(body["lives"])
        together = tuple(body["together"]) if version > 3 else ()
        kept = are_kept(together, current.starts)
    except (InvalidRouteMap, MalformedMessage, AttributeError, KeyError, TypeError, ValueError) as error:
        raise Corruption(ROUTES, documents.HEAD_BYTES, f"holds no valid topology: {error}") from None
    highest = max(route.segment for route in current)
    if any(type(number) is not int or number < 0 for number in numbers) or numbers[0] <= highest:
        raise Corruption(ROUTES, documents.HEAD_BYTES, f"segment_next and change_next are invalid: {numbers}")
    if not kept:
        raise Corruption(ROUTES, documents.HEAD_BYTES, "a range begins within what is kept together")
    loaded = Topology(current, *numbers, changes, leaving, workers, lives, together)
    _check_workers(loaded)
    return loaded, version < ROUTE_MAP.version


def _filled_in(change: dict[str, Any], version: int) -> dict[str, Any]:
    """A change as the newest version of the format has it."""
    if version > _UNRESOLVED_VERSION:
        return change
    return {**change, "resolution": "", "instead_of": 0, "given_up": [], "discarded": []}


def store_in_routes(filesystem: Filesystem) -> str:
    """The identity of the store to which ROUTES belongs. Raises FileNotFoundError, Corruption."""
    _, body = documents.read_document(filesystem, ROUTES, ROUTE_MAP)
    return str(body.get("store"))


def check_segments(filesystem: Filesystem, segment_next: int) -> None:
    """Raise Corruption if a segment is newer than the map. A segment is made only after the map that has it."""
    segments = [segment_of(name) for name in filesystem.list_directory(SEGMENTS)]
    newest = max([segment for segment in segments if segment is not None], default=0)
    if newest >= segment_next:
        raise Corruption(ROUTES, 0, f"is older than segment {newest}, which it does not know")


def _first_map(boundaries: Sequence[str], workers: int) -> RouteMap:
    try:
        return presplit([bytes.fromhex(key) for key in boundaries], workers)
    except ValueError as error:
        raise InvalidRequest(f"boundaries of the first ranges: {error}") from None


def _are_sound_workers(topology: Topology) -> bool:
    known, leaving = set(topology.workers), set(topology.leaving)
    sound = all(type(worker) is int and 0 <= worker < WORKERS_MAX for worker in topology.workers)
    sound = sound and all(type(life) is int for life in topology.lives.values()) and topology.lives.keys() <= known
    return sound and topology.engaged <= known and leaving < known


def _check_workers(topology: Topology) -> None:
    if not _are_sound_workers(topology):
        what = f"workers {topology.workers}, leaving {topology.leaving}, engaged {sorted(topology.engaged)}"
        raise Corruption(ROUTES, documents.HEAD_BYTES, f"its workers are inconsistent: {what}, lives {topology.lives}")


def _with_as_many_workers(topology: Topology, asked: int) -> Topology:
    """The topology with the workers 0 to `asked` - 1 and all others that own ranges. Leaving workers still leave."""
    workers = topology.engaged.union(range(asked))
    if workers <= set(topology.leaving):  # some worker must take their ranges
        workers |= set(topology.workers)
    return _with_workers(topology, workers, workers.intersection(topology.leaving))


def _with_workers(topology: Topology, workers: Iterable[int], leaving: Iterable[int]) -> Topology:
    known = tuple(sorted(workers))
    lives = {worker: life for worker, life in topology.lives.items() if worker in known}
    return replace(topology, workers=known, leaving=tuple(sorted(leaving)), lives=lives)
