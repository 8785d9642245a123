"""The router's part in topology changes: its orders and published maps, whatever is lost, doubled or late."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shardstore.errors import DiskFull
from shardstore.router.change_stage import Stage
from shardstore.wire.messages import decode, encode
from shardstore.wire.topology import OrderMessage, Progress, Retire
from shardstore.wire.wire_format import Header, Op, decode_header
from tests.unit.topology_driver import TopologyDriver

CONTENT = {b"a": b"1", b"n": b"2", b"\x90": b"3"}
BEGIN: dict[str, Callable[[TopologyDriver], object]] = {
    "local split": lambda cluster: cluster.split(b"m"),
    "split across": lambda cluster: cluster.split(b"m", 1),
    "merge": lambda cluster: cluster.merge(b"a"),
    "split in four": lambda cluster: cluster.split_into([b"b", b"d", b"h"], [1, 0, 1, 0]),
    "move": lambda cluster: cluster.move(b"a", 1),
}
STEPS_TO_END = 60


def filled() -> TopologyDriver:
    cluster = TopologyDriver()
    for key, value in CONTENT.items():
        cluster.put({key: value})
    cluster.settle()
    return cluster


def step(cluster: TopologyDriver) -> None:
    """Process one waiting item of a worker: a sync, else a job, else the next message each way."""
    for number, place in cluster.workers.items():
        if place.syncs:
            return cluster.sync(number)
        if place.job:
            return cluster.run_job(number)
    for number, place in cluster.workers.items():
        if place.outbox:
            return cluster.deliver_to_router(number) and None
        if place.inbox:
            return cluster.deliver_to_worker(number) and None
    return cluster.pass_time()


def ops(cluster: TopologyDriver, worker: int) -> list[int]:
    """The work waiting for a worker."""
    return [decode_header(frames[0]).op for frames in cluster.workers[worker].inbox]


def check_end(cluster: TopologyDriver) -> None:
    cluster.finish()
    assert cluster.content() == CONTENT
    assert cluster.segments_on_disk() == {int(route.segment) for route in cluster.map}
    assert all(route.created for route in cluster.map)


# ---------------------------------------------------------------- from begin to end


def test_a_change_is_durable_before_it_is_ordered_and_is_ordered_of_whom_it_concerns() -> None:
    cluster = filled()
    change = cluster.split(b"m")
    assert ops(cluster, 0) == [Op.CHANGE]
    assert ops(cluster, 1) == []
    orders = decode(OrderMessage, cluster.workers[0].inbox[0][1])
    assert orders.order.change == change
    assert orders.order.epochs == {3: 1, 4: 1}
    assert orders.order.windows == {}
    assert not orders.order.drained
    cluster.restart_router()
    assert cluster.changes == (change,)


@pytest.mark.fault("M3")
def test_what_cannot_be_published_vanishes(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = filled()
    before = cluster.topology

    def full(*arguments: object) -> None:
        raise DiskFull("no room")

    with monkeypatch.context() as patched:
        patched.setattr("shardstore.router.route_table.documents.publish", full)
        with pytest.raises(DiskFull):
            cluster.split(b"m")
    assert cluster.topology == before
    assert cluster.stages == {}
    assert ops(cluster, 0) == []
    cluster.restart_router()
    assert cluster.topology == before
    cluster.split(b"m")
    check_end(cluster)


def test_an_end_that_cannot_be_published_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = filled()
    cluster.split(b"m")
    with monkeypatch.context() as patched:

        def full(*arguments: object) -> None:
            raise DiskFull("no room")

        cluster.exchange(lambda op: op != Op.PROGRESS)
        for _ in range(6):
            if cluster.workers[0].syncs:
                cluster.sync(0)
            if cluster.workers[0].job:
                cluster.run_job(0)
            cluster.exchange(lambda op: op != Op.PROGRESS)
        patched.setattr("shardstore.router.route_table.documents.publish", full)
        cluster.pass_time()
        cluster.exchange()
        assert cluster.changes
    check_end(cluster)


@pytest.mark.parametrize("begin", BEGIN.values(), ids=BEGIN)
def test_everyone_is_told_of_the_children_once_they_are_adopted(begin: Callable[[TopologyDriver], object]) -> None:
    cluster = filled()
    begin(cluster)
    seen = set()
    for _ in range(STEPS_TO_END):
        step(cluster)
        seen |= set(cluster.stages.values())
        announced = any(Op.ROUTES in ops(cluster, worker) for worker in cluster.workers)
        assert not announced or set(cluster.stages.values()) & {Stage.PENDING, Stage.FENCED} == set()
    assert Stage.ADOPTED in seen or Stage.DRAINED in seen
    check_end(cluster)


# ---------------------------------------------------------------- messages


@pytest.mark.fault("N14", "H2")
@pytest.mark.parametrize("begin", BEGIN.values(), ids=BEGIN)
@pytest.mark.parametrize("op", [Op.CHANGE, Op.PROGRESS, Op.RETIRE])
def test_a_change_ends_though_every_message_of_a_kind_is_lost_at_first(
    begin: Callable[[TopologyDriver], object], op: Op
) -> None:
    cluster = filled()
    begin(cluster)
    for _ in range(3):
        cluster.exchange(lambda each: each != op)
        for number, place in cluster.workers.items():
            while place.syncs or place.job:
                cluster.sync(number) if place.syncs else cluster.run_job(number)
        cluster.pass_time()
    check_end(cluster)


@pytest.mark.fault("H2")
@pytest.mark.parametrize("begin", BEGIN.values(), ids=BEGIN)
def test_messages_that_come_twice_change_nothing(begin: Callable[[TopologyDriver], object]) -> None:
    cluster = filled()
    begin(cluster)
    for _ in range(STEPS_TO_END):
        for place in cluster.workers.values():
            for box in (place.inbox, place.outbox):
                if box and decode_header(box[0][0]).op in (Op.CHANGE, Op.PROGRESS, Op.RETIRE):
                    box.insert(1, box[0])
        step(cluster)
        step(cluster)
        step(cluster)
    check_end(cluster)


def test_a_late_report_only_makes_the_router_ask_again() -> None:
    cluster = filled()
    cluster.move(b"a", 1)
    cluster.deliver_to_worker(0)
    late = cluster.workers[0].outbox[0]
    cluster.exchange()
    cluster.workers[0].outbox.append([late[0], encode(Progress(1))])
    cluster.exchange()
    assert set(cluster.stages.values()) == {Stage.PENDING}
    assert len(cluster.accepting(b"a")) == 1
    check_end(cluster)


def test_a_report_of_nobody_known_counts_for_nothing() -> None:
    cluster = filled()
    cluster.split(b"m")
    place = cluster.workers[0]
    former, place.peer = place.peer, b"somebody"
    place.outbox.append([Header(Op.PROGRESS).encode(), encode(Progress(1, {1: None}, [3, 4], [1], [3, 4]))])
    cluster.deliver_to_router(0)
    assert cluster.changes
    place.peer = former
    check_end(cluster)


@pytest.mark.fault("H2")
def test_a_report_of_a_change_that_is_over_is_answered_by_its_end_and_never_names_what_lives() -> None:
    cluster = filled()
    cluster.split(b"m")
    cluster.finish()
    cluster.merge(b"a")
    place = cluster.workers[0]
    place.inbox.clear()
    place.outbox.append(
        [Header(Op.PROGRESS).encode(), encode(Progress(1, {1: None, 2: None, 3: None}, [], [1, 2, 4], []))]
    )
    cluster.deliver_to_router(0)
    [frames] = place.inbox
    retire = decode(Retire, frames[1])
    assert (retire.change, retire.segments) == (1, [1]), "2 is a route, 3 and 4 are parents"
    check_end(cluster)


# ---------------------------------------------------------------- deaths


@pytest.mark.fault("H1")
@pytest.mark.parametrize("begin", BEGIN.values(), ids=BEGIN)
@pytest.mark.parametrize("who", ["router", "worker 0", "worker 1", "both workers", "power"])
def test_a_change_goes_on_after_any_death_at_any_step(begin: Callable[[TopologyDriver], object], who: str) -> None:
    for steps in range(0, STEPS_TO_END, 3):
        cluster = filled()
        begin(cluster)
        for _ in range(steps):
            step(cluster)
        if not cluster.changes:
            break
        if who == "router":
            cluster.restart_router()
        elif who == "power":
            cluster.lose_power()
        else:
            for worker in (0, 1) if who == "both workers" else (int(who[-1]),):
                cluster.start_worker(worker)
        check_end(cluster)


def test_a_worker_that_missed_the_order_gets_it_when_it_registers() -> None:
    cluster = filled()
    cluster.move(b"a", 1)
    cluster.restart_router()
    cluster.pass_time(1_000)
    cluster.exchange(lambda op: op != Op.CHANGE)
    check_end(cluster)
