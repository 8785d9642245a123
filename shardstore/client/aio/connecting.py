"""How an asyncio client is made: by `await` or `async with`."""

from __future__ import annotations

import os
from collections.abc import Coroutine, Generator
from types import TracebackType
from typing import Any

from shardstore.client.aio.client import AsyncClient
from shardstore.client.forking import REOPEN
from shardstore.client.opening import surroundings_of


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
