"""Runs the parts of a job in threads: while one waits for the disk to sync its files, others go on.

Syncs that wait at the same time share a commit of the file system. Many ranges with little data in each spend most of
a drain in syncs.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor

from shardstore.workers.jobs.parts import Outcome, Part, one_after_the_other

THREADS = 8


def side_by_side(parts: Sequence[Part[Outcome]]) -> Generator[None, None, list[Outcome]]:
    """See RunParts. When one fails, those that have not begun are not run."""
    if len(parts) == 1:
        return (yield from one_after_the_other(parts))
    with ThreadPoolExecutor(THREADS, "part of a job") as pool:
        return list(pool.map(_to_the_end, parts))


def _to_the_end(part: Part[Outcome]) -> Outcome:
    """Between slices the processor is offered to the worker, as in `in_slices`."""
    while True:
        try:
            next(part)
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome
        os.sched_yield()
