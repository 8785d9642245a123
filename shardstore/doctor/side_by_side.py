"""Does the jobs of an examination in several processes at once; Python's threads would wait for each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from queue import SimpleQueue
from threading import Thread
from typing import IO

from shardstore.doctor.findings import Finding
from shardstore.doctor.jobs import Job, decode_findings, encode, findings_of
from shardstore.doctor.survey import Survey
from shardstore.errors import StorageFailure
from shardstore.limits import MIB
from shardstore.seams.filesystem import Filesystem
from shardstore.system.own_program import start_module

SMALL_BYTES = 64 * MIB
"""A store with less in its files is examined in this process, in less time than others take to start."""
PROGRAM = "shardstore.doctor"


def done_jobs(
    filesystem: Filesystem, data: str, survey: Survey, jobs: Sequence[Job], processes: int
) -> Iterator[tuple[Job, list[Finding]]]:
    """Do all jobs, and return what each has found, in the order in which they end."""
    if processes < 2 or sum(job.bytes for job in jobs) < SMALL_BYTES:
        yield from ((job, list(findings_of(filesystem, survey, job))) for job in jobs)
        return
    ended: SimpleQueue[tuple[Job, bytes]] = SimpleQueue()
    shares = [share for at in range(processes) if (share := jobs[at::processes])]
    children = [start_module(PROGRAM, encode([data, survey.store]).decode()) for _ in shares]
    try:
        for child, share in zip(children, shares, strict=True):
            assert child.stdin is not None
            assert child.stdout is not None
            child.stdin.write(encode(share))
            child.stdin.close()
            Thread(target=_collect, args=(child.stdout, share, ended), daemon=True).start()
        for _ in jobs:
            job, line = ended.get()
            if not line:
                raise StorageFailure(f"the process that was to examine {job.file} died")
            yield job, decode_findings(line)
    finally:
        for child in children:
            child.kill()
            child.wait()


def _collect(output: IO[bytes], share: Sequence[Job], ended: SimpleQueue[tuple[Job, bytes]]) -> None:
    """Pass on the line of each job; an empty one for each that has none, as the process died."""
    for job in share:
        ended.put((job, output.readline()))
