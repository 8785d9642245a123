"""What `AsyncClient.space` and `AsyncClient.mapping` return: the counterpart of blocking/space.py."""

from __future__ import annotations

from typing import TypeVar

from shardstore.client.aio.scan import AsyncScanIterator
from shardstore.client.aio.space_mapping import AsyncSpaceMapping
from shardstore.estimate import Estimate
from shardstore.spaces import registry
from shardstore.spaces.key_bounds import whole
from shardstore.spaces.steps import run_steps_async

K = TypeVar("K")
V = TypeVar("V")


class AsyncSpace(AsyncSpaceMapping[K, V]):
    """A named part of the store, with types, in the order of its keys. Its methods are those of Space.

    It is no mapping, as `[]`, `in` and `len` cannot be awaited: use `get` and `put`, `contains` and `count`. With
    `async for` it yields its keys.
    """

    def __aiter__(self) -> AsyncScanIterator[K]:
        return self.keys()

    def __repr__(self) -> str:
        name = repr(self.name) if self.name else "of raw bytes"
        return f"<shardstore.AsyncSpace {name:.60}, {self.key_type:.60} to {self.value_type}>"

    async def stats(self, *, timeout: float | None = None) -> Estimate:
        """Return about how much is in the space, without looking at its keys, as `estimate` of the client does.

        Args:
            timeout: Seconds for each request; None is 30.

        Returns:
            The numbers of keys and bytes, and how far that of the keys may be off.

        Raises:
            InvalidRequest: The space was dropped.
            The other errors of `get` of the client.
        """
        if self.name:
            await run_steps_async(self._db, registry.check_current(self._codec, timeout))
        return await self._db.estimate(*whole(self._codec), timeout=timeout)
