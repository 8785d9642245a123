"""Drains of a segment that run between two slices of its compaction."""

from __future__ import annotations

from itertools import count, islice

import pytest

from shardstore.limits import KIB
from shardstore.segment_options import SegmentOptions
from shardstore.workers.jobs.output import Numbers
from shardstore.workers.jobs.run import run
from shardstore.workers.jobs.specs import CompactionKind, CompactResult
from tests.unit.faulty_filesystem import FaultyFilesystem
from tests.unit.job_driver import JobDriver, job_result

OPTIONS = SegmentOptions(block_bytes=KIB, part_min_bytes=2 * KIB, part_max_bytes=6 * KIB, main_max_bytes=40 * KIB)
SLICES_MIN = 10
KINDS = pytest.mark.parametrize("kind", list(CompactionKind))


def numbered(first: int, behind: int, value: bytes, step: int = 1) -> dict[bytes, bytes]:
    return {b"key-%05d" % number: value * 3 for number in range(first, behind, step)}


def drained(worker: JobDriver, entries: dict[bytes, bytes]) -> None:
    worker.put(1, entries)
    worker.drain()


def layered() -> JobDriver:
    """Segment 1 has two bottom mains, a main and two deltas, some of whose entries hide others."""
    worker = JobDriver(FaultyFilesystem(), options=OPTIONS)
    for value in (b"oldest", b"older"):
        drained(worker, numbered(0, 4000, value))
        worker.compact(1, CompactionKind.DELTAS)
    drained(worker, numbered(0, 500, b"main"))
    worker.compact(1, CompactionKind.DELTAS)
    drained(worker, numbered(300, 900, b"delta"))
    worker.delete(1, list(numbered(0, 4000, b"", step=7)))
    worker.drain()
    manifest = worker.manifest(1)
    assert (len(manifest.bottoms), bool(manifest.main), len(manifest.deltas)) == (2, True, 2)
    return worker


def overtake(worker: JobDriver) -> None:
    """A drain of values, and a drain of tombstones only."""
    drained(worker, numbered(200, 4100, b"overtaking", step=3))
    worker.delete(1, list(numbered(100, 4100, b"", step=5)))
    worker.drain()


@KINDS
def test_what_drains_publish_meanwhile_stays_above_what_the_compaction_makes(kind: CompactionKind) -> None:
    for slices in count(1, 5):
        worker = layered()
        compaction = run(worker.compact_spec(1, kind), worker.filesystem, OPTIONS)
        if len(list(islice(compaction, slices))) < slices:
            break
        overtake(worker)
        overtaking = worker.manifest(1).deltas[-2:]
        result = job_result(compaction)
        assert isinstance(result, CompactResult)
        manifest = worker.manifest(1)
        assert result.manifest == manifest.without_window()
        assert manifest.deltas[-2:] == overtaking
        assert len(manifest.deltas) == (4 if kind is CompactionKind.BOTTOMS else 2)
        assert worker.stored_alive(1) == worker.alive(1)
    assert slices > SLICES_MIN, "no drain overtook the compaction"


@KINDS
def test_a_compaction_that_died_is_run_again_over_what_was_drained_meanwhile(kind: CompactionKind) -> None:
    worker = layered()
    died = run(worker.compact_spec(1, kind), worker.filesystem, OPTIONS)
    assert len(list(islice(died, SLICES_MIN))) == SLICES_MIN
    overtake(worker)
    died.close()
    worker.compact(1, kind)
    assert worker.stored_alive(1) == worker.alive(1)


def test_no_table_of_a_drain_has_a_number_that_a_compaction_could_take() -> None:
    for number in range(1, 10):
        ours, theirs = (numbers.first_from(number) for numbers in Numbers)
        assert {ours, theirs} == {number, number + 1}
        assert (ours - theirs) % len(Numbers)
