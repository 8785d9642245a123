"""Workers register, get new epochs, and count as up only while they send heartbeats."""

from __future__ import annotations

import pytest

from shardstore.errors import DiskFull, StorageFailure
from shardstore.limits import MIB
from shardstore.seams.effects import Stop
from shardstore.system.posix_filesystem import PosixFilesystem
from shardstore.wire.messages import Assignment, Assignments, Lease, LeaseReport, Routes, decode
from shardstore.wire.wire_format import Header, Op, Status
from tests.unit.router.router_driver import (
    LIFE,
    RouterDriver,
    answers_to,
    document_of,
    header_of,
    refusal_of,
    told_routes,
)


def epochs(router: RouterDriver) -> list[int]:
    return [route.epoch for route in router.route_map()]


def test_a_worker_is_told_all_its_ranges(router: RouterDriver) -> None:
    [reply] = answers_to(router.register(1, b"w1"), b"w1", Op.REGISTER)
    assignments = document_of(Assignments, reply)
    assert assignments.ranges == [
        Assignment(3, b"\x80", b"\xc0", 1, create=True),
        Assignment(4, b"\xc0", b"", 1, create=True),
    ]
    assert decode(Routes, assignments.routes) == router.routes()


def test_a_segment_is_to_be_created_until_the_worker_is_ready_and_never_again(router: RouterDriver) -> None:
    serving = router.granted(1, b"w1")
    assert [route.created for route in router.route_map()] == [False] * 4
    router.ready(b"w1", serving)
    assert [route.created for route in router.route_map()] == [False, False, True, True]
    [reply] = answers_to(router.register(1, b"w1 again"), b"w1 again", Op.REGISTER)
    assert [each.create for each in document_of(Assignments, reply).ranges] == [False, False]


def test_a_worker_that_refuses_everything_is_up_and_has_created_nothing(router: RouterDriver) -> None:
    serving = router.granted(1, b"w1", failure="wal-1 at byte 56: damaged")
    assert serving == {3: 0, 4: 0}, "the disk may not accept new epochs"
    router.ready(b"w1", serving)
    assert [route.created for route in router.route_map()] == [False] * 4
    told = router.statistics()["workers"][1]
    assert (told["state"], told["failure"]) == ("up", "wal-1 at byte 56: damaged")


def test_every_new_process_gets_new_epochs_and_others_keep_theirs(router: RouterDriver) -> None:
    assert router.granted(0, b"first") == {1: 1, 2: 1}
    assert router.granted(0, b"second") == {1: 2, 2: 2}
    assert epochs(router) == [2, 2, 0, 0]


def test_an_epoch_is_durable_before_it_is_granted(router: RouterDriver, filesystem: PosixFilesystem) -> None:
    router.granted(0, b"w0")
    restarted = RouterDriver(filesystem)
    assert epochs(restarted) == epochs(router) == [1, 1, 0, 0]
    assert restarted.route_map() == router.route_map()


@pytest.mark.fault("R3")
def test_a_new_epoch_is_higher_than_any_the_worker_found_on_its_disk(router: RouterDriver) -> None:
    assert router.granted(0, b"w0", known={1: 40, 99: 50}) == {1: 41, 2: 1}
    assert router.granted(0, b"w0 again", serving={1: 60, 2: 1}) == {1: 61, 2: 2}


@pytest.mark.fault("R1")
def test_a_process_that_met_a_restarted_router_keeps_its_epochs(
    router: RouterDriver, filesystem: PosixFilesystem
) -> None:
    serving = router.bring_up(0, b"w0")
    version = router.route_map().version
    restarted = RouterDriver(filesystem)
    assert restarted.granted(0, b"w0", serving=serving, known=serving) == serving
    assert restarted.route_map().version == version
    restarted.ready(b"w0", serving)
    assert restarted.routes().endpoints == {0: "unix://w0"}


