"""Parts of a job: one after the other and side by side they come to the same."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from threading import Barrier

import pytest

from shardstore.errors import Corruption
from shardstore.posix_filesystem import PosixFilesystem
from shardstore.workers.jobs.drain import drain
from shardstore.workers.jobs.parts import Part, RunParts, one_after_the_other
from shardstore.workers.maintenance.side_by_side import PARTS, THREADS, side_by_side
from tests.unit.job_driver import JobDriver, job_result

BOTH = pytest.mark.parametrize("run_parts", [one_after_the_other, side_by_side])


def counting(slices: int, failure: Exception | None = None) -> Part[int]:
    for _ in range(slices):
        yield None
    if failure:
        raise failure
    return slices


@BOTH
def test_outcomes_have_the_order_of_the_parts(run_parts: RunParts) -> None:
    slices = [9, 0, 5, 1]
    assert job_result(run_parts(list(map(counting, slices)))) == slices
    assert job_result(run_parts([counting(3)])) == [3]
    assert job_result(run_parts([])) == []


@BOTH
def test_the_first_failure_is_raised(run_parts: RunParts) -> None:
    failures = [Corruption("a", 0, "first"), Corruption("b", 0, "second")]
    with pytest.raises(Corruption, match="first"):
        job_result(run_parts([counting(1), counting(20, failures[0]), counting(0, failures[1])]))


def test_every_slice_is_one_of_the_job() -> None:
    assert sum(1 for _ in side_by_side([counting(9), counting(0), counting(5)])) == 9 + 0 + 5
    assert sum(1 for _ in one_after_the_other([counting(9), counting(0), counting(5)])) == 9 + 0 + 5


@BOTH
def test_a_part_goes_on_behind_what_it_waits_for(run_parts: RunParts) -> None:
    def waiting(number: int) -> Part[list[str]]:
        seen: list[str] = []
        for wait in range(number):
            yield partial(seen.append, f"wait {wait}")
            seen.append(f"behind wait {wait}")
        return seen

    outcomes = job_result(run_parts(list(map(waiting, range(2 * PARTS)))))
    assert outcomes[0] == []
    assert outcomes[2] == ["wait 0", "behind wait 0", "wait 1", "behind wait 1"]
    assert [len(seen) for seen in outcomes] == [2 * number for number in range(2 * PARTS)]


@BOTH
def test_a_part_may_catch_what_fails_while_it_waits(run_parts: RunParts) -> None:
    def fail() -> None:
        raise Corruption("a", 0, "while it waits")

    def catching() -> Part[str]:
        try:
            yield fail
        except Corruption as error:
            yield None
            return str(error)
        return "nothing failed"

    def failing() -> Part[str]:
        yield fail
        return "nothing failed"

    assert job_result(run_parts([catching(), catching()])) == [str(Corruption("a", 0, "while it waits"))] * 2
    with pytest.raises(Corruption, match="while it waits"):
        job_result(run_parts([catching(), failing()]))


def test_parts_wait_at_the_same_time() -> None:
    everybody = Barrier(THREADS)

    def meeting() -> Part[bool]:
        yield partial(everybody.wait, timeout=60)
        return True

    assert job_result(side_by_side([meeting() for _ in range(THREADS)])) == [True] * THREADS


def test_only_so_many_parts_are_on_their_way_together() -> None:
    on_their_way = 0
    most = 0

    def part() -> Part[None]:
        nonlocal on_their_way, most
        on_their_way += 1
        most = max(most, on_their_way)
        yield lambda: None
        on_their_way -= 1

    job_result(side_by_side([part() for _ in range(3 * PARTS)]))
    assert most == PARTS


def test_a_drain_of_many_segments_publishes_the_same_side_by_side(tmp_path: Path) -> None:
    segments = tuple(range(1, 30))
    content = {segment: {os.urandom(8): b"%d" % segment for _ in range(segment)} for segment in segments}
    results = []
    for number, run_parts in enumerate((one_after_the_other, side_by_side)):
        root = tmp_path / str(number)
        root.mkdir()
        worker = JobDriver(PosixFilesystem(str(root)), segments)
        for segment in segments:
            worker.put(segment, content[segment])
        worker.sync()
        results.append(job_result(drain(worker.drain_spec(*segments), worker.filesystem, worker.options, run_parts)))
        for segment in segments:
            assert worker.stored_alive(segment) == content[segment]
    assert results[0] == results[1]
