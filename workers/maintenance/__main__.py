"""python -P -m shardstore.workers.maintenance '{"data": ...}': the process that runs a worker's jobs.

A job reads files and writes files. Other jobs overtake a compaction: each of them runs, from start to end, between two
slices of the compaction. The process holds the worker's job lock, so that a restarted worker knows when the jobs of its
predecessor have ended. It dies with its worker.

It also ends after a job that the operating system failed, unless only room was missing: a failed sync is final for the
process that saw it, so its next jobs would fail too. Its worker starts another one, which writes all files anew.
"""

from __future__ import annotations

import gc
import os
import socket
import sys
from collections.abc import Generator
from contextlib import suppress
from typing import TypeAlias

from shardstore.errors import Corruption, NotWritable, ShardstoreError, StorageFailure, Unavailable
from shardstore.files.file_names import jobs_lock
from shardstore.options import MaintenanceOptions, from_argument
from shardstore.seams.filesystem import Filesystem
from shardstore.segment_options import SegmentOptions
from shardstore.system.posix_filesystem import PosixFilesystem
from shardstore.system.process import end_with_parent, heed_signals, refuse_optimised_python, show_life
from shardstore.workers.jobs.run import run
from shardstore.workers.jobs.specs import CompactSpec, Spec, decode_spec, encode_result
from shardstore.workers.maintenance.channel import ChannelClosed, JobEnd, encode_damage, has_message, receive, send
from shardstore.workers.maintenance.side_by_side import side_by_side

Job: TypeAlias = Generator[bytes | None, None, None]


def main() -> None:
    """Run jobs until the worker has ended. A failure is one line on standard error, and exit code 1."""
    refuse_optimised_python()
    heed_signals()
    end_with_parent()
    try:
        options = from_argument(MaintenanceOptions, " ".join(sys.argv[1:]))
        filesystem = PosixFilesystem(options.data, options.identity)
        lock = filesystem.lock(jobs_lock(options.worker))
        if lock is None:
            raise Unavailable(f"another process runs the jobs of worker {options.worker}")
        gc.freeze()
        with socket.socket(fileno=options.jobs_fd) as channel:
            run_jobs(channel, filesystem, options.segments, options.life_fd)
    except ShardstoreError as error:
        sys.exit(f"maintenance: {error}")


def run_jobs(channel: socket.socket, filesystem: Filesystem, options: SegmentOptions, life_fd: int) -> None:
    """Run the jobs that the channel brings until the worker closes it. Show life after each slice of a job.

    Raises StorageFailure after a failed job if this process should run no other one.
    """
    compaction: tuple[int, Job] | None = None
    with suppress(ChannelClosed):
        while True:
            if compaction is None or has_message(channel):
                job, message = receive(channel)
                spec = decode_spec(message)
                slices = alive(in_slices(spec, filesystem, options), life_fd)
                if isinstance(spec, CompactSpec):
                    compaction = job, slices
                else:
                    tell_end(channel, job, next(filter(None, slices)), slices)
            elif outcome := next(compaction[1]):
                tell_end(channel, compaction[0], outcome, compaction[1])
                compaction = None


def tell_end(channel: socket.socket, job: int, outcome: bytes, slices: Job) -> None:
    """Send the outcome of a job. Raises StorageFailure if it was the last one of this process."""
    send(channel, job, outcome)
    next(slices, None)


def alive(slices: Job, life_fd: int) -> Job:
    """Run a job and show life after each slice."""
    for outcome in slices:
        show_life(life_fd)
        yield outcome


def in_slices(spec: Spec, filesystem: Filesystem, options: SegmentOptions) -> Job:
    """Run a job. Yields None after each slice but the last, then the encoded outcome. Raises what ends it.

    Between two slices other processes get the processor. One of them may be the worker: a process that only computes
    can keep it from running until the next tick of the scheduler (4 ms on many systems), even if another processor is
    idle.
    """
    slices = run(spec, filesystem, options, side_by_side)
    while True:
        try:
            next(slices)
        except StopIteration as end:
            yield bytes([JobEnd.FINISHED]) + encode_result(end.value)
            return
        except Corruption as damage:
            yield bytes([JobEnd.DAMAGED]) + encode_damage(damage)
            return
        except StorageFailure as failure:
            yield bytes([JobEnd.FAILED]) + str(failure).encode()
            if isinstance(failure, NotWritable):
                return
            raise
        os.sched_yield()
        yield None


if __name__ == "__main__":
    main()
