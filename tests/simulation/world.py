"""A whole store in one process, from one seed: router, workers, maintenance, clients, faults and invariants.

work      actors work while faults happen, until the drawn duration is over; a power loss in between ends an
          era: everything starts again from what the disk kept, and every key is read before actors continue
settle    no more faults: within 30 seconds everything is up and every operation has ended
close     every operation succeeds; then power is lost again, in any mode, and every key is read again
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from shardstore.client.session.whereabouts import Found
from shardstore.files.file_names import first_lsn_of, worker_directory
from shardstore.limits import MILLISECOND_NS, SECOND_NS
from shardstore.memory_plan import plan_of_worker
from shardstore.options import Durability, RouterOptions, WorkerOptions
from shardstore.wire.topology import Relative
from shardstore.workers.wal.record_format import FILE_HEADER_BYTES
from tests.simulation.addresses import INTERNAL, endpoint_of, name_of, number_of, url_of
from tests.simulation.clients import Client
from tests.simulation.counters import Counters
from tests.simulation.faults import Faults
from tests.simulation.invariants import Invariants
from tests.simulation.operators import Operators
from tests.simulation.oracle import NEVER_NS, Oracle, Violation
from tests.simulation.processes import Host, Process
from tests.simulation.resolutions import Losses
from tests.simulation.servers import Router, Server, Worker
from tests.simulation.sim_clock import SimClock
from tests.simulation.sim_disk import Directory, SimDisk
from tests.simulation.sim_entropy import stream
from tests.simulation.sim_filesystem import SimCrash
from tests.simulation.sim_network import Repeats, SimNetwork
from tests.simulation.swarm import Patch, Swarm, draw
from tests.simulation.trace import Trace
from tests.simulation.workload import Workload

SETTLE_NS = 30 * SECOND_NS


class World:
    """One simulation."""

    def __init__(self, swarm: Swarm) -> None:
        self.swarm = swarm
        self.random = stream(swarm.seed, "faults")
        clock = SimClock(stream(swarm.seed, "clock"))
        network = SimNetwork(clock, stream(swarm.seed, "network"), swarm.delays, swarm.repeats)
        self.host = Host(swarm, clock, network, SimDisk(), Trace())
        self.oracle = Oracle(swarm.keys)
        self.counters = Counters(swarm.counters)
        self.workload = Workload(swarm, clock, self.oracle, self.counters)
        self.servers: dict[str, Server] = {}
        self.clients: dict[str, Client] = {}
        self.faults = Faults(self, self.random)
        self.wanted = list(range(swarm.workers))
        """The workers that the router wants to be running."""
        self._first = set(self.wanted)
        """The workers among which the budget was divided."""
        self._most = swarm.workers
        self._dismissed: set[Server] = set()
        """Processes that are ending, even if their worker number is in use again."""
        self._incarnations = 0
        self._router_lives = 0
        self._generation = 0
        self._operators_random = stream(swarm.seed, "operators")
        self.operators = Operators(swarm, self._operators_random)
        self.invariants = Invariants(
            self.servers, self.host.disk, self.operators.let_split, Losses(self.oracle, self.counters)
        )
        self._closing = False

    def run(self) -> None:
        """Run to the end. Raises Violation."""
        clock = self.host.clock
        self._start_all()
        self._start_clients()
        if self.swarm.topology_changes:
            clock.after(self.swarm.topology_interval_ns, self._change_topology)
        end_ns = clock.now_ns() + self.swarm.duration_ns
        while clock.now_ns() < end_ns and not self.workload.stopping:
            self.advance(min(end_ns, clock.now_ns() + self._fault_pause_ns()))
            if self.swarm.faults and clock.now_ns() < end_ns:
                self.faults.inject(self.random.choice(self.swarm.faults))
        self._settle()
        self._close()
        self.faults.lose_power()
        self._until_nothing(self.invariants.unfinished)

    def summary(self) -> str:
        """A summary of the simulation in one line."""
        faults = ", ".join(f"{count} x {fault}" for fault, count in sorted(self.faults.count.items()))
        milliseconds = self.host.clock.now_ns() // MILLISECOND_NS
        done = f"{self.oracle.acknowledged} writes, {self.counters.acknowledged} increments, {self.oracle.reads} reads"
        changes = ", ".join(f"{count} x {kind}" for kind, count in sorted(self.invariants.done.items())) or "no change"
        return f"{done}, {changes}, {self.invariants.done_though_struck} of them struck, {milliseconds} ms; {faults}"

    # Time

    def _check(self, server: Server) -> None:
        """Check the invariants after a turn of this server; only turns of servers change what they check."""
        self.invariants.check(server)
        self._check_memory()

    def _check_memory(self) -> None:
        """Check that all leases are within the budget at every instant, and that no worker exceeds its lease."""
        leased = 0
        for name in map(name_of, self.wanted):
            server = self.servers.get(name)
            if server in self._dismissed or not isinstance(server, Worker) or not server.alive:
                continue
            if server.worker_core is not None:
                core = server.worker_core
                leased += core.lease_bytes
                if core.buffered_bytes > core.lease_bytes:
                    raise Violation(f"{server.name} buffers {core.buffered_bytes} bytes of {core.lease_bytes}")
        if leased > self.swarm.memory.buffer_bytes:
            raise Violation(f"workers may buffer {leased} bytes of {self.swarm.memory.buffer_bytes}")

    def advance(self, until_ns: int) -> None:
        """Let time pass until then."""
        while self.host.clock.advance(until_ns):
            pass

    def wait_for(self, moment: Callable[[], bool], longest_ns: int) -> None:
        """Let time pass until the condition holds, at most for `longest_ns`."""
        limit_ns = self.host.clock.now_ns() + longest_ns
        while not moment() and self.host.clock.advance(limit_ns):
            pass

    def _until_nothing(self, left: Callable[[], str]) -> None:
        limit_ns = self.host.clock.now_ns() + SETTLE_NS
        while what := left():
            if not self.host.clock.advance(limit_ns):
                raise Violation(f"after {SETTLE_NS / 1e9:g} s without faults, still {what}")

    def _fault_pause_ns(self) -> int:
        return int(self.random.expovariate(1 / self.swarm.fault_interval_ns))

    # Processes

    def _start_all(self) -> None:
        for name in ("router", *map(name_of, self.wanted)):
            self._start(name)

    def _start(self, name: str) -> None:
        self._incarnations += 1
        numbered = f"{name} #{self._incarnations}"
        self.host.trace.note(self.host.clock.now_ns(), numbered, "starts")
        self.servers[name] = self._new_server(name, numbered)
        self.servers[name].on_turn = self._check

    def _new_server(self, name: str, numbered: str) -> Server:
        swarm = self.swarm

        def ended(_server: Process, _why: str) -> None:
            self._restart_later(name)

        if name == "router":
            self._router_lives += 1
            options = RouterOptions(
                "", "store", self.url, INTERNAL, swarm.workers, swarm.boundaries, swarm.memory, swarm.topology
            )
            return Router(self.host, numbered, ended, options, self._follow_router)
        number = number_of(name)
        plan = plan_of_worker(swarm.memory, number in self._first, self._most)
        return Worker(
            self.host,
            numbered,
            ended,
            WorkerOptions("", "store", number, INTERNAL, endpoint_of(number), swarm.durability, plan, swarm.segments),
        )

    @property
    def url(self) -> str:
        """The address of the router for clients."""
        return url_of(self._router_lives, self.swarm.remote)

    def _whereabouts(self) -> Found:
        """The announced address of the router; raises if there is none."""
        return Found(self.url, "" if self._runs("router") else "nobody listens")

    def servers_of(self, relatives: Iterable[Relative]) -> list[Server]:
        """The started servers that own these ranges."""
        return [self.servers[name_of(each.worker)] for each in relatives if name_of(each.worker) in self.servers]

    def _follow_router(self, workers: tuple[int, ...]) -> None:
        """Run exactly these workers, as a supervisor does."""
        self.wanted = list(workers)
        self._first &= set(workers)
        self._most = max(self._most, len(workers))
        for name, server in self.servers.items():
            if isinstance(server, Worker) and number_of(name) not in workers:
                server.request_stop()
                self._dismissed.add(server)
        for name in map(name_of, workers):
            if not self._runs(name):
                self._restart_later(name)

    def _runs(self, name: str) -> bool:
        return name in self.servers and self.servers[name].alive

    def _restart_later(self, name: str) -> None:
        generation = self._generation

        def restart() -> None:
            wanted = name == "router" or number_of(name) in self.wanted
            if generation == self._generation and wanted and not self._runs(name):
                self._start(name)

        self.host.clock.after(self.random.randint(0, self.swarm.restart_ns_max), restart)

    def _start_clients(self) -> None:
        for number in range(self.swarm.clients):
            self.start_client(f"client {number}")

    def start_client(self, name: str) -> Client:
        """Start a client with its actors."""
        client = self.clients[name] = self._new_client(name)
        for number in range(self.swarm.actors):
            client.run(self.workload.actor(stream(self.swarm.seed, f"actor {number} of {client.name}")))
        return client

    def _new_client(self, name: str) -> Client:
        self._incarnations += 1
        return Client(self.host, f"{name} #{self._incarnations}", lambda _client, _why: None, self._whereabouts)

    # Operators

    def _change_topology(self) -> None:
        """Let an operator request actions, again and again."""
        if self._closing:
            return
        self.operators.ask(self.router, self.wanted, self.swarm.topology_changes)
        pause_ns = int(self._operators_random.expovariate(1 / self.swarm.topology_interval_ns))
        self.host.clock.after(pause_ns, self._change_topology)

    # Loss of power

    def lose_power(self) -> None:
        """End everything, reduce the disk by the drawn mode, start everything again, and read every key."""
        undone_from_ns = min(map(self._stable_ns, self.wanted)) if self._is_async else NEVER_NS
        for process in [*self.servers.values(), *self.clients.values()]:
            process.end("power lost")
        self.host.disk.capacity = None
        self.host.boards.lose_power()
        self.host.disk.lose_power(self.random.choice(self.swarm.power_losses), self.random)
        self._generation += 1
        self.invariants.note_restart()
        self._start_all()
        found: dict[bytes, bytes | None] = {}
        client = self._new_client("verifier")
        client.run(self.workload.verifier(found, undone_from_ns))
        self._until_nothing(lambda: "no answer to reads" if client.actors else "")
        client.end("done")
        self.oracle.end_era(found)
        self.counters.end_era(found, undone_from_ns)
        self._start_clients()

    @property
    def _is_async(self) -> bool:
        return self.swarm.durability is Durability.ASYNC

    def _stable_ns(self, worker: int) -> int:
        """The time before which everything that the worker acknowledged is on stable storage.

        After a full disk, a log file may have only its header: then nothing in it waits for a sync.
        """
        directory = self.host.disk.find(worker_directory(worker))
        if directory is None:  # it was added and has not started
            return self.host.clock.now_ns()
        assert isinstance(directory, Directory)
        logs = [name for name in directory.seen if first_lsn_of(name) is not None]
        if all(directory.is_stable(name) or directory.size(name) <= FILE_HEADER_BYTES for name in logs):
            return self.host.clock.now_ns()
        return self.host.stable_ns.get(worker, 0)

    def _all_logs_stable(self) -> bool:
        return all(self._stable_ns(worker) == self.host.clock.now_ns() for worker in self.wanted)

    @property
    def router(self) -> Router:
        """The current router."""
        router = self.servers["router"]
        assert isinstance(router, Router)
        return router

    # The end

    def _settle(self) -> None:
        """Stop faults, and wait until everything under way has ended."""
        self.host.disk.capacity = None
        for server in self.servers.values():
            server.filesystem.crash_in = server.filesystem.fail_sync_in = None
            if isinstance(server, Worker) and server.maintenance is not None:
                files = server.maintenance.filesystem
                files.crash_in = files.fail_sync_in = None
        self.host.network.repeats = Repeats()
        self.workload.stopping = True
        self._closing = True
        clients = self.clients.values()
        self._until_nothing(lambda: "operations without an end" if any(client.actors for client in clients) else "")
        self.advance(self.host.clock.now_ns() + 2 * self.swarm.scan_idle_ns)  # this ends the scans of killed clients

    def _close(self) -> None:
        done: list[str] = []
        client = self._new_client("closing client")
        client.run(self.workload.closing(done))
        self._until_nothing(lambda: "" if done else "no end of the closing operations")
        client.end("done")
        self._until_nothing(lambda: "" if self._all_logs_stable() else "a log that nobody syncs")
        self._until_nothing(self.invariants.unfinished)


@contextmanager
def patched(patches: Sequence[Patch]) -> Iterator[None]:
    """Apply changed limits or planted mistakes until the block ends."""
    previous = [(owner, name, getattr(owner, name)) for owner, name, _ in patches]
    for owner, name, value in patches:
        setattr(owner, name, value)
    try:
        yield
    finally:
        for owner, name, value in previous:
            setattr(owner, name, value)


def simulate(seed: int, mistakes: Sequence[Patch] = ()) -> World:
    """Run one seed. Raises SimulationFailed."""
    swarm = draw(seed)
    with patched([*swarm.patches(), *mistakes]):
        world = World(swarm)
        try:
            world.run()
        except (Exception, SimCrash) as error:
            raise SimulationFailed(world, error) from error
    return world


class SimulationFailed(Exception):
    """A seed broke a promise or raised an exception; `world` is the world at that time."""

    def __init__(self, world: World, error: BaseException) -> None:
        seed = world.swarm.seed
        super().__init__(
            f"seed {seed}: {type(error).__name__}: {error}\n{world.swarm}\n"
            f"replay with: python3 scripts/simulate.py --start {seed} --seeds 1"
        )
        self.world = world
