"""The shell around a core: feeds it events, executes its effects, decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from queue import SimpleQueue

from shardstore.limits import MILLISECOND_NS, SECOND_NS
from shardstore.seams.clock import Clock
from shardstore.seams.effects import Core, Effect, Event, Send, SendFailed, Stop, Tick
from shardstore.seams.transport import Transport

LATE_NS = 50 * MILLISECOND_NS
"""How long what is posted or due may wait while messages are handled."""
SHOW_LIFE_NS = SECOND_NS
"""How often a loop shows that it goes on."""
NEVER_NS = 2**63


class EventLoop:
    """Runs one core until it asks to Stop.

    `perform` executes the effects that are not Send or Stop; it must not block. Its completions, and events
    from other threads, come back through `post`. `show_life`, if given, is called between events, once in SHOW_LIFE_NS.
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
        """How the core asked to end, once it did."""

    def post(self, event: Event) -> None:
        """Feed an event from any thread."""
        self._posted.put(event)
        self._transport.wake()

    def execute(self, effects: Iterable[Effect]) -> None:
        """Execute effects in order, and those of the events that follow from failed sends."""
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
        """Serve until the core stops; answers how it ended."""
        self.start()
        while self.stop is None:
            self.turn()
        return self.stop

    def start(self) -> None:
        """Let the core begin."""
        self.execute(self._core.start(self._clock.now_ns()))

    def turn(self, wait: bool = True) -> None:
        """Handle what is there; before that, wait for a message, a post or the time for which the core wants a Tick.

        Posts and the Tick come behind the messages, but not behind so many that others take this process for dead.
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
        """Handle what was posted, then the Tick if it is due."""
        while not self._posted.empty():
            self._handle(self._posted.get_nowait())
        due_ns, now_ns = self._core.wakeup_ns(), self._clock.now_ns()
        if due_ns is not None and due_ns <= now_ns:
            self._transport.renew()
            self._handle(Tick())
        if now_ns >= self._life_due_ns:
            self._live_on(now_ns)

    def _handle(self, event: Event) -> int:
        """Let the core take an event; answers when that began."""
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
