"""The blocking client."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from itertools import chain
from types import TracebackType
from typing import Any, NoReturn, Self

from shardstore.client.blocking.admin import Admin
from shardstore.client.blocking.calling import CallRunner
from shardstore.client.blocking.pump import Pump
from shardstore.client.blocking.scan import ScanIterator
from shardstore.client.calls import operations, outcome_token
from shardstore.client.calls.arguments import WAIT, checked_timeout_ns
from shardstore.client.calls.calls import GetStats, Open
from shardstore.client.calls.scan import scan_of
from shardstore.client.opening import Surroundings
from shardstore.errors import InvalidRequest
from shardstore.options import ScanMode
from shardstore.outcome import Outcome
from shardstore.wire.wire_format import Op


class Client:
    """A client for any number of threads, made by `connect`. It has no thread of its own.

    A process that is forked, by gunicorn --preload, Celery or multiprocessing, may use it in parent and child: there it
    opens itself anew with the first call. A scan of the parent goes on in the child only if nothing is held for it.

    It may be used in a signal handler and in `__del__`, also in the middle of another call of the same thread.

    Every method takes `timeout` in seconds; None is 30. It bounds the whole of a call on one key. For many keys and for
    scans it bounds each of the requests they are cut into, so it is how long nothing may move.

    Every write takes `on_busy`: where there is no room for it, "wait" until there is or the timeout is over, or "fail",
    which is to raise Busy at once. In both cases a write that raises Busy was not applied.

    Keys are bytes of 1 byte to 4 KiB, values bytes of 0 to 8 MiB; a bytearray or memoryview is copied.
    """

    def __init__(self, surroundings: Surroundings) -> None:
        if not isinstance(surroundings, Surroundings):
            raise InvalidRequest("a client is made by shardstore.connect(...)")
        self._pump = Pump(surroundings)
        self._calls = CallRunner(self._pump)

    def __repr__(self) -> str:
        return f"<shardstore.Client of {self._pump.name!r}{', closed' if self._pump.ended else ''}>"

    def __reduce__(self) -> NoReturn:
        raise InvalidRequest(
            f"a client cannot be pickled: another process makes its own, with shardstore.connect({self._pump.name!r})"
        )

    @property
    def admin(self) -> Admin:
        """What an operator does: split, merge and move ranges, add and drain workers."""
        return Admin(self._calls.one)

    def get(self, key: bytes, default: Any = None, *, timeout: float | None = None) -> Any:
        """Return the value of a key.

        Args:
            key: 1 to 4,096 bytes.
            default: What to return for a key without a value.
            timeout: Seconds; None is 30.

        Returns:
            The value, or `default`.

        Raises:
            Unavailable: Nobody answered in time.
            Busy: The worker has no room for more answers; `retry_after_ns` says when to ask again.
            InvalidRequest: An argument is not allowed.
            Corruption, StorageFailure: The files of the range are damaged, or cannot be read.
            Closed: The client was closed.
        """
        value = self._calls.one(operations.get(key, timeout))
        return default if value is None else value

    def contains(self, key: bytes, *, timeout: float | None = None) -> bool:
        """Return whether a key has a value.

        Args:
            key: 1 to 4,096 bytes.
            timeout: Seconds; None is 30.

        Returns:
            True if it has.

        Raises:
            The errors of `get`.
        """
        return self._calls.one(operations.contains(key, timeout)) is not None

    def put(self, key: bytes, value: bytes, *, timeout: float | None = None, on_busy: str = WAIT) -> None:
        """Set the value of a key. Once this returns, every client sees it.

        Args:
            key: 1 to 4,096 bytes.
            value: 0 to 8 MiB.
            timeout: Seconds; None is 30.
            on_busy: "wait" for room until `timeout`, or "fail" at once.

        Raises:
            Busy: There was no room for the write. It was not applied.
            OutcomeUnknown: The write may have been applied; `outcome(error.token)` tells.
            Unavailable: Nobody answered in time. The write was not applied.
            InvalidRequest: An argument is not allowed.
            Corruption, StorageFailure: The files of the range are damaged, or the disk fails or is full.
            Closed: The client was closed.
        """
        self._calls.one(operations.put(key, value, timeout, on_busy))

    def delete(self, key: bytes, *, timeout: float | None = None, on_busy: str = WAIT) -> None:
        """Remove a key. A key without a value is no error.

        Args:
            key: 1 to 4,096 bytes.
            timeout: Seconds; None is 30.
            on_busy: "wait" for room until `timeout`, or "fail" at once.

        Raises:
            The errors of `put`.
        """
        self._calls.one(operations.delete(key, timeout, on_busy))

    def put_if_absent(self, key: bytes, value: bytes, *, timeout: float | None = None) -> bool:
        """Set the value of a key that has none.

        Args:
            key: 1 to 4,096 bytes.
            value: 0 to 8 MiB.
            timeout: Seconds; None is 30.

        Returns:
            True if the value was set, False if the key had one.

        Raises:
            The errors of `put`.
        """
        return bool(self._calls.one(operations.put_if_absent(key, value, timeout)))

    def compare_and_set(
        self, key: bytes, expected: bytes | None, value: bytes | None, *, timeout: float | None = None
    ) -> bool:
        """Set or remove the value of a key, if it is the expected one.

        Args:
            key: 1 to 4,096 bytes.
            expected: The value that the key must have; None: no value.
            value: The value to set, 0 to 8 MiB; None: remove the key.
            timeout: Seconds; None is 30.

        Returns:
            True if it was the expected one, and so the change was made.

        Raises:
            The errors of `put`.
        """
        return bool(self._calls.one(operations.compare_and_set(key, expected, value, timeout)))

    def increment(self, key: bytes, by: int = 1, *, timeout: float | None = None) -> int:
        """Add to a counter.

        A counter is the decimal text of a signed 64-bit integer, as in Redis: `put` and `get` work on it too.
        A key without a value counts as 0.

        Args:
            key: 1 to 4,096 bytes.
            by: What to add, a signed 64-bit integer.
            timeout: Seconds; None is 30.

        Returns:
            The sum.

        Raises:
            InvalidRequest: The value is no such number, or the sum would not be one. Nothing was changed.
            The other errors of `put`.
        """
        return int(self._calls.one(operations.increment(key, by, timeout)))

    def outcome(self, token: bytes, *, timeout: float | None = None) -> Outcome:
        """Return what became of a write that ended with OutcomeUnknown.

        Once this has said that something was not applied, it never will be.

        Args:
            token: `OutcomeUnknown.token`, or the token of a cancelled write; from any client of the store.
            timeout: Seconds; None is 30.

        Returns:
            What became of the write, and of each part of it.

        Raises:
            The errors of `get`.
        """
        asked = outcome_token.from_bytes(token)
        return asked.outcome(list(self._calls.each(operations.outcome(asked, timeout))))

    def get_many(self, keys: Iterable[bytes], *, timeout: float | None = None) -> list[bytes | None]:
        """Return the values of many keys.

        Args:
            keys: Any number of keys, each 1 to 4,096 bytes.
            timeout: Seconds each request may take; None is 30. A large call is cut into several requests.

        Returns:
            The values in the order of the keys, None for a key without a value.

        Raises:
            The errors of `get`.
        """
        return list(chain.from_iterable(self._calls.each(operations.get_many(keys, timeout))))

    def put_many(
        self,
        pairs: Mapping[bytes, bytes] | Iterable[tuple[bytes, bytes]],
        *,
        timeout: float | None = None,
        on_busy: str = WAIT,
    ) -> None:
        """Set the values of many keys.

        This is not atomic. Pairs with the same key are applied in order.

        Args:
            pairs: A mapping, or any number of pairs (key, value).
            timeout: Seconds each request may take; None is 30. A large call is cut into several requests.
            on_busy: "wait" for room until `timeout`, or "fail" at once.

        Raises:
            InvalidRequest: A pair is not allowed. The error gives its number, and says what was applied before it.
            OutcomeUnknown: Some pairs may have been applied; `outcome(error.token)` tells.
            The other errors of `put`. They mean that no pair was applied.
        """
        deque(self._calls.each(operations.put_many(pairs, timeout, on_busy)), maxlen=0)

    def delete_many(self, keys: Iterable[bytes], *, timeout: float | None = None, on_busy: str = WAIT) -> None:
        """Remove many keys. This is not atomic.

        Args:
            keys: Any number of keys, each 1 to 4,096 bytes.
            timeout: Seconds each request may take; None is 30. A large call is cut into several requests.
            on_busy: "wait" for room until `timeout`, or "fail" at once.

        Raises:
            The errors of `put_many`.
        """
        deque(self._calls.each(operations.delete_many(keys, timeout, on_busy)), maxlen=0)

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
    ) -> ScanIterator:
        """Iterate over keys in order, with their values.

        Nothing is sent before the first entry is wanted. The scan returns every key in its bounds, or raises.

        Args:
            start: The first key wanted; None: no bound. At most 4,097 bytes, like `end`.
            end: The first key not wanted; None: no bound.
            prefix: Only keys that begin with this; may be combined with `start` and `end`.
            reverse: From the last key to the first.
            limit: At most this many entries; None: all.
            keys_only: Yield keys instead of pairs (key, value).
            mode: What it does about writes that come meanwhile; see ScanMode.
            resume: The `resume_token` of another scan, to go on behind its last entry; only with `timeout`.
            timeout: Seconds to wait for each page; None is 30. Time in the caller's code does not count.

        Returns:
            An iterator. Close it, or let it go, if you do not read it to its end.

        Raises:
            InvalidRequest: An argument is not allowed.
            ScanInvalidated: While iterating: the scan cannot keep what its mode promises; `error.token` resumes it.
            The other errors of `get`, while iterating. After those, go on with `next`.
        """
        scan = scan_of(start, end, prefix, reverse, limit, keys_only, mode, resume, timeout)
        return ScanIterator(self._pump, scan)

    def flush(
        self, start: bytes | None = None, end: bytes | None = None, wait: bool = True, *, timeout: float | None = None
    ) -> None:
        """Write everything written before into segment files.

        Args:
            start: Only ranges with keys from this one on; None: no bound.
            end: Only ranges with keys before this one; None: no bound.
            wait: Return when it is done; False: when all ranges have accepted it.
            timeout: Seconds; None is 30.

        Raises:
            Busy: With wait=False, an earlier flush or compaction of one of the ranges still runs; the others have
                accepted. With wait=True, a job failed until the timeout; the error says why.
            The errors of `get`.
        """
        self._calls.one(operations.maintain(Op.FLUSH, start, end, wait, timeout))

    def compact(
        self, start: bytes | None = None, end: bytes | None = None, wait: bool = True, *, timeout: float | None = None
    ) -> None:
        """Flush ranges, and merge the tables of each into one sorted set without deleted entries.

        Args:
            start: Only ranges with keys from this one on; None: no bound.
            end: Only ranges with keys before this one; None: no bound.
            wait: Return when it is done; False: when all ranges have accepted it.
            timeout: Seconds; None is 30.

        Raises:
            The errors of `flush`.
        """
        self._calls.one(operations.maintain(Op.COMPACT, start, end, wait, timeout))

    def stats(self, *, timeout: float | None = None) -> dict[Any, dict[str, Any]]:
        """Return statistics of the router and of the workers.

        Args:
            timeout: Seconds; None is 30.

        Returns:
            The statistics of the router under "router", and of each worker that has ranges or is up, under its number.
            A process that cannot answer has {"unavailable": reason}.

        Raises:
            Unavailable: The router did not answer in time.
            Closed: The client was closed.
        """
        figures: dict[Any, dict[str, Any]] = self._calls.one(GetStats(checked_timeout_ns(timeout)))
        return figures

    def close(self) -> None:
        """Close the client; calls that wait in other threads raise Closed."""
        self._pump.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _open(self, timeout: float | None) -> None:
        self._calls.one(Open(checked_timeout_ns(timeout)))
