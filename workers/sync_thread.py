"""Syncs the log off the event loop. Requests that arrive during a sync share the next one."""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread

from shardstore.errors import StorageFailure
from shardstore.seams.effects import Event, SyncWal, WalSynced, WalSyncFailed
from shardstore.seams.filesystem import Filesystem


class SyncThread:
    """Executes one SyncWal after the other. The thread calls `post` with the outcome."""

    def __init__(self, filesystem: Filesystem, post: Callable[[Event], None]) -> None:
        self._filesystem = filesystem
        self._post = post
        self._wanted: SimpleQueue[SyncWal | None] = SimpleQueue()
        self._thread = Thread(target=self._serve, name="wal-sync", daemon=True)
        self._thread.start()

    def sync(self, effect: SyncWal) -> None:
        """Begin a sync; its outcome is posted."""
        self._wanted.put(effect)

    def close(self) -> None:
        """End the thread after the syncs that were begun."""
        self._wanted.put(None)
        self._thread.join()

    def _serve(self) -> None:
        while (effect := self._wanted.get()) is not None:
            try:
                for file in effect.files:
                    file.sync()
                if effect.directory is not None:
                    self._filesystem.sync_directory(effect.directory)
            except StorageFailure as failure:
                self._post(WalSyncFailed(str(failure)))
            else:
                self._post(WalSynced(effect.lsn))
