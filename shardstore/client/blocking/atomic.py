"""The methods of `Client` that read and write in one step."""

from __future__ import annotations

from shardstore.client.blocking.batch import Batch
from shardstore.client.blocking.expiry import Expiry
from shardstore.client.calls import operations
from shardstore.ends import Moment


class AtomicMethods(Expiry):
    """Conditional writes, counters, atomic batches, and the removal of the first or last entry."""

    def put_if_absent(
        self,
        key: bytes,
        value: bytes,
        *,
        ttl: float | None = None,
        expires_at: Moment | None = None,
        timeout: float | None = None,
    ) -> bool:
        """Set the value of a key if it has none.

        Args:
            key: 1 to 4,096 bytes.
            value: 0 to 8 MiB.
            ttl: Seconds from now until the value expires; None: it does not.
            expires_at: When it expires, in seconds since the epoch, or as a datetime with a time zone.
            timeout: Seconds; None is 30.

        Returns:
            True if the value was set, False if the key had one.

        Raises:
            The errors of `put`.
        """
        return bool(self._calls.one(operations.put_if_absent(key, value, timeout, ttl, expires_at)))

    def compare_and_set(
        self,
        key: bytes,
        expected: bytes | None,
        value: bytes | None,
        *,
        ttl: float | None = None,
        expires_at: Moment | None = None,
        timeout: float | None = None,
    ) -> bool:
        """Set or remove the value of a key if it has an expected one.

        Args:
            key: 1 to 4,096 bytes.
            expected: The value that the key must have; None: no value.
            value: The value to set, 0 to 8 MiB; None: remove the key. Both values have less than 16 MiB together.
            ttl: Seconds from now until the value expires; None: it does not.
            expires_at: When it expires, in seconds since the epoch, or as a datetime with a time zone.
            timeout: Seconds; None is 30.

        Returns:
            True if the key had the expected value, and the change was made.

        Raises:
            The errors of `put`.
        """
        return bool(self._calls.one(operations.compare_and_set(key, expected, value, timeout, ttl, expires_at)))

    def increment(self, key: bytes, by: int = 1, *, timeout: float | None = None) -> int:
        """Add to a counter.

        A counter is a signed 64-bit integer as decimal text, as in Redis: `put` and `get` work on it too.
        A key without a value counts as 0. A counter that expires keeps its moment.

        Args:
            key: 1 to 4,096 bytes.
            by: What to add, a signed 64-bit integer.
            timeout: Seconds; None is 30.

        Returns:
            The new value of the counter.

        Raises:
            InvalidRequest: An argument is not allowed, the value is no such integer, or the sum would not be one.
                Nothing was changed.
            The other errors of `put`.
        """
        return int(self._calls.one(operations.increment(key, by, timeout)))

    def batch(self, *, timeout: float | None = None) -> Batch:
        """Begin an atomic batch: puts and deletes of keys in one range that are applied together, or not at all.

        Used with `with`, it is committed when the block ends. `require` adds conditions. Nothing is sent before.

        Args:
            timeout: Seconds for the commit; None is 30.

        Returns:
            The batch. Its `applied` says whether it was applied, once it is committed.

        Raises:
            InvalidRequest: `timeout` is not allowed.
        """
        return Batch(self._calls.one, timeout)

    def pop_first(
        self,
        start: bytes | None = None,
        end: bytes | None = None,
        prefix: bytes | None = None,
        *,
        timeout: float | None = None,
    ) -> tuple[bytes, bytes] | None:
        """Remove the first entry within bounds, and return it. Two callers never get the same entry.

        Ranges are asked one after the other until one has an entry; each of them gives its first one.

        Args:
            start: The first key wanted, at most 4,097 bytes; None: no bound.
            end: The first key not wanted, at most 4,097 bytes; None: no bound.
            prefix: Only keys that begin with this. It may be combined with `start` and `end`.
            timeout: Seconds; None is 30.

        Returns:
            Its key and its value; None if there is no entry.

        Raises:
            OutcomeUnknown: An entry may have been removed; `outcome(error.token)` says whether it was.
            InvalidRequest: An argument is not allowed, or the entry is larger than 1 MiB. Nothing was removed.
            The other errors of `put`.
        """
        call = operations.take(start, end, prefix, False, timeout)
        taken: tuple[bytes, bytes] | None = self._calls.one(call) if call else None
        return taken

    def pop_last(
        self,
        start: bytes | None = None,
        end: bytes | None = None,
        prefix: bytes | None = None,
        *,
        timeout: float | None = None,
    ) -> tuple[bytes, bytes] | None:
        """Remove the last entry within bounds, and return it. Two callers never get the same entry.

        Ranges are asked one after the other until one has an entry; each of them gives its last one.

        Args:
            start: The first key wanted, at most 4,097 bytes; None: no bound.
            end: The first key not wanted, at most 4,097 bytes; None: no bound.
            prefix: Only keys that begin with this. It may be combined with `start` and `end`.
            timeout: Seconds; None is 30.

        Returns:
            Its key and its value; None if there is no entry.

        Raises:
            OutcomeUnknown: An entry may have been removed; `outcome(error.token)` says whether it was.
            InvalidRequest: An argument is not allowed, or the entry is larger than 1 MiB. Nothing was removed.
            The other errors of `put`.
        """
        call = operations.take(start, end, prefix, True, timeout)
        taken: tuple[bytes, bytes] | None = self._calls.one(call) if call else None
        return taken
