"""The supervisor: starts router and workers, restarts them when they die, stops them in order.

One loop reads events from a queue, which watching threads, signal handlers and `request_stop` fill. At the start it
starts the router, then the workers that the router wants, and waits until all of them serve. The router may want other
workers at any time: new ones are started, and others end in order. At the stop it ends the workers, then the router,
each within a bounded time; a second request to stop ends everything at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from queue import Empty, SimpleQueue

import psutil

from shardstore.cluster.child import Child
from shardstore.cluster.child_process import BecameReady, Exited, Happening, WorkersWanted
from shardstore.cluster.data_directory import DataDirectory
from shardstore.cluster.endpoints import Endpoints
from shardstore.cluster.runtime_directory import make_runtime_directory, remove_runtime_directory
from shardstore.cluster.settings import ClusterSettings
from shardstore.cluster.store import Store
from shardstore.cluster.worker_children import WorkerChildren
from shardstore.errors import StorageFailure, Unavailable
from shardstore.limits import SECOND_NS
from shardstore.memory_plan import MemoryPlan, derive
from shardstore.options import RouterOptions
from shardstore.pulse import LOOK_NS
from shardstore.seams.clock import Clock
from shardstore.system.posix_filesystem import PosixFilesystem
from shardstore.system.socket_file import renew_private_directory
from shardstore.system.system_clock import SystemClock
from shardstore.system.system_entropy import SystemEntropy

START_NS = 60 * SECOND_NS
"""If no process that is not ready does anything for this long, the start has failed."""
STOP_NS = 20 * SECOND_NS
"""Time for all workers, or for the router, to end in order."""
KILLED_NS = 5 * SECOND_NS
"""Time for the operating system to end a killed process."""
ORPHANS_SECONDS = 5
"""Time for the children of workers to end after them."""

log = logging.getLogger("shardstore.cluster")


class Supervisor:
    """Runs one cluster. `run` may be called once, in any thread; the other methods at any time from any thread."""

    def __init__(
        self,
        settings: ClusterSettings,
        *,
        router_module: str = "shardstore.router",
        worker_module: str = "shardstore.workers",
    ) -> None:
        self._settings = settings
        self._router_module = router_module
        self._worker_module = worker_module
        self._clock: Clock = SystemClock()
        self._happenings: SimpleQueue[Happening | None] = SimpleQueue()
        """Events of processes; None is a request to stop."""
        self._stop_requests = 0
        self._router: list[Child] = []
        self._workers: WorkerChildren | None = None
        self._runtime_directory = ""
        self.url = self.local_url = ""
        """The url that clients connect to, and that of clients on this host; empty until every process serves."""

    def run(self, on_ready: Callable[[str], None]) -> None:
        """Serve until a stop is requested. `on_ready` gets the url once every process serves.

        Raises InvalidRequest, StorageFailure or Corruption if the store cannot be opened, and Unavailable if a process
        does not start. A process that dies later is always started again.
        """
        with closing(PosixFilesystem(self._settings.data)) as filesystem:
            self._run_on(filesystem, on_ready)

    def _run_on(self, filesystem: PosixFilesystem, on_ready: Callable[[str], None]) -> None:
        directory = DataDirectory(filesystem, SystemEntropy(), self._settings)
        try:
            place = self._settings.place
            if place is not None:
                place.refuse_if_taken()
            self._runtime_directory = make_runtime_directory(directory.store.store, directory.identity)
            try:
                self._start(directory)
                if not self._stop_requests:
                    directory.announce(self.local_url, self._runtime_directory)
                    on_ready(self.url)
                    self._keep_alive(directory)
            finally:
                self._stop()
                remove_runtime_directory(self._runtime_directory)
                if place is not None:
                    place.clear()
        finally:
            directory.close()

    def request_stop(self) -> None:
        """Ask for an orderly end; a second call ends everything at once. Safe in a signal handler."""
        self._happenings.put(None)

    def processes(self) -> dict[str, int]:
        """Return the ids of running processes by name: "router", "worker-0", "worker-0 maintenance"."""
        found = {}
        for process in [child.process for child in self._children()]:
            if process is not None:
                found[process.name] = process.pid
                found |= {f"{process.name} maintenance": below.pid for below in _below(process.pid)}
        return found

    def _start(self, directory: DataDirectory) -> None:
        store = directory.store
        for line in self._plan(store).lines():
            log.info("%s", line)
        endpoints = self._endpoints()
        options = RouterOptions(
            data=self._settings.data,
            store=store.store,
            listen=endpoints.clients,
            internal=endpoints.workers,
            workers=store.workers,
            boundaries=tuple(key.hex() for key in store.boundaries),
            memory=self._plan(store),
            workers_asked=self._settings.workers,
            topology=self._settings.topology,
            access=endpoints.access,
            identity=directory.identity,
            remote=endpoints.remote,
        )
        post = self._happenings.put
        router = Child("router", self._router_module, options, post)
        self._router = [router]
        where = directory.identity, endpoints
        self._workers = WorkerChildren(self._worker_module, self._settings, store.store, *where, post)
        router.due_ns = self._clock.now_ns()
        self._wait_for_start(self._workers)
        # A restarted router must listen where the clients know it, at the same port, and use the workers that the store
        # has by then.
        router.options = replace(options, listen=router.endpoint, remote=router.remote, workers_asked=None)
        self.local_url = router.endpoint
        self.url = router.remote or router.endpoint

    def _endpoints(self) -> Endpoints:
        settings = self._settings
        return Endpoints(self._runtime_directory, settings.listen, settings.place, settings.has_keys)

    def _plan(self, store: Store) -> MemoryPlan:
        return derive(self._settings.memory, store.workers)

    def _wait_for_start(self, workers: WorkerChildren) -> None:
        """Start all processes and wait until each serves, or until a stop is requested. Raises Unavailable."""
        idle_ns, look_ns = 0, self._clock.now_ns()
        while not self._stop_requests:
            late = [child for child in self._children() if not child.endpoint and not child.dismissed]
            if workers.are_known and not late:
                return
            if self._clock.now_ns() >= look_ns:
                look_ns = self._clock.now_ns() + LOOK_NS
                idle_ns = 0 if any(child.works() for child in late) else idle_ns + LOOK_NS
            if idle_ns > START_NS:
                [child, *_] = late or self._router
                idle = f"{child.name} has done nothing for {START_NS // SECOND_NS} s{child.last_words()}"
                raise Unavailable(f"the cluster did not start: {idle}")
            gone = self._follow_up() or self._take(look_ns)
            if gone is not None:
                raise Unavailable(f"the cluster did not start: {gone.last_end}")

    def _keep_alive(self, directory: DataDirectory) -> None:
        look_ns = self._clock.now_ns()
        while not self._stop_requests:
            if self._clock.now_ns() >= look_ns:
                look_ns = self._clock.now_ns() + LOOK_NS
                for child in self._children():
                    child.kill_if_it_hangs()
                if not renew_private_directory(self._runtime_directory):
                    self._meet_elsewhere(directory)
            gone = self._take(min([look_ns, *(child.due_ns for child in self._children() if child.due_ns)]))
            if gone is not None:
                self._report_end(gone)
            while (refused := self._follow_up()) is not None:
                self._report_end(refused)

    def _meet_elsewhere(self, directory: DataDirectory) -> None:
        """Restart all processes with another directory for sockets, as the old one is lost (after a logout, say)."""
        lost, again_ns = self._runtime_directory, self._clock.now_ns() + STOP_NS
        try:
            self._runtime_directory = make_runtime_directory(directory.store.store, directory.identity)
        except StorageFailure as error:  # open connections keep working, and the next look tries again
            log.error("%s is gone: %s", lost, error)
            return
        log.warning(
            "%s is gone and cannot be made again: all processes are started again with %s",
            lost,
            self._runtime_directory,
        )
        endpoints, [router] = self._endpoints(), self._router
        if not self._settings.listen or endpoints.remote:
            self.local_url = endpoints.clients
        assert isinstance(router.options, RouterOptions)
        self.url = router.options.remote or self.local_url
        router.options = replace(router.options, listen=self.local_url, internal=endpoints.workers)
        if self._workers is not None:
            self._workers.move(endpoints, self._clock.now_ns())
        for child in self._children():
            child.replace(again_ns)
        directory.announce(self.local_url, self._runtime_directory)

    def _follow_up(self) -> Child | None:
        """Start and kill the processes that are due; returns the first child that the system refused to start."""
        now_ns = self._clock.now_ns()
        return next((child for child in self._children() if not child.follow_up(now_ns)), None)

    def _report_end(self, gone: Child) -> None:
        again = f"it is started again in {gone.delay_ns / SECOND_NS:.1f} s"
        if gone.quick_deaths > 1:
            again += f"; that was death {gone.quick_deaths} in a row"
        log.warning("%s; %s", gone.last_end, again)

    def _take(self, until_ns: int) -> Child | None:
        """Wait for one event, at most until `until_ns`, and handle it; returns the child whose process is gone."""
        try:
            happening = self._happenings.get(timeout=max(0, until_ns - self._clock.now_ns()) / SECOND_NS)
        except Empty:
            return None
        if happening is None:
            self._stop_requests += 1
            return None
        child = next(child for child in self._children() if child.process is happening.process)
        workers, now_ns = self._workers, self._clock.now_ns()
        assert workers is not None, "no process is started before they are known"
        match happening:
            case BecameReady():
                child.became_ready(happening.endpoint, happening.remote, now_ns)
                workers.pin()
            case WorkersWanted():
                if not self._stop_requests:
                    workers.want(happening.workers, now_ns, now_ns + STOP_NS)
            case Exited():
                child.exited(happening.code, now_ns)
                if not child.dismissed:
                    return child
                workers.adjust(now_ns)
        return None

    def _stop(self) -> None:
        """End all running processes: workers, then the router, then their remaining children."""
        orphans = [below for child in self._children() if child.process for below in _below(child.process.pid)]
        for children in (list(self._workers or ()), self._router):
            self._end([child for child in children if child.process is not None])
        _, surviving = psutil.wait_procs(orphans, timeout=ORPHANS_SECONDS)
        for process in surviving:
            with suppress(psutil.Error):
                process.kill()

    def _end(self, children: Sequence[Child]) -> None:
        for child in children:
            child.ask_to_end()
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
        return [*self._router, *(self._workers or ())]


def _below(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []
