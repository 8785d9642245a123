"""The shell around a core: passes events to it, executes its effects, and decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from queue import SimpleQueue

from shardstore.limits import MILLISECOND_NS, SECOND_NS
from shardstore.seams.clock import Clock
from shardstore.seams.effects import Core, Effect, Event, Send, SendFailed, Stop, Tick
from shardstore.seams.transport import Transport

LATE_NS = 50 * MILLISECOND_NS
"""Maximum time that posted events and a due Tick wait while messages are handled."""
SHOW_LIFE_NS = SECOND_NS
"""Time between two signs of life."""
NEVER_NS = 2**63


class EventLoop:
    """Runs one core until it asks to Stop.

    `perform` executes all effects except Send and Stop; it must not block. Results of effects and events of other
    threads come in through `post`. `show_life`, if given, is called between events, about once in SHOW_LIFE_NS.
    """

    def __init__(
        self,
        core: Core,
        transport: Transport,
        clock: Clock,
        perform: Callable[[Effect], None],
        show_life: Callable[[], None] | None = None,
    ) -> None:
        self._core = core
        self._transport = transport
        self._clock = clock
        self._perform = perform
        self._show_life = show_life
        self._life_due_ns = 0 if show_life else NEVER_NS
        self._posted: SimpleQueue[Event] = SimpleQueue()
        self.stop: Stop | None = None
        """The Stop that the core asked for; None until then."""

    def post(self, event: Event) -> None:
        """Queue an event for the core. May be called from any thread."""
        self._posted.put(event)
        self._transport.wake()

    def execute(self, effects: Iterable[Effect]) -> None:
        """Execute effects in order, then the effects that follow from failed sends."""
        pending = list(effects)
        for effect in pending:
            if type(effect) is Send:
                if not self._transport.send(effect.link, effect.peer, effect.frames):
                    failed = SendFailed(effect.link, effect.peer, effect.frames)
                    pending.extend(self._core.handle(failed, self._clock.now_ns()))
            elif type(effect) is Stop:
                self.stop = effect
            else:
                self._perform(effect)

    def run(self) -> Stop:
        """Serve until the core stops; returns its Stop."""
        self.start()
        while self.stop is None:
            self.turn()
        return self.stop

    def start(self) -> None:
        """Start the core and execute its first effects."""
        self.execute(self._core.start(self._clock.now_ns()))

    def turn(self, wait: bool = True) -> None:
        """Wait for a message, a posted event or the next Tick, then handle everything that is there.

        Posted events and the Tick follow the messages, but after LATE_NS they go first: otherwise many messages could
        make this process appear dead.
        """
        messages = self._transport.receive(self._timeout_ns(self._core.wakeup_ns()) if wait else 0)
        late_ns = self._clock.now_ns() + LATE_NS
        for message in messages:
            now_ns = self._handle(message)
            if now_ns >= late_ns:
                self._handle_own_events()
                late_ns = now_ns + LATE_NS
        self._handle_own_events()

    def _handle_own_events(self) -> None:
        """Handle posted events, then the Tick if it is due."""
        while not self._posted.empty():
            self._handle(self._posted.get_nowait())
        due_ns, now_ns = self._core.wakeup_ns(), self._clock.now_ns()
        if due_ns is not None and due_ns <= now_ns:
            self._transport.renew()
            self._handle(Tick())
        if now_ns >= self._life_due_ns:
            self._live_on(now_ns)

    def _handle(self, event: Event) -> int:
        """Pass an event to the core and execute its effects; returns the time at which that began."""
        now_ns = self._clock.now_ns()
        self.execute(self._core.handle(event, now_ns))
        if now_ns >= self._life_due_ns:
            self._live_on(now_ns)
        return now_ns

    def _live_on(self, now_ns: int) -> None:
        assert self._show_life is not None
        self._life_due_ns = now_ns + SHOW_LIFE_NS
        self._show_life()

    def _timeout_ns(self, due_ns: int | None) -> int | None:
        if not self._posted.empty():
            return 0
        due_ns = self._life_due_ns if due_ns is None else min(due_ns, self._life_due_ns)
        return None if due_ns == NEVER_NS else max(0, due_ns - self._clock.now_ns())
