"""The asyncio client."""

from __future__ import annotations

import os
from asyncio import CancelledError
from collections import deque
from collections.abc import AsyncIterator, Collection, Coroutine, Generator, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, NoReturn, Self

from shardstore.client import operations, outcome_token
from shardstore.client.async_scan_iterator import AsyncScanIterator
from shardstore.client.asyncio_admin import AsyncAdmin
from shardstore.client.calls import Call, Open, Statistics, is_write
from shardstore.client.checking import WAIT, checked_timeout_ns
from shardstore.client.forking import REOPEN
from shardstore.client.loop_pump import LoopPump
from shardstore.client.opening import Surroundings, surroundings_of
from shardstore.client.operations import CALLS_OUTSTANDING
from shardstore.client.scanning import scan_of
from shardstore.errors import Busy, InvalidRequest, OutcomeUnknown, ShardstoreError, Unavailable
from shardstore.options import ScanMode
from shardstore.outcome import Outcome
from shardstore.wire_format import Op


def connect_async(
    where: str | os.PathLike[str] | None = None,
    direct: bool = True,
    *,
    timeout: float | None = None,
    fork: str = REOPEN,
) -> Connecting:
    """An asyncio client for the running event loop, by `await` or `async with`. Otherwise like `connect`."""
    return Connecting(_connected(where, direct, timeout, fork))


async def _connected(
    where: str | os.PathLike[str] | None, direct: bool, timeout: float | None, fork: str
) -> AsyncClient:
    client = AsyncClient(surroundings_of(where, direct, fork))
    try:
        await client._open(timeout)
    except BaseException:
        await client.close()
        raise
    return client


class Connecting(Coroutine[Any, Any, "AsyncClient"]):
    """What `connect_async` returns: `await` it, or enter it with `async with`, at whose end the client is closed."""

    def __init__(self, connected: Coroutine[Any, Any, AsyncClient]) -> None:
        self._connected = connected
        self._client: AsyncClient | None = None

    def send(self, value: Any) -> Any:
        """Go on; for the event loop."""
        return self._connected.send(value)

    def throw(self, *error: Any) -> Any:
        """Go on with an exception; for the event loop."""
        return self._connected.throw(*error)

    def close(self) -> None:
        """Give it up; for the event loop."""
        self._connected.close()

    def __await__(self) -> Generator[Any, Any, AsyncClient]:
        return self._connected.__await__()

    async def __aenter__(self) -> AsyncClient:
        self._client = await self._connected
        return self._client

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._client is not None:
            await self._client.close()


