"""Runs a session over a transport: feeds it events, executes its effects, decides nothing. Not for several threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from shardstore.client.calls.calls import Call
from shardstore.client.session.effects import Connect, Disconnect, Effect, Event, Resolve
from shardstore.client.session.session import Session
from shardstore.errors import ShardstoreError
from shardstore.seams.clock import Clock
from shardstore.seams.effects import Send, SendFailed, Tick
from shardstore.seams.transport import ClientTransport

LATE_RECEIVES_MAX = 64
"""How many receives with something in them may go before timers that are due."""
INTERRUPTED = "the client was interrupted while it sent or received, and began anew"


class Driver:
    """`torn` says that session or links are half way through something. Only where it waits it is not set.

    When an exception, such as KeyboardInterrupt, leaves it set, only `start_over` helps: a message may be lost, or have
    left in part.
    """

    def __init__(
        self,
        new_transport: Callable[[], ClientTransport],
        clock: Clock,
        new_session: Callable[[], Session],
        resolve: Callable[[Resolve], None],
    ) -> None:
        self._new_transport = new_transport
        self.transport: ClientTransport | None = None
        self._clock = clock
        self._new_session = new_session
        self._resolve = resolve
        self._links: set[str] = set()
        self._late_receives = 0
        self.torn = True

    def start_over(self) -> None:
        """Begin, or begin anew, with a session and links. Raises Unavailable when the system has no room for them."""
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
        """Close the transport. What was not sent yet is dropped: nobody waits for its answer any more."""
        if self.transport is not None:
            for link in self._links:
                self.transport.disconnect(link)
            self.transport.close()

    def drop(self) -> None:
        """In the child of a fork: let go of what the parent has. Nothing else may be done with this driver then."""
        if self.transport is not None:
            self.transport.drop()

    def wake(self) -> None:
        """End a `receive` that waits, or the next one. From any thread."""
        if self.transport is not None:
            self.transport.wake()

    def handle(self, events: Iterable[Event]) -> None:
        """Let the session take events. Who takes them out of somewhere before sets `torn` before that."""
        self.torn = True
        for event in events:
            self._execute(self._session.handle(event, self._clock.now_ns()))
        self.torn = False

    def receive(self, timeout_ns: int | None) -> bool:
        """Wait for messages, a wake, the timeout or what the session waits for; handle what came. False: nothing.

        What has come goes before timers that are due: when nobody received for a while, it may be what they are for.
        """
        assert self.transport is not None, "it was not started"
        self.torn = True
        due_ns = self._session.wakeup_ns()
        if due_ns is not None:
            until_due_ns = max(due_ns - self._clock.now_ns(), 0)
            timeout_ns = until_due_ns if timeout_ns is None else min(timeout_ns, until_due_ns)
        self.torn = False
        has_come = self.transport.wait(timeout_ns)
        self.torn = True
        messages = self.transport.take()
        self.handle(messages)  # type: ignore[arg-type]  # a client binds no link, so that no peer of one can go
        if due_ns is None or due_ns > self._clock.now_ns():
            return bool(messages)
        if has_come and self._late_receives < LATE_RECEIVES_MAX:
            self._late_receives += 1
            return True
        self._late_receives = 0
        self.handle((Tick(),))
        return True

    def wakeup_ns(self) -> int | None:
        """When the session wants to be let receive, if no message comes before."""
        return self._session.wakeup_ns()

    def interrupted(self, call: Call, what: str = INTERRUPTED) -> ShardstoreError:
        """How a call ends that the session knows, when that is given up."""
        return self._session.interrupted(call, what)

    def _execute(self, effects: list[Effect]) -> None:
        assert self.transport is not None, "it was not started"
        for effect in effects:
            if type(effect) is Send:
                if not self.transport.send(effect.link, effect.peer, effect.frames):
                    failed = SendFailed(effect.link, effect.peer, effect.frames)
                    effects.extend(self._session.handle(failed, self._clock.now_ns()))
            elif type(effect) is Resolve:
                self._resolve(effect)
            elif type(effect) is Connect:
                self._links.add(effect.link)
                self.transport.connect(effect.link, effect.endpoint)
            elif type(effect) is Disconnect:
                self.transport.disconnect(effect.link)
                self._links.discard(effect.link)
