"""Tasks of a job give the same result one after the other and in parallel."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from threading import Barrier

import pytest

from shardstore.errors import Corruption
from shardstore.system.posix_filesystem import PosixFilesystem
from shardstore.workers.jobs.drain import drain
from shardstore.workers.jobs.tasks import RunTasks, one_after_the_other
from shardstore.workers.maintenance.side_by_side import THREADS, side_by_side
from tests.unit.job_driver import JobDriver, job_result

BOTH = pytest.mark.parametrize("run_tasks", [one_after_the_other, side_by_side])


def counting(slices: int, failure: Exception | None = None) -> Generator[None, None, int]:
    for _ in range(slices):
        yield
    if failure:
        raise failure
    return slices


@BOTH
def test_outcomes_have_the_order_of_the_tasks(run_tasks: RunTasks) -> None:
    slices = [9, 0, 5, 1]
    assert job_result(run_tasks(list(map(counting, slices)))) == slices
    assert job_result(run_tasks([counting(3)])) == [3]
    assert job_result(run_tasks([])) == []


@BOTH
def test_the_first_failure_is_raised(run_tasks: RunTasks) -> None:
    failures = [Corruption("a", 0, "first"), Corruption("b", 0, "second")]
    with pytest.raises(Corruption, match="first"):
        job_result(run_tasks([counting(1), counting(20, failures[0]), counting(0, failures[1])]))


def test_every_slice_is_one_of_the_job() -> None:
    assert sum(1 for _ in side_by_side([counting(9), counting(0), counting(5)])) == 9 + 0 + 5 + 3


def test_parts_run_at_the_same_time() -> None:
    everybody = Barrier(THREADS)

    def meeting() -> Generator[None, None, bool]:
        everybody.wait(timeout=60)
        yield
        return True

    assert job_result(side_by_side([meeting() for _ in range(THREADS)])) == [True] * THREADS


def test_a_drain_of_many_segments_publishes_the_same_side_by_side(tmp_path: Path) -> None:
    segments = tuple(range(1, 30))
    content = {segment: {os.urandom(8): b"%d" % segment for _ in range(segment)} for segment in segments}
    results = []
    for number, run_tasks in enumerate((one_after_the_other, side_by_side)):
        root = tmp_path / str(number)
        root.mkdir()
        worker = JobDriver(PosixFilesystem(str(root)), segments)
        for segment in segments:
            worker.put(segment, content[segment])
        worker.sync()
        results.append(job_result(drain(worker.drain_spec(*segments), worker.filesystem, worker.options, run_tasks)))
        for segment in segments:
            assert worker.stored_alive(segment) == content[segment]
    assert results[0] == results[1]
