"""Client processes of a simulation: the real session in the real driver, and the actors that call it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeAlias

from shardstore.client.calls.calls import Call
from shardstore.client.driver import Driver
from shardstore.client.session.effects import Resolve, Submit
from shardstore.client.session.session import Session
from shardstore.client.session.whereabouts import Found
from tests.simulation.oracle import Violation
from tests.simulation.processes import Host, Process
from tests.simulation.sim_entropy import SimEntropy

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
        finder = SimFinder(find)
        self._waiting: dict[Call, Actor] = {}
        self._resolved: list[Resolve] = []
        self._driver = Driver(
            lambda: self.transport,
            host.clock,
            lambda: Session(finder, entropy, direct, lambda _endpoint: True),
            self._resolved.append,
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
        while self._resolved:
            resolved, self._resolved[:] = list(self._resolved), []
            for end in resolved:
                call, value, error = end.call, end.value, end.error
                self.host.trace.note(self.host.clock.now_ns(), self.name, type(call).__name__, repr(error))
                self._go_on(self._waiting.pop(call), (value, error))
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
            self._waiting[step] = actor
            self._driver.handle([Submit([step])])
            self.schedule()

    def _wake_actor(self, actor: Actor) -> None:
        if self.alive:
            self._go_on(actor, None)
