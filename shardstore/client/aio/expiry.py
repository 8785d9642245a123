"""The methods of the asyncio client that are about when values expire."""

from __future__ import annotations

from shardstore.client.aio.lifetime import AsyncLifetime
from shardstore.client.calls import operations
from shardstore.client.calls.operations import seconds_left
from shardstore.ends import Moment


class AsyncExpiry(AsyncLifetime):
    """The part of a client that asks for the end of values, and moves it."""

    async def expire(
        self,
        key: bytes,
        ttl: float | None = None,
        *,
        expires_at: Moment | None = None,
        timeout: float | None = None,
    ) -> bool:
        """Let the value of a key expire at another moment than before, or at all.

        Args:
            key: 1 to 4,096 bytes.
            ttl: Seconds from now until the value expires.
            expires_at: When it expires, in seconds since the epoch, or as a datetime with a time zone. One of the two
                is given.
            timeout: Seconds; None is 30.

        Returns:
            True if the key has a value, False if it has none.

        Raises:
            The errors of `put`.
        """
        return bool(await self._calls.one(operations.expire(key, timeout, ttl, expires_at)))

    async def persist(self, key: bytes, *, timeout: float | None = None) -> bool:
        """Let the value of a key expire no more.

        Args:
            key: 1 to 4,096 bytes.
            timeout: Seconds; None is 30.

        Returns:
            True if it was to expire, False if it was not, or if the key has no value.

        Raises:
            The errors of `put`.
        """
        return bool(await self._calls.one(operations.persist(key, timeout)))

    async def ttl(self, key: bytes, *, timeout: float | None = None) -> float | None:
        """Return how long the value of a key is still there.

        Args:
            key: 1 to 4,096 bytes.
            timeout: Seconds; None is 30.

        Returns:
            Seconds; `math.inf` if the value does not expire; None if the key has no value.

        Raises:
            The errors of `get`.
        """
        return seconds_left(await self._calls.one(operations.ttl(key, timeout)))
