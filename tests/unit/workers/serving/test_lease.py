"""A worker and its lease: it asks at once, accepts only the reply to its latest report, and gives back by drains."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shardstore.limits import KIB, SECOND_NS
from shardstore.memory_plan import derive
from shardstore.seams.effects import JobFailed, Received, Tick
from shardstore.wire.messages import Assignment, Assignments, Heartbeat, Lease, Refusal, ScanRequest, decode, encode
from shardstore.wire.wire_format import Header, Op, Status, decode_header
from tests.unit.worker_driver import ROUTER_LIFE, SEGMENT_NEXT, WorkerDriver

PLAN = derive(1_600 * KIB, 2, lease_floor=100 * KIB)
"""1,000 KiB to lease, 100 to 900 KiB for this worker."""


@pytest.fixture
def worker(tmp_path: Path) -> WorkerDriver:
    driver = WorkerDriver(tmp_path, memory=PLAN, boundaries=[b"m"]).serve()
    answer(driver, 100 * KIB)
    return driver


def beats(worker: WorkerDriver) -> Iterator[tuple[Header, Heartbeat]]:
    """The heartbeats that the worker has sent."""
    for send in worker.sent:
        header = decode_header(bytes(send.frames[0]))
        if send.link == "router" and header.op == Op.HEARTBEAT:
            yield header, decode(Heartbeat, send.frames[1])


def tick(worker: WorkerDriver) -> None:
    worker.now_ns += SECOND_NS
    worker.handle(Tick())


def answer(worker: WorkerDriver, lease: int, drain: int = 0, before: int = 0) -> None:
    """Reply as the router to the latest heartbeat, or to an earlier one."""
    if not list(beats(worker)):
        tick(worker)
    header = list(beats(worker))[-1 - before][0]
    worker.handle(Received("router", b"", [header.reply(Status.OK).encode(), encode(Lease(lease, drain))]))


def memory(worker: WorkerDriver) -> dict[str, Any]:
    figures: dict[str, Any] = worker.core._statistics(worker.now_ns)
    return figures


def put(worker: WorkerDriver, size: int, key: bytes = b"a") -> Status | None:
    """Write this many bytes; the sync that this may cause succeeds."""
    sequence = worker.put({key: bytes(size)}, segment=1 if key < b"m" else 2)
    while worker.syncs:
        worker.sync()
    return worker.status(sequence)


def test_a_heartbeat_follows_the_start_and_tells_the_life_of_the_router(worker: WorkerDriver) -> None:
    [(_, beat)] = beats(worker)
    assert (beat.worker, beat.router) == (0, ROUTER_LIFE)
    assert beat.report.lease == PLAN.lease_floor


def test_it_asks_with_its_first_write_and_not_again_before_it_was_answered(worker: WorkerDriver) -> None:
    put(worker, KIB)
    put(worker, KIB)
    assert len(list(beats(worker))) == 2
    assert list(beats(worker))[-1][1].report.wanted > 100 * KIB
    answer(worker, 150 * KIB)
    assert memory(worker)["memory"]["lease"]["allowed"] == 150 * KIB
    put(worker, 20 * KIB)
    assert len(list(beats(worker))) == 3


def test_only_the_answer_to_the_latest_report_counts(worker: WorkerDriver) -> None:
    put(worker, KIB)
    tick(worker)
    answer(worker, 800 * KIB, before=1)
    assert memory(worker)["memory"]["lease"]["allowed"] == 100 * KIB
    answer(worker, 200 * KIB)
    answer(worker, 700 * KIB)
    assert memory(worker)["memory"]["lease"]["allowed"] == 200 * KIB, "it has a reply already"


@pytest.mark.fault("W2", "B2")
def test_after_registering_again_no_former_answer_counts(worker: WorkerDriver) -> None:
    put(worker, KIB)
    header = list(beats(worker))[-1][0]
    again = header.reply(Status.STALE_ROUTE).encode()
    worker.handle(Received("router", b"", [again, encode(Refusal("register again"))]))
    answer(worker, 800 * KIB)
    assert memory(worker)["memory"]["lease"]["allowed"] == 100 * KIB
    ranges = [Assignment(1, b"", b"m", 1, False), Assignment(2, b"m", b"", 1, False)]
    assigned = encode(Assignments(ranges, b"routes", ROUTER_LIFE + 1, SEGMENT_NEXT))
    worker.handle(Received("router", b"", [Header(Op.REGISTER, status=Status.OK).encode(), assigned]))
    tick(worker)
    assert list(beats(worker))[-1][1].router == ROUTER_LIFE + 1


def test_limits_follow_the_lease(worker: WorkerDriver) -> None:
    assert put(worker, 60 * KIB) is Status.BUSY, "half of the lease is for one range"
    assert list(beats(worker))[-1][1].report.wanted > 500 * KIB, "it has asked for room for the refused writes"
    answer(worker, 600 * KIB)
    assert put(worker, 60 * KIB) is Status.OK


@pytest.mark.fault("B6")
def test_what_could_never_fit_is_invalid_and_not_busy(worker: WorkerDriver) -> None:
    assert put(worker, 440 * KIB) is Status.BUSY
    assert put(worker, 460 * KIB) is Status.INVALID


@pytest.mark.fault("B3")
def test_the_router_orders_a_drain_of_the_largest(worker: WorkerDriver) -> None:
    put(worker, 2 * KIB)
    answer(worker, 800 * KIB)
    put(worker, 20 * KIB, b"z")
    assert not worker.jobs
    tick(worker)
    answer(worker, 800 * KIB, drain=10 * KIB)
    [job] = worker.jobs
    assert [drain.segment for drain in job.spec.drains] == [2]
    tick(worker)
    assert list(beats(worker))[-1][1].report.draining > 20 * KIB
    worker.settle()
    tick(worker)
    report = list(beats(worker))[-1][1].report
    assert (report.draining, report.used < 4 * KIB) == (0, True)


def test_a_stall_is_told_with_its_cause_and_end(worker: WorkerDriver) -> None:
    put(worker, 60 * KIB)
    stalls = memory(worker)["stalls"]
    assert stalls["now"] == 1
    assert stalls["events"][0]["cause"] == "buffers of the range are full"
    tick(worker)
    assert [event["event"] for event in memory(worker)["stalls"]["events"]] == ["start", "end"]


def test_waiting_for_a_lease_is_a_stall(worker: WorkerDriver) -> None:
    for key in (b"a", b"z"):
        put(worker, 45 * KIB, key)
    tick(worker)
    answer(worker, 100 * KIB)
    assert "larger lease" in memory(worker)["stalls"]["events"][-1]["cause"]


def test_drains_take_the_oldest_first_within_their_share(tmp_path: Path) -> None:
    worker = WorkerDriver(tmp_path, memory=derive(1_600 * KIB, 1), boundaries=[b"m"]).serve()
    for key in (b"z", b"a"):
        put(worker, 150 * KIB, key)
    answer(worker, 900 * KIB, drain=900 * KIB)
    assert [[drain.segment for drain in job.spec.drains] for job in worker.jobs] == [[2]], "200 KiB is its share"
    worker.run_job()
    worker.settle()
    assert memory(worker)["memory"]["lease"]["used"] == 0


def test_a_drain_takes_as_many_runs_of_a_range_as_fit(tmp_path: Path) -> None:
    worker = WorkerDriver(tmp_path, memory=derive(1_600 * KIB, 1)).serve()
    flushes = []
    for _ in range(4):
        put(worker, 90 * KIB)
        flushes.append(worker.ask(Op.FLUSH))
    worker.run_job()  # that of the first flush; the others were sealed meanwhile
    spec = worker.jobs[-1].spec
    assert len(spec.drains) == 1
    assert spec.drains[0].lsn_last == 3, "two runs of 90 KiB are within 200 KiB"
    assert [worker.status(flush) for flush in flushes] == [Status.OK, None, None, None]
    worker.settle()
    assert [worker.status(flush) for flush in flushes] == [Status.OK] * 4


def test_reads_are_refused_while_too_many_answers_wait(worker: WorkerDriver) -> None:
    worker.unsent["answers"] = PLAN.reply_bytes + 1
    get = worker.ask(Op.GET, [b"a"], entries=1, flags=1)
    scan = worker.ask(Op.SCAN, [encode(ScanRequest())])
    assert worker.status(get) is worker.status(scan) is Status.BUSY
    assert put(worker, KIB) is Status.OK
    worker.unsent.clear()
    assert worker.status(worker.ask(Op.GET, [b"a"], entries=1, flags=1)) is Status.OK


def test_busy_says_when_to_come_back_by_the_rate_of_drains(worker: WorkerDriver) -> None:
    put(worker, 10 * KIB)
    worker.ask(Op.FLUSH)
    worker.now_ns += SECOND_NS
    worker.settle()
    assert memory(worker)["memory"]["drain_bytes_per_second"] == pytest.approx(10 * KIB, rel=0.1)
    header, _ = worker.answer(worker.put({b"a": bytes(60 * KIB)}))
    assert header.status == Status.BUSY
    assert header.duration_ms == 2_000
    worker.ask(Op.FLUSH)
    if worker.jobs:
        worker.handle(JobFailed(worker.jobs.popleft().job, "planted"))


def test_who_comes_back_with_more_than_the_floor_has_it_leased(tmp_path: Path) -> None:
    worker = WorkerDriver(tmp_path, memory=PLAN).serve()
    answer(worker, 900 * KIB)
    for key in (b"a", b"b", b"c"):
        put(worker, 60 * KIB, key)
    again = WorkerDriver(tmp_path, memory=PLAN, epoch=2, create=False).serve()
    assert memory(again)["memory"]["lease"]["allowed"] == memory(again)["memory"]["lease"]["used"] > 180 * KIB
    assert again.status(again.put({b"a": bytes(KIB)}, sequence=99)) is Status.BUSY
