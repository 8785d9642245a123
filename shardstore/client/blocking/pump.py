"""Lets many threads share one session without a thread of its own.

The thread that waits for an answer drives the session itself, if no other does: it leads. Others leave their calls in
the inbox, wake the leader and wait; it takes all calls it finds there together, so that they are gathered. When the
leader's own call is done, one that still waits is woken to lead. A single thread so never waits for another.

A call may come in the middle of another one of the same thread: from a signal handler, or from where the collector
finalizes an object. The session stands in the middle of a step then, so such a call goes through a pump of its own
(`_inner`), with a session and links of its own, which is made when it is needed and kept.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from contextlib import suppress
from typing import Any

from shardstore.client.calls.calls import Call
from shardstore.client.driver import Driver
from shardstore.client.forking import refusal, watch
from shardstore.client.opening import Surroundings
from shardstore.client.session.effects import Abandon, Await, Event, Resolve, Submit
from shardstore.errors import Closed, InvalidRequest, Unavailable
from shardstore.seams.transport import ClientTransport


class Ticket:
    """A call that was submitted, and how it ended. `parking` is where its thread waits, once it does."""

    __slots__ = ("call", "error", "parking", "pump", "settled", "value")

    def __init__(self, call: Call, pump: Pump) -> None:
        self.call = call
        self.pump = pump
        self.settled = False
        self.value: Any = None
        self.error: Exception | None = None
        self.parking: queue.SimpleQueue[None] | None = None

    def settle(self, value: Any, error: Exception | None) -> None:
        """Tell the thread that waits."""
        self.value = value
        self.error = error
        self.settled = True
        if self.parking is not None:
            self.parking.put(None)


CLOSED = "the client was closed"
FORKED = "the process was forked while the call was under way; it goes on in the parent"
IN_THE_MIDDLE = "a call in the middle of another one of the same thread cannot wait for what was asked before that one"


class Pump:
    """Only the thread that holds `_leader` touches driver and transport, except for the transport's wake.

    `life` counts the forks it was carried over. `_ended` says why it is of no use any more.
    """

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._leader = threading.RLock()
        self._waking = threading.RLock()  # held to wake, and to forbid it before the transport is closed
        self._submitted: deque[Call] = deque()
        self._events: deque[Abandon | Await] = deque()
        self._tickets: dict[Call, Ticket] = {}
        self._parked: dict[Ticket, None] = {}
        self._parked_threads: set[int] = set()
        self._receiving = False
        self._ended = ""
        self._is_open = True
        self._inner: Pump | None = None
        self.life = 0
        self._driver = self._new_driver()
        self._driver.start_over()
        watch(self)

    @property
    def name(self) -> str:
        """What the client was told to connect to."""
        return self._surroundings.name

    @property
    def ended(self) -> str:
        """Why it is of no use any more; empty while it is."""
        return self._ended

    @property
    def _transport(self) -> ClientTransport | None:
        return self._driver.transport

    def submit(self, call: Call) -> Ticket:
        """Take a call; it is sent when somebody leads. Raises Closed."""
        if self._ended:
            raise Closed(self._ended)
        if self._is_in_the_middle():
            return self._inner_pump().submit(call)
        return self._take(call)

    def send(self) -> None:
        """Send what was submitted and take what has come, unless somebody leads and does so. Raises Closed."""
        if self._ended:
            raise Closed(self._ended)
        if self._is_in_the_middle():
            self._inner_pump().send()
            return
        try:
            if self._leader.acquire(blocking=False):
                self._turn(0)
                self._hand_over()
        except BaseException:
            self._recover()
            raise

    def tell(self, call: Call) -> None:
        """Take a call for whose end nobody waits. From anywhere, also from where an object is finalized."""
        with suppress(Closed, Unavailable):
            if not self._ended:
                self._take(call)
                if not self._is_in_the_middle():  # else whoever stands there sends it
                    self.send()

    def wait(self, ticket: Ticket) -> Any:
        """What the call settles with; raises its error."""
        if ticket.pump is not self:
            return ticket.pump.wait(ticket)
        if not ticket.settled:
            if self._ended:
                raise Closed(self._ended)
            if self._is_in_the_middle():
                self.abandon(ticket)
                raise InvalidRequest(IN_THE_MIDDLE)
        life = self.life
        try:
            if ticket.call.held:
                self._tell_session(Await(ticket.call))
            while not ticket.settled:
                if self._leader.acquire(blocking=False) or self._park(ticket):
                    while not ticket.settled:
                        self._turn(None)
                    self._hand_over()
        except BaseException as error:
            self.abandon(ticket)
            self._recover()
            if life != self.life and isinstance(error, OSError | ValueError):  # it waited with what the parent has
                raise ticket.error or error from None
            raise
        if ticket.error is not None:
            raise ticket.error
        return ticket.value

    def abandon(self, ticket: Ticket) -> None:
        """Nobody waits for this call any more."""
        if ticket.pump is not self:
            ticket.pump.abandon(ticket)
            return
        self._parked.pop(ticket, None)
        if not ticket.settled:
            ticket.settled = True
            self._tickets.pop(ticket.call, None)
            self._tell_session(Abandon(ticket.call))

    def close(self) -> None:
        """Close the transport; who waits gets Closed. In the middle of a call of this thread, that comes behind it."""
        if self._inner is not None:
            self._inner.close()
        with self._waking:
            self._ended = self._ended or CLOSED
        if not self._is_open:
            return
        self._driver.wake()
        if not self._is_in_the_middle():
            with self._leader:
                self._finish_close()
            self._wake_all()  # also who submitted too late for that: it finds the client closed

    def carry_over_fork(self) -> None:
        """This is the child of a fork, and has no thread but this one: begin anew with the next call, or refuse it."""
        leads = self._is_in_the_middle()
        self._leader, self._waking = threading.RLock(), threading.RLock()
        if leads:
            self._leader.acquire()
        self._receiving = False
        self._submitted.clear()
        self._events.clear()
        self._parked.clear()
        self._parked_threads.clear()
        self._inner = None
        self.life += 1
        if not self._is_open:
            return
        lost, self._tickets = self._tickets, {}
        for call, ticket in lost.items():
            ticket.settle(None, self._driver.interrupted(call, FORKED))
        self._driver.drop()
        self._driver = self._new_driver()
        if not self._surroundings.reopens:
            self._ended = self._ended or refusal()
            self._is_open = False

    def _new_driver(self) -> Driver:
        made_of = self._surroundings
        return Driver(made_of.new_transport, made_of.clock, made_of.new_session, self._resolve)

    def _is_in_the_middle(self) -> bool:
        """Whether this thread leads, or waits for another that does, while it comes from elsewhere again."""
        return self._leader._is_owned() or (  # type: ignore[attr-defined]  # as threading.Condition asks it
            bool(self._parked_threads) and threading.get_ident() in self._parked_threads
        )

    def _inner_pump(self) -> Pump:
        inner = self._inner
        if inner is None:
            inner = self._inner = Pump(self._surroundings)
        return inner

    def _take(self, call: Call) -> Ticket:
        ticket = self._tickets[call] = Ticket(call, self)
        self._submitted.append(call)
        if self._receiving:
            self._wake_leader()
        return ticket

    def _turn(self, timeout_ns: int | None) -> None:
        """Hand over what was submitted, then receive once."""
        if self._ended:
            raise Closed(self._ended)
        if self._driver.torn:
            self._start_over()
        self._receiving = True  # from here on, who submits wakes
        if self._submitted or self._events:
            self._driver.torn = True
            self._driver.handle(self._inbox())
        self._driver.receive(timeout_ns)
        self._receiving = False

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
        if self._receiving:
            self._wake_leader()

    def _wake_leader(self) -> None:
        try:
            self._receiving = False
            with self._waking:
                if not self._ended:
                    self._driver.wake()
        except BaseException:
            self._receiving = True  # interrupted: let the next one wake
            raise

    def _park(self, ticket: Ticket) -> bool:
        """Wait until the call is settled, or nobody leads; True when this thread leads now, and has to hand over.

        Who reads this ticket as parked will wake it.
        """
        if ticket.parking is None:
            ticket.parking = queue.SimpleQueue()  # of the module: gevent may have put another one there
        thread = threading.get_ident()
        self._parked_threads.add(thread)
        try:
            self._parked[ticket] = None
            leads = not ticket.settled and self._leader.acquire(blocking=False)
            if not ticket.settled and not leads:
                ticket.parking.get()
            self._parked.pop(ticket, None)
        finally:
            self._parked_threads.discard(thread)
        return leads

    def _hand_over(self) -> None:
        """Lead no more."""
        if self._ended:  # in the middle of this
            self._finish_close()
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
            if self._leader.acquire(blocking=False):
                if self._ended:
                    self._finish_close()
                elif self._driver.torn:
                    with suppress(Unavailable):  # it is torn as before, and who leads next tries again
                        self._start_over()
        finally:
            with suppress(RuntimeError):  # the lock knows how often this thread took it, and refuses to be free twice
                while True:
                    self._leader.release()
            self._wake_all()  # the exception may have struck between the choice of one and its wake

    def _finish_close(self) -> None:
        """Close the transport, once; whoever waits is told. Only the leader does."""
        if self._is_open:
            self._is_open = False
            try:
                self._driver.close()
            finally:
                for call in list(self._tickets):
                    self._resolve(Resolve(call, None, Closed(self._ended)))

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
