"""What the writing processes do, step by step, and what a place in memory or on the disk holds after each step.

A step stores one value in one place: a word or a byte of a board, a file, the incarnation of a worker, the route map,
or the number of the newest write that was begun, applied or acknowledged. No writer ever waits for a reader, or loads
what a reader stores. So the writers do the same steps whatever readers do, and their history is recorded once.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Hashable
from typing import Any, TypeAlias

Place: TypeAlias = tuple[Hashable, ...]


class Killed(BaseException):
    """Raised where a process was killed."""


def no_other_process(number: int, place: Place) -> None:
    """Nothing happens before a step."""


class History:
    """The steps that were recorded. What was stored before `begin` is there from the start.

    `before_step` runs before each step: another process does something there, or this one is killed.
    """

    def __init__(self) -> None:
        self.steps = 0
        self.before_step: Callable[[int, Place], None] = no_other_process
        self.note_bytes: Callable[[], None] = lambda: None
        """Stores the bytes of filters that have changed since the latest step."""
        self._times: dict[Place, list[int]] = {}
        self._values: dict[Place, list[Any]] = {}
        self._options: dict[tuple[Place, int], list[tuple[int, Any]]] = {}

    def begin(self) -> None:
        """Forget all values but the latest ones, and count steps from here."""
        self.note_bytes()
        self.steps = 0
        self._values = {place: values[-1:] for place, values in self._values.items()}
        self._times = {place: [0] for place in self._values}

    def store(self, place: Place, value: Any, default: Any = None) -> None:
        """Record a step, unless it changes nothing. `default`: what the place holds if nothing was stored there."""
        self.note_bytes()
        self.store_alone(place, value, default)

    def store_alone(self, place: Place, value: Any, default: Any = None) -> None:
        """Like `store`, but for a byte of a filter."""
        if self.latest(place, default) == value:
            return
        self.before_step(self.steps, place)
        self.steps += 1
        self._times.setdefault(place, []).append(self.steps)
        self._values.setdefault(place, []).append(value)

    def places(self, kind: str) -> list[Place]:
        """The places of a kind that hold something now."""
        return [place for place, values in self._values.items() if place[0] == kind and values[-1] is not None]

    def latest(self, place: Place, default: Any = None) -> Any:
        """The latest value of a place."""
        values = self._values.get(place)
        return values[-1] if values else default

    def value(self, place: Place, time: int, default: Any = None) -> Any:
        """The value of a place after so many steps."""
        at = bisect_right(self._times.get(place, ()), time)
        return self._values[place][at - 1] if at else default

    def options(self, place: Place, time: int, default: Any = None) -> list[tuple[int, Any]]:
        """All values that a load can find after at least so many steps, each with the first time for it."""
        options = self._options.get((place, time))
        if options is None:
            options = [(time, self.value(place, time, default))]
            times = self._times.get(place, [])
            for at in range(bisect_right(times, time), len(times)):
                if all(self._values[place][at] != value for _, value in options):
                    options.append((times[at], self._values[place][at]))
            self._options[place, time] = options
        return options
