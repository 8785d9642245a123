"""When a worker compacts, and what it reports about it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from shardstore.errors import Corruption
from shardstore.limits import MIB, MILLISECOND_NS, SECOND_NS
from shardstore.seams.effects import JobFailed, Received, Tick
from shardstore.wire.link_names import ROUTER
from shardstore.wire.messages import encode
from shardstore.wire.topology import Change, Order, OrderMessage, Relative
from shardstore.wire.wire_format import Flag, Header, Op, Status
from shardstore.workers.jobs.specs import CompactionKind, CompactSpec, ReleaseSpec
from shardstore.workers.maintenance.kinds.job_slot import RETRY_MAX_NS
from shardstore.workers.maintenance.policies.compaction_policy import DELTAS_MAX
from shardstore.workers.maintenance.policies.drain_pace import DRAIN_PAUSE_NS_MAX, drain_pause_ns
from shardstore.workers.ranges.owned_range import DELTAS_STOP
from tests.unit.worker_driver import WorkerDriver


def flushed(worker: WorkerDriver, pairs: Mapping[bytes, bytes], segment: int) -> None:
    worker.put(pairs, segment=segment)
    while worker.syncs:
        worker.sync()
    worker.ask(Op.FLUSH, segment=segment)
    while worker.jobs and not isinstance(worker.jobs[0].spec, CompactSpec):
        worker.run_job()


def test_stats_tell_which_layers_a_segment_has_and_why_it_was_compacted_last(worker: WorkerDriver) -> None:
    for number in range(DELTAS_MAX):
        flushed(worker, {b"%d" % number: b"v"}, 1)
    worker.settle()
    assert worker.statistics()["jobs"]["last_compaction"].startswith(f"segment 1: {DELTAS_MAX} deltas")
    layers = worker.range_statistics()["layers"]
    assert (layers["deltas"], layers["parts"], layers["bottoms"]) == (0, 1, 0)


def test_a_compaction_that_nobody_asked_for_stays_so_when_it_fails(worker: WorkerDriver) -> None:
    for number in range(DELTAS_MAX):
        flushed(worker, {b"%d" % number: b"v"}, 1)
    failed = worker.jobs.popleft()
    assert failed.spec.kind == CompactionKind.DELTAS
    worker.handle(JobFailed(failed.job, "the process died"))
    worker.now_ns += SECOND_NS
    worker.handle(Tick())
    again = worker.jobs[0].spec
    assert again.kind == CompactionKind.DELTAS
    assert again.seed != failed.spec.seed


def test_a_compaction_that_was_asked_for_comes_before_others(tmp_path: Path) -> None:
    worker = WorkerDriver(tmp_path, boundaries=[b"m"]).serve()
    for number in range(DELTAS_MAX - 1):
        flushed(worker, {b"a%d" % number: b"v"}, 1)
    flushed(worker, {b"z": b"1"}, 2)
    flushed(worker, {b"z": b"2"}, 2)
    worker.put({b"a": b"v"}, segment=1)
    while worker.syncs:
        worker.sync()
    worker.ask(Op.FLUSH, segment=1)
    worker.ask(Op.COMPACT, segment=2)
    compactions = []
    while worker.jobs:
        if isinstance(worker.jobs[0].spec, CompactSpec):
            compactions.append((worker.jobs[0].spec.segment, worker.jobs[0].spec.kind))
        worker.run_job()
    assert compactions == [(2, CompactionKind.EVERYTHING), (1, CompactionKind.DELTAS)]


def test_compactions_of_segments_that_are_always_due_take_turns(tmp_path: Path) -> None:
    worker = WorkerDriver(tmp_path, boundaries=[b"m", b"t"]).serve()
    compacted = []
    while len(compacted) < 6:
        for _ in range(2 * DELTAS_MAX):
            for segment, key in ((1, b"a"), (2, b"n"), (3, b"z")):
                begin_drain(worker, key, segment)
                overtake(worker)
        compacted.append(end_compaction(worker))
    assert compacted == [1, 2, 3, 1, 2, 3]


# ---------------------------------------------------------------- drains that overtake


def begin_compaction(worker: WorkerDriver) -> int:
    """Let only a compaction of segment 1 run; returns the request that waits for it."""
    for value in (b"1", b"2"):
        flushed(worker, {b"a": value}, 1)
    worker.settle()
    asked = worker.ask(Op.COMPACT)
    (job,) = worker.jobs
    assert isinstance(job.spec, CompactSpec)
    worker.begin_job()
    return asked


def end_compaction(worker: WorkerDriver) -> int:
    """The segment whose compaction is running."""
    (at,) = [at for at, job in enumerate(worker.jobs) if isinstance(job.spec, CompactSpec)]
    worker.jobs.rotate(-at)
    segment = int(worker.jobs[0].spec.segment)
    worker.run_job()
    return segment


def begin_drain(worker: WorkerDriver, key: bytes, segment: int = 1) -> int:
    """Write and flush while jobs run; returns the flush, which waits."""
    worker.put({key: b"v"}, segment=segment)
    while worker.syncs:
        worker.sync()
    return worker.ask(Op.FLUSH, segment=segment)


def drain(worker: WorkerDriver, key: bytes, duration_ns: int) -> None:
    """Let a drain next to the compaction take this long, with everything that follows from it."""
    flush = begin_drain(worker, key)
    worker.now_ns += duration_ns
    overtake(worker)
    assert worker.status(flush) is Status.OK


def overtake(worker: WorkerDriver) -> None:
    """End all jobs except the compaction."""
    while not all(isinstance(job.spec, CompactSpec) for job in worker.jobs):
        worker.jobs.rotate(-isinstance(worker.jobs[0].spec, CompactSpec))
        worker.run_job()


def state(worker: WorkerDriver) -> str:
    return str(worker.range_statistics()["state"])


def test_a_drain_overtakes_a_compaction_of_its_segment(worker: WorkerDriver) -> None:
    begin_compaction(worker)
    flush = begin_drain(worker, b"b")
    assert worker.statistics()["jobs"]["running"] == 2
    overtake(worker)
    assert worker.status(flush) is Status.OK
    assert (worker.statistics()["jobs"]["running"], state(worker)) == (1, "MAINTENANCE_RUNNING")
    end_compaction(worker)
    assert state(worker) == "READY"
    layers = worker.range_statistics()["layers"]
    assert (layers["parts"], layers["deltas"]) == (1, 1)
    assert worker.get([b"a", b"b"]) == [b"2", b"v"]


def test_a_compaction_may_end_before_the_drain_that_overtook_it(worker: WorkerDriver) -> None:
    begin_compaction(worker)
    flush = begin_drain(worker, b"b")
    end_compaction(worker)
    assert (state(worker), worker.status(flush)) == ("MAINTENANCE_RUNNING", None)
    worker.settle()
    assert (state(worker), worker.status(flush)) == ("READY", Status.OK)


def test_the_log_is_released_while_a_compaction_runs(worker: WorkerDriver) -> None:
    begin_compaction(worker)
    worker.put({b"b": bytes(2 * MIB)})
    begin_drain(worker, b"c")
    worker.jobs.rotate(-1)
    worker.run_job()
    assert isinstance(worker.jobs[-1].spec, ReleaseSpec)


@pytest.mark.parametrize("first", [0, 1], ids=["compaction first", "drain first"])
def test_damage_that_both_meet_is_told_to_both(worker: WorkerDriver, first: int) -> None:
    begin_compaction(worker)
    compaction, flush = worker.ask(Op.COMPACT), begin_drain(worker, b"b")
    for job in sorted(worker.jobs, key=lambda job: isinstance(job.spec, CompactSpec) == first):
        worker.handle(JobFailed(job.job, "damaged", Corruption("table-1", 7, "damaged")))
    assert state(worker) == "ERROR"
    assert [worker.status(compaction), worker.status(flush)] == [Status.FAILED] * 2


def test_a_compaction_that_fails_after_a_drain_met_damage_is_not_wanted_again(worker: WorkerDriver) -> None:
    asked = begin_compaction(worker)
    begin_drain(worker, b"b")
    drain, compaction = worker.jobs.pop(), worker.jobs.pop()
    worker.handle(JobFailed(drain.job, "damaged", Corruption("table-1", 7, "damaged")))
    worker.handle(JobFailed(compaction.job, "the process died"))
    assert worker.status(asked) is Status.FAILED
    assert not worker.core.service.maintenance._barriers.compactions  # type: ignore[union-attr]


def test_a_compaction_that_ends_well_does_not_hide_the_damage_a_drain_met(worker: WorkerDriver) -> None:
    begin_compaction(worker)
    begin_drain(worker, b"b")
    drain = worker.jobs.pop()
    worker.handle(JobFailed(drain.job, "damaged", Corruption("table-1", 7, "damaged")))
    end_compaction(worker)
    assert state(worker) == "ERROR"
    assert worker.get([b"a", b"b"]) == [b"2", b"v"]


def test_after_a_drain_the_compaction_is_left_alone_for_a_while(worker: WorkerDriver) -> None:
    begin_compaction(worker)
    drain(worker, b"b", 8 * MILLISECOND_NS)
    flush = begin_drain(worker, b"c")
    assert len(worker.jobs) == 1, "only the compaction"
    worker.now_ns += drain_pause_ns(8 * MILLISECOND_NS, deltas=3) - 1
    worker.handle(Tick())
    assert len(worker.jobs) == 1
    worker.now_ns += 1
    worker.handle(Tick())
    overtake(worker)
    assert worker.status(flush) is Status.OK


def test_the_pause_is_not_for_a_parent_that_a_change_waits_for(tmp_path: Path) -> None:
    worker = WorkerDriver(tmp_path, boundaries=[b"m"]).serve()
    begin_compaction(worker)
    drain(worker, b"b", SECOND_NS)
    flush = begin_drain(worker, b"z", segment=2)
    assert len(worker.jobs) == 1, "only the compaction"
    split = Change(1, "split", (Relative(2, b"m", b"", 0, 1),), (Relative(3, b"m", b"t", 0), Relative(4, b"t", b"", 0)))
    orders = OrderMessage(Order(split, {3: 1, 4: 1}, {}, drained=False), b"routes")
    worker.handle(Received(ROUTER, b"", [Header(Op.CHANGE).encode(), encode(orders)]))
    worker.handle(Tick())
    overtake(worker)
    assert worker.status(flush) is Status.OK


def test_when_the_compaction_ends_drains_go_on_at_once(worker: WorkerDriver) -> None:
    begin_compaction(worker)
    drain(worker, b"b", SECOND_NS)
    flush = begin_drain(worker, b"c")
    end_compaction(worker)
    worker.settle()
    assert worker.status(flush) is Status.OK


def test_without_a_compaction_no_drain_waits(worker: WorkerDriver) -> None:
    for key in (b"a", b"b"):
        flush = begin_drain(worker, key)
        worker.now_ns += SECOND_NS
        worker.settle()
        assert worker.status(flush) is Status.OK


def test_very_many_deltas_are_compacted_before_there_are_more(worker: WorkerDriver) -> None:
    begin_compaction(worker)
    for number in range(DELTAS_STOP - 2):
        drain(worker, b"b%d" % number, 0)
    stopped = begin_drain(worker, b"stopped")
    assert len(worker.jobs) == 1
    end_compaction(worker)
    assert worker.range_statistics()["layers"]["deltas"] == DELTAS_STOP - 2
    worker.settle()
    assert worker.status(stopped) is Status.OK
    assert worker.get([b"b0", b"stopped"]) == [b"v", b"v"]


def fail_compaction(worker: WorkerDriver) -> int:
    """Let the compaction fail, and wait until it may be tried again; returns the segment."""
    (job,) = [job for job in worker.jobs if isinstance(job.spec, CompactSpec)]
    worker.jobs.remove(job)
    worker.handle(JobFailed(job.job, "no space left"))
    worker.now_ns += RETRY_MAX_NS
    worker.handle(Tick())
    return int(job.spec.segment)


def test_a_range_whose_compactions_fail_is_drained_all_the_same(worker: WorkerDriver) -> None:
    begin_compaction(worker)
    fail_compaction(worker)
    for number in range(DELTAS_STOP + 1):
        drain(worker, b"b%d" % number, 0)
    assert worker.range_statistics()["layers"]["deltas"] > DELTAS_STOP


@pytest.mark.parametrize("flags", [0, Flag.NO_WAIT])
def test_a_compaction_that_fails_again_and_again_keeps_no_other_segment_waiting(tmp_path: Path, flags: int) -> None:
    worker = WorkerDriver(tmp_path, boundaries=[b"m"]).serve()
    begin_compaction(worker)
    worker.ask(Op.COMPACT, flags=flags)
    fail_compaction(worker)
    for number in range(2 * DELTAS_MAX):
        begin_drain(worker, b"z%d" % number, segment=2)
        overtake(worker)
    assert [fail_compaction(worker) for _ in range(4)] == [1, 2, 1, 2]


def test_a_pause_is_bounded() -> None:
    assert drain_pause_ns(DRAIN_PAUSE_NS_MAX, DELTAS_STOP) == DRAIN_PAUSE_NS_MAX
