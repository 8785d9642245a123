"""Changes that an operator cancels or completes, event by event, in a cluster connected in memory."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shardstore.errors import Corruption, InvalidRequest
from shardstore.files.file_names import SEGMENTS, is_segment_aside, manifest
from shardstore.router.change_stage import Stage
from shardstore.router.resolutions import NOT_IN_FILES, SINCE_THE_CHANGE, UNREADABLE_TABLES
from shardstore.wire.topology import Change, Resolution
from shardstore.wire.wire_format import Flag, Op, Status
from shardstore.workers.jobs.specs import MaterialiseSpec
from tests.simulation.sim_disk import Inode
from tests.simulation.sim_filesystem import SimFilesystem
from tests.unit.topology_driver import TopologyDriver

CANCEL, COMPLETE = Resolution.CANCEL, Resolution.COMPLETE


def drained() -> TopologyDriver:
    """Two ranges; the first has the keys a, b, n in files, and z in memory."""
    cluster = TopologyDriver()
    cluster.put({b"a": b"1", b"b": b"2", b"n": b"3"})
    cluster.settle()
    cluster.ask(Op.FLUSH, [], cluster.map.route_of(b"a"))
    cluster.settle()
    cluster.put({b"z": b"4"})
    cluster.settle()
    return cluster


def damage_manifest(cluster: TopologyDriver, segment: int) -> None:
    """Change a byte of the manifest of a segment, wherever it is stored."""
    inode = cluster.disk.find(manifest(segment))
    assert isinstance(inode, Inode)
    inode.cache[-1] ^= 0xFF
    inode.disk[-1] ^= 0xFF


def aside(cluster: TopologyDriver) -> list[str]:
    """The directories of segments that are set aside."""
    return [
        name for name in SimFilesystem(cluster.disk, cluster.rng).list_directory(SEGMENTS) if is_segment_aside(name)
    ]


def finish(cluster: TopologyDriver) -> None:
    """Run everything to its end; workers that stop are started again."""
    for _ in range(4):
        cluster.settle()
        cluster.pass_time()
        cluster.settle()
        cluster.restart_stopped()
    cluster.finish()


def stuck_move() -> tuple[TopologyDriver, Change]:
    """A move to the other worker whose parent has a damaged manifest; its child accepts writes."""
    cluster = drained()
    change = cluster.move(b"a", 1)
    damage_manifest(cluster, change.parents[0].segment)
    cluster.start_worker(0)
    cluster.settle()
    cluster.pass_time()
    cluster.settle()
    assert cluster.stages == {change.children[0].segment: Stage.ADOPTED}
    return cluster, change


def test_a_change_that_waits_for_a_damaged_parent_says_so() -> None:
    cluster, change = stuck_move()
    [pending] = cluster.router._changes.pending()
    [line] = pending.waits_for
    assert f"segment {change.parents[0].segment} has all its data in files" in line
    assert manifest(change.parents[0].segment) in line


def test_a_completed_change_goes_on_without_its_damaged_parent() -> None:
    cluster, change = stuck_move()
    cluster.put({b"c": b"5"})
    cluster.settle()
    [loss] = cluster.resolve(change, COMPLETE).losses
    assert (loss.segment, loss.start, loss.end) == (change.parents[0].segment, b"", b"\x80")
    assert NOT_IN_FILES in loss.what
    assert manifest(change.parents[0].segment) in loss.what
    finish(cluster)
    assert cluster.content() == {b"c": b"5"}
    assert aside(cluster) == [f"{change.parents[0].segment:08x}.aside-1"]
    assert cluster.segments_on_disk() == {int(route.segment) for route in cluster.map}


def test_a_completed_change_takes_what_the_files_of_a_dead_worker_hold() -> None:
    cluster = drained()
    change = cluster.move(b"a", 1)
    cluster.workers[0].filesystem.kill()
    dead = cluster.workers.pop(0)
    cluster.router._registrar.lose_peer(dead.peer)
    [pending] = cluster.router._changes.pending()
    assert pending.waits_for == [f"segment {change.parents[0].segment} is fenced; worker 0 is down"]
    cluster.resolve(change, COMPLETE)
    cluster.settle()
    assert cluster.stages == {change.children[0].segment: Stage.PENDING}, "another process of worker 0 may serve it"
    cluster.start_worker(0)
    finish(cluster)
    assert cluster.content() == {b"a": b"1", b"b": b"2", b"n": b"3"}


def test_nobody_adopts_a_child_before_no_process_has_what_was_given_up() -> None:
    cluster = drained()
    change = cluster.move(b"a", 1)
    cluster.router._registrar.lose_peer(cluster.workers[0].peer)  # it serves on, and hears nothing
    cluster.workers[0].inbox.clear()
    cluster.resolve(change, COMPLETE)
    while cluster.workers[1].inbox:
        cluster.deliver_to_worker(1)
    assert cluster.accepting(b"a") == [(0, change.parents[0].segment)]
    finish(cluster)
    assert cluster.accepting(b"a") == [(1, change.children[0].segment)]


@pytest.mark.parametrize("kind", ["split", "split across", "merge", "move"])
def test_a_cancelled_change_leaves_what_was_written_before_it(kind: str) -> None:
    cluster = drained()
    before = cluster.content()
    change = {
        "split": lambda: cluster.split(b"m"),
        "split across": lambda: cluster.split(b"m", 1),
        "merge": lambda: cluster.merge(b"a"),
        "move": lambda: cluster.move(b"a", 1),
    }[kind]()
    starts = {parent.start for parent in change.parents}
    following = cluster.resolve(change, CANCEL).following
    assert [each.parents for each in following] == [(parent,) for parent in change.parents]
    finish(cluster)
    assert cluster.content() == before
    assert starts <= set(cluster.map.starts)
    assert {route.worker for route in cluster.map} == {0, 1}
    assert cluster.router._changes.done == len(following)


def adopted_move() -> tuple[TopologyDriver, Change]:
    """A move whose child has accepted a write, and has no files yet."""
    cluster = drained()
    change = cluster.move(b"a", 1)
    while not cluster.accepting(b"a") or cluster.accepting(b"a")[0][0] != 1:
        cluster.exchange()
        for number in (0, 1):
            if cluster.workers[number].syncs:
                cluster.sync(number)
    return cluster, change


def test_a_cancelled_change_loses_what_its_children_accepted_and_says_so() -> None:
    cluster, change = adopted_move()
    written = cluster.put({b"a": b"lost"})
    cluster.sync(1)
    assert cluster.status(written) is Status.OK
    [loss] = cluster.resolve(change, CANCEL).losses
    assert (loss.segment, loss.what) == (change.children[0].segment, SINCE_THE_CHANGE)
    finish(cluster)
    assert cluster.content() == {b"a": b"1", b"b": b"2", b"n": b"3", b"z": b"4"}
    again = cluster.put({b"a": b"lost"}, flags=Flag.RETRY, sequence=written)
    del cluster.answered[again][:1]
    assert cluster.status(again) is Status.TOO_OLD, "it was applied once, and is lost: nobody may say that it was not"
    assert cluster.content()[b"a"] == b"1"


def test_no_loss_is_said_if_no_child_can_have_accepted_a_write() -> None:
    cluster = drained()
    change = cluster.move(b"a", 1)
    assert cluster.resolve(change, CANCEL).losses == []


def test_a_cancelled_child_that_is_served_on_keeps_the_next_one_from_being_adopted() -> None:
    cluster, change = adopted_move()
    cluster.workers[1].inbox.clear()
    [following] = cluster.resolve(change, CANCEL).following
    cluster.workers[1].inbox.clear()
    for _ in range(3):
        cluster.pass_time()
        cluster.workers[1].inbox.clear()
        while cluster.workers[0].inbox:
            cluster.deliver_to_worker(0)
    assert cluster.accepting(b"a") == [(1, change.children[0].segment)]
    finish(cluster)
    assert cluster.accepting(b"a") == [(0, following.children[0].segment)]


@pytest.mark.parametrize("how", [CANCEL, COMPLETE])
@pytest.mark.parametrize("power", [False, True])
def test_a_resolution_is_carried_out_by_the_next_router_too(how: Resolution, power: bool) -> None:
    cluster, change = stuck_move()
    cluster.resolve(change, how)
    if power:
        cluster.lose_power()
    else:
        cluster.restart_router()
    if how is COMPLETE:
        finish(cluster)
        assert cluster.content() == {}
        return
    for _ in range(3):
        cluster.settle()
        cluster.pass_time()
        cluster.restart_stopped()
    [pending] = cluster.changes
    assert (pending.resolution, pending.instead_of) == ("cancel", change.number)
    cluster.resolve(pending, COMPLETE)
    finish(cluster)
    assert cluster.content() == {}


def test_a_resolved_change_may_be_struck_at_any_message() -> None:
    for struck in range(12):
        cluster, change = stuck_move()
        cluster.resolve(change, COMPLETE)
        for _ in range(struck):
            waiting = [place for place in cluster.workers.values() if place.inbox or place.outbox]
            if not waiting:
                break
            place = waiting[struck % len(waiting)]
            (cluster.deliver_to_worker if place.inbox else cluster.deliver_to_router)(place.number)
        cluster.lose_power()
        finish(cluster)
        assert cluster.content() == {}
        assert len(aside(cluster)) == 1


def test_what_needs_no_resolution_or_allows_none_is_refused() -> None:
    cluster = drained()
    change = cluster.move(b"a", 1)
    cluster.settle()
    with pytest.raises(InvalidRequest, match="there is no change 99"):
        cluster.resolve(replace(change, number=99), CANCEL)
    cluster = drained()
    change = cluster.move(b"a", 1)
    with pytest.raises(InvalidRequest, match="it needs no resolution"):
        cluster.resolve(change, COMPLETE)
    cluster, change = stuck_move()
    cluster.resolve(change, COMPLETE)
    with pytest.raises(InvalidRequest, match="cannot be cancelled any more"):
        cluster.resolve(change, CANCEL)


def test_a_merge_is_not_cancelled_into_what_is_kept_together_since() -> None:
    cluster = TopologyDriver(boundaries=("8000",))
    change = cluster.merge(b"a")
    cluster.router._table.publish_together((b"\x80",))
    with pytest.raises(InvalidRequest, match="kept together"):
        cluster.resolve(change, CANCEL)


def test_a_completed_change_takes_the_readable_tables_of_a_parent_that_was_drained() -> None:
    cluster = drained()
    before = cluster.content()
    change = cluster.split(b"m")
    while not isinstance(cluster.workers[0].job and cluster.workers[0].job.spec, MaterialiseSpec):
        cluster.exchange()
        cluster.sync(0) if cluster.workers[0].syncs else cluster.run_job(0)
    failed = cluster.workers[0].job
    assert failed is not None
    assert isinstance(failed.spec, MaterialiseSpec)
    cluster.fail_job(0, Corruption("segments/00000001/table-00000001.sst", 7, "checksum does not match"))
    cluster.settle()
    cluster.pass_time()
    cluster.settle()
    [line] = cluster.router._changes.pending()[0].waits_for
    assert line.startswith(f"segment {failed.spec.segment} has files of its own; segments/00000001/table-00000001.sst")
    [loss] = cluster.resolve(change, COMPLETE).losses
    assert (loss.segment, loss.what) == (change.parents[0].segment, UNREADABLE_TABLES)
    cluster.settle()
    assert cluster.restart_stopped() == [0], "it has the parent open, and a child that was given up"
    finish(cluster)
    assert cluster.content() == before
