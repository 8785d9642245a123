"""The asyncio client."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self

from shardstore.client import operations
from shardstore.client.answers import unknown_outcome
from shardstore.client.async_scan_iterator import AsyncScanIterator
from shardstore.client.calls import Call, Many, Open, Statistics, is_write
from shardstore.client.checking import WAIT, checked_timeout_ns
from shardstore.client.loop_pump import LoopPump
from shardstore.client.opening import Surroundings, surroundings_of
from shardstore.client.operations import CALLS_OUTSTANDING
from shardstore.client.scanning import scan_of
from shardstore.errors import Busy, Unavailable
from shardstore.options import ScanMode
from shardstore.wire_format import Op


async def connect_async(url: str, direct: bool = True, *, timeout: float | None = None) -> AsyncClient:
    """An asyncio client of the cluster at this url, for the running event loop. Otherwise like `connect`."""
    client = AsyncClient(surroundings_of(url, direct))
    try:
        await client._open(timeout)
    except BaseException:
        await client.close()
        raise
    return client


class AsyncClient:
    """The client for the event loop in which it was made, by `connect_async`. Its methods are those of Client."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._pump = LoopPump(surroundings)

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

        When it raises, pairs before and around the one that failed may have been applied.
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

        With wait=False, return when the ranges have accepted it. Raises Busy if a flush or compaction of one runs;
        that one is left as it is, the others have accepted all the same.
        """
        await self._call(operations.maintain(Op.FLUSH, start, end, wait, timeout))

    async def compact(
        self, start: bytes | None = None, end: bytes | None = None, wait: bool = True, *, timeout: float | None = None
    ) -> None:
        """Flush the ranges with keys in [start, end), and merge the tables of each. `wait` is as for `flush`."""
        await self._call(operations.maintain(Op.COMPACT, start, end, wait, timeout))

    async def stats(self, *, timeout: float | None = None) -> dict[Any, dict[str, Any]]:
        """Figures of the router under "router", and of each worker under its number.

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
        return await self._pump.wait(self._pump.submit(call))

    async def _call_each(self, calls: Iterator[Many]) -> AsyncIterator[Any]:
        """What each call settles with, in order. Some later ones are under way meanwhile."""
        under_way: deque[Call] = deque()
        submitted = 0
        try:
            for submitted, call in enumerate(calls, 1):
                under_way.append(self._pump.submit(call))
                if len(under_way) >= CALLS_OUTSTANDING:
                    yield await self._wait_among(submitted, under_way.popleft())
            while under_way:
                yield await self._wait_among(submitted, under_way.popleft())
        finally:
            for left in under_way:
                self._pump.abandon(left)

    async def _wait_among(self, submitted: int, call: Call) -> Any:
        try:
            return await self._pump.wait(call)
        except (Busy, Unavailable) as error:
            if submitted == 1 or not is_write(call):
                raise
            raise unknown_outcome("some of the pairs or keys may have been applied", error) from error
