"""What the workers show on their boards while ranges change: no client reads the files of a range that is lost."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from shardstore.client.direct.ask import ASK, IN_MEMORY
from shardstore.client.direct.reader import Reader
from shardstore.limits import MIB
from shardstore.wire.board_format import SEGMENT, SERVING, SLOT_WORDS, STATE, slot_at
from shardstore.wire.route_map import RouteMap
from shardstore.wire.topology import Change
from shardstore.wire.wire_format import Op, Status
from tests.simulation.sim_filesystem import SimFilesystem
from tests.unit.set_wall import SetWall
from tests.unit.topology_driver import STORE, TopologyDriver

KEYS = [b"a", b"b", b"n", b"\x90"]
Begin = Callable[[TopologyDriver], Change]
CHANGES: dict[str, Begin] = {
    "split": lambda cluster: cluster.split(b"m"),
    "split across": lambda cluster: cluster.split(b"m", 1),
    "merge": lambda cluster: cluster.merge(b"a"),
    "move": lambda cluster: cluster.move(b"a", 1),
}


class Watched:
    """A cluster whose keys are drained, and a client that reads directly by the routes that it was told."""

    def __init__(self) -> None:
        self.cluster = TopologyDriver()
        for key in KEYS:
            self.cluster.put({key: b"old"})
        self.cluster.settle()
        self.drain()
        filesystem = SimFilesystem(self.cluster.disk, Random(1))
        self.reader = Reader(filesystem, self.cluster.boards, SetWall(), STORE, MIB, 100)
        self.routes = self.cluster.map

    def drain(self) -> None:
        """Drain all ranges."""
        for route in self.cluster.map:
            flushed = self.cluster.ask(Op.FLUSH, [], route)
            self.cluster.settle()
            assert self.cluster.status(flushed) is Status.OK

    def read(self, routes: RouteMap | None = None) -> list[object]:
        """What the client reads of each key."""
        return [self.reader.get(key, routes or self.routes) for key in KEYS]

    def shown(self, worker: int = 0) -> set[int]:
        """The segments that a worker shows."""
        words = self.cluster.boards.current[worker].memory.words
        slots = (words[at : at + SLOT_WORDS].tolist() for at in range(slot_at(0), len(words), SLOT_WORDS))
        return {slot[SEGMENT] for slot in slots if slot[STATE] == SERVING}

    def served(self) -> set[int]:
        """The segments in the map."""
        return {int(route.segment) for route in self.cluster.map}


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_each_worker_shows_its_ranges(watched: Watched) -> None:
    assert watched.read() == [b"old"] * len(KEYS)
    assert watched.shown(0) | watched.shown(1) == watched.served()
    assert not watched.shown(0) & watched.shown(1)


@pytest.mark.parametrize("change", CHANGES)
def test_a_client_with_the_former_routes_asks_once_another_range_may_accept_writes(
    watched: Watched, change: str
) -> None:
    cluster = watched.cluster
    watched.read()
    parents = {parent.segment for parent in CHANGES[change](cluster).parents}
    while not all(cluster.owned(segment).role.is_fenced for segment in parents):
        place = next(each for each in cluster.workers.values() if each.inbox)
        cluster.deliver_to_worker(place.number)
    assert not parents & (watched.shown(0) | watched.shown(1))
    changed = [watched.routes.route_of(key).segment in parents for key in KEYS]
    assert watched.read() == [ASK if is_changed else b"old" for is_changed in changed]


@pytest.mark.parametrize("change", CHANGES)
def test_after_a_change_the_children_are_read_and_the_parents_have_no_slot(watched: Watched, change: str) -> None:
    cluster = watched.cluster
    parents = {parent.segment for parent in CHANGES[change](cluster).parents}
    cluster.finish()
    assert watched.shown(0) | watched.shown(1) == watched.served()
    for place in cluster.workers.values():
        assert not parents & place.core._board._slots.keys(), "a retired segment frees its slot"
    assert watched.read(cluster.map) == [b"old"] * len(KEYS)
    cluster.put({b"a": b"new"})
    cluster.settle()
    assert watched.read(cluster.map)[0] is IN_MEMORY
    watched.drain()
    assert watched.read(cluster.map) == [b"new", *[b"old"] * (len(KEYS) - 1)]


@pytest.mark.parametrize("change", CHANGES)
def test_a_write_to_a_child_is_never_missed(watched: Watched, change: str) -> None:
    """At every step of a change, by the former and by the present routes."""
    cluster = watched.cluster
    CHANGES[change](cluster)
    latest = b"old"
    for number in range(12):
        written = cluster.put({b"a": b"%d" % number})
        for place in cluster.workers.values():
            if place.inbox:
                cluster.deliver_to_worker(place.number)
            if place.outbox:
                cluster.deliver_to_router(place.number)
            while place.syncs:
                cluster.sync(place.number)
            if place.job:
                cluster.run_job(place.number)
        latest = b"%d" % number if cluster.status(written) is Status.OK else latest
        for routes in (watched.routes, cluster.map):
            assert watched.read(routes)[0] in (ASK, IN_MEMORY, latest)
    cluster.finish()
    assert watched.read(watched.routes)[0] is ASK


def test_a_parent_is_not_shown_again_when_its_worker_starts_during_the_change(watched: Watched) -> None:
    cluster = watched.cluster
    (parent,) = cluster.split(b"m").parents
    while cluster.workers[0].inbox:
        cluster.deliver_to_worker(0)
    cluster.start_worker(0)
    cluster.exchange()
    assert parent.segment in cluster.workers[0].core._changes.parents
    assert parent.segment not in watched.shown(0)
    assert watched.read()[0] is ASK
