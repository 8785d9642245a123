"""The measured loops: the same lines twice, because only one of them awaits the calls of the store.

Only the call itself runs between two readings of the clock. Around it the loop records its times and checks its
result. With a target rate every call has an intended start that does not depend on earlier calls, and its latency
counts from there. So if the store pauses, the calls it delays count too (no coordinated omission).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

from ycsb.plans import Call
from ycsb.samples import SECOND_NS, Samples
from ycsb.store import Functions


class Pace:
    """The intended start times of one runner's calls, so that all runners together reach the target.

    The first calls of the runners are spread over time.
    """

    def __init__(self, target: float, runners: int, runner: int, begin_ns: int) -> None:
        self._interval_ns = runners * SECOND_NS / target
        self._first_ns = begin_ns + self._interval_ns * runner / runners
        self._operations = 0

    def next_ns(self, operations: int) -> int:
        """The intended start of the next call, which has `operations` operations."""
        intended_ns = round(self._first_ns + self._operations * self._interval_ns)
        self._operations += operations
        return intended_ns


def make_calls(
    calls: Iterable[Call],
    functions: Functions,
    errors: tuple[type[Exception], ...],
    samples: Samples,
    pace: Pace | None,
) -> None:
    """Make the calls, one after the other, until there are no more or the time is up."""
    clock = time.perf_counter_ns
    add, checks = samples.add, samples.answers.checks
    for kind, operations, arguments in calls:
        if pace is not None:
            intended_ns = pace.next_ns(operations)
            if intended_ns >= samples.end_ns:
                break
            if (early_ns := intended_ns - clock()) > 0:
                time.sleep(early_ns / SECOND_NS)
            started_ns = clock()
        else:
            intended_ns = started_ns = clock()
        try:
            answer = functions[kind](*arguments)
        except errors as error:
            ended_ns = clock()
            samples.answers.failed(kind, arguments, error)
        else:
            ended_ns = clock()
            add(kind, operations, intended_ns, started_ns, ended_ns)
            if kind in checks:
                checks[kind](kind, arguments, answer)
        if ended_ns >= samples.due_ns and not samples.hand_over(ended_ns):
            break
    samples.hand_over(clock())


async def make_calls_async(
    calls: Iterable[Call],
    functions: Functions,
    errors: tuple[type[Exception], ...],
    samples: Samples,
    pace: Pace | None,
) -> None:
    """Like make_calls, for a store for asyncio; each task of a loop makes one call at a time."""
    clock = time.perf_counter_ns
    add, checks = samples.add, samples.answers.checks
    for kind, operations, arguments in calls:
        if pace is not None:
            intended_ns = pace.next_ns(operations)
            if intended_ns >= samples.end_ns:
                break
            if (early_ns := intended_ns - clock()) > 0:
                await asyncio.sleep(early_ns / SECOND_NS)
            started_ns = clock()
        else:
            intended_ns = started_ns = clock()
        try:
            answer = await functions[kind](*arguments)
        except errors as error:
            ended_ns = clock()
            samples.answers.failed(kind, arguments, error)
        else:
            ended_ns = clock()
            add(kind, operations, intended_ns, started_ns, ended_ns)
            if kind in checks:
                checks[kind](kind, arguments, answer)
        if ended_ns >= samples.due_ns and not samples.hand_over(ended_ns):
            break
    samples.hand_over(clock())
