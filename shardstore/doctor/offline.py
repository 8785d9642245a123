"""Opens the directory of a store that no cluster serves, for tools. Nothing is written but missing lock files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

from shardstore.cluster.data_directory import held_by_another
from shardstore.errors import InvalidRequest, StorageFailure
from shardstore.files import file_names
from shardstore.seams.filesystem import Filesystem
from shardstore.system.posix_filesystem import PosixFilesystem
from shardstore.system.running_cluster import identity_of

_OF_A_STORE = (file_names.STORE, file_names.ROUTER_DIRECTORY, file_names.SEGMENTS)


@contextmanager
def offline_store(data: str) -> Iterator[Filesystem]:
    """The files of a store, locked. Raises InvalidRequest if it is served, or none; StorageFailure."""
    try:
        filesystem = PosixFilesystem(data, identity_of(data))
    except OSError as error:
        raise StorageFailure(f"cannot open {data}: {error.strerror}") from None
    with ExitStack() as held:
        held.callback(filesystem.close)
        if not any(map(filesystem.exists, _OF_A_STORE)):
            raise InvalidRequest(f"{data} holds no store: name the directory that `serve` has as --data")
        lock = filesystem.lock(file_names.STORE_LOCK)
        if lock is None:
            raise InvalidRequest(held_by_another(data))
        held.callback(lock.release)
        yield filesystem


@contextmanager
def stopped_workers(filesystem: Filesystem, workers: Iterable[int]) -> Iterator[None]:
    """Keep these workers from starting. Raises InvalidRequest if one runs on without its supervisor."""
    with ExitStack() as held:
        for worker in workers:
            if filesystem.exists(file_names.worker_directory(worker)):
                lock = filesystem.lock(file_names.worker_lock(worker))
                if lock is None:
                    raise InvalidRequest(f"worker {worker} of this store still runs: wait until it has ended")
                held.callback(lock.release)
        yield
