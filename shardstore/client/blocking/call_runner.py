"""Runs the calls of the blocking client's methods, several at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from shardstore.client.blocking.locked_reads import LockedReads
from shardstore.client.blocking.pump import Pump
from shardstore.client.calls import operations
from shardstore.client.calls.arguments import checked_timeout_ns
from shardstore.client.calls.calls import Call, Many, is_write
from shardstore.client.calls.operations import CALLS_OUTSTANDING
from shardstore.client.direct.ask import ASK, Ask
from shardstore.client.session import endings
from shardstore.errors import AccessDenied, Busy, OutcomeUnknown, ShardstoreError, Unavailable
from shardstore.tables.not_ready import NOT_READY
from shardstore.wire.wire_format import Op


class CallRunner:
    """Submits calls to the session behind a pump, and waits for them."""

    def __init__(self, pump: Pump, reads: LockedReads) -> None:
        self._pump = pump
        self._reads = reads
        self._get_ready = reads.get_ready
        self.one: Callable[[Any], Any] = pump.run
        """Run a call. Returns its value, or raises its error."""

    def get(self, key: Any, timeout: float | None) -> bytes | None:
        """Return the value of a key: from the files of its range if possible, else from a worker."""
        found = self._read(key, timeout)
        if isinstance(found, Ask):
            found = self.one(operations.get(key, timeout, found.flags))
        return found

    def contains(self, key: Any, timeout: float | None) -> bool:
        """Return whether a key has a value, as `get`."""
        found = self._read(key, timeout)
        if isinstance(found, Ask):
            found = self.one(operations.contains(key, timeout, found.flags))
        return found is not None

    def each(self, calls: Iterator[Call]) -> Iterator[Any]:
        """The value of each call, in order. Up to CALLS_OUTSTANDING calls are under way at once."""
        under_way: deque[Call] = deque()
        done = 0
        try:
            for call in calls:
                under_way.append(self._begun(call))
                if len(under_way) >= CALLS_OUTSTANDING:
                    yield self._wait_among(under_way, done)
                    done += 1
            while under_way:
                yield self._wait_among(under_way, done)
                done += 1
        except operations.BadEntry as bad:
            ends = [self._end_of(under_way.popleft()) for _ in range(len(under_way))]
            raise bad.error_after(ends) from None
        finally:
            for left in under_way:
                self._pump.abandon(left)

    def _read(self, key: Any, timeout: float | None) -> bytes | Ask | None:
        if timeout is not None:
            checked_timeout_ns(timeout)
        if not self._pump.may_read():
            return ASK
        found = self._get_ready(key)
        return self._reads.get(key) if found is NOT_READY else found

    def _begun(self, call: Call) -> Call:
        """Begin a call. A read of many keys asks workers only for those that cannot be read from files."""
        if type(call) is Many and call.op is Op.GET and self._pump.may_read():
            left = self._reads.get_many(call)
            if isinstance(left, list):
                return self._pump.ended_with(call, left)
            call = left
        self._pump.submit(call)
        self._pump.send()
        return call

    def _wait_among(self, under_way: deque[Call], done: int) -> Any:
        """The value of the first call. If it is a write and fails, waits for the others: the error covers them all."""
        call = under_way.popleft()
        try:
            return self._pump.wait(call)
        except (Busy, Unavailable, AccessDenied, OutcomeUnknown) as error:
            if not is_write(call):
                raise
            ends = [error, *map(self._end_of, under_way)]
            failure = endings.error_of_all(ends, done)
            raise failure from failure.__cause__

    def _end_of(self, call: Call) -> ShardstoreError | None:
        """The error with which a call ends; None for success."""
        try:
            self._pump.wait(call)
        except ShardstoreError as error:
            return error
        return None
