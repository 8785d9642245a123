"""The common part of all processes of a simulation: one object is one incarnation, and ends once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.simulation.sim_boards import SimBoards
from tests.simulation.sim_clock import SimClock
from tests.simulation.sim_disk import SimDisk
from tests.simulation.sim_entropy import stream
from tests.simulation.sim_network import SimNetwork, SimTransport
from tests.simulation.sim_wall import SimWall
from tests.simulation.swarm import Swarm
from tests.simulation.trace import Trace

TURN_NS_MAX = 30_000
"""The time a process takes to notice that it has work."""


@dataclass(frozen=True, slots=True)
class Host:
    """The parts that all processes of a simulation share."""

    swarm: Swarm
    clock: SimClock
    network: SimNetwork
    disk: SimDisk
    trace: Trace
    boards: SimBoards = field(default_factory=SimBoards)
    stable_ns: dict[int, int] = field(default_factory=dict)
    """The time for each worker before which everything it acknowledged is on stable storage."""

    def wall_of(self, name: str) -> SimWall:
        """The wall clock of a process. The next process of the same name goes on with it."""
        return SimWall(self.clock, stream(self.swarm.seed, f"wall of {name}"), self.swarm.walls_off_ms)


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
        """End the incarnation."""
        if self.alive:
            self.alive = False
            self.host.trace.note(self.host.clock.now_ns(), self.name, "ends", why)
            self.release()
            self.transport.close()
            self._on_end(self, why)

    def release(self) -> None:
        """Release what else the incarnation holds."""

    def pause(self, for_ns: int) -> None:
        """Suspend the process for a while, as SIGSTOP does."""
        self._paused_until_ns = self.host.clock.now_ns() + for_ns

    def schedule(self) -> None:
        """Note that the process has work."""
        if not self._scheduled:
            self._scheduled = True
            self._at(self.host.clock.now_ns() + self.random.randint(0, TURN_NS_MAX))

    def turn(self) -> None:
        """Do the work that is due."""
        raise NotImplementedError

    def wakeup_ns(self) -> int | None:
        """The time at which work is due if no event comes earlier."""
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
        """Schedule the next run of the process for when its work is due."""
        due_ns = self.wakeup_ns() if self.alive else None
        if due_ns is not None and (self._wake_ns is None or due_ns < self._wake_ns):
            self._wake_ns = due_ns
            self.host.clock.at(due_ns, lambda: self._wake(due_ns))

    def _wake(self, due_ns: int) -> None:
        if self._wake_ns == due_ns:
            self._wake_ns = None
            self.schedule()
