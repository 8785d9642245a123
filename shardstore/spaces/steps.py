"""What takes several calls of a client is written once, as steps, and runs with either client.

A step is what to call, made by `operator.methodcaller`. It is answered with the result, or its error is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")
Step: TypeAlias = Callable[[Any], Any]
Steps: TypeAlias = Generator[Step, Any, T]


def run_steps(db: Any, steps: Steps[T]) -> T:
    """Run steps with a blocking client. Returns their result."""
    answer = None
    while True:
        try:
            step = steps.send(answer)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        answer = step(db)


async def run_steps_async(db: Any, steps: Steps[T]) -> T:
    """Run steps with an asyncio client. Returns their result."""
    answer = None
    while True:
        try:
            step = steps.send(answer)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        answer = await step(db)
