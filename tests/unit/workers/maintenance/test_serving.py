"""The loop of the maintenance process, run in the test: jobs arrive on its socket, and some overtake a compaction."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import nullcontext
from threading import Thread

import pytest

from shardstore.errors import DiskFull, StorageFailure
from shardstore.limits import KIB
from shardstore.segment_options import SegmentOptions
from shardstore.workers.jobs.specs import CompactionKind, CompactResult, DrainResult, Spec, decode_result, encode_spec
from shardstore.workers.maintenance.__main__ import run_jobs
from shardstore.workers.maintenance.channel import ChannelClosed, JobEnd, has_message, receive, send
from tests.unit.faulty_filesystem import FaultyFilesystem
from tests.unit.job_driver import JobDriver

OPTIONS = SegmentOptions(block_bytes=KIB, part_min_bytes=2 * KIB, part_max_bytes=6 * KIB, main_max_bytes=400 * KIB)
COMPACTION, DRAIN = 7, 8


@pytest.fixture
def channel() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def fill(worker: JobDriver, first: int) -> None:
    worker.put(1, {b"key-%06d" % number: b"value" for number in range(first, 20_000, 2)})
    worker.sync()


def test_a_drain_overtakes_a_compaction(channel: tuple[socket.socket, socket.socket]) -> None:
    filesystem = FaultyFilesystem()
    worker = JobDriver(filesystem, options=OPTIONS)
    for first in (0, 1):
        fill(worker, first)
        worker.drain()
    fill(worker, 0)
    ours, theirs = channel
    specs: dict[int, Spec] = {
        COMPACTION: worker.compact_spec(1, CompactionKind.DELTAS),
        DRAIN: worker.drain_spec(1),
    }

    def send_drain(number: int, operation: str, path: str) -> None:
        if operation == "append":  # the compaction is under way
            filesystem.fault = lambda number, operation, path: None
            send(ours, DRAIN, encode_spec(specs[DRAIN]))

    filesystem.fault = send_drain
    send(ours, COMPACTION, encode_spec(specs[COMPACTION]))
    thread = Thread(target=run_jobs, args=(theirs, filesystem, OPTIONS, -1))
    thread.start()
    ended = []
    for _ in specs:
        job, answer = receive(ours)
        assert answer[0] == JobEnd.FINISHED
        ended.append((job, decode_result(specs[job], answer[1:])))
    ours.shutdown(socket.SHUT_RDWR)
    thread.join()
    (first, drained), (second, compacted) = ended
    assert (first, second) == (DRAIN, COMPACTION)
    assert isinstance(drained, DrainResult)
    assert isinstance(compacted, CompactResult)
    assert compacted.manifest.deltas == drained.manifests[0].deltas[-1:]
    assert worker.stored_alive(1) == worker.alive(1)


@pytest.mark.parametrize(
    ("failing", "failure"), [("sync_directory", StorageFailure("cannot sync")), ("append", DiskFull("disk full"))]
)
def test_it_ends_after_a_failure_that_is_final_for_it(
    channel: tuple[socket.socket, socket.socket], failing: str, failure: StorageFailure
) -> None:
    filesystem = FaultyFilesystem()
    worker = JobDriver(filesystem, options=OPTIONS)
    fill(worker, 0)
    ours, theirs = channel

    def fail_once(number: int, operation: str, path: str) -> None:
        if operation == failing:
            filesystem.fault = lambda number, operation, path: None
            raise failure

    filesystem.fault = fail_once
    spec = worker.drain_spec(1)
    for job in (1, 2):
        send(ours, job, encode_spec(spec))
    ours.shutdown(socket.SHUT_WR)
    may_go_on = isinstance(failure, DiskFull)
    with nullcontext() if may_go_on else pytest.raises(StorageFailure, match="cannot sync"):
        run_jobs(theirs, filesystem, OPTIONS, -1)
    job, answer = receive(ours)
    assert (job, answer) == (1, bytes([JobEnd.FAILED]) + str(failure).encode())
    assert has_message(ours) == may_go_on


def test_whether_a_message_is_there(channel: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = channel
    assert not has_message(theirs)
    send(ours, 1, b"body")
    assert has_message(theirs)
    assert has_message(theirs), "checking consumes nothing"
    assert receive(theirs) == (1, b"body")
    assert not has_message(theirs)
    ours.close()
    assert has_message(theirs), "so that the reader sees the end"
    with pytest.raises(ChannelClosed):
        receive(theirs)
