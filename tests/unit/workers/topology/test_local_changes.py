"""The worker's part in topology changes, event by event, in a cluster connected in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from shardstore.errors import Corruption
from shardstore.files.file_names import segment_directory
from shardstore.identifiers import SegmentId, WorkerId
from shardstore.limits import ISOLATION_NS_MAX, KIB
from shardstore.options import Durability, ScanMode
from shardstore.seams.effects import JobFailed
from shardstore.wire.messages import ScanRequest, decode
from shardstore.wire.topology import Change, Progress
from shardstore.wire.wire_format import Flag, Op, Status, decode_header
from shardstore.workers.jobs.specs import CompactionKind, CompactSpec, MaterialiseSpec, RetireSpec
from shardstore.workers.maintenance.kinds.job_slot import RunningJob
from shardstore.workers.segment.state import SegmentStep
from tests.simulation.sim_filesystem import SimFilesystem
from tests.unit.topology_driver import CLIENT, STORE, TopologyDriver

LOCAL_SPLIT = b"m"
Begin = Callable[[TopologyDriver], Change]
CHANGES: dict[str, Begin] = {
    "local split": lambda cluster: cluster.split(LOCAL_SPLIT),
    "split across": lambda cluster: cluster.split(LOCAL_SPLIT, 1),
    "split in four": lambda cluster: cluster.split_into([b"b", LOCAL_SPLIT, b"n\0"], [1, 0, 1, 0]),
    "merge across": lambda cluster: cluster.merge(b"p"),
    "move": lambda cluster: cluster.move(b"k", 1),
}
LOCAL: dict[str, Begin] = {
    "split": lambda cluster: cluster.split(LOCAL_SPLIT),
    "merge": lambda cluster: cluster.merge(b"a"),
}
LARGE = {b"k%d" % number: bytes(300 * KIB) for number in range(12)}
DURABILITIES = list(Durability)


def large() -> TopologyDriver:
    """Fill the first range with values for several pages."""
    cluster = TopologyDriver()
    for key, value in LARGE.items():
        cluster.put({key: value})
    cluster.settle()
    return cluster


def last_report(cluster: TopologyDriver) -> Progress:
    """The latest report of worker 0, which is under way."""
    reports = [frames[1] for frames in cluster.workers[0].outbox if decode_header(frames[0]).op == Op.PROGRESS]
    return decode(Progress, reports[-1])


def filled(durability: Durability = Durability.GROUP_SYNC) -> TopologyDriver:
    """Two ranges, the first with the keys a, b, n and z."""
    cluster = TopologyDriver(durability)
    cluster.put({b"a": b"1", b"b": b"2", b"n": b"3", b"z": b"4"})
    cluster.settle()
    return cluster


def order(cluster: TopologyDriver, worker: int = 0) -> None:
    """Deliver only the messages of the router to a worker."""
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


@pytest.mark.fault("H6")
@pytest.mark.parametrize("durability", DURABILITIES)
def test_a_parent_is_reported_as_fenced_when_all_it_logged_is_durable_and_applied(durability: Durability) -> None:
    cluster = filled(durability)
    written = [cluster.put({key: b"late"}) for key in (b"a", b"b", b"n")]
    cluster.move(b"a", 1)
    order(cluster)
    parent = replace(cluster.map.route_of(b"a"), segment=SegmentId(1), worker=WorkerId(0))
    assert not cluster.owned(1).role.is_fenced, "earlier records are synced while writers continue"
    written.append(cluster.put({b"b": b"meanwhile"}, parent))
    while not cluster.owned(1).role.is_fenced:
        cluster.sync(0)
    refused = cluster.put({b"a": b"too late"}, parent)
    assert cluster.status(refused) is Status.STALE_ROUTE
    while cluster.workers[0].syncs:
        assert not last_report(cluster).fenced
        cluster.sync(0)
    assert last_report(cluster).fenced.keys() == {1}
    assert [cluster.status(sequence) for sequence in written] == [Status.OK] * 4
    assert cluster.workers[0].core.service.writes.idle
    cluster.finish()
    assert cluster.content() == {b"a": b"late", b"b": b"meanwhile", b"n": b"late", b"z": b"4"}


def test_children_of_a_local_change_accept_at_the_moment_of_the_fence() -> None:
    cluster = filled()
    cluster.split(LOCAL_SPLIT)
    order(cluster)
    written = [cluster.put({b"b": b"left"}), cluster.put({b"n": b"right"})]
    while cluster.workers[0].syncs:
        cluster.sync(0)
    assert [cluster.status(sequence) for sequence in written] == [Status.OK] * 2
    assert cluster.content() == {b"a": b"1", b"b": b"left", b"n": b"right", b"z": b"4"}


def test_a_child_elsewhere_accepts_only_with_the_windows_of_its_parents() -> None:
    cluster = filled()
    cluster.split(LOCAL_SPLIT, 1)
    for worker in (0, 1):
        order(cluster, worker)
    early = [cluster.put({b"b": b"left"}), cluster.put({b"n": b"right"})]
    assert [cluster.status(sequence) for sequence in early] == [Status.UNAVAILABLE] * 2
    assert cluster.accepting(b"b") == cluster.accepting(b"n") == []
    cluster.exchange()
    written = [cluster.put({b"b": b"left"}), cluster.put({b"n": b"right"})]
    cluster.sync(0)
    cluster.sync(1)
    assert [cluster.status(sequence) for sequence in written] == [Status.OK] * 2


@pytest.mark.fault("C2", "H5")
@pytest.mark.parametrize("begin", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("when", ["adopted", "after a restart", "at the end", "after the end and a restart"])
def test_a_retry_of_what_the_parent_applied_is_a_duplicate_at_the_child(begin: Begin, when: str) -> None:
    cluster = filled()
    first = cluster.put({b"b": b"once"})
    cluster.settle()
    begin(cluster)
    cluster.exchange()
    if when == "after a restart":
        for worker in (0, 1):
            cluster.start_worker(worker)
        for _ in range(4):
            cluster.exchange()
            cluster.pass_time()
    elif when != "adopted":
        cluster.finish()
        if "restart" in when:
            cluster.start_worker(cluster.map.route_of(b"b").worker)
            cluster.finish()
    later = cluster.put({b"b": b"later"}, client=CLIENT + 1)
    retried = cluster.put({b"b": b"once"}, sequence=first, flags=Flag.RETRY)
    cluster.settle()
    assert cluster.status(later) is Status.OK
    assert [header.status for header, _ in cluster.answered[retried]] == [Status.OK, Status.OK]
    assert cluster.get([b"b"]) == [b"later"]


def test_a_retry_waits_for_the_sync_that_the_write_at_the_parent_waits_for() -> None:
    cluster = filled()
    first = cluster.put({b"b": b"once"})
    cluster.split(LOCAL_SPLIT)
    order(cluster)
    retried = cluster.put({b"b": b"once"}, sequence=first, flags=Flag.RETRY)
    assert cluster.status(retried) is None
    cluster.sync(0)
    assert [header.status for header, _ in cluster.answered[retried]] == [Status.OK, Status.OK]


def test_an_open_isolation_delays_the_fence_and_no_other_begins() -> None:
    cluster = large()
    route = cluster.map.route_of(b"k")
    request = ScanRequest(mode=ScanMode.FULL_ISOLATION.value)
    _, resume, cursor = cluster.page(request, route)
    cluster.split(LOCAL_SPLIT)
    order(cluster)
    assert not cluster.owned(1).role.is_fenced
    assert cluster.status(cluster.ask_scan(request, route)) is Status.BUSY
    entries = len(cluster.page(replace(request, start=resume, cursor=cursor), route)[0])
    assert entries
    cluster.now_ns += ISOLATION_NS_MAX
    cluster.pass_time()
    assert cluster.owned(1).role.is_fenced
    cluster.finish()


# ---------------------------------------------------------------- reads through parents


@pytest.mark.parametrize("begin", LOCAL.values(), ids=LOCAL)
def test_a_child_answers_with_its_own_over_what_its_parents_hold(begin: Begin) -> None:
    cluster = filled()
    cluster.split(b"c")
    cluster.finish()
    begin(cluster)
    order(cluster)
    cluster.delete([b"n"])
    cluster.put({b"a": b"newer", b"b": b"2"})
    while cluster.workers[0].syncs:
        cluster.sync(0)
    assert cluster.workers[0].core._changes.orders, "nothing is materialised yet"
    expected = {b"a": b"newer", b"b": b"2", b"z": b"4"}
    for mode in ScanMode:
        for reverse in (False, True):
            assert cluster.content(mode, reverse) == expected
    for key in (b"a", b"b", b"n", b"z", b"nothing"):
        assert cluster.get([key]) == [expected.get(key)]
    cluster.finish()
    assert cluster.content() == expected


@pytest.mark.parametrize("begin", CHANGES.values(), ids=CHANGES)
def test_a_held_scan_goes_on_at_the_parent_when_that_is_fenced_and_when_it_is_gone(begin: Begin) -> None:
    cluster = large()
    route = cluster.map.route_of(b"k")
    request = ScanRequest(mode=ScanMode.SNAPSHOT.value)
    seen, resume, cursor = cluster.page(request, route)
    begin(cluster)
    cluster.exchange()
    assert resume
    more, resume, cursor = cluster.page(replace(request, start=resume, cursor=cursor), route)
    seen |= more
    cluster.finish()
    cluster.put({b"k0": b"newer"})
    cluster.settle()
    while resume:
        more, resume, cursor = cluster.page(replace(request, start=resume, cursor=cursor), route)
        seen |= more
    assert seen == LARGE
    assert cluster.workers[route.worker].core._changes.former
    cluster.pass_time()
    assert not cluster.workers[route.worker].core._changes.former, "no process reads the parent any more"


def test_a_fail_fast_scan_of_a_parent_is_invalidated_by_the_fence() -> None:
    cluster = large()
    route = cluster.map.route_of(b"k")
    request = ScanRequest(mode=ScanMode.FAIL_FAST.value)
    _, resume, cursor = cluster.page(request, route)
    cluster.split(LOCAL_SPLIT)
    order(cluster)
    again = cluster.ask_scan(replace(request, start=resume, cursor=cursor), route)
    assert cluster.status(again) is Status.SCAN_INVALIDATED
    cluster.finish()


def test_a_new_scan_of_a_parent_is_sent_to_its_children() -> None:
    cluster = filled()
    route = cluster.map.route_of(b"a")
    cluster.split(LOCAL_SPLIT)
    order(cluster)
    for mode in ScanMode:
        assert cluster.status(cluster.ask_scan(ScanRequest(mode=mode.value), route)) is Status.STALE_ROUTE


# ---------------------------------------------------------------- flush and compact


@pytest.mark.parametrize("flags", [0, Flag.NO_WAIT])
def test_a_flush_of_the_parent_ends_and_one_of_a_child_waits_for_its_files(flags: int) -> None:
    cluster = filled()
    cluster.put({b"a": b"newer"})
    flushed = cluster.ask(Op.FLUSH, [], cluster.map.route_of(b"a"))
    cluster.split(LOCAL_SPLIT)
    order(cluster)
    of_child = cluster.ask(Op.FLUSH, [], cluster.map.route_of(b"a"), flags=flags)
    assert cluster.status(of_child) is Status.UNAVAILABLE, "the client asks again, even if it does not wait for the end"
    cluster.finish()
    assert cluster.status(flushed) is Status.OK
    for op in (Op.FLUSH, Op.COMPACT):
        asked = cluster.ask(op, [], cluster.map.route_of(b"a"), flags=flags)
        cluster.settle()
        assert cluster.status(asked) is Status.OK
    assert cluster.content() == {b"a": b"newer", b"b": b"2", b"n": b"3", b"z": b"4"}


def test_a_compaction_that_waits_at_the_parent_is_sent_to_the_children() -> None:
    cluster = filled()
    asked = cluster.ask(Op.COMPACT, [], cluster.map.route_of(b"a"))
    cluster.split(LOCAL_SPLIT)
    order(cluster)
    assert cluster.status(asked) is Status.STALE_ROUTE


# ---------------------------------------------------------------- recovery


@pytest.mark.parametrize("begin", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("durability", DURABILITIES)
def test_records_of_parents_and_children_are_found_again_at_every_stage(begin: Begin, durability: Durability) -> None:
    cluster = filled(durability)
    expected = {b"a": b"1", b"b": b"2", b"n": b"3", b"z": b"4"}
    begin(cluster)
    cluster.exchange()
    for number in range(12):
        for key in (b"b", b"n"):
            expected[key] = b"%d" % number
            written = cluster.put({key: expected[key]})
            while cluster.status(written) is None:
                worker = cluster.map.route_of(key).worker
                cluster.sync(worker)
            if cluster.status(written) is not Status.OK:
                cluster.finish()
                written = cluster.put({key: expected[key]})
                cluster.settle()
                assert cluster.status(written) is Status.OK
        for place in list(cluster.workers.values()):
            if place.job and number % 3 == 2:
                cluster.run_job(place.number)
        cluster.start_worker(number % 2)
        cluster.exchange()
    cluster.finish()
    assert cluster.content() == expected


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


def test_a_materialisation_that_fails_again_and_again_keeps_no_drain_from_its_turn() -> None:
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
        if place.job is not None and isinstance(place.job.spec, MaterialiseSpec):
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


def test_a_parent_that_a_job_still_has_when_it_is_to_go_goes_later() -> None:
    cluster = filled()
    cluster.split(LOCAL_SPLIT)
    place = cluster.workers[0]
    while not any(decode_header(frames[0]).op == Op.RETIRE for frames in place.inbox):
        order(cluster)
        if place.outbox:
            cluster.deliver_to_router(0)
        elif place.syncs:
            cluster.sync(0)
        elif not place.inbox:
            cluster.run_job(0)
    queue = place.core.service.maintenance
    compaction = CompactSpec(STORE, 1, CompactionKind.EVERYTHING, 0)  # as if it had begun before the split
    queue._long.running = RunningJob(99, queue.compactions, compaction, cluster.now_ns)
    cluster.owned(1).advance(SegmentStep.PREPARE, SegmentStep.START)
    order(cluster)
    cluster.tell_worker(0, JobFailed(99, "it was to fail"))
    cluster.pass_time()
    cluster.finish()
    assert cluster.segments_on_disk() == {route.segment for route in cluster.map}


def test_what_a_stopped_retirement_has_left_is_removed_by_the_next_worker_that_starts() -> None:
    cluster = filled()
    cluster.split(LOCAL_SPLIT)
    cluster.finish()
    SimFilesystem(cluster.disk, cluster.rng).make_directory(segment_directory(1))
    cluster.start_worker(1)
    cluster.finish()
    assert cluster.segments_on_disk() == {route.segment for route in cluster.map}


def test_what_a_failed_retirement_has_left_is_removed_when_it_is_tried_again() -> None:
    cluster = filled()
    cluster.split(LOCAL_SPLIT)
    failed = False
    while not failed:
        cluster.exchange()
        for number, place in cluster.workers.items():
            if place.syncs:
                cluster.sync(number)
            elif place.job is not None and isinstance(place.job.spec, RetireSpec):
                cluster.fail_job(number)
                failed = True
            elif place.job is not None:
                cluster.run_job(number)
    assert cluster.segments_on_disk() > {route.segment for route in cluster.map}
    cluster.finish()
    assert cluster.segments_on_disk() == {route.segment for route in cluster.map}


def test_retired_segments_are_forgotten_in_registrations() -> None:
    cluster = filled()
    cluster.split(LOCAL_SPLIT)
    cluster.finish()
    known = cluster.workers[0].core._registration._known
    assert known.keys() == {route.segment for route in cluster.map if route.worker == 0}


def test_damage_met_by_a_materialisation_is_kept_and_not_met_again() -> None:
    cluster = filled()
    cluster.split(LOCAL_SPLIT)
    order(cluster)
    place = cluster.workers[0]
    while place.job is None or not isinstance(place.job.spec, MaterialiseSpec):
        cluster.sync(0) if place.syncs else cluster.run_job(0)
    segment = place.job.spec.segment
    cluster.fail_job(0, Corruption("a table", 7, "is damaged"))
    for _ in range(4):
        cluster.settle()
        cluster.pass_time()
    assert cluster.owned(segment).job_damage is not None
    assert cluster.content() == {b"a": b"1", b"b": b"2", b"n": b"3", b"z": b"4"}, "the parent answers as before"
