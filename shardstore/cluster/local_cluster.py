"""A cluster inside a user's program: the supervisor runs in a thread, every other part in processes of its own."""

from __future__ import annotations

import atexit
import logging
import os
from collections.abc import Sequence
from concurrent.futures import Future
from threading import Thread
from types import TracebackType
from typing import NoReturn, Self

from shardstore.client.aio.connect import Connecting, connect_async
from shardstore.client.blocking.client import Client
from shardstore.client.blocking.connect import connect
from shardstore.client.direct.direct_reads import DIRECT_READS_MEMORY
from shardstore.client.fork_hook import REOPEN
from shardstore.cluster.settings import cluster_settings
from shardstore.cluster.supervisor import Supervisor
from shardstore.errors import Closed, InvalidRequest, ShardstoreError, Unavailable
from shardstore.memory_plan import DEFAULT_MEMORY
from shardstore.options import Durability
from shardstore.segment_options import SegmentOptions
from shardstore.system.readiness import is_patched
from shardstore.system.running_cluster import last_announced
from shardstore.topology_options import TopologyOptions

log = logging.getLogger("shardstore.cluster")

_STOPPED = "the cluster was stopped: make a new LocalCluster"


class LocalCluster:
    """A cluster that runs as long as the `with` block, or from `start` to `stop`.

    Args:
        data: The directory of the store. It is made if it is missing.
        workers: How many worker processes there are, 1 to 256; None: as many as the store has, and for a new one by the
            number of cores. Others that own ranges run too. `admin.add_worker` and `admin.drain_worker` change them.
        memory: What the whole store may use: bytes, or text like "512MiB". At least 96 MiB for each worker.
        durability: When a write is acknowledged: "group_sync", "sync" or "async"; see Durability.
        ranges: Into how many even ranges a new store is cut, or a sequence of the keys at which ranges begin, in
            order. None: one range, which is split as data arrives.
        listen: An address like "tcp://127.0.0.1:7700"; None: only sockets that only this user can reach. One that other
            hosts can reach needs keys (`shardstore keys new`); if there are any, tcp clients must have one.
        segments: How table files are written; None: SegmentOptions().
        topology: When ranges are split, merged and moved; None: TopologyOptions().
        socket: The path of the socket for clients; None: one in a private directory.
        socket_mode: Its permissions, like 0o660 or "660", at least 0o600; None: 0o600. Only with `socket`.
        socket_group: The name of its group; None: the usual one. Only with `socket`.

    Raises:
        InvalidRequest: An argument is not allowed.
    """

    def __init__(
        self,
        data: str | os.PathLike[str],
        workers: int | None = None,
        memory: str | int = DEFAULT_MEMORY,
        durability: str | Durability = Durability.GROUP_SYNC,
        ranges: int | Sequence[bytes] | None = None,
        listen: str | None = None,
        segments: SegmentOptions | None = None,
        topology: TopologyOptions | None = None,
        socket: str | os.PathLike[str] | None = None,
        socket_mode: int | str | None = None,
        socket_group: str | None = None,
    ) -> None:
        self._settings = cluster_settings(
            data, workers, memory, durability, ranges, listen, segments, topology, socket, socket_mode, socket_group
        )
        self._supervisor: Supervisor | None = None
        self._thread: Thread | None = None
        self._owner = 0
        self._serves = False

    @property
    def url(self) -> str:
        """The url for `shardstore.connect`, which also takes the data directory.

        Raises:
            Closed: The cluster does not run.
        """
        return self._started().url

    def start(self) -> Self:
        """Start all processes and wait until they serve.

        Returns:
            The cluster itself.

        Raises:
            InvalidRequest: The store cannot be opened like this: another process serves it, for example.
            StorageFailure, Corruption: Its files cannot be read or written, or are damaged.
            Unavailable: A process did not start, or did nothing for 60 seconds while it started.
            Closed: The cluster runs already, or was stopped: make a new LocalCluster.
        """
        if self._supervisor is not None:
            raise Closed("the cluster runs already: use it as it is" if self._serves else _STOPPED)
        if is_patched():
            raise InvalidRequest(
                "a LocalCluster does not run in a program that gevent has patched, a client does: start the cluster "
                "with `shardstore serve`, and connect to its data directory"
            )
        self._supervisor = Supervisor(self._settings)
        self._owner = os.getpid()
        url: Future[str] = Future()
        self._thread = Thread(target=_run, args=(self._supervisor, url), name="shardstore supervisor", daemon=True)
        atexit.register(self.stop)
        self._thread.start()
        try:
            url.result()
            self._serves = True
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop all processes in order, and wait for their end.

        It does nothing if the cluster does not run, or in the child of a fork.
        """
        if self._supervisor is None or self._thread is None or self._owner != os.getpid():
            return
        atexit.unregister(self.stop)
        self._serves = False
        self._supervisor.request_stop()
        try:
            self._thread.join()
        except BaseException:
            # Ctrl-C while waiting: the second request ends everything at once.
            self._supervisor.request_stop()
            raise

    def connect(
        self,
        *,
        direct: bool = True,
        timeout: float | None = None,
        fork: str = REOPEN,
        direct_reads: bool = True,
        memory: int | str = DIRECT_READS_MEMORY,
    ) -> Client:
        """Connect to this cluster.

        Args:
            direct: As for `shardstore.connect`.
            timeout: Seconds; None is 30.
            fork: As for `shardstore.connect`.
            direct_reads: As for `shardstore.connect`.
            memory: As for `shardstore.connect`.

        Returns:
            A client. Close it, by hand or with `with`.

        Raises:
            Closed: The cluster does not run.
            The errors of `shardstore.connect`.
        """
        return connect(self._where(), direct, timeout=timeout, fork=fork, direct_reads=direct_reads, memory=memory)

    def connect_async(
        self,
        *,
        direct: bool = True,
        timeout: float | None = None,
        fork: str = REOPEN,
        direct_reads: bool = True,
        memory: int | str = DIRECT_READS_MEMORY,
    ) -> Connecting:
        """Connect to this cluster with an asyncio client.

        Args:
            direct: As for `shardstore.connect_async`.
            timeout: Seconds; None is 30.
            fork: As for `shardstore.connect_async`.
            direct_reads: As for `shardstore.connect_async`.
            memory: As for `shardstore.connect_async`.

        Returns:
            As `shardstore.connect_async`.

        Raises:
            Closed: The cluster does not run.
            The errors of `shardstore.connect_async`.
        """
        return connect_async(
            self._where(), direct, timeout=timeout, fork=fork, direct_reads=direct_reads, memory=memory
        )

    def processes(self) -> dict[str, int]:
        """Return the processes of the cluster that run now.

        Returns:
            Process ids by name: "router", "worker-0", "worker-0 maintenance", ...; empty if none runs.
        """
        return self._supervisor.processes() if self._supervisor else {}

    def _where(self) -> str:
        """The directory, by which clients find later clusters too; the url where the disk took no announcement."""
        url, announced = self._started().local_url, last_announced(self._settings.data)
        return self._settings.data if announced and announced.url == url else url

    def _started(self) -> Supervisor:
        if self._supervisor is None:
            raise Closed("the cluster is not started: use it in a `with` block, or call start()")
        if not self._serves:
            raise Closed(_STOPPED)
        return self._supervisor

    def __enter__(self) -> Self:
        return self if self._serves else self.start()

    def __repr__(self) -> str:
        supervisor = self._supervisor
        state = "not started" if supervisor is None else f"at {supervisor.url}" if self._serves else "stopped"
        return f"<shardstore.LocalCluster on {self._settings.data!r}, {state}>"

    def __reduce__(self) -> NoReturn:
        raise InvalidRequest(
            f"a cluster cannot be copied or pickled: connect to it, with shardstore.connect({self._settings.data!r})"
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


def _run(supervisor: Supervisor, url: Future[str]) -> None:
    try:
        supervisor.run(url.set_result)
    except BaseException as error:
        if url.done():
            log.error("the cluster has ended: %s", error, exc_info=not isinstance(error, ShardstoreError))
        else:
            url.set_exception(error)
    if not url.done():
        url.set_exception(Unavailable("the cluster was stopped while it started"))
