"""Runs the calls of the asyncio client's methods, several at once: the counterpart of blocking/call_runner.py."""

from __future__ import annotations

from asyncio import CancelledError
from collections import deque
from collections.abc import AsyncIterator, Collection, Iterable, Iterator
from typing import Any

from shardstore.client.aio.pump import LoopPump
from shardstore.client.calls import operations
from shardstore.client.calls.calls import Call, is_write
from shardstore.client.calls.operations import CALLS_OUTSTANDING
from shardstore.client.session import endings
from shardstore.errors import Busy, OutcomeUnknown, ShardstoreError, Unavailable


class AsyncCallRunner:
    """Submits calls to the session behind a pump, and waits for them."""

    def __init__(self, pump: LoopPump) -> None:
        self._pump = pump

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
                under_way.append(self._pump.submit(call))
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

    async def _wait_among(self, under_way: deque[Call], done: int) -> Any:
        """The value of the first call. If it is a write and fails, waits for the others: the error covers them all."""
        call = under_way[0]
        try:
            value = await self._pump.wait(call)
        except CancelledError as cancelled:
            self._tell_of(cancelled, under_way, done)
            raise
        except (Busy, Unavailable, OutcomeUnknown):
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
