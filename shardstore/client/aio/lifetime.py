"""The life of an asyncio client: the counterpart of blocking/lifetime.py."""

from __future__ import annotations

from types import TracebackType
from typing import Any, NoReturn, Self

from shardstore.client.aio.call_runner import AsyncCallRunner
from shardstore.client.aio.pump import LoopPump
from shardstore.client.aio.scan import AsyncScanIterator
from shardstore.client.calls.arguments import checked_timeout_ns
from shardstore.client.calls.calls import Open
from shardstore.client.calls.scan import Scan
from shardstore.client.surroundings import Surroundings
from shardstore.errors import InvalidRequest


class AsyncLifetime:
    """The part of a client that is not an operation: making, opening and closing it."""

    def __init__(self, surroundings: Surroundings) -> None:
        if not isinstance(surroundings, Surroundings):
            raise InvalidRequest("a client is made by shardstore.connect_async(...)")
        self._pump = LoopPump(surroundings)
        self._reads = surroundings.reads
        self._calls = AsyncCallRunner(self._pump, surroundings.reads)

    def __repr__(self) -> str:
        return f"<shardstore.AsyncClient of {self._pump.name!r}{', closed' if self._pump.ended else ''}>"

    def __reduce__(self) -> NoReturn:
        raise InvalidRequest(
            "a client cannot be pickled: another process makes its own, "
            f"with shardstore.connect_async({self._pump.name!r})"
        )

    async def close(self) -> None:
        """Close the client. A second call does nothing.

        Calls that wait in other tasks raise Closed. A write among them may have been applied.
        """
        self._pump.close()
        self._reads.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def _iterate(self, scan: Scan) -> AsyncScanIterator[Any]:
        return AsyncScanIterator(self._pump, self._reads, scan)

    async def _open(self, timeout: float | None) -> None:
        await self._calls.one(Open(checked_timeout_ns(timeout)))
