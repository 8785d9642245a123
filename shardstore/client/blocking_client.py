"""The blocking client."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from types import TracebackType
from typing import Any, NoReturn, Self

from shardstore.client import operations, outcome_token
from shardstore.client.blocking_admin import Admin
from shardstore.client.calls import Call, Open, Statistics, is_write
from shardstore.client.checking import WAIT, checked_timeout_ns
from shardstore.client.forking import REOPEN
from shardstore.client.opening import Surroundings, surroundings_of
from shardstore.client.operations import CALLS_OUTSTANDING
from shardstore.client.pump import Pump, Ticket
from shardstore.client.scan_iterator import ScanIterator
from shardstore.client.scanning import scan_of
from shardstore.errors import Busy, InvalidRequest, OutcomeUnknown, ShardstoreError, Unavailable
from shardstore.options import ScanMode
from shardstore.outcome import Outcome
from shardstore.wire_format import Op


def connect(
    where: str | os.PathLike[str] | None = None,
    direct: bool = True,
    *,
    timeout: float | None = None,
    fork: str = REOPEN,
) -> Client:
    """A client of the cluster on this host that serves a data directory, or of the cluster at a url.

    `where`: the path of the directory, or the url. Without it the variable SHARDSTORE_URL or SHARDSTORE_DATA says so.
    `direct`: talk to workers whose endpoints can be reached, instead of through the router only.
    `fork`: in the child of a fork the client opens itself anew ("reopen"), or raises Closed ("refuse").
    Raises Unavailable when no router answers in time.
    """
    client = Client(surroundings_of(where, direct, fork))
    try:
        client._open(timeout)
    except BaseException:
        client.close()
        raise
    return client


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

    def __repr__(self) -> str:
        return f"<shardstore.Client of {self._pump.name!r}{', closed' if self._pump.ended else ''}>"

    def __reduce__(self) -> NoReturn:
        raise InvalidRequest(
            f"a client cannot be pickled: another process makes its own, with shardstore.connect({self._pump.name!r})"
        )

    @property
    def admin(self) -> Admin:
        """What an operator does: split, merge and move ranges, add and drain workers."""
        return Admin(self._call)

    def get(self, key: bytes, default: Any = None, *, timeout: float | None = None) -> Any:
        """The value of a key, or `default` if it has none."""
        value = self._call(operations.get(key, timeout))
        return default if value is None else value

    def contains(self, key: bytes, *, timeout: float | None = None) -> bool:
        """Whether a key has a value."""
        return self._call(operations.contains(key, timeout)) is not None

    def put(self, key: bytes, value: bytes, *, timeout: float | None = None, on_busy: str = WAIT) -> None:
        """Set a key. Every client sees it once this returns."""
        self._call(operations.put(key, value, timeout, on_busy))

    def delete(self, key: bytes, *, timeout: float | None = None, on_busy: str = WAIT) -> None:
        """Remove a key, if it is there."""
        self._call(operations.delete(key, timeout, on_busy))

    def put_if_absent(self, key: bytes, value: bytes, *, timeout: float | None = None) -> bool:
        """Set a key that has no value; False if it has one."""
        return bool(self._call(operations.put_if_absent(key, value, timeout)))

    def compare_and_set(
        self, key: bytes, expected: bytes | None, value: bytes | None, *, timeout: float | None = None
    ) -> bool:
        """Set a key (`value` None: remove it) if its value is the expected one (None: none); False if it is not."""
        return bool(self._call(operations.compare_and_set(key, expected, value, timeout)))

    def increment(self, key: bytes, by: int = 1, *, timeout: float | None = None) -> int:
        """Add to a counter, and answer where it stands then. A key without a value stands at 0.

        The value of a counter is decimal text of a signed number of 64 bits, as with Redis; `put` and `get` may be used
        on it. Raises InvalidRequest, and changes nothing, when the value is no such number or the sum would be none.
        """
        return int(self._call(operations.increment(key, by, timeout)))

    def outcome(self, token: bytes, *, timeout: float | None = None) -> Outcome:
        """What became of a write that ended with OutcomeUnknown, by the `token` of that; in any client of the store.

        What was not applied is never applied any more once this has said so.
        """
        asked = outcome_token.from_bytes(token)
        return asked.outcome(list(self._call_each(operations.outcome(asked, timeout))))

    def get_many(self, keys: Iterable[bytes], *, timeout: float | None = None) -> list[bytes | None]:
        """The values of keys in their order, None where there is none."""
        return list(chain.from_iterable(self._call_each(operations.get_many(keys, timeout))))

    def put_many(
        self,
        pairs: Mapping[bytes, bytes] | Iterable[tuple[bytes, bytes]],
        *,
        timeout: float | None = None,
        on_busy: str = WAIT,
    ) -> None:
        """Set many keys, from a mapping or from pairs. Not atomic, but the pairs of one key are applied in order.

        A pair that is not allowed is named by its number, with what was applied before. When anything else is raised,
        pairs before and around the one that failed may have been applied.
        """
        deque(self._call_each(operations.put_many(pairs, timeout, on_busy)), maxlen=0)

    def delete_many(self, keys: Iterable[bytes], *, timeout: float | None = None, on_busy: str = WAIT) -> None:
        """Remove many keys. Not atomic."""
        deque(self._call_each(operations.delete_many(keys, timeout, on_busy)), maxlen=0)

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
        """Pairs (key, value) in key order with start <= key < end, or only keys. Complete, or it raises.

        `mode` says what it does about writes that come meanwhile: see ScanMode. `resume`: go on where another scan
        stood, by its `resume_token`; bounds, direction, limit and mode are those of that scan.
        """
        scan = scan_of(start, end, prefix, reverse, limit, keys_only, mode, resume, timeout)
        return ScanIterator(self._pump, scan)

    def flush(
        self, start: bytes | None = None, end: bytes | None = None, wait: bool = True, *, timeout: float | None = None
    ) -> None:
        """Return when everything written before is in segment files, in all ranges with keys in [start, end).

        With wait=False, return when the ranges have accepted it. Raises Busy if a flush or compaction that was asked
        for earlier has not ended in one of them; that one is left as it is, the others have accepted all the same.
        """
        self._call(operations.maintain(Op.FLUSH, start, end, wait, timeout))

    def compact(
        self, start: bytes | None = None, end: bytes | None = None, wait: bool = True, *, timeout: float | None = None
    ) -> None:
        """Flush the ranges with keys in [start, end), and merge the tables of each. `wait` is as for `flush`."""
        self._call(operations.maintain(Op.COMPACT, start, end, wait, timeout))

    def stats(self, *, timeout: float | None = None) -> dict[Any, dict[str, Any]]:
        """Figures of the router under "router", and of each worker that has ranges or is up, under its number.

        Instead of the figures of one that cannot give any: {"unavailable": why}.
        """
        figures: dict[Any, dict[str, Any]] = self._call(Statistics(checked_timeout_ns(timeout)))
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
        self._call(Open(checked_timeout_ns(timeout)))

    def _call(self, call: Any) -> Any:
        return self._pump.wait(self._pump.submit(call))

    def _call_each(self, calls: Iterator[Call]) -> Iterator[Any]:
        """What each call settles with, in order. Some later ones are under way meanwhile."""
        under_way: deque[Ticket] = deque()
        done = 0
        try:
            for call in calls:
                under_way.append(self._pump.submit(call))
                self._pump.send()
                if len(under_way) >= CALLS_OUTSTANDING:
                    yield self._wait_among(under_way, done)
                    done += 1
            while under_way:
                yield self._wait_among(under_way, done)
                done += 1
        except operations.BadEntry as bad:
            ends = [self._end_of(under_way.popleft()) for _ in range(len(under_way))]
            raise bad.told(ends) from None
        finally:
            for ticket in under_way:
                self._pump.abandon(ticket)

    def _wait_among(self, under_way: deque[Ticket], done: int) -> Any:
        """What the first call settles with. When a write fails, the others end too: the error tells of all."""
        ticket = under_way.popleft()
        try:
            return self._pump.wait(ticket)
        except (Busy, Unavailable, OutcomeUnknown) as error:
            if not is_write(ticket.call):
                raise
            ends = [error, *map(self._end_of, under_way)]
            failure = outcome_token.error_of_all(ends, done)
            raise failure from failure.__cause__

    def _end_of(self, ticket: Ticket) -> ShardstoreError | None:
        """The error of a call, None if it has none."""
        try:
            self._pump.wait(ticket)
        except ShardstoreError as error:
            return error
        return None
