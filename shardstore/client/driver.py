"""Runs a session over a transport: feeds it events, executes its effects, decides nothing. Not for several threads."""

from __future__ import annotations

from collections.abc import Callable

from shardstore.client.effects import Connect, Disconnect, Effect, Event, Resolve
from shardstore.client.session import Session
from shardstore.clock import Clock
from shardstore.effects import Received, Send, SendFailed, Tick
from shardstore.transport import Transport


class Driver:
    """`torn` is set when an exception, such as KeyboardInterrupt, left an event half handled: then start over."""

    def __init__(
        self,
        transport: Transport,
        clock: Clock,
        new_session: Callable[[], Session],
        resolve: Callable[[Resolve], None],
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._new_session = new_session
        self._resolve = resolve
        self._links: set[str] = set()
        self.torn = False
        self.start_over()

    def start_over(self) -> None:
        """Begin with a new session, and with new links, since a message may have left in part."""
        for link in self._links:
            self._transport.disconnect(link)
        self._links.clear()
        self._session = self._new_session()
        self._execute(self._session.start(self._clock.now_ns()))
        self.torn = False

    def close(self) -> None:
        """Close the transport. What was not sent yet is dropped: nobody waits for its answer any more."""
        for link in self._links:
            self._transport.disconnect(link)
        self._transport.close()

    def handle(self, event: Event) -> None:
        """Let the session take one event."""
        self.torn = True
        self._execute(self._session.handle(event, self._clock.now_ns()))
        self.torn = False

    def receive(self, timeout_ns: int | None) -> bool:
        """Wait for messages, a wake, the timeout or what the session waits for; handle what came. False: nothing."""
        due_ns = self._session.wakeup_ns()
        if due_ns is not None:
            until_due_ns = max(due_ns - self._clock.now_ns(), 0)
            timeout_ns = until_due_ns if timeout_ns is None else min(timeout_ns, until_due_ns)
        messages = self._transport.receive(timeout_ns)
        for message in messages:
            assert type(message) is Received, "a client binds no link"
            self.handle(message)
        if due_ns is not None and due_ns <= self._clock.now_ns():
            self.handle(Tick())
        return bool(messages)

    def wakeup_ns(self) -> int | None:
        """When the session wants to be let receive, if no message comes before."""
        return self._session.wakeup_ns()

    def _execute(self, effects: list[Effect]) -> None:
        for effect in effects:
            if type(effect) is Send:
                if not self._transport.send(effect.link, effect.peer, effect.frames):
                    failed = SendFailed(effect.link, effect.peer, effect.frames)
                    effects.extend(self._session.handle(failed, self._clock.now_ns()))
            elif type(effect) is Resolve:
                self._resolve(effect)
            elif type(effect) is Connect:
                self._transport.connect(effect.link, effect.endpoint)
                self._links.add(effect.link)
            elif type(effect) is Disconnect:
                self._transport.disconnect(effect.link)
                self._links.discard(effect.link)
