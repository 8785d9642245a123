"""Runs the tasks of a job in threads: while one task waits for a sync of its files, others go on.

Syncs that wait at the same time share a commit of the file system. The drain of many ranges with little data in each
spends most of its time in syncs.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from queue import Empty, SimpleQueue

from shardstore.workers.jobs.tasks import Task, TaskResult, one_after_the_other

THREADS = 8
WAIT_S = 1.0
"""Interval at which the main thread shows life while others wait for the disk. No other thread shows life."""


def side_by_side(tasks: Sequence[Task[TaskResult]]) -> Generator[None, None, list[TaskResult]]:
    """Run the tasks, see RunTasks. All are run even if one fails. A slice of any task is a slice of the job."""
    if len(tasks) == 1:
        return (yield from one_after_the_other(tasks))
    ends: SimpleQueue[bool] = SimpleQueue()
    futures = [_threads().submit(_run, task, ends) for task in tasks]
    left = len(tasks)
    while left:
        with suppress(Empty):  # a sync takes long
            left -= ends.get(timeout=WAIT_S)
        yield
    return [future.result() for future in futures]


@cache
def _threads() -> ThreadPoolExecutor:
    """The threads, which are started for the first job with several tasks and then kept."""
    return ThreadPoolExecutor(THREADS, "task of a job")


def _run(task: Task[TaskResult], ends: SimpleQueue[bool]) -> TaskResult:
    """Run a task. After each slice, put into `ends` whether it was the last one."""
    try:
        while True:
            try:
                next(task)
            except StopIteration as end:
                outcome: TaskResult = end.value
                return outcome
            ends.put(False)
            os.sched_yield()  # the worker may wait for a processor
    finally:
        ends.put(True)
