"""The asyncio client."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeVar, overload

from shardstore.client.aio.admin import AsyncAdmin
from shardstore.client.aio.atomic import AsyncAtomicMethods
from shardstore.client.aio.of_ranges import AsyncOfRanges
from shardstore.client.aio.scan import AsyncScanIterator
from shardstore.client.aio.spaces import AsyncSpaces
from shardstore.client.calls import operations, outcome_token
from shardstore.client.calls.arguments import WAIT, checked_timeout_ns
from shardstore.client.calls.calls import GetStats
from shardstore.client.calls.scan import scan_from_arguments
from shardstore.client.direct.ask import IN_MEMORY
from shardstore.ends import Moment
from shardstore.options import ScanMode
from shardstore.outcome import Outcome
from shardstore.stats_schema import Stats
from shardstore.tables.not_ready import NOT_READY
from shardstore.wire.wire_format import Op

Default = TypeVar("Default")


class AsyncClient(AsyncAtomicMethods, AsyncOfRanges, AsyncSpaces):
    """A client for the event loop in which it was made, by `connect_async`. Its methods are those of Client.

    Cancelling a write does not undo it. A write that was sent goes on until its reply comes or its `timeout` is over,
    and may be applied; later reads of this client wait for it. A write that was not sent yet is dropped. The
    CancelledError has a `token`: `outcome(error.token)` says what became of the write. With `asyncio.wait_for` and
    `asyncio.timeout` the CancelledError is the cause of the TimeoutError.
    """

    @property
    def admin(self) -> AsyncAdmin:
        """The methods of an operator: split, merge and move ranges, add and drain workers."""
        return AsyncAdmin(self._calls.one)

    @overload
    async def get(self, key: bytes, default: None = None, *, timeout: float | None = None) -> bytes | None: ...
    @overload
    async def get(self, key: bytes, default: Default, *, timeout: float | None = None) -> bytes | Default: ...
    async def get(
        self, key: bytes, default: Default | None = None, *, timeout: float | None = None
    ) -> bytes | Default | None:
        """Return the value of a key.

        Args:
            key: 1 to 4,096 bytes.
            default: What to return if the key has no value.
            timeout: Seconds; None is 30.

        Returns:
            The value, or `default`.

        Raises:
            Unavailable: Nobody answered in time.
            Busy: The worker has no room for more replies; ask again after `error.retry_after` seconds.
            InvalidRequest: An argument is not allowed.
            Corruption, StorageFailure: The files of the range are damaged, or cannot be read.
            Closed: The client was closed.
        """
        value = self._calls.get_now(key, timeout)
        if value is NOT_READY or value is IN_MEMORY:
            value = await self._calls.get(key, timeout, value)
        return default if value is None else value

    async def contains(self, key: bytes, *, timeout: float | None = None) -> bool:
        """Return whether a key has a value.

        Args:
            key: 1 to 4,096 bytes.
            timeout: Seconds; None is 30.

        Returns:
            True if it has one.

        Raises:
            The errors of `get`.
        """
        value = self._calls.get_now(key, timeout)
        if value is NOT_READY or value is IN_MEMORY:
            return await self._calls.contains(key, timeout, value)
        return value is not None

    async def put(
        self,
        key: bytes,
        value: bytes,
        *,
        ttl: float | None = None,
        expires_at: Moment | None = None,
        timeout: float | None = None,
        on_busy: str = WAIT,
    ) -> None:
        """Set the value of a key. Once this returns, every client sees the value.

        Args:
            key: 1 to 4,096 bytes.
            value: 0 to 8 MiB.
            ttl: Seconds from now until the value expires; None: it does not.
            expires_at: When it expires, in seconds since the epoch, or as a datetime with a time zone.
            timeout: Seconds; None is 30.
            on_busy: Without room, "wait" for it until `timeout`, or "fail" at once.

        Raises:
            Busy: There was no room for the write, in memory or on the disk. It was not applied.
            OutcomeUnknown: The write may have been applied; `outcome(error.token)` says whether it was.
            Unavailable: Nobody answered in time. The write was not applied.
            InvalidRequest: An argument is not allowed. The write was not applied.
            Corruption, StorageFailure: Files of the range are damaged, or the log cannot be written.
            Closed: The client was closed. If that was during the call, the write may have been applied.
        """
        await self._calls.one(operations.put(key, value, timeout, on_busy, ttl, expires_at))

    async def delete(self, key: bytes, *, timeout: float | None = None, on_busy: str = WAIT) -> None:
        """Remove a key. It is no error if the key has no value.

        Args:
            key: 1 to 4,096 bytes.
            timeout: Seconds; None is 30.
            on_busy: Without room, "wait" for it until `timeout`, or "fail" at once.

        Raises:
            The errors of `put`.
        """
        await self._calls.one(operations.delete(key, timeout, on_busy))

    async def outcome(self, token: bytes, *, timeout: float | None = None) -> Outcome:
        """Return what became of a write whose reply was lost.

        A write that this reports as not applied never will be.

        Args:
            token: `OutcomeUnknown.token`, or the token of a cancelled write, from any client of the store.
            timeout: Seconds; None is 30.

        Returns:
            What became of the write, and of each part of it.

        Raises:
            The errors of `get`.
        """
        asked = outcome_token.from_bytes(token)
        return asked.outcome([ending async for ending in self._calls.each(operations.outcome(asked, timeout))])

    async def get_many(self, keys: Iterable[bytes], *, timeout: float | None = None) -> list[bytes | None]:
        """Return the values of many keys.

        Args:
            keys: Any number of keys, each 1 to 4,096 bytes.
            timeout: Seconds for each request; None is 30. A large call is cut into several requests.

        Returns:
            A list as long as `keys` and in their order; None stands for a key without a value.

        Raises:
            The errors of `get`.
        """
        found: list[bytes | None] = []
        async for values in self._calls.each(operations.get_many(keys, timeout)):
            found += values
        return found

    async def put_many(
        self,
        pairs: Mapping[bytes, bytes] | Iterable[tuple[bytes, bytes]],
        *,
        ttl: float | None = None,
        expires_at: Moment | None = None,
        timeout: float | None = None,
        on_busy: str = WAIT,
    ) -> None:
        """Set the values of many keys. This is not atomic.

        Args:
            pairs: A mapping, or any number of pairs (key, value). Of pairs with the same key the last one counts.
            ttl: Seconds from now until the values expire; None: they do not.
            expires_at: When they expire, in seconds since the epoch, or as a datetime with a time zone.
            timeout: Seconds for each request; None is 30. A large call is cut into several requests.
            on_busy: Without room, "wait" for it until `timeout`, or "fail" at once.

        Raises:
            Busy, Unavailable: As for `put`. No pair was applied.
            OutcomeUnknown: Some pairs may have been applied; `outcome(error.token)` says whether they were.
            InvalidRequest: A pair is not allowed. The message has its number, and says which pairs were applied.
            Corruption, StorageFailure, Closed: As for `put`. Other pairs may have been applied.
        """
        async for _ in self._calls.each(operations.put_many(pairs, timeout, on_busy, ttl, expires_at)):
            pass

    async def delete_many(self, keys: Iterable[bytes], *, timeout: float | None = None, on_busy: str = WAIT) -> None:
        """Remove many keys. This is not atomic.

        Args:
            keys: Any number of keys, each 1 to 4,096 bytes.
            timeout: Seconds for each request; None is 30. A large call is cut into several requests.
            on_busy: Without room, "wait" for it until `timeout`, or "fail" at once.

        Raises:
            The errors of `put_many`.
        """
        async for _ in self._calls.each(operations.delete_many(keys, timeout, on_busy)):
            pass

    @overload
    def scan(
        self,
        start: bytes | None = None,
        end: bytes | None = None,
        prefix: bytes | None = None,
        reverse: bool = False,
        limit: int | None = None,
        keys_only: Literal[False] = False,
        *,
        mode: str = ScanMode.SNAPSHOT,
        resume: None = None,
        timeout: float | None = None,
    ) -> AsyncScanIterator[tuple[bytes, bytes]]: ...
    @overload
    def scan(
        self,
        start: bytes | None = None,
        end: bytes | None = None,
        prefix: bytes | None = None,
        reverse: bool = False,
        limit: int | None = None,
        *,
        keys_only: Literal[True],
        mode: str = ScanMode.SNAPSHOT,
        resume: None = None,
        timeout: float | None = None,
    ) -> AsyncScanIterator[bytes]: ...
    @overload
    def scan(
        self,
        start: bytes | None = None,
        end: bytes | None = None,
        prefix: bytes | None = None,
        reverse: bool = False,
        limit: int | None = None,
        keys_only: bool = False,
        *,
        mode: str = ScanMode.SNAPSHOT,
        resume: bytes | None = None,
        timeout: float | None = None,
    ) -> AsyncScanIterator[tuple[bytes, bytes]] | AsyncScanIterator[bytes]: ...
    def scan(
        self,
        start: bytes | None = None,
        end: bytes | None = None,
        prefix: bytes | None = None,
        reverse: bool = False,
        limit: int | None = None,
        keys_only: bool = False,
        *,
        mode: str = ScanMode.SNAPSHOT,
        resume: bytes | None = None,
        timeout: float | None = None,
    ) -> AsyncScanIterator[tuple[bytes, bytes]] | AsyncScanIterator[bytes]:
        """Iterate over keys in order, with their values.

        Nothing is sent before the first entry is wanted. The scan yields every key in its bounds, or raises.

        Args:
            start: The first key wanted, at most 4,097 bytes; None: no bound.
            end: The first key not wanted, at most 4,097 bytes; None: no bound.
            prefix: Only keys that begin with this. It may be combined with `start` and `end`.
            reverse: From the last key to the first.
            limit: At most this many entries; None: all.
            keys_only: Yield keys instead of pairs (key, value).
            mode: A ScanMode: what the scan shows of writes that come while it runs.
            resume: A `resume_token`: continue that scan after its last entry. Only `timeout` may be given with it.
            timeout: Seconds to wait for each page; None is 30. Time in the caller's code does not count.

        Returns:
            An iterator over pairs (key, value), or over keys. Close it or drop it if you do not read it to its end.

        Raises:
            InvalidRequest: An argument is not allowed.
            ScanInvalidated: While iterating: the scan cannot keep what its mode promises; `error.token` resumes it.
            The other errors of `get`: While iterating. The next `next` continues after the last entry.
        """
        return self._iterate(scan_from_arguments(start, end, prefix, reverse, limit, keys_only, mode, resume, timeout))

    async def flush(
        self, start: bytes | None = None, end: bytes | None = None, wait: bool = True, *, timeout: float | None = None
    ) -> None:
        """Write everything that is in memory into table files.

        Args:
            start: Only ranges with keys from this one on; None: no bound.
            end: Only ranges with keys before this one; None: no bound.
            wait: Return when it is done; False: when all ranges have accepted it.
            timeout: Seconds; None is 30.

        Raises:
            Busy: With wait=False, an earlier flush or compaction of a range still runs; the other ranges have accepted.
                With wait=True, it kept failing until the timeout; the message says why.
            The other errors of `get`.
        """
        await self._calls.one(operations.maintain(Op.FLUSH, start, end, wait, timeout))

    async def compact(
        self, start: bytes | None = None, end: bytes | None = None, wait: bool = True, *, timeout: float | None = None
    ) -> None:
        """Flush ranges, and merge the tables of each into one sorted set without deleted keys.

        Args:
            start: Only ranges with keys from this one on; None: no bound.
            end: Only ranges with keys before this one; None: no bound.
            wait: Return when it is done; False: when all ranges have accepted it.
            timeout: Seconds; None is 30.

        Raises:
            The errors of `flush`.
        """
        await self._calls.one(operations.maintain(Op.COMPACT, start, end, wait, timeout))

    async def stats(self, *, timeout: float | None = None) -> Stats:
        """Return statistics of the router and of the workers.

        Args:
            timeout: Seconds; None is 30.

        Returns:
            Those of the router under "router", and of each worker that has ranges or is up under its number.
            A process that did not answer has {"unavailable": reason}. All fields are in docs/stats.md.

        Raises:
            Unavailable: Nobody answered in time.
            InvalidRequest: `timeout` is not allowed.
            Closed: The client was closed.
        """
        statistics: dict[str | int, Any] = await self._calls.one(GetStats(checked_timeout_ns(timeout)))
        if "unavailable" not in statistics["router"]:
            statistics["router"]["own_reads"] = self._reads.statistics()
        return statistics
