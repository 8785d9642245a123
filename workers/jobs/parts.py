"""Parts of a job that do not depend on each other, as the segments of one drain.

A part yields None after a slice, and a `Wait` where it waits for the disk: a call to be made before it goes on. How
parts are run is up to who runs the job: here one after the other, in workers/maintenance/side_by_side.py many at once,
so that they wait for the disk together.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Generic, Protocol, TypeAlias, TypeVar

Outcome = TypeVar("Outcome")
Wait: TypeAlias = Callable[[], object]
Part: TypeAlias = Generator[Wait | None, None, Outcome]


class RunParts(Protocol):
    """Runs all parts, and answers what each returns, in order. Raises the error of the first part that failed."""

    def __call__(self, parts: Sequence[Part[Outcome]]) -> Generator[None, None, list[Outcome]]: ...


class Running(Generic[Outcome]):
    """A part on its way. Once `go_on` is false, `outcome` is what it returns, or raises what it raised."""

    def __init__(self, part: Part[Outcome]) -> None:
        self._part = part
        self._wait: Wait | None = None
        self._failed_wait: Exception | None = None
        self._returned: list[Outcome] = []
        self._failure: Exception | None = None

    @property
    def waits(self) -> bool:
        """Whether `wait` must be called before it can go on."""
        return self._wait is not None

    def wait(self) -> None:
        """Make the call that the part waits for, in any thread. An error is raised in the part when it goes on."""
        wait, self._wait = self._wait, None
        assert wait is not None
        try:
            wait()
        except Exception as error:  # the part decides what becomes of it
            self._failed_wait = error

    def go_on(self) -> bool:
        """Run the next slice. Whether there is another one."""
        error, self._failed_wait = self._failed_wait, None
        try:
            self._wait = self._part.throw(error) if error else next(self._part)
        except StopIteration as end:
            self._returned.append(end.value)
        except Exception as error:
            self._failure = error
        else:
            return True
        return False

    def outcome(self) -> Outcome:
        """What the part has returned. Raises what it has raised."""
        if self._failure:
            raise self._failure
        return self._returned[0]


def one_after_the_other(parts: Sequence[Part[Outcome]]) -> Generator[None, None, list[Outcome]]:
    """Run each part to its end before the next begins: equal parts have equal effects, in the same order."""
    outcomes = []
    for part in parts:
        running = Running(part)
        while running.go_on():
            if running.waits:
                running.wait()
            yield
        outcomes.append(running.outcome())
    return outcomes
