"""Lets an asyncio event loop drive a session: the counterpart of blocking/pump.py.

Calls made in one turn of the loop are submitted together, so that they are gathered. The transport's descriptor may not
become ready for messages that come during a send. So after each step that may send, messages are received until there
are none.
"""

from __future__ import annotations

import asyncio
import weakref
from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Callable
from typing import Any

from shardstore.client.calls.calls import Call, is_write
from shardstore.client.driver import Driver
from shardstore.client.fork_hook import refusal, watch
from shardstore.client.session.effects import Abandon, Await
from shardstore.client.surroundings import Surroundings
from shardstore.errors import Closed, InvalidRequest, Unavailable
from shardstore.limits import SECOND_NS
from shardstore.seams.transport import ClientTransport

_RECEIVES_PER_TURN = 4


class _ReplyFuture(asyncio.Future[Any]):
    """The future of a call. It informs the pump at once when it is cancelled; its task is informed a turn later."""

    call: Call
    pump: LoopPump

    def cancel(self, msg: Any = None) -> bool:
        cancelled = super().cancel(msg)
        if cancelled:
            self.pump.leave(self.call)
        return cancelled


class LoopPump:
    """Belongs to the loop that runs when it is made; in the child of a fork, to the loop of the first call there.

    The loop has only a weak reference to it, so that a client that is not used any more is freed. `life` counts the
    forks since it was made. `_ended` says why it cannot be used any more; empty while it can.
    """

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._submitted: list[Call] = []
        self._abandoned: deque[Call] = deque()
        self._futures: dict[Call, _ReplyFuture] = {}
        self._left: set[Call] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._turn_is_due = False
        self._ended = ""
        self._release: weakref.finalize[[AbstractEventLoop, ClientTransport], LoopPump] | None = None
        self.life = 0
        self._loop: AbstractEventLoop | None = asyncio.get_running_loop()
        self._driver = self._new_driver()
        self._driver.start_over()
        self._attach(self._loop)
        self._turn_soon()
        watch(self)

    @property
    def name(self) -> str:
        """The argument of `connect_async`, or what the environment named."""
        return self._surroundings.name

    @property
    def ended(self) -> str:
        """Why it cannot be used any more; empty while it can."""
        return self._ended

    def may_read(self) -> bool:
        """Whether a read may go past the session: in the pump's loop, and after every write whose caller was cancelled.

        A write whose task was cancelled goes on if it may have been applied.
        """
        if self._left:
            self._left = {call for call in self._left if not call.settled}
        is_here = asyncio._get_running_loop() is self._loop
        return is_here and not self._ended and not self._left and not self._abandoned

    @property
    def _transport(self) -> ClientTransport | None:
        return self._driver.transport

    def _new_driver(self) -> Driver:
        made_of = self._surroundings
        return Driver(made_of.new_transport, made_of.clock, made_of.new_session, self._note_end)

    def submit(self, call: Call) -> Call:
        """Take a call. It is sent at the end of this turn of the loop. Raises Closed, InvalidRequest."""
        self._futures[call] = self._future_of(call, self._loop_of_this_call())
        self._submitted.append(call)
        self._turn_soon()
        return call

    def ended_with(self, call: Call, answer: Any) -> Call:
        """Take a call that was done without the session. Raises Closed, InvalidRequest."""
        future = self._futures[call] = self._future_of(call, self._loop_of_this_call())
        future.set_result(answer)
        call.settle(answer, None)
        return call

    def tell(self, call: Call) -> None:
        """Take a call for whose end nobody waits."""
        if not self._ended:
            self._submitted.append(call)
            self._turn_soon()

    async def wait(self, call: Call) -> Any:
        """Wait for a submitted call. Returns its value, or raises its error. The caller must then abandon it."""
        self._await(call)
        return await self._futures[call]

    async def watch(self, call: Call) -> Any:
        """Like `wait`, but abandons a call that has ended. If this is cancelled, the call may be watched again."""
        self._await(call)
        try:
            value = await asyncio.shield(self._futures[call])
        except Exception:
            self.abandon(call)
            raise
        self.abandon(call)
        return value

    def error_when_cancelled(self, call: Call) -> BaseException | None:
        """The error of a write whose caller is cancelled now: OutcomeUnknown, unless it has ended; None if applied."""
        future = self._futures.get(call)
        if future is None or not future.done() or future.cancelled() or isinstance(future.exception(), Closed):
            return self._driver.interrupted(call, "its caller was cancelled")
        return future.exception()

    def settled_value(self, call: Call) -> Any:
        """The value of a submitted call; None if it has not ended, or with an error."""
        future = self._futures.get(call)
        if future is None or not future.done() or future.cancelled() or future.exception() is not None:
            return None
        return future.result()

    def abandon(self, call: Call) -> None:
        """Note that nobody waits for this call any more."""
        future = self._futures.pop(call, None)
        if future is None:
            return
        if self._driver.torn:
            call.settled = True  # no session is to send it any more
        elif not call.settled and not self._ended:
            self._note_left(call)
            self._abandoned.append(call)
            self._turn_soon()
        if future.done() and not future.cancelled():
            future.exception()  # so that asyncio does not report it as never retrieved

    def close(self) -> None:
        """Close the transport. Calls that wait raise Closed."""
        if self._ended:
            return
        self._ended = "the client was closed"
        if self._release is not None:
            self._release.detach()
        if self._loop is not None and self._transport is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._transport.descriptor())
        if self._timer is not None:
            self._timer.cancel()
        self._driver.close()
        for future in self._futures.values():
            if not future.done():
                future.set_exception(Closed(self._ended))

    def carry_over_fork(self) -> None:
        """In the child of a fork: begin anew with the next call, in the loop that runs then, or refuse to be used."""
        self.life += 1
        self._loop = self._timer = None
        self._turn_is_due = False
        self._submitted.clear()
        self._abandoned.clear()
        self._futures.clear()
        self._left.clear()
        self._surroundings.reads.begin_anew()  # another thread may have forked in the middle of a read
        if self._release is not None:
            self._release.detach()
        self._driver.drop()
        self._driver = self._new_driver()
        if not self._surroundings.reopens:
            self._ended = self._ended or refusal()

    def _future_of(self, call: Call, loop: AbstractEventLoop) -> _ReplyFuture:
        future = _ReplyFuture(loop=loop)
        future.call, future.pump = call, self
        return future

    def leave(self, call: Call) -> None:
        """Note that the task of this call is cancelled, before it knows: later calls come after this one."""
        if not self._driver.torn and not self._ended:
            self._note_left(call)
            self._abandoned.append(call)

    def _note_left(self, call: Call) -> None:
        if is_write(call) and not call.settled:
            self._left.add(call)

    def _loop_of_this_call(self) -> AbstractEventLoop:
        """The loop in which this call is made, which must be that of the pump. Raises Closed, InvalidRequest."""
        if self._ended:
            raise Closed(self._ended)
        running = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = running
        if running is not self._loop:
            raise InvalidRequest(
                "an asyncio client is used in the event loop in which it was made: make another one in this loop"
            )
        return running

    def _attach(self, loop: AbstractEventLoop) -> None:
        """Let the loop watch the transport, until the client is garbage."""
        transport = self._driver.transport
        assert transport is not None, "it was started"
        loop.add_reader(transport.descriptor(), _turn_of, weakref.ref(self))
        self._release = weakref.finalize(self, _let_go, loop, transport)
        self._release.atexit = False

    def _await(self, call: Call) -> None:
        if call.held and not self._driver.torn:
            self._driver.handle(Await(call))
            self._turn_soon()

    def _turn_soon(self) -> None:
        """Have `_turn` called soon. May be called from this loop, or from any finalizer."""
        loop = self._loop
        if self._turn_is_due or loop is None:
            return
        self._turn_is_due = True
        if asyncio._get_running_loop() is loop:
            loop.call_soon(_turn_of, weakref.ref(self))
        elif not _call_in(loop, _turn_of, weakref.ref(self)):
            self._turn_is_due = False

    def _turn(self) -> None:
        """Pass on what was submitted, receive messages, and arrange the next call of this method."""
        self._turn_is_due = False
        if self._ended:
            return
        try:
            if self._driver.torn and not self._start_over():
                return
            while self._abandoned:
                self._driver.handle(Abandon(self._abandoned.popleft()))
            if self._submitted:
                self._driver.torn = True
                calls, self._submitted = self._submitted, []
                self._driver.handle(calls)
            for _ in range(_RECEIVES_PER_TURN):
                if not self._driver.receive(0):
                    break
            else:
                self._turn_soon()  # there may be more, but other tasks need the loop too
        finally:
            if self._driver.torn:
                self._end_lost()
            self._set_timer()

    def _start_over(self) -> bool:
        """Replace the session of a torn driver. If that is impossible now, the submitted calls raise Unavailable."""
        self._left.clear()
        while self._abandoned:
            self._abandoned.popleft().settled = True
        before = self._transport
        try:
            self._driver.start_over()
            if self._transport is not before and self._loop is not None:
                self._attach(self._loop)
        except Unavailable as error:
            for call in self._submitted:
                self._end(call, Unavailable(str(error)))
            self._submitted.clear()
        return not self._driver.torn

    def _end_lost(self) -> None:
        """End the calls that only the torn session knows."""
        unsent = set(self._submitted)
        for call in list(self._futures):
            if call not in unsent:
                self._end(call, self._driver.interrupted(call))

    def _set_timer(self) -> None:
        """Set the timer for the next wakeup of the session. An earlier timer stays, as it does no harm."""
        due_ns = self._driver.wakeup_ns()
        if due_ns is None or self._loop is None:
            return
        due = self._loop.time() + max(due_ns - self._surroundings.clock.now_ns(), 0) / SECOND_NS
        if self._timer is None or self._timer.when() > due:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(due, _turn_of, weakref.ref(self), True)

    def be_called(self, by_timer: bool) -> None:
        """Handle a call of the loop: the descriptor is ready, or a turn or the timer is due."""
        if by_timer:
            self._timer = None
        self._turn()

    def _end(self, call: Call, error: Exception) -> None:
        """End a call with an error, unless it has ended."""
        if not call.settled:
            call.settle(None, error)
        self._note_end(call)

    def _note_end(self, call: Call) -> None:
        """Pass the end of a call on to its future."""
        future = self._futures.get(call)
        if future is None:
            return
        if future.cancelled():  # its task does not know that yet, and will ask how the call has ended
            future = self._futures[call] = self._future_of(call, future.get_loop())
        if future.done():
            return
        if call.error is None:
            future.set_result(call.answer)
        else:
            future.set_exception(call.error)


def _turn_of(pump: weakref.ref[LoopPump], by_timer: bool = False) -> None:
    called = pump()
    if called is not None:
        called.be_called(by_timer)


def _let_go(loop: AbstractEventLoop, transport: ClientTransport) -> None:
    """Drop the transport of a client that is garbage: in its loop, which watches it, unless that is closed."""
    if not _call_in(loop, _drop_in, loop, transport):
        transport.drop()


def _drop_in(loop: AbstractEventLoop, transport: ClientTransport) -> None:
    loop.remove_reader(transport.descriptor())
    transport.drop()


def _call_in(loop: AbstractEventLoop, callback: Callable[..., object], *arguments: object) -> bool:
    """Have a function called in a loop. May be called from any thread. Returns False if the loop is closed."""
    try:
        loop.call_soon_threadsafe(callback, *arguments)
    except RuntimeError:
        return False
    return True
