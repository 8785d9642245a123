"""What `AsyncSpace.batch` returns."""

from __future__ import annotations

from types import TracebackType
from typing import TypeVar

from shardstore.client.aio.batch import AsyncBatch
from shardstore.spaces.space_batch import TypedBatch
from shardstore.spaces.space_codec import SpaceCodec

K = TypeVar("K")
V = TypeVar("V")


class AsyncSpaceBatch(TypedBatch[K, V]):
    """As SpaceBatch, for the asyncio client: with `async with`, and `commit` is awaited."""

    def __init__(self, codec: SpaceCodec[K, V], batch: AsyncBatch) -> None:
        super().__init__(codec, batch)
        self._batch = batch

    async def __aenter__(self) -> AsyncSpaceBatch[K, V]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._batch.__aexit__(kind, error, trace)

    async def commit(self, *, timeout: float | None = None) -> bool:
        """Apply the batch. It takes nothing more.

        Args:
            timeout: Seconds; None is that of the batch.

        Returns:
            True if the batch was applied, False if a condition did not hold: then nothing was.

        Raises:
            The errors of `commit` of a batch of the client.
        """
        return await self._batch.commit(timeout=timeout)
