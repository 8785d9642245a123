"""Tasks of a job that do not depend on each other, such as the segments of one drain.

A task yields None after a slice. Where it waits for the disk it yields a `Wait`, a call to be made before it goes on.
The caller of a job decides how tasks run: one after the other, as here, or so that many wait for the disk at the same
time, as in workers/maintenance/side_by_side.py.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Generic, Protocol, TypeAlias, TypeVar

TaskResult = TypeVar("TaskResult")
Wait: TypeAlias = Callable[[], object]
Task: TypeAlias = Generator[Wait | None, None, TaskResult]


class RunTasks(Protocol):
    """Runs all tasks and returns their results in order. Raises the error of the first task that failed."""

    def __call__(self, tasks: Sequence[Task[TaskResult]]) -> Generator[None, None, list[TaskResult]]: ...


class RunningTask(Generic[TaskResult]):
    """A task that was started. Once `go_on` has returned False, `result` returns or raises what the task did."""

    def __init__(self, task: Task[TaskResult]) -> None:
        self._task = task
        self._wait: Wait | None = None
        self._failed_wait: Exception | None = None
        self._returned: list[TaskResult] = []
        self._failure: Exception | None = None

    @property
    def waits(self) -> bool:
        """Whether `wait` must be called before it can go on."""
        return self._wait is not None

    def wait(self) -> None:
        """Make the call that the task waits for, in any thread. An error is raised in the task when it goes on."""
        wait, self._wait = self._wait, None
        assert wait is not None
        try:
            wait()
        except Exception as error:  # the task decides what becomes of it
            self._failed_wait = error

    def go_on(self) -> bool:
        """Run the next slice. Return whether there is another one."""
        error, self._failed_wait = self._failed_wait, None
        try:
            self._wait = self._task.throw(error) if error else next(self._task)
        except StopIteration as end:
            self._returned.append(end.value)
        except Exception as error:
            self._failure = error
        else:
            return True
        return False

    def result(self) -> TaskResult:
        """The result of the task. Raises its error if it failed."""
        if self._failure:
            raise self._failure
        return self._returned[0]


def one_after_the_other(tasks: Sequence[Task[TaskResult]]) -> Generator[None, None, list[TaskResult]]:
    """Run each task to its end before the next one begins, so that equal tasks have equal effects in the same order."""
    results = []
    for task in tasks:
        running = RunningTask(task)
        while running.go_on():
            if running.waits:
                running.wait()
            yield
        results.append(running.result())
    return results
