"""The life of a blocking client: how it is made, opened, used in a `with` block and closed."""

from __future__ import annotations

from types import TracebackType
from typing import Any, NoReturn, Self

from shardstore.client.blocking.call_runner import CallRunner
from shardstore.client.blocking.locked_reads import LockedReads
from shardstore.client.blocking.pump import Pump
from shardstore.client.blocking.scan import ScanIterator
from shardstore.client.calls.arguments import checked_timeout_ns
from shardstore.client.calls.calls import Open
from shardstore.client.calls.scan import Scan
from shardstore.client.surroundings import Surroundings
from shardstore.errors import InvalidRequest


class Lifetime:
    """The part of a client that is not an operation: making, opening and closing it."""

    def __init__(self, surroundings: Surroundings) -> None:
        if not isinstance(surroundings, Surroundings):
            raise InvalidRequest("a client is made by shardstore.connect(...)")
        self._pump = Pump(surroundings)
        self._reads = LockedReads(surroundings.reads)
        self._calls = CallRunner(self._pump, self._reads)

    def __repr__(self) -> str:
        return f"<shardstore.Client of {self._pump.name!r}{', closed' if self._pump.ended else ''}>"

    def __reduce__(self) -> NoReturn:
        raise InvalidRequest(
            f"a client cannot be pickled: another process makes its own, with shardstore.connect({self._pump.name!r})"
        )

    def close(self) -> None:
        """Close the client. A second call does nothing.

        Calls that wait in other threads raise Closed. A write among them may have been applied.
        """
        self._pump.close()
        self._reads.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _iterate(self, scan: Scan) -> ScanIterator[Any]:
        return ScanIterator(self._pump, self._reads, scan)

    def _open(self, timeout: float | None) -> None:
        self._calls.one(Open(checked_timeout_ns(timeout)))
