"""The supervisor: starts router and workers, restarts what dies, stops them in order.

One loop takes what happens from a queue that watching threads, signal handlers and `request_stop` fill. Start: router,
then workers, each until it says that it serves. Stop: workers, then router, each with a bounded time to end in
order; a second request to stop ends everything at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from queue import Empty, SimpleQueue

import psutil

from shardstore.clock import Clock
from shardstore.cluster.child import Child
from shardstore.cluster.child_process import BecameReady, Happening
from shardstore.cluster.data_directory import DataDirectory
from shardstore.cluster.endpoints import Endpoints
from shardstore.cluster.pinning import core_of, pin
from shardstore.cluster.restart_policy import QUICK_DEATHS_MAX
from shardstore.cluster.runtime_directory import make_runtime_directory, remove_runtime_directory
from shardstore.cluster.settings import ClusterSettings, usable_cores
from shardstore.cluster.store import Store
from shardstore.errors import Unavailable
from shardstore.limits import SECOND_NS
from shardstore.memory_plan import MemoryPlan, derive
from shardstore.options import RouterOptions, WorkerOptions
from shardstore.posix_filesystem import PosixFilesystem
from shardstore.system_clock import SystemClock
from shardstore.system_entropy import SystemEntropy

START_NS = 120 * SECOND_NS
"""Time for one kind of process to become ready; a worker replays its log in it."""
STOP_NS = 20 * SECOND_NS
"""Time for one kind of process to end in order."""
KILLED_NS = 5 * SECOND_NS
"""Time for the operating system to end a killed process."""
ORPHANS_SECONDS = 5
"""Time for the children of the children to follow them."""

log = logging.getLogger("shardstore.cluster")


class Supervisor:
    """Runs one cluster. `run` may be called once, from any thread; the other methods from every thread."""

    def __init__(
        self, settings: ClusterSettings, *, router_module: str = "router", worker_module: str = "workers"
    ) -> None:
        self._settings = settings
        self._router_module = router_module
        self._worker_module = worker_module
        self._clock: Clock = SystemClock()
        self._happenings: SimpleQueue[Happening | None] = SimpleQueue()
        """What happened to a process; None is a request to stop."""
        self._stop_requests = 0
        self._cores = usable_cores()
        self._router: list[Child] = []
        self._workers: list[Child] = []

    def run(self, on_ready: Callable[[str], None]) -> None:
        """Serve until a stop is requested; `on_ready` gets the url once every process serves.

        Raises InvalidRequest, StorageFailure or Corruption when the store cannot be opened, Unavailable when a
        process does not start or the router cannot be kept alive.
        """
        directory = DataDirectory(PosixFilesystem(self._settings.data), SystemEntropy(), self._settings)
        try:
            runtime_directory = make_runtime_directory()
            try:
                url = self._start(directory.store, runtime_directory)
                if not self._stop_requests:
                    directory.announce(url, runtime_directory)
                    on_ready(url)
                    self._keep_alive()
            finally:
                self._stop()
                remove_runtime_directory(runtime_directory)
        finally:
            directory.close()

    def request_stop(self) -> None:
        """Ask for the end, in order; asked again, at once. Safe in a signal handler."""
        self._happenings.put(None)

    def processes(self) -> dict[str, int]:
        """Process ids of what runs now, by name: "router", "worker-0", "worker-0 maintenance"."""
        found = {}
        for process in [child.process for child in self._children()]:
            if process is not None:
                found[process.name] = process.pid
                found |= {f"{process.name} maintenance": below.pid for below in _below(process.pid)}
        return found

    def _start(self, store: Store, runtime_directory: str) -> str:
        for line in self._plan(store).lines():
            log.info("%s", line)
        endpoints = Endpoints(runtime_directory, self._settings.listen)
        router = RouterOptions(
            data=self._settings.data,
            store=store.store,
            listen=endpoints.clients,
            internal=endpoints.workers,
            workers=store.workers,
            boundaries=tuple(key.hex() for key in store.boundaries),
            memory=self._plan(store),
        )
        self._router = [self._child("router", self._router_module, router)]
        self._start_all(self._router)
        url = self._router[0].endpoint
        # A router that is started again must come back where the clients know it, at the same port.
        self._router[0].options = replace(router, listen=url)
        self._workers = [
            self._child(f"worker-{worker}", self._worker_module, self._worker_options(store, endpoints, worker))
            for worker in range(store.workers)
        ]
        self._start_all(self._workers)
        return url

    def _worker_options(self, store: Store, endpoints: Endpoints, worker: int) -> WorkerOptions:
        return WorkerOptions(
            data=self._settings.data,
            store=store.store,
            worker=worker,
            router=endpoints.workers,
            listen=endpoints.worker(worker),
            durability=self._settings.durability,
            memory=self._plan(store),
            segments=self._settings.segments,
        )

    def _plan(self, store: Store) -> MemoryPlan:
        return derive(self._settings.memory, store.workers)

    def _child(self, name: str, module: str, options: RouterOptions | WorkerOptions) -> Child:
        return Child(name, module, options, self._happenings.put)

    def _start_all(self, children: Sequence[Child]) -> None:
        """Start the children and wait until each serves; do no more once a stop is requested."""
        if self._stop_requests:
            return
        deadline_ns = self._clock.now_ns() + START_NS
        for child in children:
            child.start(self._clock.now_ns())
            if child.process is None:
                raise Unavailable(f"the cluster did not start: {child.last_end}")
        while not self._stop_requests and not all(child.endpoint for child in children):
            gone = self._take(deadline_ns)
            if gone is not None:
                raise Unavailable(f"the cluster did not start: {gone.last_end}")
            if self._clock.now_ns() >= deadline_ns:
                late = next(child for child in children if not child.endpoint)
                raise Unavailable(f"{late.name} was not ready after {START_NS // SECOND_NS} s{late.last_words()}")

    def _keep_alive(self) -> None:
        while not self._stop_requests:
            gone = self._take(min((child.due_ns for child in self._children() if child.due_ns), default=None))
            if gone is not None:
                self._report_end(gone)
            now_ns = self._clock.now_ns()
            for child in self._children():
                if child.due_ns is not None and child.due_ns <= now_ns:
                    child.start(now_ns)
                    if child.process is None:
                        self._report_end(child)

    def _report_end(self, gone: Child) -> None:
        if gone.due_ns is not None:
            log.warning("%s; starting it again", gone.last_end)
            return
        log.error("%s; it died %d times in a row and is given up", gone.last_end, QUICK_DEATHS_MAX)
        if gone in self._router:
            raise Unavailable(f"the router cannot be kept alive: {gone.last_end}")

    def _take(self, until_ns: int | None) -> Child | None:
        """Wait for one happening, at most until `until_ns`; answers the child whose process is gone."""
        wait_ns = None if until_ns is None else max(0, until_ns - self._clock.now_ns())
        try:
            happening = self._happenings.get(timeout=None if wait_ns is None else wait_ns / SECOND_NS)
        except Empty:
            return None
        if happening is None:
            self._stop_requests += 1
            return None
        child = next(child for child in self._children() if child.process is happening.process)
        if isinstance(happening, BecameReady):
            child.endpoint = happening.endpoint
            self._pin(child)
            return None
        child.exited(happening.code, self._clock.now_ns())
        return child

    def _pin(self, child: Child) -> None:
        if child in self._workers and child.process is not None:
            core = core_of(self._workers.index(child), len(self._workers), self._cores)
            if core is not None:
                pin(child.process.pid, core)

    def _stop(self) -> None:
        """End what still runs: workers, router, and then what they left behind."""
        orphans = [below for child in self._children() if child.process for below in _below(child.process.pid)]
        for children in (self._workers, self._router):
            self._end([child for child in children if child.process is not None])
        _, surviving = psutil.wait_procs(orphans, timeout=ORPHANS_SECONDS)
        for process in surviving:
            with suppress(psutil.Error):
                process.kill()

    def _end(self, children: Sequence[Child]) -> None:
        for process in filter(None, [child.process for child in children]):
            process.terminate()
        self._wait_for_end(children, STOP_NS, patient=True)
        for process in filter(None, [child.process for child in children]):
            process.kill()
        self._wait_for_end(children, KILLED_NS, patient=False)

    def _wait_for_end(self, children: Sequence[Child], wait_ns: int, patient: bool) -> None:
        deadline_ns = self._clock.now_ns() + wait_ns
        while any(child.process for child in children) and self._clock.now_ns() < deadline_ns:
            if patient and self._stop_requests > 1:
                return
            self._take(deadline_ns)

    def _children(self) -> list[Child]:
        return self._router + self._workers


def _below(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []
