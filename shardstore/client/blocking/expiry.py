"""The methods of the blocking client that are about when values expire."""

from __future__ import annotations

from collections.abc import Sequence

from shardstore.client.blocking.lifetime import Lifetime
from shardstore.client.blocking.scan import ScanIterator
from shardstore.client.calls import operations
from shardstore.client.calls.operations import seconds_left
from shardstore.client.calls.resume_token import UNLIMITED, ResumePoint
from shardstore.client.calls.scan import AllAtOnce, Scan
from shardstore.ends import Moment
from shardstore.identifiers import Expiring
from shardstore.key_range import KeyRange
from shardstore.options import ScanMode


class Expiry(Lifetime):
    """The part of a client that asks for the end of values, and moves it."""

    def expire(
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
        return bool(self._calls.one(operations.expire(key, timeout, ttl, expires_at)))

    def persist(self, key: bytes, *, timeout: float | None = None) -> bool:
        """Let the value of a key expire no more.

        Args:
            key: 1 to 4,096 bytes.
            timeout: Seconds; None is 30.

        Returns:
            True if it was to expire, False if it was not, or if the key has no value.

        Raises:
            The errors of `put`.
        """
        return bool(self._calls.one(operations.persist(key, timeout)))

    def ttl(self, key: bytes, *, timeout: float | None = None) -> float | None:
        """Return how long the value of a key is still there.

        Args:
            key: 1 to 4,096 bytes.
            timeout: Seconds; None is 30.

        Returns:
            Seconds; `math.inf` if the value does not expire; None if the key has no value.

        Raises:
            The errors of `get`.
        """
        return seconds_left(self._calls.one(operations.ttl(key, timeout)))

    def _scan_with_moments(
        self, wanted: KeyRange, codec: AllAtOnce, *, timeout: float | None
    ) -> ScanIterator[tuple[list[bytes], list[bytes | Expiring]]]:
        bounds = (wanted.start, wanted.end)
        point = ResumePoint(*bounds, False, False, UNLIMITED, ScanMode.SNAPSHOT.value, *bounds)
        return self._iterate(Scan(point, timeout, codec))

    def _put_until(self, entries: Sequence[tuple[bytes, Expiring]], *, timeout: float | None) -> None:
        for _ in self._calls.each(operations.put_until(entries, timeout)):
            pass
