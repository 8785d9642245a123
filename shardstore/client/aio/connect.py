"""`connect_async`, which makes an asyncio client, by `await` or `async with`."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine, Generator
from types import TracebackType
from typing import Any

from shardstore.client.aio.client import AsyncClient
from shardstore.client.direct.direct_reads import DIRECT_READS_MEMORY
from shardstore.client.fork_hook import REOPEN
from shardstore.client.surroundings import Surroundings, surroundings_of


def connect_async(
    where: str | os.PathLike[str] | None = None,
    direct: bool = True,
    *,
    timeout: float | None = None,
    fork: str = REOPEN,
    direct_reads: bool = True,
    memory: int | str = DIRECT_READS_MEMORY,
    key: str | os.PathLike[str] | None = None,
) -> Connecting:
    """Connect to a cluster, found by its data directory on this host or by its url.

    This returns at once; `await` or `async with` connect, and raise the errors.

    Args:
        where: The path of the store's data directory, or a url like "unix:///run/app/store" or "tcp://127.0.0.1:7700".
            None: what the variable SHARDSTORE_URL or else SHARDSTORE_DATA says.
        direct: Talk to workers directly where their sockets can be reached; False: only through the router, also for
            reads.
        timeout: Seconds; None is 30.
        fork: What the client does in the child of a fork: connect anew ("reopen"), or raise Closed ("refuse").
        direct_reads: Read keys and scan in the files of the store where that is possible; False: always ask a worker.
            An error of the disk under such a file ends the program. See docs/architecture/direct_reads.md.
        memory: For the indexes of these files: a number of bytes, or text like "64MiB". An open scan may take 16 MiB.
        key: The path of a key file (`shardstore keys new`), for a tcp url of a store that asks for keys. None: what the
            variable SHARDSTORE_KEY says. See docs/security.md.

    Returns:
        An awaitable: `await` gives an AsyncClient for the running event loop, `async with` one that it closes.

    Raises:
        InvalidRequest: An argument is not allowed, or `where` and both variables are missing.
        AccessDenied: The store does not let this client in.
        Unavailable: No router answered: within `timeout`, or within 2 seconds if nobody listens.
    """
    return Connecting(_connected(timeout, lambda: surroundings_of(where, direct, fork, direct_reads, memory, key)))


async def _connected(timeout: float | None, surroundings: Callable[[], Surroundings]) -> AsyncClient:
    client = AsyncClient(surroundings())
    try:
        await client._open(timeout)
    except BaseException:
        await client.close()
        raise
    return client


class Connecting(Coroutine[Any, Any, "AsyncClient"]):
    """What `connect_async` returns: `await` it, or use it with `async with`, which closes the client at its end."""

    def __init__(self, connected: Coroutine[Any, Any, AsyncClient]) -> None:
        self._connected = connected
        self._client: AsyncClient | None = None

    def send(self, value: Any) -> Any:
        """Resume the coroutine; for the event loop."""
        return self._connected.send(value)

    def throw(self, *error: Any) -> Any:
        """Raise an exception in the coroutine; for the event loop."""
        return self._connected.throw(*error)

    def close(self) -> None:
        """Close the coroutine; for the event loop."""
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
