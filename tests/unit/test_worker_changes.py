"""The worker's part in topology changes, event by event, in a cluster joined in memory."""

from __future__ import annotations

import pytest

from shardstore.options import Durability, ScanMode
from shardstore.wire_format import Flag, Op, Status
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
