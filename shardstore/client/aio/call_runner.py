"""Runs the calls of the asyncio client's methods, several at once: the counterpart of blocking/call_runner.py."""

from __future__ import annotations

import asyncio
from asyncio import CancelledError
from collections import deque
from collections.abc import AsyncIterator, Collection, Iterable, Iterator
from typing import Any

from shardstore.client.aio.pump import LoopPump
from shardstore.client.calls import operations
from shardstore.client.calls.arguments import checked_timeout_ns
from shardstore.client.calls.calls import Call, Many, is_write
from shardstore.client.calls.operations import CALLS_OUTSTANDING
from shardstore.client.direct.ask import ASK, Ask, InMemory
from shardstore.client.direct.direct_reads import DirectReads
from shardstore.client.session import endings
from shardstore.errors import AccessDenied, Busy, OutcomeUnknown, ShardstoreError, Unavailable
from shardstore.tables.not_ready import NOT_READY, NotReady
from shardstore.wire.wire_format import Op

READS_IN_A_ROW_MAX = 64
"""After so many reads of one key, other tasks of the event loop get a turn."""


class AsyncCallRunner:
    """Submits calls to the session behind a pump, and waits for them."""

    def __init__(self, pump: LoopPump, reads: DirectReads) -> None:
        self._pump = pump
        self._reads = reads
        self._get_ready = reads.get_ready
        self._reads_in_a_row = 0

    def get_now(self, key: Any, timeout: float | None) -> bytes | InMemory | NotReady | None:
        """Return the value of a key, or None; NOT_READY or IN_MEMORY if that is left to `get`, as it may wait.

        Most reads end here: a coroutine of their own for each of them would take a good part of their time.
        """
        if self._reads_in_a_row >= READS_IN_A_ROW_MAX or not self._pump.may_read():
            return NOT_READY
        if timeout is not None:
            checked_timeout_ns(timeout)
        self._reads_in_a_row += 1
        return self._get_ready(key)

    async def get(self, key: Any, timeout: float | None, ready: InMemory | NotReady) -> bytes | None:
        """Return the value of a key, given what `get_now` returned: from files if possible, else from a worker."""
        found = self._read(key, timeout) if ready is NOT_READY else ready
        if isinstance(found, Ask):
            found = await self.one(operations.get(key, timeout, found.flags))
        elif self._reads_in_a_row >= READS_IN_A_ROW_MAX:
            await self._let_others_run()
        return found

    async def contains(self, key: Any, timeout: float | None, ready: InMemory | NotReady) -> bool:
        """Return whether a key has a value, as `get`."""
        found = self._read(key, timeout) if ready is NOT_READY else ready
        if isinstance(found, Ask):
            found = await self.one(operations.contains(key, timeout, found.flags))
        elif self._reads_in_a_row >= READS_IN_A_ROW_MAX:
            await self._let_others_run()
        return found is not None

    async def one(self, call: Call) -> Any:
        """Run a call. Returns its value, or raises its error. If a write is cancelled, the error has its token."""
        self._pump.submit(call)
        try:
            return await self._pump.wait(call)
        except CancelledError as cancelled:
            self._tell_of(cancelled, [call], 0)
            raise
        finally:
            self._pump.abandon(call)

    async def each(self, calls: Iterator[Call]) -> AsyncIterator[Any]:
        """The value of each call, in order. Up to CALLS_OUTSTANDING calls are under way at once."""
        under_way: deque[Call] = deque()
        done = 0
        try:
            for call in calls:
                under_way.append(self._begun(call))
                if len(under_way) >= CALLS_OUTSTANDING:
                    yield await self._wait_among(under_way, done)
                    done += 1
            while under_way:
                yield await self._wait_among(under_way, done)
                done += 1
        except operations.BadEntry as bad:
            raise bad.error_after(await self._ends(under_way, done)) from None
        finally:
            for left in under_way:
                self._pump.abandon(left)

    async def _let_others_run(self) -> None:
        """Let other tasks run: a direct read does not wait for anything, so a loop of reads would hold them up."""
        self._reads_in_a_row = 0
        await asyncio.sleep(0)

    def _read(self, key: Any, timeout: float | None) -> bytes | Ask | None:
        self._reads_in_a_row += 1
        if timeout is not None:
            checked_timeout_ns(timeout)
        return self._reads.get(key) if self._pump.may_read() else ASK

    def _begun(self, call: Call) -> Call:
        """Begin a call. A read of many keys asks workers only for those that cannot be read from files."""
        if type(call) is Many and call.op is Op.GET and self._pump.may_read():
            left = self._reads.get_many(call)
            if isinstance(left, list):
                return self._pump.ended_with(call, left)
            call = left
        return self._pump.submit(call)

    async def _wait_among(self, under_way: deque[Call], done: int) -> Any:
        """The value of the first call. If it is a write and fails, waits for the others: the error covers them all."""
        call = under_way[0]
        try:
            if call.settled:  # read without a worker: other tasks get a turn between two chunks
                await asyncio.sleep(0)
            value = await self._pump.wait(call)
        except CancelledError as cancelled:
            self._tell_of(cancelled, under_way, done)
            raise
        except (Busy, Unavailable, AccessDenied, OutcomeUnknown):
            if not is_write(call):
                raise
            failure = endings.error_of_all(await self._ends(under_way, done), done)
            raise failure from failure.__cause__
        self._pump.abandon(under_way.popleft())
        return value

    async def _ends(self, calls: Collection[Call], done: int) -> list[ShardstoreError | None]:
        """The error with which each call ends; None for success."""
        try:
            return [await self._end_of(call) for call in calls]
        except CancelledError as cancelled:
            self._tell_of(cancelled, calls, done)
            raise

    async def _end_of(self, call: Call) -> ShardstoreError | None:
        try:
            await self._pump.wait(call)
        except ShardstoreError as error:
            return error
        return None

    def _tell_of(self, cancelled: CancelledError, calls: Iterable[Call], done: int) -> None:
        """Give the error the token of a write that consists of these calls, after `done` that were applied."""
        if all(map(is_write, calls)):
            token = endings.token_of_all(map(self._pump.error_when_cancelled, calls), done)
            cancelled.token = token.encode()  # type: ignore[attr-defined]
            cancelled.add_note("the write may have been applied: ask `outcome(error.token)` of the client")
