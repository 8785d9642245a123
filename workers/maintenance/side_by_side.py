"""Runs the parts of a job so that many of them wait for the disk at the same time, in threads.

Syncs that wait together share a commit of the file system, and many ranges with little data in each spend most of a
drain in syncs. What parts compute runs in one thread: several would only take turns, and each turn costs time.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache

from shardstore.workers.jobs.parts import Outcome, Part, Running, one_after_the_other

PARTS = 64
"""So many are started at a time; each may have a file open."""
THREADS = 16
WAIT_S = 1.0
"""Then this thread shows life, for threads that wait for the disk: who looks at the process sees only this one."""


def side_by_side(parts: Sequence[Part[Outcome]]) -> Generator[None, None, list[Outcome]]:
    """See RunParts. All parts are run, also when one fails."""
    if len(parts) == 1:
        return (yield from one_after_the_other(parts))
    running = list(map(Running, parts))
    for first in range(0, len(running), PARTS):
        yield from _run_together(running[first : first + PARTS])
    return [part.outcome() for part in running]


def _run_together(parts: list[Running[Outcome]]) -> Generator[None, None, None]:
    """Run each to where it waits, then let all wait together, until all have ended."""
    while parts:
        waiting = []
        for part in parts:
            while (goes_on := part.go_on()) and not part.waits:
                yield
            if goes_on:
                waiting.append(part)
        left = {_threads().submit(_wait, waiting[at::THREADS]) for at in range(min(THREADS, len(waiting)))}
        while left:
            done, left = wait(left, WAIT_S)
            for each in done:
                each.result()
            yield
        parts = waiting


def _wait(parts: Sequence[Running[Outcome]]) -> None:
    for part in parts:
        part.wait()


@cache
def _threads() -> ThreadPoolExecutor:
    """Made for the first job with several parts, and kept for the next ones."""
    return ThreadPoolExecutor(THREADS, "waits for the disk")
