"""Router, worker and maintenance process of a simulation: real cores in the real event loop; the rest is simulated.

One object is one incarnation. It ends by a kill, a crash inside a file call, a fatal error, or on request of its core;
then it calls `on_end` once.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from shardstore.errors import Corruption, NotWritable, StorageFailure
from shardstore.files.file_names import ROUTER_DIRECTORY, ROUTER_LOCK, jobs_lock, worker_directory, worker_lock
from shardstore.limits import MILLISECOND_NS
from shardstore.options import RouterOptions, WorkerOptions
from shardstore.router.core import RouterCore
from shardstore.seams.effects import (
    Core,
    Effect,
    JobFailed,
    JobFinished,
    ReportReady,
    ReportWorkers,
    Say,
    StartJob,
    StopRequested,
    SyncWal,
    WalSynced,
    WalSyncFailed,
)
from shardstore.system.event_loop import EventLoop
from shardstore.wire.link_names import CLIENTS, ROUTER, WORKERS
from shardstore.workers.core import WorkerCore
from shardstore.workers.jobs.run import run
from shardstore.workers.jobs.specs import CompactSpec, decode_result, decode_spec, encode_result, encode_spec
from tests.simulation.processes import Host, Process
from tests.simulation.sim_entropy import SimEntropy, stream
from tests.simulation.sim_filesystem import SimCrash, SimFile, SimFilesystem

SLICE_NS_MAX = MILLISECOND_NS
LOCK_RETRY_NS = 50 * MILLISECOND_NS
MAINTENANCE_RESTART_NS = 200 * MILLISECOND_NS
SLOW_SYNC_NS_MAX = 500 * MILLISECOND_NS


class Server(Process):
    """A server process with a core and files."""

    def __init__(self, host: Host, name: str, on_end: Callable[[Process, str], None]) -> None:
        super().__init__(host, name, on_end)
        self.filesystem = SimFilesystem(host.disk, self.random)
        self.loop: EventLoop | None = None
        self.core: Core | None = None
        self.on_turn: Callable[[Server], None] = lambda _server: None
        self.schedule()

    def turn(self) -> None:
        try:
            if self.loop is None:
                self.loop = self.open()
                if self.loop is None:
                    self.host.clock.after(LOCK_RETRY_NS, self.schedule)
                    return
                self.loop.start()
            self.loop.turn(wait=False)
        except SimCrash:
            self.end("crash in a file call")
        except StorageFailure as failure:
            self.end(f"storage failure: {failure}")
        else:
            if self.loop.stop is not None:
                self.end(f"stop: {self.loop.stop.failure}")
            self.on_turn(self)

    def open(self) -> EventLoop | None:
        """Take locks, open the core and its links; None while a predecessor still holds a lock."""
        raise NotImplementedError

    def loop_of(self, core: Core) -> EventLoop:
        """The real event loop around the core."""
        self.core = core
        traced, shared = self.host.trace.traced(self.name, core), (CLIENTS, WORKERS, ROUTER)
        return EventLoop(traced, self.transport, self.host.clock, self.perform, shared=shared)

    def perform(self, effect: Effect) -> None:
        """Execute an effect that is neither a send nor the stop."""
        raise AssertionError(f"no effect of {self.name}: {effect}")

    def request_stop(self) -> None:
        """Ask the core to stop in order."""
        if self.loop is not None:
            self.loop.post(StopRequested())

    def wakeup_ns(self) -> int | None:
        return self.core.wakeup_ns() if self.core is not None else None

    def release(self) -> None:
        self.filesystem.kill()


class Router(Server):
    """An incarnation of the router."""

    def __init__(
        self,
        host: Host,
        name: str,
        on_end: Callable[[Process, str], None],
        options: RouterOptions,
        on_workers: Callable[[tuple[int, ...]], None],
    ) -> None:
        self._options = options
        self._on_workers = on_workers
        super().__init__(host, name, on_end)

    def open(self) -> EventLoop | None:
        self.filesystem.make_directory(ROUTER_DIRECTORY)
        if self.filesystem.lock(ROUTER_LOCK) is None:
            return None
        core = RouterCore(self.filesystem, SimEntropy(self.host.swarm.seed, f"entropy of {self.name}"), self._options)
        self.transport.bind(WORKERS, self._options.internal)
        self.transport.bind(CLIENTS, self._options.listen)
        return self.loop_of(core)

    def perform(self, effect: Effect) -> None:
        assert isinstance(effect, ReportWorkers), f"no effect of the router: {effect}"
        self._on_workers(effect.workers)


class Worker(Server):
    """An incarnation of a worker with its maintenance process."""

    def __init__(self, host: Host, name: str, on_end: Callable[[Process, str], None], options: WorkerOptions) -> None:
        self._options = options
        self.worker_core: WorkerCore | None = None
        self.maintenance: Maintenance | None = None
        self.syncs_begun = self.syncs_ended = 0
        super().__init__(host, name, on_end)

    def open(self) -> EventLoop | None:
        worker = self._options.worker
        self.filesystem.make_directory(worker_directory(worker))
        lock = self.filesystem.lock(worker_lock(worker))
        if lock is None:
            return None
        jobs = self.filesystem.lock(jobs_lock(worker))
        if jobs is None:
            lock.release()
            return None
        jobs.release()
        endpoint = self.transport.bind("clients", self._options.listen)
        entropy = SimEntropy(self.host.swarm.seed, f"entropy of {self.name}")
        core = self.worker_core = WorkerCore(
            self.filesystem, entropy, self._options, endpoint, lambda: 0, self.host.boards, self.host.wall_of(self.name)
        )
        self.host.stable_ns[worker] = self.host.clock.now_ns()
        self.transport.connect("router", self._options.router)
        loop = self.loop_of(core)
        self.maintenance = Maintenance(self.host, self.name, self._options, loop)
        return loop

    def release(self) -> None:
        super().release()
        if self.maintenance is not None:
            self.maintenance.orphan()

    def perform(self, effect: Effect) -> None:
        if isinstance(effect, SyncWal):
            self._begin_sync(effect)
        elif isinstance(effect, StartJob):
            assert self.maintenance is not None
            self.maintenance.start_job(effect)
        else:
            assert isinstance(effect, ReportReady | Say), f"no effect of a worker: {effect}"

    def _begin_sync(self, effect: SyncWal) -> None:
        """Make what is in the files now stable, some time later."""
        swarm = self.host.swarm
        pending = [file.begin_sync() for file in effect.files if isinstance(file, SimFile)]
        self.syncs_begun += 1
        begun_ns = self.host.clock.now_ns()
        slow = self.random.random() < swarm.slow_sync
        delay_ns = self.random.randint(0, SLOW_SYNC_NS_MAX if slow else swarm.sync_ns)

        def finish() -> None:
            if not self.alive:
                return
            assert self.loop is not None
            self.syncs_ended += 1
            try:
                self.filesystem.step()
                for sync in pending:
                    sync.finish()
                if effect.directory is not None:
                    self.filesystem.sync_directory(effect.directory)
            except SimCrash:
                self.end("crash in a sync")
            except StorageFailure as failure:
                self.loop.post(WalSyncFailed(str(failure)))
            else:
                self.host.stable_ns[self._options.worker] = begun_ns
                self.loop.post(WalSynced(effect.lsn))

        self.host.clock.after(delay_ns, finish)


class Maintenance:
    """The maintenance process of one worker incarnation, with all its own incarnations."""

    def __init__(self, host: Host, name: str, options: WorkerOptions, loop: EventLoop) -> None:
        self._host = host
        self._worker = options.worker
        self._options = options.segments
        self._loop: EventLoop | None = loop
        self._random = stream(host.swarm.seed, f"maintenance of {name}")
        self._jobs: list[tuple[StartJob, Generator[None, None, Any]]] = []
        self.filesystem = self._begin()

    def _begin(self) -> SimFilesystem:
        filesystem = SimFilesystem(self._host.disk, self._random)
        lock = filesystem.lock(jobs_lock(self._worker))
        assert lock is not None, "jobs of a predecessor run on"
        return filesystem

    def start_job(self, job: StartJob) -> None:
        """Run the job slice by slice; a compaction runs only while there is no other job."""
        slices = run(decode_spec(encode_spec(job.spec)), self.filesystem, self._options)
        is_idle = not self._jobs
        at = len(self._jobs) if isinstance(job.spec, CompactSpec) else 0
        self._jobs.insert(at, (job, slices))
        if is_idle:
            self._slice(self.filesystem)

    def orphan(self) -> None:
        """End with the worker, at once or at one of the next file calls."""
        self._loop = None
        if self._random.random() < 0.5:
            self.filesystem.kill()
        else:
            self.filesystem.crash_in = self._random.randint(1, 6)
            self._host.clock.after(self._random.randint(0, LOCK_RETRY_NS), self.filesystem.kill)

    def _slice(self, filesystem: SimFilesystem) -> None:
        def turn() -> None:
            if not filesystem.alive:
                return
            job, slices = self._jobs[0]
            try:
                next(slices)
            except StopIteration as end:
                self._end(JobFinished(job.job, decode_result(job.spec, encode_result(end.value))))
            except Corruption as damage:
                self._end(JobFailed(job.job, str(damage), damage))
            except StorageFailure as failure:
                self._end(JobFailed(job.job, str(failure)))
                if self._is_final(failure):
                    filesystem.kill()
                    self._restart_later()
                    return
            except SimCrash:
                self._restart_later()
                return
            if self._jobs:
                self._slice(filesystem)

        self._host.clock.after(self._random.randint(0, SLICE_NS_MAX), turn)

    def _is_final(self, failure: StorageFailure) -> bool:
        """Whether the process ends with the job that failed."""
        return not isinstance(failure, NotWritable)

    def _restart_later(self) -> None:
        self._host.clock.after(MAINTENANCE_RESTART_NS, self._restart)

    def _restart(self) -> None:
        if self._loop is not None:
            self.filesystem = self._begin()
            lost, self._jobs = self._jobs, []
            for job, _ in lost:
                self._post(JobFailed(job.job, "the maintenance process ended"))

    def _end(self, event: JobFinished | JobFailed) -> None:
        self._jobs.pop(0)
        self._post(event)

    def _post(self, event: JobFinished | JobFailed) -> None:
        if self._loop is not None:
            self._loop.post(event)
