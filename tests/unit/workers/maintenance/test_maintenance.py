"""Maintenance as a caller sees it: waiting or not, states of segments, and statistics of the work done."""

from __future__ import annotations

from pathlib import Path

import pytest

from shardstore.errors import Corruption
from shardstore.limits import SECOND_NS
from shardstore.seams.effects import JobFailed, StopRequested, Tick
from shardstore.wire.messages import Refusal, decode
from shardstore.wire.wire_format import Flag, Op, Status
from shardstore.workers.maintenance.kinds import compactions
from shardstore.workers.segment.state import SegmentState
from tests.unit.worker_driver import WorkerDriver

OPERATIONS = pytest.mark.parametrize("op", [Op.FLUSH, Op.COMPACT])


def put(worker: WorkerDriver, *keys: bytes) -> None:
    worker.put(dict.fromkeys(keys, b"value"))
    worker.settle()


def flush(worker: WorkerDriver) -> None:
    sequence = worker.ask(Op.FLUSH)
    worker.settle()
    assert worker.status(sequence) is Status.OK


# ---------------------------------------------------------------- waiting or not


@OPERATIONS
def test_who_does_not_wait_is_answered_when_it_is_accepted(worker: WorkerDriver, op: Op) -> None:
    put(worker, b"a")
    assert worker.status(worker.ask(op, flags=Flag.NO_WAIT)) is Status.OK
    assert len(worker.jobs) == 1
    worker.settle()
    assert worker.range_statistics()["layers"]["table_entries"] == 1


def test_who_does_not_wait_gets_the_whole_compaction(worker: WorkerDriver) -> None:
    for key in (b"a", b"b"):
        put(worker, key)
        flush(worker)
    assert worker.range_statistics()["tables"] == 2
    worker.ask(Op.COMPACT, flags=Flag.NO_WAIT)
    worker.settle()
    assert worker.range_statistics()["tables"] == 1


@OPERATIONS
@pytest.mark.parametrize("running", [Op.FLUSH, Op.COMPACT])
@pytest.mark.parametrize("waited_for", [False, True])
def test_who_does_not_wait_is_refused_while_one_runs(
    worker: WorkerDriver, op: Op, running: Op, waited_for: bool
) -> None:
    put(worker, b"a")
    first = worker.ask(running, flags=0 if waited_for else Flag.NO_WAIT)
    second = worker.ask(op, flags=Flag.NO_WAIT)
    header, frames = worker.answer(second)
    assert header.status == Status.BUSY
    assert decode(Refusal, frames[1]).what == "a flush or compaction of segment 1 runs"
    worker.settle()
    assert worker.status(first) is Status.OK
    assert worker.status(worker.ask(op, flags=Flag.NO_WAIT)) is Status.OK


@OPERATIONS
def test_what_the_worker_does_by_itself_refuses_nobody(worker: WorkerDriver, op: Op) -> None:
    put(worker, b"a")
    worker.core.service.maintenance.sealer.seal_largest(1)
    worker.handle(Tick())
    assert len(worker.jobs) == 1, "a drain without a request"
    worker.put({b"b": b"later"})
    worker.sync()
    assert worker.status(worker.ask(op, flags=Flag.NO_WAIT)) is Status.OK
    worker.settle()
    assert worker.range_statistics()["layers"]["table_entries"] == 2


def test_who_waits_has_its_turn_after_the_one_that_runs(worker: WorkerDriver) -> None:
    put(worker, b"a")
    first = worker.ask(Op.COMPACT)
    worker.put({b"b": b"2"})
    worker.sync()
    second = worker.ask(Op.COMPACT)
    worker.settle()
    assert [worker.status(first), worker.status(second)] == [Status.OK, Status.OK]
    layers = worker.range_statistics()["layers"]
    assert (layers["parts"], layers["deltas"], layers["table_entries"]) == (1, 0, 2)


@pytest.mark.parametrize("flags", [0, Flag.NO_WAIT])
def test_nothing_to_flush_is_no_job_and_no_new_version(worker: WorkerDriver, flags: int) -> None:
    put(worker, b"a")
    flush(worker)
    version = worker.range_statistics()["layers"]["version"]
    assert worker.status(worker.ask(Op.FLUSH, flags=flags)) is Status.OK
    assert not worker.jobs
    assert worker.range_statistics()["layers"]["version"] == version


