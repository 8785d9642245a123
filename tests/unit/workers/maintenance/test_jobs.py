"""Drains, compactions and releases ordered by the worker core, and their ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from shardstore.errors import Corruption
from shardstore.limits import SECOND_NS
from shardstore.seams.effects import JobFailed, Tick
from shardstore.wire.messages import ScanRequest
from shardstore.wire.wire_format import Op, Status
from tests.unit.worker_driver import WorkerDriver, refusal, reopened, scan_all

MEBIBYTE = 1 << 20


def test_flush_is_answered_when_tables_hold_everything_and_the_log_is_released(worker: WorkerDriver) -> None:
    worker.put({b"k%07d" % number: b"v" * 1000 for number in range(2000)})
    worker.settle()
    sequence = worker.ask(Op.FLUSH)
    assert worker.status(sequence) is None
    worker.settle()
    assert worker.status(sequence) is Status.OK
    logs = list((worker.root / "workers/0000").glob("wal-*.log"))
    assert sum(log.stat().st_size for log in logs) < MEBIBYTE
    assert reopened(worker).get([b"k%07d" % 1999]) == [b"v" * 1000]


def test_flush_of_nothing_is_answered_at_once(worker: WorkerDriver) -> None:
    assert worker.status(worker.ask(Op.FLUSH)) is Status.OK
    assert not worker.jobs


def test_compact_leaves_one_table_without_deleted_keys(worker: WorkerDriver) -> None:
    for number in range(3):
        worker.put({b"%d" % number: b"v", b"same": b"%d" % number})
        worker.delete([b"0"]) if number == 2 else None
        worker.settle()
        worker.ask(Op.FLUSH)
        worker.settle()
    sequence = worker.ask(Op.COMPACT)
    worker.settle()
    assert worker.status(sequence) is Status.OK
    assert len(list((worker.root / "segments/00000001").glob("table-*.sst"))) == 1
    assert scan_all(worker, ScanRequest()) == [(b"1", b"v"), (b"2", b"v"), (b"same", b"2")]


@pytest.mark.fault("W5")
def test_failed_job_is_tried_again_later_and_loses_nothing(worker: WorkerDriver) -> None:
    worker.put({b"a": b"1"})
    worker.settle()
    sequence = worker.ask(Op.FLUSH)
    worker.handle(JobFailed(worker.jobs.popleft().job, "no space left"))
    assert worker.status(sequence) is Status.BUSY, "the waiting caller gets the error, and asks again"
    sequence = worker.ask(Op.FLUSH)
    assert not worker.jobs, "not before the delay is over"
    assert worker.get([b"a"]) == [b"1"]
    worker.now_ns += SECOND_NS
    worker.handle(Tick())
    worker.settle()
    assert worker.status(sequence) is Status.OK


def test_failed_release_removes_the_same_files_later(worker: WorkerDriver) -> None:
    worker.put({b"k%07d" % number: b"v" * 1000 for number in range(2000)})
    worker.settle()
    worker.ask(Op.FLUSH)
    worker.run_job()
    release = worker.jobs.popleft()
    assert release.spec.paths
    worker.handle(JobFailed(release.job, "the process died"))
    worker.now_ns += SECOND_NS
    worker.handle(Tick())
    worker.settle()
    assert not [path for path in release.spec.paths if (worker.root / path).exists()]


def test_compaction_that_failed_is_told_to_everybody_who_waits(worker: WorkerDriver) -> None:
    for number in range(2):
        worker.put({b"%d" % number: b"v"})
        worker.settle()
        worker.ask(Op.FLUSH)
        worker.settle()
    asked = [worker.ask(Op.COMPACT), worker.ask(Op.COMPACT)]
    worker.handle(JobFailed(worker.jobs.popleft().job, "the process died"))
    assert [worker.status(sequence) for sequence in asked] == [Status.BUSY, Status.BUSY]
    asked = [worker.ask(Op.COMPACT), worker.ask(Op.COMPACT)]
    worker.now_ns += SECOND_NS
    worker.handle(Tick())
    worker.settle()
    assert [worker.status(sequence) for sequence in asked] == [Status.OK, Status.OK]


def test_damage_met_by_a_job_is_told_to_who_waits_and_spares_other_ranges(tmp_path: Path) -> None:
    worker = WorkerDriver(tmp_path, boundaries=[b"m"]).serve()
    worker.put({b"a": b"1"}, segment=1)
    worker.put({b"z": b"2"}, segment=2)
    worker.settle()
    flushes = [worker.ask(Op.FLUSH, segment=segment) for segment in (1, 2)]
    assert [drain.segment for drain in worker.jobs[0].spec.drains] == [1]
    worker.handle(JobFailed(worker.jobs.popleft().job, "damaged", Corruption("table-1", 7, "damaged")))
    worker.now_ns += SECOND_NS
    worker.handle(Tick())
    worker.settle()
    assert [worker.status(sequence) for sequence in flushes] == [Status.FAILED, Status.OK]
    told = refusal(worker, flushes[0])
    assert (told.file, told.offset, told.what) == ("table-1", 7, "damaged")
    assert worker.status(worker.ask(Op.FLUSH, segment=1)) is Status.FAILED, "later ones do not wait in vain"
    assert worker.get([b"a"]) == [b"1"]


def test_many_drains_lead_to_a_compaction(worker: WorkerDriver) -> None:
    for number in range(9):
        worker.put({b"%d" % number: b"v"})
        worker.settle()
        worker.ask(Op.FLUSH)
        worker.settle()
    assert len(list((worker.root / "segments/00000001").glob("table-*.sst"))) < 8
    assert len(scan_all(worker, ScanRequest())) == 9
