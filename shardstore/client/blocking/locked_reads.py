"""The direct reads of a blocking client, for one thread at a time."""

from __future__ import annotations

import threading
from typing import Any

from shardstore.client.calls.calls import Many, Page, ScanPage
from shardstore.client.direct.ask import ASK, Ask
from shardstore.client.direct.direct_reads import DirectReads
from shardstore.client.fork_hook import watch


class LockedReads:
    """Lets a thread read while no other one does; it asks a worker otherwise, and waits for nobody.

    So a signal handler that reads in the middle of a read of the same thread asks a worker, too.
    """

    def __init__(self, reads: DirectReads) -> None:
        self._reads = reads
        self._lock = threading.Lock()
        watch(self)

    def get(self, key: Any) -> bytes | Ask | None:
        """Return the value of a key, None if it has none, or ASK."""
        if not self._lock.acquire(blocking=False):
            return ASK
        try:
            return self._reads.get(key)
        except BaseException:
            self._reads.begin_anew()
            raise
        finally:
            self._lock.release()

    def get_many(self, call: Many) -> Many | list[bytes | None]:
        """Return the values of all keys of a call, or the call that is left."""
        if not self._lock.acquire(blocking=False):
            return call
        try:
            return self._reads.get_many(call)
        except BaseException:
            self._reads.begin_anew()
            raise
        finally:
            self._lock.release()

    def page(self, call: ScanPage) -> Page | Ask:
        """Return a page of a scan that holds nothing in its range yet, or ASK."""
        if not self._lock.acquire(blocking=False):
            return ASK
        try:
            return self._reads.page(call)
        except BaseException:
            self._reads.begin_anew()
            raise
        finally:
            self._lock.release()

    def close(self) -> None:
        """Let go of all files, unless a thread reads."""
        if self._lock.acquire(blocking=False):
            self._reads.close()
            self._lock.release()

    def carry_over_fork(self) -> None:
        """In the child of a fork: a read of another thread may be in the middle of a step, and will never end."""
        if self._lock.locked():
            self._lock = threading.Lock()
            self._reads.begin_anew()