@pytest.mark.parametrize("serving", [{1: 1}, {1: 1, 2: 2}, {1: 1, 2: 1, 3: 1}, {}])
def test_a_process_that_serves_anything_else_gets_new_epochs(router: RouterDriver, serving: dict[int, int]) -> None:
    router.bring_up(0, b"w0")
    assert min(router.granted(0, b"w0 again", serving=serving).values()) > 1


def test_a_process_that_asks_again_before_it_is_ready_gets_the_same_answer(router: RouterDriver) -> None:
    granted = router.granted(0, b"w0")
    effects = router.register(0, b"w0")
    assert {each.segment: each.epoch for each in document_of(Assignments, effects[0]).ranges} == granted
    assert len(effects) == 1
    assert router.route_map().version == 2


def test_the_newest_process_of_a_worker_wins(router: RouterDriver) -> None:
    first = router.bring_up(0, b"first")
    second = router.bring_up(0, b"second")
    assert router.routes().endpoints == {0: "unix://second"}
    for late in (router.heartbeat(0, b"first"), router.ready(b"first", first)):
        assert refusal_of(late[0], Status.STALE_ROUTE).what == "register again"
    third = router.granted(0, b"first", serving=first, known=first)
    assert third == {segment: epoch + 1 for segment, epoch in second.items()}


def test_a_peer_that_becomes_another_worker_is_no_longer_the_first(router: RouterDriver) -> None:
    router.bring_up(0, b"w")
    router.bring_up(1, b"w")
    assert router.routes().endpoints == {1: "unix://w"}


@pytest.mark.parametrize("serving", [{}, {1: 1}, {1: 2, 2: 1}, {1: 1, 2: 1, 3: 1}])
def test_ready_must_name_the_ranges_as_the_map_has_them(router: RouterDriver, serving: dict[int, int]) -> None:
    router.granted(0, b"w0")
    [refused] = router.ready(b"w0", serving)
    assert decode(Routes, refusal_of(refused, Status.STALE_ROUTE).routes) == router.routes()
    assert router.routes().endpoints == {}


def test_a_heartbeat_of_an_unknown_process_is_refused(router: RouterDriver) -> None:
    [refused] = router.heartbeat(0, b"w0")
    refusal_of(refused, Status.STALE_ROUTE)
    router.bring_up(0, b"w0")
    [refused] = router.heartbeat(1, b"w0")
    refusal_of(refused, Status.STALE_ROUTE)


def test_a_worker_that_beats_before_it_is_up_is_asked_to_register_again(router: RouterDriver) -> None:
    """Its READY was lost, so it serves, but the router would list it as joining for ever."""
    serving = router.granted(0, b"w0")
    [refused] = router.heartbeat(0, b"w0")
    refusal_of(refused, Status.STALE_ROUTE)
    assert router.granted(0, b"w0", serving=serving) == serving
    router.ready(b"w0", serving)
    [accepted] = router.heartbeat(0, b"w0")
    assert header_of(accepted).status == Status.OK


def test_heartbeats_keep_a_worker_up_and_silence_takes_it_down(router: RouterDriver) -> None:
    serving = router.bring_up(0, b"w0")
    for _ in range(20):
        assert router.pass_time(500) == []
        router.heartbeat(0, b"w0")
    router.pass_time(5_000)
    assert router.routes().endpoints == {0: "unix://w0"}
    assert told_routes(router.pass_time(500)) == []  # there is no peer to inform
    assert router.routes().endpoints == {}
    [refused] = router.heartbeat(0, b"w0")
    refusal_of(refused, Status.STALE_ROUTE)
    assert router.granted(0, b"w0", serving=serving) == serving


@pytest.mark.fault("R2")
def test_a_router_that_was_stopped_itself_does_not_take_workers_down(router: RouterDriver) -> None:
    router.bring_up(0, b"w0")
    router.pass_time(1_000)
    router.now_ns += 10 * 10**9
    assert router.pass_time(1_000) == []
    assert router.routes().endpoints == {0: "unix://w0"}


