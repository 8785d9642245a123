"""Runs the tasks of a job so that many wait for the disk at the same time, in threads.

Syncs that wait at the same time share a commit of the file system. The drain of many ranges with little data in each
spends most of its time in syncs. The computing of all tasks is done in one thread, as several threads would only take
turns at the interpreter.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache

from shardstore.workers.jobs.tasks import RunningTask, Task, TaskResult, one_after_the_other

TASKS = 64
"""So many are started at a time. Each may have a file open."""
THREADS = 16
WAIT_S = 1.0
"""Interval at which the main thread shows life while others wait for the disk. No other thread shows life."""


def side_by_side(tasks: Sequence[Task[TaskResult]]) -> Generator[None, None, list[TaskResult]]:
    """Run the tasks, see RunTasks. All are run even if one fails."""
    if len(tasks) == 1:
        return (yield from one_after_the_other(tasks))
    started = list(map(RunningTask, tasks))
    for first in range(0, len(started), TASKS):
        yield from _run_together(started[first : first + TASKS])
    return [task.result() for task in started]


def _run_together(tasks: list[RunningTask[TaskResult]]) -> Generator[None, None, None]:
    """Run each task until it waits, then make all wait together, and so on until all have ended."""
    while tasks:
        waiting = []
        for task in tasks:
            while (goes_on := task.go_on()) and not task.waits:
                yield
            if goes_on:
                waiting.append(task)
        left = {_threads().submit(_wait, waiting[at::THREADS]) for at in range(min(THREADS, len(waiting)))}
        while left:
            done, left = wait(left, WAIT_S)
            for each in done:
                each.result()
            yield
        tasks = waiting


def _wait(tasks: Sequence[RunningTask[TaskResult]]) -> None:
    for task in tasks:
        task.wait()


@cache
def _threads() -> ThreadPoolExecutor:
    """The threads, which are started for the first job with several tasks and then kept."""
    return ThreadPoolExecutor(THREADS, "waits for the disk")
