"""The blocking client."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from types import TracebackType
from typing import Any, Self

from shardstore.client import operations
from shardstore.client.answers import unknown_outcome
from shardstore.client.calls import Many, Open, Statistics, is_write
from shardstore.client.checking import WAIT, checked_timeout_ns
from shardstore.client.opening import Surroundings, surroundings_of
from shardstore.client.operations import CALLS_OUTSTANDING
from shardstore.client.pump import Pump, Ticket
from shardstore.client.scan_iterator import ScanIterator
from shardstore.client.scanning import scan_of
from shardstore.errors import Busy, Unavailable
from shardstore.options import ScanMode
from shardstore.wire_format import Op


def connect(url: str, direct: bool = True, *, timeout: float | None = None) -> Client:
    """A client of the cluster at this url.

    `direct`: talk to workers whose endpoints can be reached, instead of through the router only.
    Raises Unavailable when no router answers in time.
    """
    client = Client(surroundings_of(url, direct))
    try:
        client._open(timeout)
    except BaseException:
        client.close()
        raise
    return client


class Client:
    """A client for any number of threads, made by `connect`. It has no thread of its own, and does not survive a fork.

    Every method takes `timeout` in seconds; None is 30. It bounds the whole of a call on one key. For many keys and for
    scans it bounds each of the requests they are cut into, so it is how long nothing may move.

    Every write takes `on_busy`: where there is no room for it, "wait" until there is or the timeout is over, or "fail",
    which is to raise Busy at once. In both cases a write that raises Busy was not applied.

    Keys are bytes of 1 byte to 4 KiB, values bytes of 0 to 8 MiB; other bytes-like objects are copied.
    """

    def __init__(self, surroundings: Surroundings) -> None:
        self._pump = Pump(surroundings)

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

        When it raises, pairs before and around the one that failed may have been applied.
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

        With wait=False, return when the ranges have accepted it. Raises Busy if a flush or compaction of one runs;
        that one is left as it is, the others have accepted all the same.
        """
        self._call(operations.maintain(Op.FLUSH, start, end, wait, timeout))

    def compact(
        self, start: bytes | None = None, end: bytes | None = None, wait: bool = True, *, timeout: float | None = None
    ) -> None:
        """Flush the ranges with keys in [start, end), and merge the tables of each. `wait` is as for `flush`."""
        self._call(operations.maintain(Op.COMPACT, start, end, wait, timeout))

    def stats(self, *, timeout: float | None = None) -> dict[Any, dict[str, Any]]:
        """Figures of the router under "router", and of each worker under its number.

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

    def _call_each(self, calls: Iterator[Many]) -> Iterator[Any]:
        """What each call settles with, in order. Some later ones are under way meanwhile."""
        under_way: deque[Ticket] = deque()
        submitted = 0
        try:
            for submitted, call in enumerate(calls, 1):
                under_way.append(self._pump.submit(call))
                self._pump.send()
                if len(under_way) >= CALLS_OUTSTANDING:
                    yield self._wait_among(submitted, under_way.popleft())
            while under_way:
                yield self._wait_among(submitted, under_way.popleft())
        finally:
            for ticket in under_way:
                self._pump.abandon(ticket)

    def _wait_among(self, submitted: int, ticket: Ticket) -> Any:
        try:
            return self._pump.wait(ticket)
        except (Busy, Unavailable) as error:
            if submitted == 1 or not is_write(ticket.call):
                raise
            raise unknown_outcome("some of the pairs or keys may have been applied", error) from error
