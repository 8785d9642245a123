"""The worker's part in topology changes, event by event, in a cluster joined in memory."""

from __future__ import annotations

import pytest

from shardstore.errors import Corruption
from shardstore.options import Durability
from shardstore.wire_format import Op, Status
from tests.unit.topology_driver import TopologyDriver
from workers.jobs.specs import AdoptSpec, CompactSpec

LOCAL_SPLIT = b"m"
DURABILITIES = list(Durability)


def filled(durability: Durability = Durability.GROUP_SYNC) -> TopologyDriver:
    """Two ranges, the first with a, b, n and z in it."""
    cluster = TopologyDriver(durability)
    cluster.put({b"a": b"1", b"b": b"2", b"n": b"3", b"z": b"4"})
    cluster.settle()
    return cluster


def order(cluster: TopologyDriver, worker: int = 0) -> None:
    """Deliver what the router says to a worker, and nothing else."""
    while cluster.workers[worker].inbox:
        cluster.deliver_to_worker(worker)


# ---------------------------------------------------------------- the fence


def test_a_child_is_not_made_before_what_the_parent_logged_is_in_its_files() -> None:
    cluster = TopologyDriver()
    written = cluster.put({b"a": b"1"})
    cluster.split(LOCAL_SPLIT)
    order(cluster)
    assert cluster.workers[0].job is None, "the write of the parent is not applied yet"
    cluster.sync(0)
    assert cluster.status(written) is Status.OK
    cluster.finish()
    assert cluster.content() == {b"a": b"1"}


@pytest.mark.parametrize("restart", [False, True])
def test_a_write_of_a_child_is_not_taken_for_one_that_the_files_of_the_parent_hold(restart: bool) -> None:
    cluster = filled()
    cluster.put({b"a": b"this sync begins before the others"})
    cluster.put({b"b": b"from the parent"})
    cluster.split(LOCAL_SPLIT)
    order(cluster)
    cluster.put({b"c": b"from the child"})  # one sync covers both
    cluster.finish()
    if restart:
        cluster.start_worker(0)
        cluster.settle()
    route = cluster.map.route_of(b"c")
    flushed = cluster.ask(Op.FLUSH, [], route)
    cluster.settle()
    assert cluster.status(flushed) is Status.OK
    assert cluster.get([b"b", b"c"]) == [b"from the parent", b"from the child"]


def test_a_write_of_a_child_survives_when_the_parent_is_drained_after_a_restart() -> None:
    cluster = filled(Durability.ASYNC)
    cluster.split(LOCAL_SPLIT)
    order(cluster)
    cluster.put({b"c": b"from the child"})
    cluster.start_worker(0)
    cluster.finish()
    cluster.start_worker(0)
    cluster.settle()
    assert cluster.get([b"b", b"c"]) == [b"2", b"from the child"]


# ---------------------------------------------------------------- jobs and messages at the wrong moment


def test_a_compaction_that_fails_after_the_fence_is_not_kept_for_a_range_that_goes() -> None:
    cluster = filled()
    asked = cluster.ask(Op.COMPACT, [], cluster.map.route_of(b"a"))
    place = cluster.workers[0]
    while place.job is None or not isinstance(place.job.spec, CompactSpec):
        cluster.sync(0) if place.syncs else cluster.run_job(0)
    cluster.split(LOCAL_SPLIT)
    order(cluster)
    cluster.fail_job(0)
    assert cluster.status(asked) is Status.STALE_ROUTE
    cluster.finish()
    assert cluster.content() == {b"a": b"1", b"b": b"2", b"n": b"3", b"z": b"4"}


def test_an_adoption_that_fails_again_and_again_keeps_no_drain_from_its_turn() -> None:
    cluster = TopologyDriver(workers=1)
    cluster.split(LOCAL_SPLIT)
    order(cluster)
    place = cluster.workers[0]
    flushed = cluster.ask(Op.FLUSH, [], cluster.map.route_of(b"\x80"))
    cluster.put({b"\x90": b"1"})
    cluster.sync(0)
    flushed = cluster.ask(Op.FLUSH, [], cluster.map.route_of(b"\x80"))
    for _ in range(8):
        cluster.pass_time(60_000)
        if place.job is not None and isinstance(place.job.spec, AdoptSpec):
            cluster.fail_job(0)
        elif place.job is not None:
            cluster.run_job(0)
    assert cluster.status(flushed) is Status.OK


@pytest.mark.parametrize("worker", [None, 1])
def test_an_order_that_comes_after_the_end_brings_nothing_back(worker: int | None) -> None:
    cluster = filled()
    cluster.split(LOCAL_SPLIT, worker)
    late = {number: list(place.inbox) for number, place in cluster.workers.items()}
    cluster.finish()
    for number, messages in late.items():
        cluster.workers[number].inbox.extend(messages)
    cluster.exchange()
    cluster.finish()
    assert {s for place in cluster.workers.values() for s in place.core._ranges} == {r.segment for r in cluster.map}
    assert cluster.content() == {b"a": b"1", b"b": b"2", b"n": b"3", b"z": b"4"}


def test_retired_segments_are_forgotten_in_registrations() -> None:
    cluster = filled()
    cluster.split(LOCAL_SPLIT)
    cluster.finish()
    known = cluster.workers[0].core._registration._known
    assert known.keys() == {route.segment for route in cluster.map if route.worker == 0}


def test_damage_met_by_an_adoption_is_kept_and_not_met_again() -> None:
    cluster = filled()
    cluster.split(LOCAL_SPLIT)
    order(cluster)
    place = cluster.workers[0]
    while place.job is None or not isinstance(place.job.spec, AdoptSpec):
        cluster.sync(0) if place.syncs else cluster.run_job(0)
    segment = place.job.spec.segment
    cluster.fail_job(0, Corruption("a table", 7, "is damaged"))
    for _ in range(4):
        cluster.settle()
        cluster.pass_time()
    assert cluster.owned(segment).job_damage is not None
    assert cluster.content() == {b"a": b"1", b"b": b"2", b"n": b"3", b"z": b"4"}, "the parent answers as before"
