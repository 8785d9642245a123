"""The shell around a core: passes events to it, executes its effects, and decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from queue import SimpleQueue

from shardstore.limits import MILLISECOND_NS, SECOND_NS
from shardstore.seams.clock import NEVER_NS, Clock
from shardstore.seams.effects import Core, Effect, Event, Send, SendFailed, Stop, Tick
from shardstore.seams.transport import Transport

LATE_NS = 50 * MILLISECOND_NS
"""Maximum time that posted events and a due Tick wait while messages are handled."""
GATHER_NS = MILLISECOND_NS // 5
"""Maximum time that messages to be sent wait for others to the same peer, while several messages are handled."""
GATHERED_MAX = 64
"""Maximum number of messages to one peer that wait for each other."""
SHOW_LIFE_NS = SECOND_NS
"""Time between two signs of life."""


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
        shared: Container[str] = (),
    ) -> None:
        """`shared`: the links whose connections carry messages of many, so that it pays to send some together."""
        self._core = core
        self._transport = transport
        self._clock = clock
        self._perform = perform
        self._show_life = show_life
        self._shared = shared
        self._life_due_ns = 0 if show_life else NEVER_NS
        self._now_ns = 0
        """The time at the end of the latest turn."""
        self._due_ns: int | None = None
        """When the core wants its next Tick, as of that time."""
        self._gathers = False
        """Whether several messages are handled, so that what is sent over a shared link is gathered."""
        self._gathered: dict[tuple[str, bytes], list[Sequence[bytes]]] = {}
        self._posted: SimpleQueue[Event] = SimpleQueue()
        self.stop: Stop | None = None
        """The Stop that the core asked for; None until then."""

    def post(self, event: Event) -> None:
        """Queue an event for the core. May be called from any thread."""
        self._posted.put(event)
        self._transport.wake()

    def execute(self, effects: Iterable[Effect]) -> None:
        """Execute effects in order, then the effects that follow from failed sends."""
        follow_up: list[Effect] = []
        for effect in effects:
            if type(effect) is Send:
                if self._gathers and effect.link in self._shared:
                    self._gather(effect)
                elif not self._transport.send(effect.link, effect.peer, effect.frames):
                    follow_up += self._failed(effect.link, effect.peer, effect.frames)
            elif type(effect) is Stop:
                self.stop = effect
            else:
                self._perform(effect)
        if follow_up:
            self.execute(follow_up)

    def run(self) -> Stop:
        """Serve until the core stops; returns its Stop."""
        self.start()
        while self.stop is None:
            self.turn()
        return self.stop

    def start(self) -> None:
        """Start the core and execute its first effects."""
        self._now_ns = self._clock.now_ns()
        self.execute(self._core.start(self._now_ns))
        self._due_ns = self._core.wakeup_ns()

    def turn(self, wait: bool = True) -> None:
        """Wait for a message, a posted event or the next Tick, then handle everything that is there.

        Posted events and the Tick follow the messages, but after LATE_NS they go first: otherwise many messages could
        make this process appear dead.
        """
        messages = self._transport.receive(self._timeout_ns() if wait else 0)
        now_ns = self._clock.now_ns()
        late_ns, send_by_ns = now_ns + LATE_NS, now_ns + GATHER_NS
        self._gathers = len(messages) > 1
        for message in messages:
            self.execute(self._core.handle(message, now_ns))
            now_ns = self._clock.now_ns()
            if now_ns >= send_by_ns:
                self._send_gathered()
                send_by_ns = now_ns + GATHER_NS
                if now_ns >= late_ns:
                    now_ns = self._handle_own_events(now_ns)
                    late_ns = now_ns + LATE_NS
        if self._gathers:
            self._gathers = False
            self._send_gathered()
        self._now_ns = self._handle_own_events(now_ns)

    def _gather(self, effect: Send) -> None:
        """Keep a message until it is sent with others to the same peer."""
        messages = self._gathered.setdefault((effect.link, effect.peer), [])
        messages.append(effect.frames)
        if len(messages) >= GATHERED_MAX:
            self._send_gathered()

    def _send_gathered(self) -> None:
        """Send what was gathered, then execute the effects that follow from failed sends."""
        gathered, self._gathered = self._gathered, {}
        follow_up: list[Effect] = []
        for (link, peer), messages in gathered.items():
            if not self._transport.send_all(link, peer, messages):
                for frames in messages:
                    follow_up += self._failed(link, peer, frames)
        if follow_up:
            self.execute(follow_up)

    def _failed(self, link: str, peer: bytes, frames: Sequence[bytes]) -> list[Effect]:
        return self._core.handle(SendFailed(link, peer, frames), self._clock.now_ns())

    def _handle_own_events(self, now_ns: int) -> int:
        """Handle posted events, end the turn, then handle the Tick and show life if these are due. Returns the time."""
        while not self._posted.empty():
            self.execute(self._core.handle(self._posted.get_nowait(), now_ns))
            now_ns = self._clock.now_ns()
        self._end_turn(now_ns)
        if self._due_ns is not None and self._due_ns <= now_ns:
            self._transport.renew()
            self.execute(self._core.handle(Tick(), now_ns))
            now_ns = self._clock.now_ns()
            self._end_turn(now_ns)
        if now_ns >= self._life_due_ns and self._show_life is not None:
            self._life_due_ns = now_ns + SHOW_LIFE_NS
            self._show_life()
        return now_ns

    def _end_turn(self, now_ns: int) -> None:
        effects = self._core.end_turn(now_ns)
        if effects:
            self.execute(effects)
        self._due_ns = self._core.wakeup_ns()

    def _timeout_ns(self) -> int | None:
        """How long to wait for messages at most."""
        if not self._posted.empty():
            return 0
        due_ns = self._due_ns
        if due_ns is None or due_ns > self._life_due_ns:
            due_ns = self._life_due_ns
        if due_ns == NEVER_NS:
            return None
        return due_ns - self._now_ns if due_ns > self._now_ns else 0
