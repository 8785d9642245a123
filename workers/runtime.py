"""The shell of the worker process: gives the core its surroundings and runs it."""

from __future__ import annotations

import gc
import sys
from threading import Event as Flag

from shardstore.errors import Corruption, InvalidRequest, StorageFailure, Unavailable
from shardstore.files.file_names import jobs_lock, worker_directory, worker_lock
from shardstore.limits import REPLY_BYTES_AIM
from shardstore.memory_plan import MemoryPlan
from shardstore.options import WorkerOptions
from shardstore.seams.effects import Core, Effect, ReportReady, Say, StartJob, Stop, StopRequested, SyncWal
from shardstore.seams.filesystem import Filesystem, Lock
from shardstore.system.board_files import BoardFiles
from shardstore.system.event_loop import EventLoop
from shardstore.system.posix_filesystem import PosixFilesystem
from shardstore.system.process import descriptors_for_peers, install_stop_signals, report_ready, report_words, show_life
from shardstore.system.socket_transport import SocketTransport
from shardstore.system.system_clock import SystemClock, SystemWallClock
from shardstore.system.system_entropy import SystemEntropy
from shardstore.system.traffic import Terms
from shardstore.wire.link_names import CLIENTS, ROUTER
from shardstore.workers.core import WorkerCore
from shardstore.workers.maintenance.process import MaintenanceProcess
from shardstore.workers.refusing_core import RefusingCore
from shardstore.workers.sync_thread import SyncThread

LOCK_TRIES = 200
LOCK_RETRY_S = 0.05


def run(options: WorkerOptions) -> Stop:
    """Serve until the worker is asked to stop, or must. Raises a ShardstoreError if it cannot start.

    If its log cannot be opened, the worker refuses all requests with the reason.
    """
    filesystem = PosixFilesystem(options.data, options.identity)
    filesystem.make_directory(worker_directory(options.worker))
    lock = _wait_for_lock(filesystem, worker_lock(options.worker))
    _wait_for_lock(filesystem, jobs_lock(options.worker)).release()  # jobs of a predecessor have ended
    transport = SocketTransport()
    boards = BoardFiles(options.data, options.identity, options.board)
    try:
        endpoint = transport.bind(CLIENTS, options.listen, _terms(options.memory), options.access)
        endpoint = f"{endpoint} {_bind_remote(transport, options)}".rstrip()
        transport.connect(ROUTER, options.router)
        try:
            seams = endpoint, transport.unsent_bytes, boards, SystemWallClock()
            core = WorkerCore(filesystem, SystemEntropy(), options, *seams)
            report_words(options.status_fd, core.recovered)
            return _serve(core, filesystem, transport, options, endpoint)
        except (Corruption, StorageFailure) as failure:
            sys.stderr.write(f"all keys of this worker are refused, as its log cannot be opened: {failure}\n")
            refusing = RefusingCore(filesystem, options, endpoint, failure)
            return _serve(refusing, filesystem, transport, options, endpoint)
    finally:
        transport.close()
        lock.release()


def _serve(
    core: Core, filesystem: Filesystem, transport: SocketTransport, options: WorkerOptions, endpoint: str
) -> Stop:
    def perform(effect: Effect) -> None:
        match effect:
            case SyncWal():
                sync_thread.sync(effect)
            case StartJob():
                maintenance.start_job(effect)
            case ReportReady():
                gc.freeze()  # these objects stay: the collector need not visit them
                maintenance.start()  # not before: it would take processors from workers that open their ranges
                report_ready(options.status_fd, endpoint)
            case Say():
                sys.stderr.write(f"{effect.words} (data directory {options.data})\n")
            case _:
                raise AssertionError(f"no effect of a worker: {effect}")

    loop = EventLoop(core, transport, SystemClock(), perform, lambda: show_life(options.life_fd), (ROUTER,))
    sync_thread = SyncThread(filesystem, loop.post)
    maintenance = MaintenanceProcess(options, loop.post)
    try:
        install_stop_signals(lambda: loop.post(StopRequested()))
        return loop.run()
    finally:
        maintenance.close()
        sync_thread.close()


def _bind_remote(transport: SocketTransport, options: WorkerOptions) -> str:
    """Listen over tcp for clients with keys, if that was asked for. Returns the endpoint; empty if it is taken.

    Then clients reach the worker through the router.
    """
    if not options.remote:
        return ""
    from shardstore.access.doorkeeper import Doorkeeper  # noqa: PLC0415  (few stores need it)

    try:
        return transport.bind_also(CLIENTS, options.remote, Doorkeeper(options.data))
    except InvalidRequest as flaw:
        report_words(options.status_fd, f"is reached over tcp through the router only: {flaw}")
        return ""


def _terms(plan: MemoryPlan) -> Terms:
    """The limits for clients."""
    pause_bytes = min(plan.reply_bytes // 8, REPLY_BYTES_AIM)
    return Terms(plan.reply_bytes, pause_bytes=pause_bytes, descriptors_max=descriptors_for_peers())


def _wait_for_lock(filesystem: Filesystem, path: str) -> Lock:
    """Take a lock that a dying predecessor may still hold for a while. Raises Unavailable."""
    pause = Flag()
    for _ in range(LOCK_TRIES):
        lock = filesystem.lock(path)
        if lock is not None:
            return lock
        pause.wait(LOCK_RETRY_S)
    raise Unavailable(f"{path} is held by another process")