class AsyncClient:
    """The client for the event loop in which it was made, by `connect_async`. Its methods are those of Client.

    Cancelling a write does not take it back. What has left goes on until it is answered or its `timeout` is over, and
    may be applied; reads of the same client that are made later come behind it. What has not left is dropped. The
    CancelledError, which is the cause of the TimeoutError of `asyncio.wait_for` and `asyncio.timeout`, has a `token`:
    `outcome(error.token)` tells what became of the write.
    """

    def __init__(self, surroundings: Surroundings) -> None:
        if not isinstance(surroundings, Surroundings):
            raise InvalidRequest("a client is made by shardstore.connect_async(...)")
        self._pump = LoopPump(surroundings)

    def __repr__(self) -> str:
        return f"<shardstore.AsyncClient of {self._pump.name!r}{', closed' if self._pump.ended else ''}>"

    def __reduce__(self) -> NoReturn:
        raise InvalidRequest(
            "a client cannot be pickled: another process makes its own, "
            f"with shardstore.connect_async({self._pump.name!r})"
        )

    @property
    def admin(self) -> AsyncAdmin:
        """What an operator does: split, merge and move ranges, add and drain workers."""
        return AsyncAdmin(self._call)

    async def get(self, key: bytes, default: Any = None, *, timeout: float | None = None) -> Any:
        """The value of a key, or `default` if it has none."""
        value = await self._call(operations.get(key, timeout))
        return default if value is None else value

    async def contains(self, key: bytes, *, timeout: float | None = None) -> bool:
        """Whether a key has a value."""
        return await self._call(operations.contains(key, timeout)) is not None

    async def put(self, key: bytes, value: bytes, *, timeout: float | None = None, on_busy: str = WAIT) -> None:
        """Set a key. Every client sees it once this returns."""
        await self._call(operations.put(key, value, timeout, on_busy))

    async def delete(self, key: bytes, *, timeout: float | None = None, on_busy: str = WAIT) -> None:
        """Remove a key, if it is there."""
        await self._call(operations.delete(key, timeout, on_busy))

    async def put_if_absent(self, key: bytes, value: bytes, *, timeout: float | None = None) -> bool:
        """Set a key that has no value; False if it has one."""
        return bool(await self._call(operations.put_if_absent(key, value, timeout)))

    async def compare_and_set(
        self, key: bytes, expected: bytes | None, value: bytes | None, *, timeout: float | None = None
    ) -> bool:
        """Set a key (`value` None: remove it) if its value is the expected one (None: none); False if it is not."""
        return bool(await self._call(operations.compare_and_set(key, expected, value, timeout)))

    async def increment(self, key: bytes, by: int = 1, *, timeout: float | None = None) -> int:
        """Add to a counter, and answer where it stands then. A key without a value stands at 0.

        The value of a counter is decimal text of a signed number of 64 bits, as with Redis; `put` and `get` may be used
        on it. Raises InvalidRequest, and changes nothing, when the value is no such number or the sum would be none.
        """
        return int(await self._call(operations.increment(key, by, timeout)))

    async def outcome(self, token: bytes, *, timeout: float | None = None) -> Outcome:
        """What became of a write that ended with OutcomeUnknown, by the `token` of that; in any client of the store.

        What was not applied is never applied any more once this has said so.
        """
        asked = outcome_token.from_bytes(token)
        return asked.outcome([ending async for ending in self._call_each(operations.outcome(asked, timeout))])

    async def get_many(self, keys: Iterable[bytes], *, timeout: float | None = None) -> list[bytes | None]:
        """The values of keys in their order, None where there is none."""
        found: list[bytes | None] = []
        async for values in self._call_each(operations.get_many(keys, timeout)):
            found += values
        return found

    async def put_many(
        self,
        pairs: Mapping[bytes, bytes] | Iterable[tuple[bytes, bytes]],
        *,
        timeout: float | None = None,
        on_busy: str = WAIT,
    ) -> None:
        """Set many keys, from a mapping or from pairs. Not atomic, but the pairs of one key are applied in order.

        A pair that is not allowed is named by its number, with what was applied before. When anything else is raised,
        pairs before and around the one that failed may have been applied.
        """
        async for _ in self._call_each(operations.put_many(pairs, timeout, on_busy)):
            pass

    async def delete_many(self, keys: Iterable[bytes], *, timeout: float | None = None, on_busy: str = WAIT) -> None:
        """Remove many keys. Not atomic."""
        async for _ in self._call_each(operations.delete_many(keys, timeout, on_busy)):
            pass

    def scan(
        self,
        start: bytes | None = None,
        end: bytes | None = None,
        prefix: bytes | None = None,
        reverse: bool = False,
        limit: int | None = None,
        keys_only: bool = False,
        *,
        mode: str = ScanMode.SNAPSHOT,
        resume: bytes | None = None,
        timeout: float | None = None,
    ) -> AsyncScanIterator:
        """Pairs (key, value) in key order with start <= key < end, or only keys. Complete, or it raises.

        `mode` says what it does about writes that come meanwhile: see ScanMode. `resume`: go on where another scan
        stood, by its `resume_token`; bounds, direction, limit and mode are those of that scan.
        """
        scan = scan_of(start, end, prefix, reverse, limit, keys_only, mode, resume, timeout)
        return AsyncScanIterator(self._pump, scan)

    async def flush(
        self, start: bytes | None = None, end: bytes | None = None, wait: bool = True, *, timeout: float | None = None
    ) -> None:
        """Return when everything written before is in segment files, in all ranges with keys in [start, end).

        With wait=False, return when the ranges have accepted it. Raises Busy if a flush or compaction that was asked
        for earlier has not ended in one of them; that one is left as it is, the others have accepted all the same.
        """
        await self._call(operations.maintain(Op.FLUSH, start, end, wait, timeout))

    async def compact(
        self, start: bytes | None = None, end: bytes | None = None, wait: bool = True, *, timeout: float | None = None
    ) -> None:
        """Flush the ranges with keys in [start, end), and merge the tables of each. `wait` is as for `flush`."""
        await self._call(operations.maintain(Op.COMPACT, start, end, wait, timeout))

    async def stats(self, *, timeout: float | None = None) -> dict[Any, dict[str, Any]]:
        """Figures of the router under "router", and of each worker that has ranges or is up, under its number.

        Instead of the figures of one that cannot give any: {"unavailable": why}.
        """
        figures: dict[Any, dict[str, Any]] = await self._call(Statistics(checked_timeout_ns(timeout)))
        return figures

    async def close(self) -> None:
        """Close the client; calls that wait in other tasks raise Closed."""
        self._pump.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def _open(self, timeout: float | None) -> None:
        await self._call(Open(checked_timeout_ns(timeout)))

    async def _call(self, call: Call) -> Any:
        self._pump.submit(call)
        try:
            return await self._pump.wait(call)
        except CancelledError as cancelled:
            self._tell_of(cancelled, [call], 0)
            raise
        finally:
            self._pump.abandon(call)

    async def _call_each(self, calls: Iterator[Call]) -> AsyncIterator[Any]:
        """What each call settles with, in order. Some later ones are under way meanwhile."""
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
            raise bad.told(await self._ends(under_way, done)) from None
        finally:
            for left in under_way:
                self._pump.abandon(left)

    async def _wait_among(self, under_way: deque[Call], done: int) -> Any:
        """What the first call settles with. When a write fails, the others end too: the error tells of all."""
        call = under_way[0]
        try:
            value = await self._pump.wait(call)
        except CancelledError as cancelled:
            self._tell_of(cancelled, under_way, done)
            raise
        except (Busy, Unavailable, OutcomeUnknown):
            if not is_write(call):
                raise
            failure = outcome_token.error_of_all(await self._ends(under_way, done), done)
            raise failure from failure.__cause__
        self._pump.abandon(under_way.popleft())
        return value

    async def _ends(self, calls: Collection[Call], done: int) -> list[ShardstoreError | None]:
        """The error of each call, None if it has none."""
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
        """Let the error tell what became of a write of these calls, behind `done` that were applied."""
        if all(map(is_write, calls)):
            token = outcome_token.token_of_all(map(self._pump.ending_of, calls), done)
            cancelled.token = token.encode()  # type: ignore[attr-defined]
            cancelled.add_note("the write may be applied: `outcome(error.token)` of the client tells")
