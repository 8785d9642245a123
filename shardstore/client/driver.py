"""Runs a session over a transport: feeds it events and executes its effects. For one thread at a time."""

from __future__ import annotations

from collections.abc import Callable

from shardstore.client.calls.calls import Call
from shardstore.client.session.effects import Connect, Disconnect, SessionEffect, SessionEvent
from shardstore.client.session.session import Session
from shardstore.errors import ShardstoreError
from shardstore.seams.clock import Clock
from shardstore.seams.effects import PeerGone, Send, SendFailed, Tick
from shardstore.seams.transport import ClientTransport

LATE_RECEIVES_MAX = 64
"""Maximum number of receives with messages before timers that are due."""
INTERRUPTED = "the client was interrupted while it sent or received, and began anew"


class Driver:
    """Runs one session. `torn`: the session or a link is in the middle of a step; it is False only between steps.

    If an exception, such as KeyboardInterrupt, leaves `torn` set, a message may be lost or sent in part. Only
    `start_over` helps then.
    """

    def __init__(
        self,
        new_transport: Callable[[], ClientTransport],
        clock: Clock,
        new_session: Callable[[], Session],
        ended: Callable[[Call], None],
    ) -> None:
        """`ended` is told each call that has ended."""
        self._new_transport = new_transport
        self.transport: ClientTransport | None = None
        self._clock = clock
        self._new_session = new_session
        self._ended = ended
        self._links: set[str] = set()
        self._late_receives = 0
        self.torn = True

    def start_over(self) -> None:
        """Begin with a new session and new links. Raises Unavailable if the system has no room for them."""
        self.torn = True
        if self.transport is None:
            self.transport = self._new_transport()
        for link in self._links:
            self.transport.disconnect(link)
        self._links.clear()
        self._session = self._new_session()
        self._execute(self._session.start(self._clock.now_ns()))
        self.torn = False

    def close(self) -> None:
        """Close the transport. Messages that were not sent yet are dropped: nobody waits for their replies any more."""
        if self.transport is not None:
            for link in self._links:
                self.transport.disconnect(link)
            self.transport.close()

    def drop(self) -> None:
        """In the child of a fork: drop the transport, which belongs to the parent. The driver is of no more use."""
        if self.transport is not None:
            self.transport.drop()

    def wake(self) -> None:
        """End a `receive` that waits, or the next one. May be called from any thread."""
        if self.transport is not None:
            self.transport.wake()

    def handle(self, event: SessionEvent) -> None:
        """Pass an event to the session. A caller that first takes it from a queue sets `torn` before it does."""
        self.torn = True
        self._execute(self._session.handle(event, self._clock.now_ns()))
        self.torn = False

    def receive(self, timeout_ns: int | None) -> bool:
        """Wait for messages, a wake, the timeout or a timer, and handle what came. Returns False if nothing came.

        Messages come before timers that are due: if nothing was received for a while, the reply that a timer waits for
        may be among them.
        """
        transport = self.transport
        assert transport is not None, "it was not started"
        self.torn = True
        due_ns = self._session.wakeup_ns()
        self.torn = False
        if due_ns is not None and timeout_ns != 0:
            until_due_ns = due_ns - self._clock.now_ns()
            if timeout_ns is None or until_due_ns < timeout_ns:
                timeout_ns = until_due_ns if until_due_ns > 0 else 0
        has_come = transport.wait(timeout_ns)
        self.torn = True
        messages = transport.take()
        now_ns = self._clock.now_ns()
        for message in messages:
            assert not isinstance(message, PeerGone), "a client binds no link, so that no peer of one can go"
            self._execute(self._session.handle(message, now_ns))
        self.torn = False
        if due_ns is None or due_ns > now_ns:
            return len(messages) > 0
        if has_come and self._late_receives < LATE_RECEIVES_MAX:
            self._late_receives += 1
            return True
        self._late_receives = 0
        self.handle(Tick())
        return True

    def wakeup_ns(self) -> int | None:
        """When to call `receive` at the latest; None for no limit."""
        return self._session.wakeup_ns()

    def interrupted(self, call: Call, what: str = INTERRUPTED) -> ShardstoreError:
        """The error for a call of the session when that is discarded."""
        return self._session.interrupted(call, what)

    def _execute(self, effects: list[SessionEffect]) -> None:
        transport = self.transport
        assert transport is not None, "it was not started"
        for effect in effects:
            if type(effect) is Send:
                if not transport.send(effect.link, effect.peer, effect.frames):
                    failed = SendFailed(effect.link, effect.peer, effect.frames)
                    effects.extend(self._session.handle(failed, self._clock.now_ns()))
            elif isinstance(effect, Call):
                self._ended(effect)
            elif type(effect) is Connect:
                self._links.add(effect.link)
                transport.connect(effect.link, effect.endpoint)
            elif type(effect) is Disconnect:
                transport.disconnect(effect.link)
                self._links.discard(effect.link)
