"""The methods of the asyncio client that are about all keys of a range."""

from __future__ import annotations

from shardstore.client.aio.lifetime import AsyncLifetime
from shardstore.client.calls import operations
from shardstore.estimate import Estimate


class AsyncOfRanges(AsyncLifetime):
    """The part of a client that deletes and counts whole ranges of keys."""

    async def delete_range(
        self, start: bytes | None = None, end: bytes | None = None, *, timeout: float | None = None
    ) -> None:
        """Remove all keys of a range, however many there are. Without bounds, remove everything.

        Each range of the store deletes its keys in one step, with one record in its log. Other clients may see that
        some ranges are done and others are not.

        Args:
            start: The first key to remove, at most 4,097 bytes; None: no bound.
            end: The first key to keep, at most 4,097 bytes; None: no bound.
            timeout: Seconds; None is 30.

        Raises:
            Busy, Unavailable: As for `put`. No key was removed.
            OutcomeUnknown: Some ranges may be done; `outcome(error.token)` says whether they are.
            InvalidRequest: An argument is not allowed, or the start is behind the end. No key was removed.
            Corruption, StorageFailure, Closed: As for `put`. Some ranges may be done.
        """
        call = operations.delete_range(start, end, None, timeout)
        if call is not None:
            await self._calls.one(call)

    async def delete_prefix(self, prefix: bytes, *, timeout: float | None = None) -> None:
        """Remove all keys that begin with a prefix, as `delete_range` does.

        Args:
            prefix: At most 4,097 bytes. All keys begin with an empty one.
            timeout: Seconds; None is 30.

        Raises:
            The errors of `delete_range`.
        """
        call = operations.delete_prefix(prefix, timeout)
        if call is not None:
            await self._calls.one(call)

    async def count(
        self,
        start: bytes | None = None,
        end: bytes | None = None,
        prefix: bytes | None = None,
        *,
        timeout: float | None = None,
    ) -> int:
        """Return how many keys have a value.

        The workers count them, each range of the store as it is at one moment. No value is read. Where all is in one
        sorted set of tables, as after `compact`, this takes no time; elsewhere about 50 ms for a million keys.

        Args:
            start: The first key counted, at most 4,097 bytes; None: no bound.
            end: The first key not counted, at most 4,097 bytes; None: no bound.
            prefix: Only keys that begin with this. It may be combined with `start` and `end`.
            timeout: Seconds; None is 30.

        Returns:
            The exact number.

        Raises:
            The errors of `get`.
        """
        call = operations.count(start, end, prefix, False, timeout)
        return 0 if call is None else int((await self._calls.one(call)).entries)

    async def estimate(
        self,
        start: bytes | None = None,
        end: bytes | None = None,
        prefix: bytes | None = None,
        *,
        timeout: float | None = None,
    ) -> Estimate:
        """Return about how many keys have a value, and how much they take, without looking at them.

        Args:
            start: The first key counted, at most 4,097 bytes; None: no bound.
            end: The first key not counted, at most 4,097 bytes; None: no bound.
            prefix: Only keys that begin with this. It may be combined with `start` and `end`.
            timeout: Seconds; None is 30.

        Returns:
            The numbers, and how far that of the keys may be off.

        Raises:
            The errors of `get`.
        """
        call = operations.count(start, end, prefix, True, timeout)
        if call is None:
            return Estimate(0, 0, 0)
        found: Estimate = await self._calls.one(call)
        return found
