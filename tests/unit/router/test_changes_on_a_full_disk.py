"""Changes while a disk is full: none begins by itself, and callers that wait for one get the reason."""

from __future__ import annotations

import pytest

from shardstore.router.policies.history import History
from shardstore.router.policies.loads import WorkerLoad
from shardstore.router.policies.topology_policy import choose_changes
from shardstore.wire.messages import Refusal, ScanRequest, decode
from shardstore.wire.topology import Change
from shardstore.wire.wire_format import Status
from tests.unit.router.policies.policy_values import NOW_NS, OPTIONS, UNIT, store
from tests.unit.topology_driver import TopologyDriver

FULL = "disk full: cannot append to segments/00000001/000001.sst: No space left on device"
BEAT_MS = 500
ORDER_AGAIN_MS = 500


def beat(cluster: TopologyDriver) -> None:
    """Let all workers report, and the router send its orders again; no job ends."""
    for _ in range(2):
        cluster.pass_time(max(BEAT_MS, ORDER_AGAIN_MS))
        cluster.exchange()


def split_without_room() -> tuple[TopologyDriver, Change]:
    """A split whose right child is at worker 1; the disk of the parent, at worker 0, is full."""
    cluster = TopologyDriver()
    cluster.put({b"a": b"1", b"n": b"2"})
    cluster.settle()
    change = cluster.split(b"m", 1)
    cluster.exchange()
    while cluster.workers[0].syncs:
        cluster.sync(0)
    cluster.exchange()
    cluster.fail_job(0, reason=FULL)
    beat(cluster)
    return cluster, change


def test_a_scan_of_a_child_says_that_the_disk_of_its_parents_is_full() -> None:
    cluster, change = split_without_room()
    child = cluster.map.route_of(b"n")
    assert (child.segment, child.worker) == (change.children[1].segment, 1)
    header, frames = cluster.answer(cluster.ask_scan(ScanRequest(), child))
    assert header.status == Status.UNAVAILABLE
    assert decode(Refusal, frames[1]).what == (
        f"segment {child.segment} has no files of its own yet, the latest job failed: {FULL}"
    )
    assert cluster.get([b"n"]) == [b"2"], "single keys are read from the parent"


@pytest.mark.fault("H7")
def test_the_change_goes_on_when_there_is_room() -> None:
    cluster, _ = split_without_room()
    assert cluster.router._membership.of_worker(0).full_disk == FULL  # type: ignore[union-attr]
    cluster.finish()
    assert cluster.content() == {b"a": b"1", b"n": b"2"}
    beat(cluster)
    assert [member.trouble for member in cluster.router._membership.members()] == ["", ""]


@pytest.mark.fault("H7")
def test_a_worker_whose_disk_is_full_takes_no_ranges() -> None:
    cluster, _ = split_without_room()
    assert [member.may_receive for member in cluster.router._membership.members()] == [False, True]


@pytest.mark.fault("M3")
@pytest.mark.parametrize("full", [0, 1])
def test_no_change_begins_by_itself_where_a_worker_may_take_part_in_none(full: int) -> None:
    """Not even if the worker with the full disk would only give the range."""
    large = {"size_bytes": 150 * UNIT, "cuts": (b"k0020", b"k0050", b"k0080")}
    members = [WorkerLoad(worker, up=worker != full) for worker in range(2)]
    assert choose_changes(store(large, {"worker": 1}), History(0), OPTIONS, NOW_NS)[0], "then it would be planned"
    plans, _ = choose_changes(store(large, {"worker": 1}, workers=members), History(0), OPTIONS, NOW_NS)
    assert all(full not in plan.workers for plan in plans)
    assert full != 0 or not plans
