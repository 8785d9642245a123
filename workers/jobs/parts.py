"""Parts of a job that do not depend on each other, such as the segments of one drain.

The caller of a job decides how they run: one after the other, as here, or in threads, as in
workers/maintenance/side_by_side.py.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Protocol, TypeAlias, TypeVar

Result = TypeVar("Result")
Part: TypeAlias = Generator[None, None, Result]


class RunParts(Protocol):
    """Runs all parts and returns their results in order. Raises the error of the first part that failed."""

    def __call__(self, parts: Sequence[Part[Result]]) -> Generator[None, None, list[Result]]: ...


def one_after_the_other(parts: Sequence[Part[Result]]) -> Generator[None, None, list[Result]]:
    """Run each part to its end before the next one begins, so that equal parts have equal effects in the same order."""
    outcomes = []
    for part in parts:
        outcomes.append((yield from part))
    return outcomes
