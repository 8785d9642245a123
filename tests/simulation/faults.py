"""The faults of a simulation. They are injected one at a time, and some wait for a moment at which they matter."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from shardstore.limits import MILLISECOND_NS, SECOND_NS
from shardstore.router.change_stage import Stage
from shardstore.wire.topology import Change
from tests.simulation.addresses import endpoint_of, name_of
from tests.simulation.operators import stage_of, strike
from tests.simulation.processes import Process
from tests.simulation.servers import Worker

if TYPE_CHECKING:
    from tests.simulation.world import World

MOMENT_NS = 20 * MILLISECOND_NS
"""How long a fault waits for a moment at which it matters."""
STAGE_NS = 200 * MILLISECOND_NS
"""How long a fault waits for a stage of a change."""
STRANDED_NS = SECOND_NS
"""Maximum time for which replies are held back."""
MATERIALISATION_CALLS_MAX = 24
"""Maximum number of file calls of a materialisation job before power is lost."""


class Faults:
    """The faults of a world. `count` holds how often each has happened."""

    def __init__(self, world: World, rng: random.Random) -> None:
        self._world = world
        self._random = rng
        self.count: dict[str, int] = {}

    def inject(self, fault: str) -> None:
        """Inject this fault. Its method returns False if there was nothing it could affect."""
        host = self._world.host
        host.trace.note(host.clock.now_ns(), "fault", fault)
        happens: Callable[[], bool | None] = getattr(self, fault.replace(" ", "_"))
        if happens() is not False:
            self.count[fault] = self.count.get(fault, 0) + 1

    def _some_worker(self) -> Worker:
        started = [name_of(each) for each in self._world.wanted if name_of(each) in self._world.servers]
        worker = self._world.servers[self._random.choice(started)]
        assert isinstance(worker, Worker)
        return worker

    def kill_worker(self) -> None:
        """Kill a worker, either at once or just after a sync ended that is not acknowledged yet."""
        worker = self._some_worker()
        ended = worker.syncs_ended
        if self._random.random() < 0.5:
            self._world.wait_for(lambda: worker.syncs_ended > ended, MOMENT_NS)
        worker.end("killed")

    def crash_worker(self) -> None:
        self._some_worker().filesystem.crash_in = self._random.randint(1, 25)

    def stop_worker(self) -> None:
        self._some_worker().request_stop()

    def kill_router(self) -> None:
        self._world.servers["router"].end("killed")

    def crash_router(self) -> None:
        self._world.servers["router"].filesystem.crash_in = self._random.randint(1, 10)

    def kill_client(self) -> None:
        name = self._random.choice(sorted(self._world.clients))
        self._world.clients[name].end("killed")
        self._world.start_client(name)

    def crash_maintenance(self) -> bool:
        maintenance = self._some_worker().maintenance
        if maintenance is not None:
            maintenance.filesystem.crash_in = self._random.randint(1, 25)
        return maintenance is not None

    def break_connection(self) -> None:
        self._world.host.network.break_some()

    def clog_connection(self) -> None:
        self._world.host.network.clog_some(self._random.randint(0, 2 * SECOND_NS))

    def pause(self) -> None:
        processes: list[Process] = [*self._world.servers.values(), *self._world.clients.values()]
        length_ns = self._random.choice((20 * MILLISECOND_NS, 500 * MILLISECOND_NS, 7 * SECOND_NS))
        self._random.choice(processes).pause(self._random.randint(0, length_ns))

    def fail_sync(self) -> None:
        """Fail one of the next syncs of a worker, or of its maintenance process."""
        worker = self._some_worker()
        maintenance = worker.maintenance if self._random.random() < 0.5 else None
        files = maintenance.filesystem if maintenance is not None else worker.filesystem
        files.fail_sync_in = self._random.randint(1, 10)

    def fill_disk(self) -> None:
        disk = self._world.host.disk
        disk.capacity = disk.used() + self._random.randint(0, 2000)

        def empty() -> None:
            disk.capacity = None

        self._world.host.clock.after(self._random.randint(0, SECOND_NS), empty)

    def _some_change(self) -> Change | None:
        """A change under way; an operator requests one if there is none."""
        world = self._world
        if not world.invariants.pending and (wanted := world.operators.changes_wanted()):
            world.operators.ask(world.router, world.wanted, wanted)
            world.wait_for(lambda: bool(world.invariants.pending), STAGE_NS)
        pending = [*world.invariants.pending.values()]
        return self._random.choice(pending) if pending else None

    def strike_change(self) -> bool:
        """Strike servers of a change at a drawn stage, or just after its end."""
        world, change = self._world, self._some_change()
        if change is None:
            return False
        stage = self._random.choice((*Stage, None))
        world.wait_for(lambda: stage_of(world.router, change.number) is stage, STAGE_NS)
        world.invariants.struck.add(change.number)
        if self._random.random() < 0.2:
            self.lose_power()
        else:
            strike(self._random, world.router, world.servers_of(change.parents), world.servers_of(change.children))
        return True

    def strand_answers(self) -> bool:
        """Hold back all replies on the current connections during a change, and often kill the owners of the children.

        So requests that the parents applied are retried at workers that know them only from the children's files.
        """
        world = self._world
        endpoints = {world.url, *map(endpoint_of, world.wanted)}
        break_off = world.host.network.strand_answers(endpoints, STRANDED_NS)
        world.advance(world.host.clock.now_ns() + MOMENT_NS)
        change = self._some_change()
        if change is not None:
            world.invariants.struck.add(change.number)
            world.wait_for(lambda: change.number not in world.invariants.pending, STRANDED_NS // 2)
            if self._random.random() < 0.8:
                for server in world.servers_of(change.children):
                    server.end("killed")
        break_off()
        return change is not None

    def lose_power_in_materialisation(self) -> bool:
        """Lose power between two file calls of a materialisation job."""
        world, change = self._world, self._some_change()
        if change is None:
            return False
        world.invariants.struck.add(change.number)
        world.wait_for(lambda: stage_of(world.router, change.number) in (Stage.ADOPTED, Stage.DRAINED), STAGE_NS)
        workers = [server for server in world.servers_of(change.children) if isinstance(server, Worker)]
        files = [worker.maintenance.filesystem for worker in workers if worker.maintenance is not None]
        for each in files:
            each.crash_in = self._random.randint(1, MATERIALISATION_CALLS_MAX)
        world.wait_for(lambda: not all(each.alive for each in files), STAGE_NS)
        world.lose_power()
        return True

    def lose_power(self) -> None:
        """Lose power at any time, during a sync, or between two file calls of a job."""
        worker = self._some_worker()
        begun, chance = worker.syncs_begun, self._random.random()
        if chance < 0.4:
            self._world.wait_for(lambda: worker.syncs_begun > begun, MOMENT_NS)
        elif chance < 0.7 and worker.maintenance is not None:
            job_files = worker.maintenance.filesystem
            job_files.crash_in = self._random.randint(1, 10)
            self._world.wait_for(lambda: not job_files.alive, MOMENT_NS)
        self._world.lose_power()
