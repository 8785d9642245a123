"""Runs code again and again, until it has made each choice in each way."""

from __future__ import annotations

from collections.abc import Callable, Hashable


class Pruned(Exception):
    """What follows was explored already."""


class Choices:
    """The choices of one run: those of `begun`, and then the first way each time."""

    def __init__(self, begun: list[int], met: set[Hashable]) -> None:
        self.made = begun
        self._widths: list[int] = []
        self._met = met

    def choose(self, ways: int) -> int:
        """Return which of so many ways is taken."""
        at = len(self._widths)
        self._widths.append(ways)
        if at == len(self.made):
            self.made.append(0)
        return self.made[at]

    def meet(self, state: Hashable) -> None:
        """End the run if another one was in this state, which decides all that follows."""
        if len(self._widths) >= len(self.made):
            if state in self._met:
                raise Pruned
            self._met.add(state)

    def next(self) -> list[int] | None:
        """Return how the next run begins; None after the last one."""
        made = self.made[: len(self._widths)]
        while made and made[-1] + 1 == self._widths[len(made) - 1]:
            made.pop()
        return [*made[:-1], made[-1] + 1] if made else None


def explore(run: Callable[[Choices], None]) -> int:
    """Run with all choices, depth first. Returns the number of runs, without those that were pruned."""
    runs = 0
    begun: list[int] | None = []
    met: set[Hashable] = set()
    while begun is not None:
        choices = Choices(begun, met)
        try:
            run(choices)
            runs += 1
        except Pruned:
            pass
        begun = choices.next()
    return runs
