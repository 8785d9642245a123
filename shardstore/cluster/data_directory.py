"""The supervisor's data directory: its lock, its identity, and its announcement."""

from __future__ import annotations

import logging
from contextlib import suppress

from shardstore.cluster.fork_guard import give_up_in_forks
from shardstore.cluster.runtime_directory import remove_runtime_directory
from shardstore.cluster.settings import ClusterSettings, default_workers, memory_share
from shardstore.cluster.store import Store, check_same, create_store, read_store
from shardstore.errors import InvalidRequest, NotWritable
from shardstore.files import file_names
from shardstore.seams.entropy import Entropy
from shardstore.seams.filesystem import Filesystem
from shardstore.system.process_identity import own_identity
from shardstore.system.running_cluster import announce, identity_of, last_announced

log = logging.getLogger("shardstore.cluster")


class DataDirectory:
    """A locked data directory and the store in it."""

    def __init__(self, filesystem: Filesystem, entropy: Entropy, settings: ClusterSettings) -> None:
        """Lock the directory, then open or create the store. Raises InvalidRequest, Corruption, StorageFailure."""
        self._filesystem = filesystem
        self._path = settings.data
        lock = filesystem.lock(file_names.STORE_LOCK)
        if lock is None:
            raise InvalidRequest(held_by_another(settings.data))
        self._lock = lock
        give_up_in_forks(self, lock.release)
        try:
            self.identity = identity_of(settings.data)
            self.store = _open_store(filesystem, entropy, settings)
            self._clear_traces()
        except BaseException:
            lock.release()
            raise

    def announce(self, url: str, runtime_directory: str) -> None:
        """Announce to this host where the cluster listens. If the disk cannot be written, clients need the url."""
        try:
            announce(self._filesystem, url, self.store.store, runtime_directory, self.identity)
        except NotWritable as failure:
            log.warning("%s: clients find this cluster by its url only, %s", failure, url)

    def close(self) -> None:
        """Remove the announcement and release the lock."""
        self._clear_traces()
        self._lock.release()

    def _clear_traces(self) -> None:
        """Remove the announcement and the sockets of the previous cluster, which has ended, as this one has the lock.

        In a copy of a directory only the announcement is removed, as the original's cluster may use the sockets.
        """
        last = last_announced(self._path)
        if last is not None:
            remove_runtime_directory(last.runtime_directory)
        if self._filesystem.exists(file_names.ENDPOINT):
            with suppress(NotWritable):
                self._filesystem.remove(file_names.ENDPOINT)


def _open_store(filesystem: Filesystem, entropy: Entropy, settings: ClusterSettings) -> Store:
    store = read_store(filesystem)
    if store is None:
        workers = settings.workers or default_workers()
        memory_share(settings.memory, workers)
        return create_store(filesystem, entropy, workers, settings.boundaries or ())
    check_same(store, settings.boundaries)
    return store


def held_by_another(data: str) -> str:
    """Return why a data directory cannot be opened whose lock is held."""
    holder = last_announced(data)
    if holder is not None and holder.process == own_identity():
        return (
            f"this process runs a cluster on {data} already, at {holder.url}: use that one, by "
            f"shardstore.connect({data!r}), or call stop() of its LocalCluster first"
        )
    who = f" (process {holder.process.pid}, {holder.url})" if holder else ""
    return f"another cluster has {data} open{who}: connect to it, or stop it first"
