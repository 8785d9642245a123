"""What is common to all processes of a simulation: one object is one incarnation, and ends once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.simulation.sim_clock import SimClock
from tests.simulation.sim_disk import SimDisk
from tests.simulation.sim_entropy import stream
from tests.simulation.sim_network import SimNetwork, SimTransport
from tests.simulation.swarm import Swarm
from tests.simulation.trace import Trace

TURN_NS_MAX = 30_000
"""How long a process takes to notice that there is something to do."""


@dataclass(frozen=True, slots=True)
class Host:
    """What all processes of a simulation share."""

    swarm: Swarm
    clock: SimClock
    network: SimNetwork
    disk: SimDisk
    trace: Trace
    stable_ns: dict[int, int] = field(default_factory=dict)
    """By worker, the time before which all it has acknowledged is on stable storage."""


class Process:
    """One incarnation of a process with an event loop."""

    def __init__(self, host: Host, name: str, on_end: Callable[[Process, str], None]) -> None:
        self.host = host
        self.name = name
        self.random = stream(host.swarm.seed, name)
        self.alive = True
        self.transport = SimTransport(host.network, self.schedule)
        self._on_end = on_end
        self._paused_until_ns = 0
        self._scheduled = False
        self._wake_ns: int | None = None

    def end(self, why: str) -> None:
        """The incarnation is over."""
        if self.alive:
            self.alive = False
            self.host.trace.note(self.host.clock.now_ns(), self.name, "ends", why)
            self.release()
            self.transport.close()
            self._on_end(self, why)

    def release(self) -> None:
        """Give back what else the incarnation holds."""

    def pause(self, for_ns: int) -> None:
        """Do nothing for a while, as after SIGSTOP."""
        self._paused_until_ns = self.host.clock.now_ns() + for_ns

    def schedule(self) -> None:
        """There is something to do."""
        if not self._scheduled:
            self._scheduled = True
            self._at(self.host.clock.now_ns() + self.random.randint(0, TURN_NS_MAX))

    def turn(self) -> None:
        """Do what there is to do."""
        raise NotImplementedError

    def wakeup_ns(self) -> int | None:
        """When there is something to do, if nothing comes before."""
        raise NotImplementedError

    def _at(self, time_ns: int) -> None:
        self.host.clock.at(max(time_ns, self._paused_until_ns), self._run)

    def _run(self) -> None:
        if not self.alive:
            return
        if self.host.clock.now_ns() < self._paused_until_ns:
            self._at(self._paused_until_ns)
            return
        self._scheduled = False
        self.turn()
        self.sleep()

    def sleep(self) -> None:
        """See to it that the process runs again when it wants to."""
        due_ns = self.wakeup_ns() if self.alive else None
        if due_ns is not None and (self._wake_ns is None or due_ns < self._wake_ns):
            self._wake_ns = due_ns
            self.host.clock.at(due_ns, lambda: self._wake(due_ns))

    def _wake(self, due_ns: int) -> None:
        if self._wake_ns == due_ns:
            self._wake_ns = None
            self.schedule()
