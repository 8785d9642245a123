"""Lets many threads share one session without a thread of its own.

The thread that waits for an answer drives the session itself, if no other does: it leads. Others leave their calls in
the inbox, wake the leader and wait; it takes all calls it finds there together, so that they are gathered. When the
leader's own call is done, one that still waits is woken to lead. A single thread so never waits for another.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

from shardstore.client.calls import Call
from shardstore.client.driver import Driver
from shardstore.client.effects import Abandon, Await, Event, Resolve, Submit
from shardstore.client.opening import Surroundings
from shardstore.errors import Closed, Unavailable


class Ticket:
    """A call that was submitted, and how it ended. `parking` is where its thread waits, once it does."""

    __slots__ = ("call", "error", "parking", "settled", "value")

    def __init__(self, call: Call) -> None:
        self.call = call
        self.settled = False
        self.value: Any = None
        self.error: Exception | None = None
        self.parking: SimpleQueue[None] | None = None

    def settle(self, value: Any, error: Exception | None) -> None:
        """Tell the thread that waits."""
        self.value = value
        self.error = error
        self.settled = True
        if self.parking is not None:
            self.parking.put(None)


class Pump:
    """Only the thread that holds `_leader` touches driver and transport, except for the transport's wake."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._process = os.getpid()
        self._transport = surroundings.transport
        self._leader = threading.RLock()
        self._waking = threading.Lock()  # held to wake, and to forbid it before the transport is closed
        self._submitted: deque[Call] = deque()
        self._events: deque[Abandon | Await] = deque()
        self._tickets: dict[Call, Ticket] = {}
        self._parked: dict[Ticket, None] = {}
        self._receiving = False
        self._turning = False
        self._closed = False
        self._driver = Driver(self._transport, surroundings.clock, surroundings.new_session, self._resolve)

    def submit(self, call: Call) -> Ticket:
        """Take a call; it is sent when somebody leads. Raises Closed."""
        self._check_usable()
        ticket = self._tickets[call] = Ticket(call)
        self._submitted.append(call)
        self._wake_leader()
        return ticket

    def send(self) -> None:
        """Send what was submitted and take what has come, unless somebody leads and does so. Raises Closed."""
        self._check_usable()
        try:
            if self._leader.acquire(blocking=False):
                self._turn(0)
                self._hand_over()
        except BaseException:
            self._recover()
            raise

    def tell(self, call: Call) -> None:
        """Take a call for whose end nobody waits. From anywhere, also from where an object is finalized."""
        with suppress(Closed):
            self.submit(call)
            if not self._turning:  # else this thread may stand in the middle of it, and whoever does sends it
                self.send()

    def wait(self, ticket: Ticket) -> Any:
        """What the call settles with; raises its error."""
        if not ticket.settled:
            self._check_usable()
        try:
            if ticket.call.held:
                self._tell_session(Await(ticket.call))
            while not ticket.settled:
                if self._leader.acquire(blocking=False) or self._park(ticket):
                    while not ticket.settled:
                        self._turn(None)
                    self._hand_over()
        except BaseException:
            self.abandon(ticket)
            self._recover()
            raise
        if ticket.error is not None:
            raise ticket.error
        return ticket.value

    def abandon(self, ticket: Ticket) -> None:
        """Nobody waits for this call any more."""
        if self._process != os.getpid():
            return
        self._parked.pop(ticket, None)
        if not ticket.settled:
            ticket.settled = True
            self._tickets.pop(ticket.call, None)
            self._tell_session(Abandon(ticket.call))

    def close(self) -> None:
        """Close the transport; who waits gets Closed. In a fork of the process that made it, nothing is touched."""
        if self._process != os.getpid() or self._closed:
            return
        with self._waking:
            self._closed = True
        self._transport.wake()
        with self._leader:
            try:
                self._driver.close()
            finally:
                for call in list(self._tickets):
                    self._resolve(Resolve(call, None, Closed("the client was closed")))
        self._wake_all()  # also who submitted too late for that: it finds the client closed

    def _check_usable(self) -> None:
        if self._process != os.getpid():
            raise Closed(f"the client belongs to process {self._process} and was carried over a fork; open a new one")
        if self._closed:
            raise Closed("the client was closed")

    def _turn(self, timeout_ns: int | None) -> None:
        """Hand over what was submitted, then receive once."""
        if self._closed:
            raise Closed("the client was closed")
        self._turning = True
        if self._driver.torn:
            self._start_over()
        self._receiving = True  # from here on, who submits wakes
        if self._submitted or self._events:
            self._driver.torn = True
            self._driver.handle(self._inbox())
        self._driver.receive(timeout_ns)
        self._receiving = self._turning = False

    def _inbox(self) -> list[Event]:
        """Take out what was submitted and told; only the leader does."""
        calls = []
        while self._submitted:
            calls.append(self._submitted.popleft())
        events: list[Event] = [Submit(calls)] if calls else []
        while self._events:
            events.append(self._events.popleft())
        return events

    def _tell_session(self, event: Abandon | Await) -> None:
        self._events.append(event)
        self._wake_leader()

    def _wake_leader(self) -> None:
        if self._receiving:
            try:
                self._receiving = False
                with self._waking:
                    if not self._closed:
                        self._transport.wake()
            except BaseException:
                self._receiving = True  # interrupted: let the next one wake
                raise

    def _park(self, ticket: Ticket) -> bool:
        """Wait until the call is settled, or nobody leads; True when this thread leads now, and has to hand over.

        Who reads this ticket as parked will wake it.
        """
        if ticket.parking is None:
            ticket.parking = SimpleQueue()
        self._parked[ticket] = None
        leads = not ticket.settled and self._leader.acquire(blocking=False)
        if not ticket.settled and not leads:
            ticket.parking.get()
        self._parked.pop(ticket, None)
        return leads

    def _hand_over(self) -> None:
        """Lead no more."""
        self._leader.release()
        self._wake_parked()

    def _wake_parked(self) -> None:
        """Wake a thread that waits, so that it can lead. Who was settled meanwhile needs no lead."""
        while self._parked:
            with suppress(KeyError):  # it woke by itself meanwhile
                ticket = self._parked.popitem()[0]
                if not ticket.settled and ticket.parking is not None:
                    ticket.parking.put(None)
                    return

    def _wake_all(self) -> None:
        """Let all who wait look again: whether they are settled, and whether somebody leads."""
        for ticket in list(self._tickets.values()):
            if ticket.parking is not None:
                ticket.parking.put(None)

    def _recover(self) -> None:
        """After an exception anywhere: if this thread leads, or nobody does, put all in order and let another lead."""
        try:
            if self._leader.acquire(blocking=False) and self._driver.torn and not self._closed:
                with suppress(Unavailable):  # it is torn as before, and who leads next tries again
                    self._start_over()
        finally:
            with suppress(RuntimeError):  # the lock knows how often this thread took it, and refuses to be free twice
                while True:
                    self._leader.release()
            self._wake_all()  # the exception may have struck between the choice of one and its wake

    def _start_over(self) -> None:
        """An exception left the driver torn: the session is replaced, and calls it knew end. Raises Unavailable."""
        unsent = list(self._submitted)
        for _ in range(len(self._events)):
            event = self._events.popleft()
            if event.call in unsent:
                self._events.append(event)
        for call in list(self._tickets):
            if call not in unsent:
                self._resolve(Resolve(call, None, self._driver.interrupted(call)))
        self._driver.start_over()

    def _resolve(self, effect: Resolve) -> None:
        """Settle first and forget then: after an interrupt between, the ticket is settled again, and nobody waits."""
        ticket = self._tickets.get(effect.call)
        if ticket is not None:
            ticket.settle(effect.value, effect.error)
            self._tickets.pop(effect.call, None)
