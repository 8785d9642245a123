"""Parts of a job that do not depend on each other, as the segments of one drain.

How they are run is up to who runs the job: here one after the other, in workers/maintenance/side_by_side.py in threads.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Protocol, TypeAlias, TypeVar

Outcome = TypeVar("Outcome")
Part: TypeAlias = Generator[None, None, Outcome]


class RunParts(Protocol):
    """Runs all parts and answers what they return, in their order. Raises what the first of them raised that failed."""

    def __call__(self, parts: Sequence[Part[Outcome]]) -> Generator[None, None, list[Outcome]]: ...


def one_after_the_other(parts: Sequence[Part[Outcome]]) -> Generator[None, None, list[Outcome]]:
    """The order, and so every effect, is that of the parts."""
    outcomes = []
    for part in parts:
        outcomes.append((yield from part))
    return outcomes
