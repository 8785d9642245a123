"""Lets many threads share one session without a thread of its own.

A thread that waits for a reply drives the session itself if no other does: it leads. Other threads put their calls into
the inbox, wake the leader and wait. The leader takes all calls from the inbox together, so that they are gathered. When
its own call is done, it wakes a thread that still waits, which leads then. So a single thread never waits for another.

A call may come in the middle of another one of the same thread: from a signal handler, or when the garbage collector
finalizes an object. The session may be in the middle of a step then. So such a call goes through another pump
(`_inner`), which has a session and links of its own, and is made when it is first needed.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from contextlib import suppress
from typing import Any

from shardstore.client.calls.calls import Call, is_write
from shardstore.client.driver import Driver
from shardstore.client.fork_hook import Carrier, refusal, watch
from shardstore.client.session.effects import Abandon, Await
from shardstore.client.surroundings import Surroundings
from shardstore.errors import Closed, InvalidRequest, Unavailable
from shardstore.seams.transport import ClientTransport

CLOSED = "the client was closed"
FORKED = "the process was forked while the call was under way; it goes on in the parent"
IN_THE_MIDDLE = "a call in the middle of another one of the same thread cannot wait for a request made before it"


class Pump:
    """Drives one session for many threads. Only the thread that holds `_leader` uses the driver, except to wake it.

    `life` counts the forks since it was made. `_ended` says why it cannot be used any more; empty while it can.
    """

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._leader = threading.RLock()
        self._waking = threading.RLock()  # held to wake the driver, and to forbid that before the transport is closed
        self._submitted: deque[Call] = deque()
        self._events: deque[Abandon | Await] = deque()
        self._under_way: dict[Call, None] = {}
        self._parked: dict[Call, None] = {}
        self._parked_threads: set[int] = set()
        self._receiving = False
        self._ended = ""
        self._is_open = True
        self._inner: Pump | None = None
        self._left: set[Call] = set()
        self.life = 0
        self._driver = self._new_driver()
        self._driver.start_over()
        self._carrier = Carrier(self)
        watch(self._carrier)

    @property
    def name(self) -> str:
        """The argument of `connect`, or what the environment named."""
        return self._surroundings.name

    @property
    def ended(self) -> str:
        """Why it cannot be used any more; empty while it can."""
        return self._ended

    def may_read(self) -> bool:
        """Whether a read may go past the session: not while a write is under way for which nobody waits any more."""
        if self._left:
            self._left.difference_update([call for call in list(self._left) if call.settled])
        return not self._ended and not self._left and (self._inner is None or self._inner.may_read())

    @property
    def _transport(self) -> ClientTransport | None:
        return self._driver.transport

    def run(self, call: Call) -> Any:
        """Submit a call and wait for it. Returns its value, or raises its error."""
        if self._ended:
            raise Closed(self._ended)
        if self._is_in_the_middle():
            return self._inner_pump().run(call)
        self._take(call)
        return self._wait(call)

    def submit(self, call: Call) -> Call:
        """Take a call. It is sent by the thread that leads. Raises Closed."""
        if self._ended:
            raise Closed(self._ended)
        if self._is_in_the_middle():
            return self._inner_pump().submit(call)
        self._take(call)
        return call

    def ended_with(self, call: Call, answer: Any) -> Call:
        """Take a call that was done without the session. Raises Closed."""
        if self._ended:
            raise Closed(self._ended)
        call.settle(answer, None)
        return call

    def send(self) -> None:
        """Send what was submitted and handle what was received, unless a leader does so. Raises Closed."""
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
        """Take a call for whose end nobody waits. May be called from anywhere, even from a finalizer."""
        with suppress(Closed, Unavailable):
            if not self._ended:
                self._take(call)
                if not self._is_in_the_middle():  # else the interrupted call sends it
                    self.send()

    def wait(self, call: Call) -> Any:
        """Wait for a submitted call. Returns its answer, or raises its error."""
        if self._inner is not None and self._inner.has(call):
            return self._inner.wait(call)
        if not call.settled:
            if self._ended:
                raise Closed(self._ended)
            if self._is_in_the_middle():
                self.abandon(call)
                raise InvalidRequest(IN_THE_MIDDLE)
        return self._wait(call)

    def has(self, call: Call) -> bool:
        """Whether somebody waits, or will wait, for a call that was submitted in here."""
        return call in self._under_way or (self._inner is not None and self._inner.has(call))

    def _wait(self, call: Call) -> Any:
        life = self.life
        try:
            if call.held:
                self._tell_session(Await(call))
            while not call.settled:
                if self._leader.acquire(False) or self._park(call):
                    while not call.settled:
                        self._turn(None, call)
                    self._hand_over()
        except BaseException as error:
            self.abandon(call)
            self._recover()
            if life != self.life and isinstance(error, OSError | ValueError):  # it waited on the parent's descriptors
                raise call.error or error from None
            raise
        if call.error is not None:
            raise call.error
        return call.answer

    def abandon(self, call: Call) -> None:
        """Note that nobody waits for this call any more."""
        if self._inner is not None and self._inner.has(call):
            self._inner.abandon(call)
            return
        self._parked.pop(call, None)
        if not call.settled and call in self._under_way:
            self._under_way.pop(call, None)
            if is_write(call):
                self._left.add(call)
            self._tell_session(Abandon(call))

    def close(self) -> None:
        """Close the transport; calls that wait raise Closed. Within another call of this thread: after that call."""
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
            self._wake_all()  # also threads that submitted too late: they find the client closed

    def carry_over_fork(self) -> None:
        """In the child of a fork, which has no other thread: begin anew with the next call, or refuse to be used."""
        leads = self._is_in_the_middle()
        self._leader, self._waking = threading.RLock(), threading.RLock()
        if leads:
            self._leader.acquire()
        self._receiving = False
        self._submitted.clear()
        self._events.clear()
        self._parked.clear()
        self._parked_threads.clear()
        self._left.clear()
        self._inner = None
        self.life += 1
        if not self._is_open:
            return
        lost, self._under_way = self._under_way, {}
        for call in lost:
            call.settle(None, self._driver.interrupted(call, FORKED))
        self._driver.drop()
        self._driver = self._new_driver()
        if not self._surroundings.reopens:
            self._ended = self._ended or refusal()
            self._is_open = False

    def _new_driver(self) -> Driver:
        made_of = self._surroundings
        return Driver(made_of.new_transport, made_of.clock, made_of.new_session, self._note_end)

    def _is_in_the_middle(self) -> bool:
        """Whether this thread leads or waits for a leader already, so that this is a call within another call."""
        if self._leader._is_owned():  # type: ignore[attr-defined]  # as threading.Condition asks it
            return True
        return threading.get_ident() in self._parked_threads if self._parked_threads else False

    def _inner_pump(self) -> Pump:
        inner = self._inner
        if inner is None:
            inner = self._inner = Pump(self._surroundings)
        return inner

    def _take(self, call: Call) -> None:
        self._under_way[call] = None
        self._submitted.append(call)
        if self._receiving:
            self._wake_leader()

    def _turn(self, timeout_ns: int | None, wanted: Call | None = None) -> None:
        """Hand over what was submitted, then receive once: without waiting if that has settled the `wanted` call."""
        if self._ended:
            raise Closed(self._ended)
        if self._driver.torn:
            self._start_over()
        self._receiving = True  # from here on, threads that submit wake this one
        if self._submitted:
            self._driver.torn = True
            calls = [self._submitted.popleft()]
            while self._submitted:
                calls.append(self._submitted.popleft())
            self._driver.handle(calls)
        while self._events:
            self._driver.torn = True
            self._driver.handle(self._events.popleft())
        if wanted is not None and wanted.settled:
            timeout_ns = 0
        self._driver.receive(timeout_ns)
        self._receiving = False

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
            self._receiving = True  # this was interrupted: the next thread that submits has to wake the leader
            raise

    def _park(self, call: Call) -> bool:
        """Wait until the call is settled or nobody leads. Returns True if this thread leads now, and must hand over.

        A thread that finds this call in `_parked` will wake this one.
        """
        if call.parking is None:
            call.parking = queue.SimpleQueue()  # looked up in the module, as gevent may have replaced it there
        thread = threading.get_ident()
        self._parked_threads.add(thread)
        try:
            self._parked[call] = None
            leads = not call.settled and self._leader.acquire(blocking=False)
            if not call.settled and not leads:
                call.parking.get()
            self._parked.pop(call, None)
        finally:
            self._parked_threads.discard(thread)
        return leads

    def _hand_over(self) -> None:
        """Stop leading, and wake another thread to lead."""
        if self._ended:  # closed while this thread led
            self._finish_close()
        self._leader.release()
        if self._parked:
            self._wake_parked()

    def _wake_parked(self) -> None:
        """Wake a thread that waits, so that it can lead. A thread whose call was settled meanwhile is passed over."""
        while self._parked:
            with suppress(KeyError):  # the last one woke by itself meanwhile
                call = self._parked.popitem()[0]
                if not call.settled and call.parking is not None:
                    call.parking.put(None)
                    return

    def _wake_all(self) -> None:
        """Wake all threads that wait, so that they check whether their calls are settled and whether somebody leads."""
        for call in list(self._under_way):
            if call.parking is not None:
                call.parking.put(None)

    def _recover(self) -> None:
        """Clean up after an exception, if this thread leads or nobody does, and let another thread lead."""
        try:
            if self._leader.acquire(blocking=False):
                if self._ended:
                    self._finish_close()
                elif self._driver.torn:
                    with suppress(Unavailable):  # the driver is still torn, and the next leader tries again
                        self._start_over()
        finally:
            with suppress(RuntimeError):  # raised once this thread has released the lock as often as it took it
                while True:
                    self._leader.release()
            self._wake_all()  # the exception may have come after a thread was chosen to lead, and before it was woken

    def _finish_close(self) -> None:
        """Close the transport once, and settle all calls with Closed. Only the leader does this."""
        if self._is_open:
            self._is_open = False
            try:
                self._driver.close()
            finally:
                for call in list(self._under_way):
                    self._end(call, Closed(self._ended))

    def _start_over(self) -> None:
        """Replace the session of a torn driver. The calls that it knew end with an error. Raises Unavailable."""
        unsent = list(self._submitted)
        self._left.clear()
        for _ in range(len(self._events)):
            event = self._events.popleft()
            if event.call in unsent:
                self._events.append(event)
        for call in list(self._under_way):
            if call not in unsent:
                self._end(call, self._driver.interrupted(call))
        self._driver.start_over()

    def _end(self, call: Call, error: Exception) -> None:
        """End a call with an error, unless it has ended."""
        if not call.settled:
            call.settle(None, error)
        self._note_end(call)

    def _note_end(self, call: Call) -> None:
        """Wake the thread that waits for a call, then drop it: after an interrupt in between it is woken again."""
        if call.parking is not None:
            call.parking.put(None)
        self._under_way.pop(call, None)