def test_a_flush_does_not_look_at_all_ranges_for_what_to_compact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A FLUSH of a store of many ranges is one request for each of them."""
    worker = WorkerDriver(tmp_path, boundaries=[b"%02d" % at for at in range(1, 20)]).serve()
    worker.settle()
    looks: list[int] = []
    monkeypatch.setattr(compactions, "due_compaction", lambda *args: looks.append(1))
    worker.put({b"00k": b"v"})
    asked = [worker.ask(Op.FLUSH, segment=segment) for segment in range(1, 21)]
    worker.handle(Tick())
    assert len(looks) <= 1
    worker.settle()
    assert {worker.status(sequence) for sequence in asked} == {Status.OK}
    assert len(looks) <= 4, "after each job"


def test_nothing_to_compact_is_no_new_version(worker: WorkerDriver) -> None:
    put(worker, b"a")
    found = []
    for _ in range(2):
        sequence = worker.ask(Op.COMPACT)
        worker.settle()
        assert worker.status(sequence) is Status.OK
        found.append(worker.range_statistics())
    assert found[0]["layers"] == found[1]["layers"]
    assert found[0]["compactions"]["written_bytes"] == found[1]["compactions"]["written_bytes"]


# ---------------------------------------------------------------- states


def test_state_follows_the_jobs_of_a_segment(tmp_path: Path) -> None:
    worker = WorkerDriver(tmp_path, boundaries=[b"m"]).serve()
    put(worker, b"a")
    assert worker.range_statistics()["state"] == "READY"
    worker.ask(Op.FLUSH)
    assert [owned["state"] for owned in worker.statistics()["ranges"]] == ["MAINTENANCE_RUNNING", "READY"]
    worker.run_job()
    assert worker.range_statistics()["state"] == "READY"


@pytest.mark.fault("W6")
def test_failed_job_leaves_its_reason_until_one_ends_well(worker: WorkerDriver) -> None:
    put(worker, b"a")
    worker.ask(Op.FLUSH)
    worker.handle(JobFailed(worker.jobs.popleft().job, "no space left"))
    found = worker.range_statistics()
    assert (found["state"], found["last_failure"], found["failure"]) == ("READY", "no space left", "")
    assert found["drains"]["failed"] == 1
    worker.now_ns += SECOND_NS
    worker.handle(Tick())
    worker.settle()
    found = worker.range_statistics()
    assert (found["last_failure"], found["drains"]["finished"], found["drains"]["failed"]) == ("", 1, 1)


@pytest.mark.parametrize("op", [Op.FLUSH, Op.COMPACT])
def test_who_waits_for_a_job_that_failed_is_told_why_and_asks_again(worker: WorkerDriver, op: Op) -> None:
    put(worker, b"a")
    sequence = worker.ask(op)
    worker.handle(JobFailed(worker.jobs.popleft().job, "disk full"))
    assert worker.status(sequence) is Status.BUSY
    again = worker.ask(op)
    worker.now_ns += SECOND_NS
    worker.handle(Tick())
    worker.settle()
    assert worker.status(again) is Status.OK


def test_what_nobody_waits_for_is_done_after_a_failure_all_the_same(worker: WorkerDriver) -> None:
    put(worker, b"a")
    worker.ask(Op.COMPACT, flags=Flag.NO_WAIT)
    worker.run_job()
    worker.handle(JobFailed(worker.jobs.popleft().job, "disk full"))
    worker.now_ns += SECOND_NS
    worker.handle(Tick())
    worker.settle()
    assert worker.range_statistics()["compactions"]["finished"] == 1


@pytest.mark.fault("W6")
def test_damage_is_an_error_for_good(worker: WorkerDriver) -> None:
    put(worker, b"a")
    sequence = worker.ask(Op.COMPACT, flags=Flag.NO_WAIT)
    worker.handle(JobFailed(worker.jobs.popleft().job, "damaged", Corruption("table-1", 7, "damaged")))
    assert worker.status(sequence) is Status.OK, "it was accepted"
    found = worker.range_statistics()
    assert (found["state"], found["failure"]) == ("ERROR", "table-1 at byte 7: damaged")
    assert worker.status(worker.ask(Op.COMPACT, flags=Flag.NO_WAIT)) is Status.FAILED
    assert worker.get([b"a"]) == [b"value"]


def test_damage_at_the_opening_is_an_error(worker: WorkerDriver) -> None:
    put(worker, b"a")
    flush(worker)
    (worker.root / "segments/00000001/MANIFEST").write_bytes(b"")
    worker = WorkerDriver(worker.root, epoch=2, create=False).serve()
    assert worker.range_statistics()["state"] == "ERROR"


def test_stop_closes_every_segment(tmp_path: Path) -> None:
    worker = WorkerDriver(tmp_path, boundaries=[b"m"]).serve()
    put(worker, b"a")
    worker.ask(Op.FLUSH)
    job = worker.jobs.popleft()
    worker.handle(StopRequested())
    assert worker.stopped is not None
    assert [owned.state for owned in worker.core._ranges.values()] == [SegmentState.CLOSED] * 2
    worker.handle(JobFailed(job.job, "too late"))
    assert [owned.state for owned in worker.core._ranges.values()] == [SegmentState.CLOSED] * 2


# ---------------------------------------------------------------- statistics


def test_layers_count_entries_and_bytes(worker: WorkerDriver) -> None:
    put(worker, b"a", b"b")
    layers = worker.range_statistics()["layers"]
    assert (layers["active_entries"], layers["run_entries"], layers["table_entries"]) == (2, 0, 0)
    assert layers["active_bytes"] == worker.range_statistics()["overlay_bytes"] > 0
    worker.ask(Op.FLUSH)
    layers = worker.range_statistics()["layers"]
    assert (layers["active_entries"], layers["run_entries"], layers["table_entries"]) == (0, 2, 0)
    assert layers["run_bytes"] == worker.range_statistics()["overlay_bytes"] > 0
    worker.settle()
    layers = worker.range_statistics()["layers"]
    assert (layers["active_entries"], layers["run_entries"], layers["table_entries"]) == (0, 0, 2)
    assert layers["delta_bytes"] == worker.range_statistics()["file_bytes"] > 0


def test_amplifications(worker: WorkerDriver) -> None:
    found = worker.range_statistics()
    assert [found[f"{name}_amplification"] for name in ("write", "read", "space")] == [None, None, None]
    for _ in range(3):
        put(worker, b"a", b"b")
        flush(worker)
    found = worker.range_statistics()
    assert found["drains"]["read_bytes"] == 3 * 2 * len(b"avalue")
    assert (found["drains"]["entries_in"], found["drains"]["entries_out"]) == (6, 6)
    assert found["write_amplification"] == round(found["file_bytes"] / found["drains"]["read_bytes"], 3)
    assert found["space_amplification"] == 3
    worker.get([b"a"])
    worker.get([b"absent"])
    found = worker.range_statistics()
    assert found["read_amplification"] == (1 + 4) / 2, "three deltas and the slot of the main"
    worker.ask(Op.COMPACT)
    worker.settle()
    before, found = found, worker.range_statistics()
    compactions = found["compactions"]
    assert (compactions["read_bytes"], compactions["written_bytes"]) == (before["file_bytes"], found["file_bytes"])
    assert (compactions["entries_in"], compactions["entries_out"], compactions["carried_bytes"]) == (6, 2, 0)
    assert found["space_amplification"] == 1


def test_durations_of_jobs_are_summed_up(worker: WorkerDriver) -> None:
    for number in range(2):
        put(worker, b"%d" % number)
        worker.ask(Op.FLUSH)
        worker.now_ns += 7 * SECOND_NS
        worker.settle()
    assert worker.range_statistics()["drains"]["duration_ns"] == 14 * SECOND_NS


def test_figures_of_all_ranges_are_summed_up(tmp_path: Path) -> None:
    worker = WorkerDriver(tmp_path, boundaries=[b"m"]).serve()
    worker.put({b"a": b"1"}, segment=1)
    worker.put({b"z": b"22"}, segment=2)
    worker.settle()
    for segment in (1, 2):
        worker.ask(Op.FLUSH, segment=segment)
    worker.settle()
    found = worker.statistics()
    assert found["sum"]["drains"]["finished"] == 2
    assert found["sum"]["drains"]["read_bytes"] == 5
    assert found["sum"]["file_bytes"] == sum(owned["file_bytes"] for owned in found["ranges"])
