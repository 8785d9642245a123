"""Reads of a child whose parents are at other workers, through the router and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from shardstore.limits import FRAME_BYTES_MAX, MIB, REPLY_BYTES_AIM, SECOND_NS
from shardstore.router import change_plan
from shardstore.seams.effects import SendFailed
from shardstore.wire.messages import ScanRequest
from shardstore.wire.wire_format import Flag, Op, Status, decode_header
from shardstore.workers.topology.remote_reads import READS_MAX
from tests.unit.topology_driver import TopologyDriver

NO_JOBS = (Op.GET, Op.CHANGE, Op.PROGRESS, Op.HEARTBEAT)


def adopted(begin: Callable[[TopologyDriver], object], boundaries: tuple[str, ...] = ("80",)) -> TopologyDriver:
    """A cluster with the keys a, b, c, x and y, in which a change is adopted and no job has run yet."""
    cluster = TopologyDriver(boundaries=boundaries)
    for key in (b"a", b"b", b"c", b"x", b"y"):
        cluster.put({key: key.upper()})
    cluster.settle()
    cluster.delete([b"c"])
    cluster.settle()
    begin(cluster)
    cluster.exchange()
    return cluster


@pytest.fixture
def moved() -> TopologyDriver:
    """The range of a to y is being moved from worker 0 to worker 1."""
    return adopted(lambda cluster: cluster.move(b"a", 1))


def test_keys_that_the_child_does_not_know_are_asked_of_the_parent(moved: TopologyDriver) -> None:
    moved.put({b"b": b"newer"})
    moved.delete([b"y"])
    while moved.workers[1].syncs:
        moved.sync(1)
    assert moved.get([b"a", b"b", b"c", b"x", b"y"]) == [b"A", b"newer", None, b"X", None]
    assert moved.get([b"b", b"y"]) == [b"newer", None]
    assert moved.get([b"a", b"nothing", b"c"], flags=Flag.PRESENCE) == [b"", None, None]
    assert moved.get([b"a"], flags=Flag.PRESENCE) == [b""]


def test_what_the_child_knows_is_answered_without_asking(moved: TopologyDriver) -> None:
    moved.put({b"b": b"newer"})
    moved.sync(1)
    assert moved.values(moved.ask_get([b"b"])) == [b"newer"]
    assert not any(decode_header(frames[0]).op == Op.GET for frames in moved.workers[1].outbox)


def test_a_read_that_began_before_a_write_may_answer_what_was_there_before(moved: TopologyDriver) -> None:
    read = moved.ask_get([b"a"])
    moved.put({b"a": b"newer"})
    moved.sync(1)
    moved.exchange()
    assert moved.values(read) == [b"A"]
    assert moved.get([b"a"]) == [b"newer"]


def test_two_parents_elsewhere_are_asked_for_their_own_keys() -> None:
    cluster = TopologyDriver(workers=3, boundaries=("40", "70"))
    cluster.put({b"a": b"of one"})
    cluster.put({b"x": b"of the other"})
    cluster.settle()
    change = change_plan.merge_change(cluster.topology, b"a")
    cluster.begin(replace(change, children=(replace(change.children[0], worker=0),)))
    cluster.exchange()
    assert cluster.get([b"a", b"b", b"x", b"y"]) == [b"of one", None, b"of the other", None]
    cluster.finish()
    assert cluster.content() == {b"a": b"of one", b"x": b"of the other"}


def test_of_two_parents_the_one_here_is_read_here() -> None:
    cluster = adopted(lambda cluster: cluster.merge(b"a"))
    cluster.put({b"b": b"newer"})
    cluster.sync(0)
    above = b"\x90"
    assert cluster.get([b"a", b"b", b"c"]) == [b"A", b"newer", None]
    assert cluster.get([b"a", above, b"y"]) == [b"A", None, b"Y"]


def test_an_answer_for_an_earlier_process_is_never_taken_for_one_to_this(moved: TopologyDriver) -> None:
    moved.ask_get([b"a"])
    moved.deliver_to_router(1)
    moved.deliver_to_worker(0)  # its reply waits at worker 0
    late = moved.workers[0].outbox.popleft()
    moved.start_worker(1)
    moved.exchange()
    moved.pass_time()  # the router sends the order again, with what the parents know of requests
    moved.exchange()
    read = moved.ask_get([b"x"])
    moved.deliver_to_router(1)
    moved.workers[0].outbox.appendleft(late)
    moved.exchange()
    assert moved.values(read) == [b"X"]


def test_a_parent_that_is_down_makes_the_read_unavailable(moved: TopologyDriver) -> None:
    moved.tell_router(SendFailed("workers", moved.workers[0].peer, []))
    read = moved.ask_get([b"a"])
    moved.exchange(lambda op: op == Op.GET)
    assert moved.status(read) is Status.UNAVAILABLE
    assert moved.answer(read)[0].duration_ms


def test_a_parent_that_goes_away_with_the_read_makes_it_unavailable(moved: TopologyDriver) -> None:
    read = moved.ask_get([b"a"])
    moved.deliver_to_router(1)
    moved.tell_router(SendFailed("workers", moved.workers[0].peer, []))
    moved.exchange(lambda op: op == Op.GET)
    assert moved.status(read) is Status.UNAVAILABLE


def test_reads_without_an_answer_are_bounded_and_forgotten(moved: TopologyDriver) -> None:
    for _ in range(READS_MAX):
        moved.ask_get([b"a"])
    refused = moved.ask_get([b"a"])
    assert moved.status(refused) is Status.UNAVAILABLE
    moved.workers[1].outbox.clear()
    moved.now_ns += 2 * SECOND_NS
    assert moved.get([b"a"]) == [b"A"]


def test_a_read_that_the_parent_cannot_answer_at_once_is_answered_in_part() -> None:
    cluster = TopologyDriver()
    keys = [b"k%d" % number for number in range(6)]
    for key in keys:
        cluster.put({key: key * (MIB // 2)})
    cluster.settle()
    cluster.move(b"k", 1)
    cluster.exchange()
    read = cluster.ask_get(keys)
    cluster.exchange()
    header, _ = cluster.answer(read)
    assert header.flags & Flag.MORE
    assert cluster.values(read) == [key * (MIB // 2) for key in keys[: header.entries]]
    rest = cluster.get(keys[header.entries :])
    assert rest == [key * (MIB // 2) for key in keys[header.entries : header.entries + len(rest)]]


def test_an_answer_is_never_much_larger_than_others(moved: TopologyDriver) -> None:
    keys = [b"k%02d" % number for number in range(40)]
    for key in keys:
        moved.put({key: bytes(MIB)})
        while moved.workers[1].syncs:
            moved.sync(1)
    read = moved.ask_get([*keys, b"y"])
    moved.exchange()
    header, frames = moved.answer(read)
    assert header.flags & Flag.MORE
    assert len(frames[1]) <= REPLY_BYTES_AIM + MIB < FRAME_BYTES_MAX


def test_a_scan_waits_until_the_child_has_files(moved: TopologyDriver) -> None:
    route = moved.map.route_of(b"a")
    assert moved.status(moved.ask_scan(ScanRequest(), route)) is Status.UNAVAILABLE
    moved.finish()
    assert moved.page(ScanRequest(), route)[0] == {b"a": b"A", b"b": b"B", b"x": b"X", b"y": b"Y"}


def test_a_read_that_waits_when_the_parent_is_retired_is_asked_again(moved: TopologyDriver) -> None:
    read = moved.ask_get([b"a"])
    [asked] = moved.workers[1].outbox
    moved.workers[1].outbox.clear()
    moved.finish()
    moved.workers[1].outbox.append(asked)
    moved.exchange()
    assert moved.status(read) is Status.UNAVAILABLE
    assert moved.get([b"a"]) == [b"A"]


def test_a_parent_takes_the_epoch_that_the_map_had_when_the_change_began() -> None:
    def move(cluster: TopologyDriver) -> None:
        change = change_plan.move_change(cluster.topology, b"a", 1)
        [parent] = change.parents  # as if the reply to a registration of its owner had been lost
        cluster.begin(replace(change, parents=(replace(parent, epoch=parent.epoch + 1),)))

    cluster = adopted(move)
    assert cluster.get([b"a", b"x"]) == [b"A", b"X"]
