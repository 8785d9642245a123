"""Tasks of a job that do not depend on each other, such as the segments of one drain.

The caller of a job decides how they run: one after the other, as here, or in threads, as in
workers/maintenance/side_by_side.py.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Protocol, TypeAlias, TypeVar

TaskResult = TypeVar("TaskResult")
Task: TypeAlias = Generator[None, None, TaskResult]


class RunTasks(Protocol):
    """Runs all tasks and returns their results in order. Raises the error of the first task that failed."""

    def __call__(self, tasks: Sequence[Task[TaskResult]]) -> Generator[None, None, list[TaskResult]]: ...


def one_after_the_other(tasks: Sequence[Task[TaskResult]]) -> Generator[None, None, list[TaskResult]]:
    """Run each task to its end before the next one begins, so that equal tasks have equal effects in the same order."""
    outcomes = []
    for task in tasks:
        outcomes.append((yield from task))
    return outcomes
