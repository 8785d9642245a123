"""The direct reads of a blocking client, for any number of threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from shardstore.client.calls.calls import Many, Page, ScanPage
from shardstore.client.direct.ask import ASK, Ask
from shardstore.client.direct.direct_reads import DirectReads
from shardstore.client.fork_hook import watch
from shardstore.stats_schema import OwnReadsStats

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")
Refused = TypeVar("Refused")


class LockedReads:
    """Lets a thread read while no other one does; otherwise it asks a worker. It never waits for the lock.

    What is ready needs no lock: `get_ready` changes nothing, so it may be anywhere when a thread is stopped for good.

    So a signal handler that reads in the middle of a read of the same thread asks a worker, too. A handler that raises
    just after the lock was taken leaves it taken: this thread can still read, and the others ask workers from then on.
    """

    def __init__(self, reads: DirectReads) -> None:
        self._reads = reads
        self.get_ready = reads.get_ready
        """Return the value of a key, or None; NOT_READY if that is left to `get`. It takes no lock."""
        self._lock = threading.RLock()
        self._in_the_middle = False
        watch(self)

    def get(self, key: Any) -> bytes | Ask | None:
        """Return the value of a key, None if it has none, or why a worker must be asked."""
        return self._alone(self._reads.get, key, ASK)

    def get_many(self, call: Many) -> Many | list[bytes | None]:
        """Return the values of all keys of a call, or the call that is left."""
        return self._alone(self._reads.get_many, call, call)

    def statistics(self) -> OwnReadsStats:
        """Return how many keys were read which way."""
        return self._reads.statistics()

    def page(self, call: ScanPage) -> Page | Ask:
        """Return a page of a scan that holds nothing in its range yet, or ASK."""
        return self._alone(self._reads.page, call, ASK)

    def close(self) -> None:
        """Let go of all files, unless a thread reads."""
        if self._lock.acquire(blocking=False):
            if not self._in_the_middle:
                self._reads.close()
            self._lock.release()

    def carry_over_fork(self) -> None:
        """In the child of a fork: a read of another thread may be in the middle of a step, and will never end."""
        if not self._lock._is_owned():  # type: ignore[attr-defined]  # as threading.Condition asks it
            self._lock = threading.RLock()
            if self._in_the_middle:
                self._in_the_middle = False
                self._reads.begin_anew()

    def _alone(self, read: Callable[[Asked], Answer], asked: Asked, refused: Refused) -> Answer | Refused:
        """Return the answer of a read, or `refused` if another one is in the middle."""
        if not self._lock.acquire(blocking=False):
            return refused
        try:
            if self._in_the_middle:
                return refused
            self._in_the_middle = True
            try:
                return read(asked)
            finally:
                self._in_the_middle = False
        finally:
            self._lock.release()
