"""What `Space.batch` returns."""

from __future__ import annotations

from types import TracebackType
from typing import TypeVar

from shardstore.client.blocking.batch import Batch
from shardstore.spaces.space_batch import TypedBatch
from shardstore.spaces.space_codec import SpaceCodec

K = TypeVar("K")
V = TypeVar("V")


class SpaceBatch(TypedBatch[K, V]):
    """Changes of a space in one range of the store, applied together or not at all.

    Used with `with`, it is committed when the block ends, unless that is by an exception: then it is dropped.
    """

    def __init__(self, codec: SpaceCodec[K, V], batch: Batch) -> None:
        super().__init__(codec, batch)
        self._batch = batch

    def __enter__(self) -> SpaceBatch[K, V]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._batch.__exit__(kind, error, trace)

    def commit(self, *, timeout: float | None = None) -> bool:
        """Apply the batch. It takes nothing more.

        Args:
            timeout: Seconds; None is that of the batch.

        Returns:
            True if the batch was applied, False if a condition did not hold: then nothing was.

        Raises:
            The errors of `commit` of a batch of the client.
        """
        return self._batch.commit(timeout=timeout)
