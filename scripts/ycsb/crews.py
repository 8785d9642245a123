"""The runners of one client process, threads or tasks of one loop, with the connection they share."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from ycsb.answers import Answers
from ycsb.loops import Pace, make_calls, make_calls_async
from ycsb.measured import Recorder
from ycsb.opening import open_async_store, open_store
from ycsb.plans import calls_of
from ycsb.samples import NEVER_NS, SECOND_NS, Samples
from ycsb.settings import Phase, Settings
from ycsb.store import chained, chained_async


class Orders:
    """What the runners of a process need to start together, and a way to stop them early."""

    def __init__(self, settings: Settings, process: int, begin_ns: int) -> None:
        self.settings = settings
        self.recorder = Recorder(begin_ns, paced=settings.target is not None)
        first = process * settings.runners_per_process
        self.runners = range(first, first + settings.runners_per_process)
        self._begin_ns = begin_ns
        self._end_ns = NEVER_NS
        if settings.phase is Phase.RUN and settings.seconds is not None:
            self._end_ns = begin_ns + round(settings.seconds * SECOND_NS)
        self._samples: list[Samples] = []

    def new_samples(self) -> Samples:
        """New samples for one thread."""
        samples = Samples(self.recorder, Answers(self.settings), self._begin_ns, self._end_ns)
        self._samples.append(samples)
        return samples

    def pace(self, runner: int) -> Pace | None:
        """The pace of a runner; None without a target."""
        settings = self.settings
        if settings.target is None:
            return None
        return Pace(settings.target, settings.runners, runner, self._begin_ns)

    def stop(self) -> None:
        """Stop every runner after its current call."""
        self.recorder.stopped = True
        for samples in self._samples:
            samples.due_ns = 0


class Crew(Protocol):
    """Runners with an open connection."""

    def work(self, orders: Orders) -> None:
        """Make all calls, and return when they have ended."""

    def close(self) -> None:
        """Close the connection."""


class ThreadCrew:
    """Threads that share one blocking client."""

    def __init__(self, settings: Settings) -> None:
        self._store = open_store(settings)

    def work(self, orders: Orders) -> None:
        """See Crew."""
        functions = self._store.functions(orders.settings.batch, chained)

        def make(runner: int) -> None:
            calls = calls_of(orders.settings, runner)
            try:
                make_calls(calls, functions, self._store.errors, orders.new_samples(), orders.pace(runner))
            except BaseException:
                orders.stop()
                raise

        with ThreadPoolExecutor(len(orders.runners)) as threads:
            list(threads.map(make, orders.runners))

    def close(self) -> None:
        """See Crew."""
        self._store.close()


class TaskCrew:
    """Tasks of one asyncio loop that share one asyncio client."""

    def __init__(self, settings: Settings) -> None:
        self._loop = asyncio.Runner()
        self._store = self._loop.run(open_async_store(settings))

    def work(self, orders: Orders) -> None:
        """See Crew."""
        self._loop.run(self._make_all(orders))

    async def _make_all(self, orders: Orders) -> None:
        functions = self._store.functions(orders.settings.batch, chained_async)
        samples = orders.new_samples()

        def make(runner: int) -> Coroutine[Any, Any, None]:
            calls = calls_of(orders.settings, runner)
            return make_calls_async(calls, functions, self._store.errors, samples, orders.pace(runner))

        async with asyncio.TaskGroup() as tasks:
            for runner in orders.runners:
                tasks.create_task(make(runner))

    def close(self) -> None:
        """See Crew."""
        self._loop.run(self._closing())
        self._loop.close()

    async def _closing(self) -> None:
        await self._store.close()


def open_crew(settings: Settings) -> Crew:
    """A connected crew for the settings. Raises ShardstoreError."""
    return TaskCrew(settings) if settings.tasks else ThreadCrew(settings)
