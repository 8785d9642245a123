"""Lets an asyncio event loop drive a session: the counterpart of pump.py.

Calls made in one turn of the loop are submitted together, so that they are gathered. The transport's descriptor may
miss what comes while something is sent: after everything that may have sent, messages are taken until there are none.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

from shardstore.client.calls import Call
from shardstore.client.driver import Driver
from shardstore.client.effects import Abandon, Await, Resolve, Submit
from shardstore.client.opening import Surroundings
from shardstore.errors import Closed, InvalidRequest, Unavailable
from shardstore.limits import SECOND_NS

_RECEIVES_PER_TURN = 4


class LoopPump:
    """Belongs to the loop that runs when it is made."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._process = os.getpid()
        self._loop = asyncio.get_running_loop()
        self._transport = surroundings.transport
        self._clock = surroundings.clock
        self._submitted: list[Call] = []
        self._futures: dict[Call, asyncio.Future[Any]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._turn_is_due = False
        self._closed = False
        self._driver = Driver(surroundings.transport, surroundings.clock, surroundings.new_session, self._resolve)
        self._loop.add_reader(self._transport.descriptor(), self._turn)
        self._turn_soon()

    def submit(self, call: Call) -> Call:
        """Take a call; it is sent at the end of this turn of the loop. Raises Closed, InvalidRequest."""
        self._check_usable()
        self._futures[call] = self._loop.create_future()
        self._submitted.append(call)
        self._turn_soon()
        return call

    def tell(self, call: Call) -> None:
        """Take a call for whose end nobody waits."""
        if not self._closed and self._process == os.getpid():
            self._submitted.append(call)
            self._turn_soon()

    async def wait(self, call: Call) -> Any:
        """What a submitted call settles with; raises its error. When this is cancelled, the call is abandoned."""
        self._await(call)
        try:
            return await self._futures[call]
        finally:
            self.abandon(call)

    async def watch(self, call: Call) -> Any:
        """Like `wait`, but when this is cancelled, the call goes on and may be watched again."""
        self._await(call)
        try:
            value = await asyncio.shield(self._futures[call])
        except Exception:
            self.abandon(call)
            raise
        self.abandon(call)
        return value

    def settled_value(self, call: Call) -> Any:
        """What a submitted call has settled with, None if it has not, or with an error."""
        future = self._futures.get(call)
        if future is None or not future.done() or future.cancelled() or future.exception() is not None:
            return None
        return future.result()

    def abandon(self, call: Call) -> None:
        """Nobody waits for this call any more, if anybody did."""
        future = self._futures.pop(call, None)
        if future is None:
            return
        if self._driver.torn:
            call.settled = True  # no session is to send it any more
        elif not call.settled and not self._closed:
            self._driver.handle((Abandon(call),))
            self._turn_soon()
        if future.done() and not future.cancelled():
            future.exception()  # it counts as retrieved

    def close(self) -> None:
        """Close the transport; who waits gets Closed. In a fork of the process that made it, nothing is touched."""
        if self._process != os.getpid() or self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._transport.descriptor())
        if self._timer is not None:
            self._timer.cancel()
        self._driver.close()
        for future in self._futures.values():
            if not future.done():
                future.set_exception(Closed("the client was closed"))

    def _check_usable(self) -> None:
        if self._process != os.getpid():
            raise Closed(f"the client belongs to process {self._process} and was carried over a fork; open a new one")
        if self._closed:
            raise Closed("the client was closed")
        if asyncio.get_running_loop() is not self._loop:
            raise InvalidRequest("an asyncio client is used in the event loop in which it was made")

    def _await(self, call: Call) -> None:
        if call.held and not self._driver.torn:
            self._driver.handle((Await(call),))
            self._turn_soon()

    def _turn_soon(self) -> None:
        if not self._turn_is_due:
            self._turn_is_due = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        """Hand over what was submitted, take what has come, and arrange to be called again in time."""
        self._turn_is_due = False
        if self._closed:
            return
        try:
            if self._driver.torn and not self._start_over():
                return
            if self._submitted:
                self._driver.torn = True
                calls, self._submitted = self._submitted, []
                self._driver.handle((Submit(calls),))
            for _ in range(_RECEIVES_PER_TURN):
                if not self._driver.receive(0):
                    break
            else:
                self._turn_soon()  # there may be more, but others have a right to this loop
        finally:
            if self._driver.torn:
                self._end_lost()
            self._set_timer()

    def _start_over(self) -> bool:
        """An exception left the driver torn: the session is replaced. If that cannot be now, who waits is told."""
        try:
            self._driver.start_over()
        except Unavailable as error:
            for call in self._submitted:
                self._resolve(Resolve(call, None, Unavailable(str(error))))
            self._submitted.clear()
        return not self._driver.torn

    def _end_lost(self) -> None:
        """End the calls that only a torn session knows."""
        unsent = set(self._submitted)
        for call in list(self._futures):
            if call not in unsent:
                call.settled = True
                self._resolve(Resolve(call, None, self._driver.interrupted(call)))

    def _set_timer(self) -> None:
        """Be called when the session wants to be. A timer that stands for an earlier time stays, and does no harm."""
        due_ns = self._driver.wakeup_ns()
        if due_ns is None:
            return
        due = self._loop.time() + max(due_ns - self._clock.now_ns(), 0) / SECOND_NS
        if self._timer is None or self._timer.when() > due:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(due, self._timer_is_due)

    def _timer_is_due(self) -> None:
        self._timer = None
        self._turn()

    def _resolve(self, effect: Resolve) -> None:
        future = self._futures.get(effect.call)
        if future is None or future.done():
            return
        if effect.error is None:
            future.set_result(effect.value)
        else:
            future.set_exception(effect.error)
