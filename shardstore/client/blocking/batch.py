"""What `Client.batch` returns."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

from shardstore.client.calls.batch import BatchContents


class Batch(BatchContents):
    """Changes of keys in one range, applied together or not at all.

    Used with `with`, it is committed when the block ends, unless that is by an exception: then it is dropped.
    """

    def __init__(self, call: Callable[[Any], Any], timeout: float | None) -> None:
        super().__init__(timeout)
        self._call = call

    def __enter__(self) -> Batch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.discard()
        elif not self._closed:
            self.commit()

    def commit(self, *, timeout: float | None = None) -> bool:
        """Apply the batch. It takes nothing more.

        Args:
            timeout: Seconds; None is that of the batch.

        Returns:
            True if the batch was applied, False if a condition did not hold: then nothing was.

        Raises:
            InvalidRequest: The keys are not all in one range; the message names one that is beyond. Or an argument is
                not allowed, or the batch was committed or left. Nothing was applied.
            Busy, Unavailable: As for `put` of the client. Nothing was applied.
            OutcomeUnknown: All of it may have been applied, or nothing; `outcome(error.token)` says which.
            Corruption, StorageFailure, Closed: As for `put` of the client.
        """
        call = self._committed(timeout)
        self._applied = True if call is None else bool(self._call(call))
        return self._applied
