"""When a worker compacts, and what it tells of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from shardstore.effects import JobFailed, Tick
from shardstore.limits import SECOND_NS
from shardstore.messages import Statistics, decode
from shardstore.wire_format import Op
from tests.unit.worker_driver import WorkerDriver
from workers.jobs.specs import CompactionKind, CompactSpec
from workers.maintenance.compaction_policy import DELTAS_MAX


@pytest.fixture
def worker(tmp_path: Path) -> WorkerDriver:
    return WorkerDriver(tmp_path).serve()


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
    _, frames = worker.answer(worker.ask(Op.STATS))
    figures = decode(Statistics, frames[1]).figures
    assert figures["jobs"]["last_compaction"].startswith(f"segment 1: {DELTAS_MAX} deltas")
    layers = figures["ranges"][0]["layers"]
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


def test_drains_that_are_always_due_do_not_keep_a_compaction_waiting(worker: WorkerDriver) -> None:
    kinds = []
    for number in range(3 * DELTAS_MAX):
        worker.put({b"%d" % number: b"v"})
        while worker.syncs:
            worker.sync()
        worker.ask(Op.FLUSH)
        kinds.append(type(worker.jobs[0].spec))
        worker.put({b"x%d" % number: b"v"})
        while worker.syncs:
            worker.sync()
        worker.ask(Op.FLUSH)  # so that a drain is due when the job ends
        worker.run_job()
    assert CompactSpec in kinds
