"""Runs the calls of the blocking client's methods, several at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from shardstore.client.blocking.pump import Pump, Ticket
from shardstore.client.calls import operations
from shardstore.client.calls.calls import Call, is_write
from shardstore.client.calls.operations import CALLS_OUTSTANDING
from shardstore.client.session import endings
from shardstore.errors import Busy, OutcomeUnknown, ShardstoreError, Unavailable


class CallRunner:
    """Submits calls to the session behind a pump, and waits for them."""

    def __init__(self, pump: Pump) -> None:
        self._pump = pump
        self.one: Callable[[Any], Any] = pump.run
        """Run a call. Returns its value, or raises its error."""

    def each(self, calls: Iterator[Call]) -> Iterator[Any]:
        """The value of each call, in order. Up to CALLS_OUTSTANDING calls are under way at once."""
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
            raise bad.error_after(ends) from None
        finally:
            for ticket in under_way:
                self._pump.abandon(ticket)

    def _wait_among(self, under_way: deque[Ticket], done: int) -> Any:
        """The value of the first call. If it is a write and fails, waits for the others: the error covers them all."""
        ticket = under_way.popleft()
        try:
            return self._pump.wait(ticket)
        except (Busy, Unavailable, OutcomeUnknown) as error:
            if not is_write(ticket.call):
                raise
            ends = [error, *map(self._end_of, under_way)]
            failure = endings.error_of_all(ends, done)
            raise failure from failure.__cause__

    def _end_of(self, ticket: Ticket) -> ShardstoreError | None:
        """The error with which a call ends; None for success."""
        try:
            self._pump.wait(ticket)
        except ShardstoreError as error:
            return error
        return None
