"""The shell of the router process: connects the core with files, sockets and the clock, and runs it."""

from __future__ import annotations

from shardstore.errors import Unavailable
from shardstore.files.file_names import ROUTER_DIRECTORY, ROUTER_LOCK
from shardstore.limits import MESSAGE_BYTES_MAX, OUTBOX_BYTES_MAX, WORKERS_MAX
from shardstore.memory_plan import MemoryPlan
from shardstore.options import RouterOptions
from shardstore.router.core import RouterCore
from shardstore.seams.effects import Effect, ReportWorkers, Stop, StopRequested
from shardstore.system.event_loop import EventLoop
from shardstore.system.posix_filesystem import PosixFilesystem
from shardstore.system.process import (
    descriptors_for_peers,
    install_stop_signals,
    report_endpoint,
    report_workers,
    show_life,
)
from shardstore.system.socket_transport import SocketTransport
from shardstore.system.system_clock import SystemClock
from shardstore.system.system_entropy import SystemEntropy
from shardstore.system.traffic import Terms
from shardstore.wire.link_names import CLIENTS, WORKERS

_AT_ONCE = 64
"""Messages of one peer in a turn: passing one on takes a few microseconds."""
_OF_WORKERS = Terms(
    unsent_bytes=WORKERS_MAX * OUTBOX_BYTES_MAX,
    arriving_bytes=WORKERS_MAX * MESSAGE_BYTES_MAX,
    pause_bytes=OUTBOX_BYTES_MAX,
    at_once=_AT_ONCE,
    bytes_max_of=lambda _: MESSAGE_BYTES_MAX,
)
"""Workers are trusted: each may use as much as any message needs, and the router always reads from it."""


def run(options: RouterOptions) -> Stop:
    """Serve until the router is stopped or fails. Raises a ShardstoreError if it cannot start."""
    filesystem = PosixFilesystem(options.data, options.identity)
    filesystem.make_directory(ROUTER_DIRECTORY)
    lock = filesystem.lock(ROUTER_LOCK)  # before any bind, and held to the end of the process
    if lock is None:
        raise Unavailable(f"another router serves {options.data}")
    core = RouterCore(filesystem, SystemEntropy(), options)
    transport = SocketTransport()

    def perform(effect: Effect) -> None:
        assert isinstance(effect, ReportWorkers), f"not an effect of the router: {effect}"
        report_workers(options.status_fd, effect.workers)

    try:
        shared = (CLIENTS, WORKERS)
        loop = EventLoop(core, transport, SystemClock(), perform, lambda: show_life(options.life_fd), shared)
        install_stop_signals(lambda: loop.post(StopRequested()))
        transport.bind(WORKERS, options.internal, _OF_WORKERS)
        terms = _of_clients(options.memory)
        endpoint = transport.bind(CLIENTS, options.listen, terms, options.access)
        report_endpoint(options.status_fd, endpoint, _bind_remote(transport, options))
        return loop.run()
    finally:
        transport.close()
        lock.release()


def _bind_remote(transport: SocketTransport, options: RouterOptions) -> str:
    """Listen over tcp for clients with keys, if that was asked for. Returns the endpoint. Raises InvalidRequest."""
    if not options.remote:
        return ""
    from shardstore.access.doorkeeper import Doorkeeper  # noqa: PLC0415  (few stores need it)

    return transport.bind_also(CLIENTS, options.remote, Doorkeeper(options.data))


def _of_clients(plan: MemoryPlan) -> Terms:
    """What clients may use."""
    bytes_max = max(plan.memory // 16, MESSAGE_BYTES_MAX)
    return Terms(bytes_max, at_once=_AT_ONCE, descriptors_max=descriptors_for_peers())
