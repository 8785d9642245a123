"""python -P -m workers.maintenance '{"data": ...}': the process that runs a worker's jobs, one after the other.

A job is files in, files out. The process holds the worker's job lock, so that a new worker can tell when the jobs
of its predecessor have ended, and it dies with its worker.
"""

from __future__ import annotations

import gc
import os
import socket
import sys

from shardstore.errors import Corruption, ShardstoreError, StorageFailure, Unavailable
from shardstore.file_names import jobs_lock
from shardstore.filesystem import Filesystem
from shardstore.options import MaintenanceOptions, from_argument
from shardstore.posix_filesystem import PosixFilesystem
from shardstore.process import end_with_parent, refuse_optimised_python
from shardstore.segment_options import SegmentOptions
from workers.jobs.run import run
from workers.jobs.specs import Result, decode_spec, encode_result
from workers.maintenance.channel import ChannelClosed, Outcome, encode_damage, receive, send


def main() -> None:
    """Run jobs until the worker goes."""
    refuse_optimised_python()
    end_with_parent()
    try:
        options = from_argument(MaintenanceOptions, " ".join(sys.argv[1:]))
        filesystem = PosixFilesystem(options.data)
        lock = filesystem.lock(jobs_lock(options.worker))
        if lock is None:
            raise Unavailable(f"another process runs the jobs of worker {options.worker}")
        gc.freeze()
        with socket.socket(fileno=options.jobs_fd) as channel:
            serve(channel, filesystem, options.segments)
    except ShardstoreError as error:
        sys.exit(f"maintenance: {error}")


def serve(channel: socket.socket, filesystem: Filesystem, options: SegmentOptions) -> None:
    """Take jobs until the other side closes."""
    while True:
        try:
            send(channel, outcome_of(receive(channel), filesystem, options))
        except ChannelClosed:
            return


def outcome_of(spec: bytes, filesystem: Filesystem, options: SegmentOptions) -> bytes:
    """Run one encoded job; its encoded outcome."""
    try:
        return bytes([Outcome.FINISHED]) + encode_result(_run_to_end(spec, filesystem, options))
    except Corruption as damage:
        return bytes([Outcome.DAMAGED]) + encode_damage(damage)
    except StorageFailure as failure:
        return bytes([Outcome.FAILED]) + str(failure).encode()


def _run_to_end(spec: bytes, filesystem: Filesystem, options: SegmentOptions) -> Result:
    """Between two slices the processor is offered to whoever waits for it.

    That may be the worker: a process that only computes can keep it from running until the next tick of the scheduler,
    4 ms on many systems, though another processor is idle.
    """
    job = run(decode_spec(spec), filesystem, options)
    while True:
        try:
            next(job)
        except StopIteration as end:
            result: Result = end.value
            return result
        os.sched_yield()


if __name__ == "__main__":
    main()
