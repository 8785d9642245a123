"""Client processes of a simulation: the real session in the real driver, and the actors that call it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeAlias

from shardstore.client.calls.calls import Call, Many, ScanPage, Single
from shardstore.client.direct.ask import Ask
from shardstore.client.direct.direct_reads import DirectReads
from shardstore.client.direct.reader import Reader
from shardstore.client.driver import Driver
from shardstore.client.session.session import Session
from shardstore.client.session.whereabouts import Found
from shardstore.limits import MIB
from shardstore.tables.not_ready import NOT_READY, NotReady
from shardstore.wire.wire_format import Op
from tests.simulation.oracle import Violation
from tests.simulation.processes import Host, Process
from tests.simulation.sim_entropy import SimEntropy
from tests.simulation.sim_filesystem import SimFilesystem

MEMORY = MIB
TABLES = 6
"""So few tables that clients close some again and again."""
Answer: TypeAlias = tuple[Any, Exception | None]
Actor: TypeAlias = Generator[Call | int, Answer, None]
"""Yields a call and receives its result and error, or yields nanoseconds to sleep."""


class SimFinder:
    """Finds the router once it is announced."""

    def __init__(self, find: Callable[[], Found]) -> None:
        self._find = find
        self.store = 0

    def find(self, is_silent: bool = False) -> Found:
        """The current address of the router."""
        return self._find()

    def learn(self, store: int, url: str, data: str) -> None:
        """Accept any store, since there is only one."""
        self.store = store


class Client(Process):
    """One incarnation of a client process with actors, one after the other or at the same time."""

    def __init__(
        self, host: Host, name: str, on_end: Callable[[Process, str], None], find: Callable[[], Found]
    ) -> None:
        super().__init__(host, name, on_end)
        entropy = SimEntropy(host.swarm.seed, f"entropy of {name}")
        direct = host.swarm.direct
        finder, wall = SimFinder(find), host.wall_of(name)
        self._waiting: dict[Call, Actor] = {}
        self._ended: list[Call] = []
        self.filesystem = SimFilesystem(host.disk, self.random)
        self.reads = DirectReads(lambda store: Reader(self.filesystem, host.boards, wall, store, MEMORY, TABLES))
        self._driver = Driver(
            lambda: self.transport,
            host.clock,
            lambda: Session(finder, entropy, direct, lambda endpoint: endpoint, self.reads.follow),
            self._ended.append,
        )
        self._driver.start_over()
        self.actors = 0
        self.schedule()

    def run(self, actor: Actor) -> None:
        """Start an actor."""
        self.actors += 1
        self._go_on(actor, None)

    def turn(self) -> None:
        self._driver.receive(0)
        if self._driver._session.malformed:
            raise Violation(f"{self.name} was sent what it does not understand")
        while self._ended:
            ended, self._ended[:] = list(self._ended), []
            for call in ended:
                self.host.trace.note(self.host.clock.now_ns(), self.name, type(call).__name__, repr(call.error))
                self._go_on(self._waiting.pop(call), (call.answer, call.error))
        self._driver._session.check_invariants()

    def wakeup_ns(self) -> int | None:
        return self._driver.wakeup_ns()

    def _go_on(self, actor: Actor, answer: Answer | None) -> None:
        try:
            step = next(actor) if answer is None else actor.send(answer)
        except StopIteration:
            self.actors -= 1
            return
        if isinstance(step, int):
            self.host.clock.after(step, lambda: self._wake_actor(actor))
        else:
            self._begin(step, actor)

    def _begin(self, call: Call, actor: Actor) -> None:
        """Read what can be read without a worker, and submit the rest."""
        if type(call) is Single and call.op is Op.GET and not call.flags:
            found: bytes | Ask | NotReady | None = self.reads.get_ready(call.key)
            if found is NOT_READY:
                found = self.reads.get(call.key)
            if not isinstance(found, Ask):
                self._end(call, actor, found)
                return
            call.flags = found.flags
        elif type(call) is Many and call.op is Op.GET:
            left = self.reads.get_many(call)
            if isinstance(left, list):
                self._end(call, actor, left)
                return
            call = left
        elif type(call) is ScanPage:
            page = self.reads.page(call) if call.view is None else call.view.page(call)
            if not isinstance(page, Ask):
                self._end(call, actor, page)
                return
        self._waiting[call] = actor
        self._driver.handle([call])
        self.schedule()

    def _end(self, call: Call, actor: Actor, value: Any) -> None:
        """Give an actor the result of a direct read, in a turn of its own."""
        self._waiting[call] = actor
        call.settle(value, None)
        self._ended.append(call)
        self.schedule()

    def release(self) -> None:
        self.reads.close()
        self.filesystem.kill()

    def _wake_actor(self, actor: Actor) -> None:
        if self.alive:
            self._go_on(actor, None)
