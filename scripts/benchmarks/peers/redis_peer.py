"""Redis: a private server with an append-only file, used through redis-py with hiredis.

Batches are MSET and MGET, which are several times as fast as pipelines of SET and GET. Redis has no key order: a scan
reads the keys with SCAN and their values with MGET.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from itertools import chain
from pathlib import Path
from typing import Any, cast

import redis.asyncio
from redis import Redis

from benchmarks.peers.peer import BATCH_ENTRIES, AwaitedGet
from benchmarks.peers.redis_server import redis_server

POLL_SECONDS = 0.02


class RedisPeer:
    """A Redis server that `close` ends."""

    def __init__(self, directory: Path, synced: bool, tcp: bool) -> None:
        self._stack = ExitStack()
        server = self._stack.enter_context(redis_server(directory, "always" if synced else "everysec", tcp))
        self._address: dict[str, Any] = {"port": server.port} if tcp else {"unix_socket_path": server.socket}
        self._client = cast(Any, Redis(**self._address))  # its types allow str results, which these options never give
        self._stack.callback(self._client.close)
        self.servers = (server.pid,)
        self.put = self._client.set
        self.get = self._client.get
        self.get_many = self._client.mget

    @asynccontextmanager
    async def reading_tasks(self) -> AsyncIterator[AwaitedGet]:
        """A function that reads for a task, over a connection that no other task uses at that time."""
        async with cast(Any, redis.asyncio.Redis(**self._address)) as client:
            yield client.get

    def put_many(self, keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        """Send one MSET. The method `mset` takes a dict, which is slower."""
        self._client.execute_command("MSET", *chain.from_iterable(zip(keys, values, strict=True)))

    def scan(self) -> Iterator[tuple[bytes, bytes]]:
        """All records in no particular order. SCAN may return a key twice."""
        keys = list(dict.fromkeys(self._client.scan_iter(count=BATCH_ENTRIES)))
        for at in range(0, len(keys), BATCH_ENTRIES):
            part = keys[at : at + BATCH_ENTRIES]
            yield from zip(part, self._client.mget(part), strict=True)

    def settle(self) -> float:
        """Wait until no rewrite of the append-only file is running."""
        while any(map(self._client.info("persistence").get, ("aof_rewrite_in_progress", "aof_rewrite_scheduled"))):
            time.sleep(POLL_SECONDS)
        return 0.0

    def compact(self) -> None:
        """Rewrite the append-only file."""
        self._client.bgrewriteaof()
        self.settle()

    def close(self) -> None:
        """Disconnect and end the server."""
        self._stack.close()