def test_a_failed_send_takes_a_worker_down_once(router: RouterDriver) -> None:
    router.bring_up(0, b"w0")
    router.hello(b"a")
    assert told_routes(router.lose_worker(b"w0")) == [("clients", b"a")]
    assert router.lose_worker(b"w0") == []
    assert router.lose_worker(b"stranger") == []


@pytest.mark.parametrize(
    ("worker", "known", "what"),
    [
        (2, {}, "this store has no worker 2"),
        (2**63, {}, "this store has no worker"),
        (0, {1: 2**32 - 1}, "no epoch of segment 1"),
        (0, {2: 2**64 - 1}, "no epoch of segment 2"),
    ],
)
def test_a_registration_out_of_bounds_is_refused(
    router: RouterDriver, worker: int, known: dict[int, int], what: str
) -> None:
    [refused] = router.register(worker, b"w", known=known)
    assert what in refusal_of(refused, Status.INVALID).what
    assert router.route_map().version == 1


def test_a_worker_without_ranges_can_be_up(filesystem: PosixFilesystem) -> None:
    router = RouterDriver(filesystem, workers=2, boundaries=())
    assert router.granted(1, b"w1") == {}
    router.ready(b"w1", {})
    assert router.routes().endpoints == {1: "unix://w1"}
    assert router.route_map().version == 1


@pytest.mark.parametrize("op", [Op.REGISTER, Op.READY, Op.HEARTBEAT])
def test_a_message_of_a_worker_without_its_document_is_refused(router: RouterDriver, op: Op) -> None:
    [refused] = router.worker_sends(b"w0", Header(op), b"no document")
    refusal_of(refused, Status.INVALID)


def fail_publish(monkeypatch: pytest.MonkeyPatch, filesystem: PosixFilesystem, error: StorageFailure) -> None:
    def fail(path: str) -> None:
        raise error

    monkeypatch.setattr(filesystem, "create", fail)


def test_a_full_disk_refuses_a_registration_and_changes_nothing(
    router: RouterDriver, filesystem: PosixFilesystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    router.bring_up(0, b"w0")
    with monkeypatch.context() as full:
        fail_publish(full, filesystem, DiskFull("no space"))
        [refused] = router.register(0, b"w0 again")
    assert refusal_of(refused, Status.FAILED).what == "no space"
    assert router.routes().endpoints == {0: "unix://w0"}
    assert epochs(router) == [1, 1, 0, 0]
    assert router.granted(0, b"w0 again") == {1: 2, 2: 2}


def test_any_other_failure_to_publish_stops_the_router(
    router: RouterDriver, filesystem: PosixFilesystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_publish(monkeypatch, filesystem, StorageFailure("sync failed"))
    assert router.register(0, b"w0") == [Stop("the route map could not be published: sync failed")]


def test_leases_are_given_when_all_workers_have_reported(router: RouterDriver) -> None:
    serving = {0: router.bring_up(0, b"w0"), 1: router.bring_up(1, b"w1")}
    assert all(serving.values())
    wants = LeaseReport(60 * MIB, 50 * MIB, 0, 400 * MIB)
    [early] = router.heartbeat(0, b"w0", report=wants)
    assert document_of(Lease, early) == Lease(60 * MIB, 0)
    assert router.statistics()["stalls"]["events"][0]["cause"] == "the budget has no memory left for worker 0"
    router.heartbeat(1, b"w1")
    [granted] = router.heartbeat(0, b"w0", report=wants)
    assert document_of(Lease, granted).lease == 400 * MIB
    router.lose_worker(b"w1")
    assert router.statistics()["budget"]["granted"] == 460 * MIB, "it may return with everything it had"


def test_a_heartbeat_for_another_life_of_the_router_is_refused(router: RouterDriver) -> None:
    router.bring_up(0, b"w0")
    [refused] = router.heartbeat(0, b"w0", router=LIFE + 1)
    assert "register again" in refusal_of(refused, Status.STALE_ROUTE).what
    assert router.statistics()["budget"]["unheard"] == 2
