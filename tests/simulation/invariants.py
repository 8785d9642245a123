"""Invariants of a whole store, at every moment of topology changes and at the end.

always    no two live workers, or ranges of one, accept writes for the same key
          a segment that the router calls created has a manifest that survives a power loss
          what is kept together stays so until somebody lets it split, and no range begins within it
          no process receives a malformed message
          what the classes of router, workers and clients promise (their check_invariants)
at last   no change is under way, no worker is leaving, every segment on the disk is in the map, every worker serves
          its own ranges and keeps nothing of former ones, and nothing is counted as under way. A worker that left may
          leave segments behind, which the next worker that starts removes
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Set
from itertools import pairwise

from shardstore.files.file_names import SEGMENTS, manifest, segment_of
from shardstore.key_range import KeyRange
from shardstore.router.core import RouterCore
from shardstore.router.route_table import Topology
from shardstore.seams.effects import Core
from shardstore.wire.topology import Change
from shardstore.workers.core import WorkerCore
from tests.simulation.oracle import Violation
from tests.simulation.resolutions import Losses
from tests.simulation.servers import Server
from tests.simulation.sim_disk import Directory, Node, SimDisk

CORES_CHECKED_EACH = 2
"""After one of so many turns of servers, the promises of the classes in its core are checked. What one turn breaks
seldom heals in the next one, and all checks together should take about a seventh of the time of a seed."""
ENTRIES_CHECKED_EACH = 16
"""After one of so many turns, the entries in memory are checked too, which takes longer."""


class Invariants:
    """Checks the cores of one simulation and follows the changes; `done` counts them by kind."""

    def __init__(self, servers: Mapping[str, Server], disk: SimDisk, let_split: Set[bytes], losses: Losses) -> None:
        self._servers = servers
        self._losses = losses
        self._disk = disk
        self._let_split = let_split
        self._together: tuple[bytes, ...] = ()
        self._topology: Topology | None = None
        self._parents: dict[int, int] = {}
        self.pending: dict[int, Change] = {}
        self.struck: set[int] = set()
        """The numbers of changes that a fault aimed at."""
        self.done: Counter[str] = Counter()
        self.done_though_struck = 0
        self._turns = 0

    def check(self, server: Server) -> None:
        """Check what always holds, after a turn of this server. Raises Violation or AssertionError."""
        self._turns += 1
        if server.alive and not self._turns % CORES_CHECKED_EACH:
            self._check_core(server.core)
        if isinstance(server.core, RouterCore):
            self._check_map(server.core)
        else:
            self._check_owners()
        if _malformed_at(server):
            raise Violation(f"{server.name} was sent what it does not understand")

    def note_restart(self) -> None:
        """Note that everything starts: from now on nothing may be left of workers that have left."""
        self._parents.clear()

    def unfinished(self) -> str:
        """Describes what is left of changes; empty if nothing is."""
        router = self._servers["router"]
        if not isinstance(router.core, RouterCore) or not router.alive:
            return "no router"
        topology = router.core._table.topology
        if topology.changes or router.core._changes._under_way:
            return f"changes under way: {topology.changes}"
        if topology.leaving:
            return f"workers that leave: {topology.leaving}"
        if len(router.core._dispatch.in_flight):
            return "requests in flight at the router"
        mapped = {int(route.segment) for route in topology.map}
        left = {segment for segment, worker in self._parents.items() if worker not in topology.workers}
        if not mapped <= self._segments() <= mapped | left:
            return f"segments {self._segments()} on the disk, where {mapped} are in the map"
        workers = (self._of_worker(worker, topology) for worker in topology.workers)
        return next(filter(None, workers), "")

    def _of_worker(self, worker: int, topology: Topology) -> str:
        server = self._servers.get(f"worker {worker}")
        if server is None or not server.alive or not isinstance(server.core, WorkerCore):
            return f"no worker {worker}"
        core = server.core
        service = core.service
        if service is None:
            return f"worker {worker} without ranges"
        owned = {int(route.segment) for route in topology.map if route.worker == worker}
        buffered_bytes = sum(each.overlay.size_bytes for each in core._ranges.values())
        releases = service.maintenance.releases
        left = {
            "ranges that are not its own": core._ranges.keys() != owned,
            "orders": bool(core._changes.orders),
            "windows of parents": bool(core._changes._carried),
            "former ranges": bool(core._changes.former),
            "reads that wait for parents": bool(core._remote_reads._reads),
            "a job": bool(service.maintenance.running),
            "writes": not service.writes.idle,
            "bytes of ranges that are gone": service.writes.buffered_bytes != buffered_bytes,
            "log files that no range needs": bool(service.writes.wal.files_before(releases.checkpoint())),
        }
        return next((f"{what} at worker {worker}" for what, is_left in left.items() if is_left), "")

    def _check_core(self, core: Core | None) -> None:
        """Check what the classes of a process that lives promise."""
        if isinstance(core, RouterCore | WorkerCore):
            core.check_invariants()
        if isinstance(core, WorkerCore) and not self._turns % ENTRIES_CHECKED_EACH:
            core.check_entries()

    def _check_owners(self) -> None:
        accepted = sorted(
            (owned.start, owned.end, name) for name, server in self._servers.items() for owned in _accepted_by(server)
        )
        for (_, end, one), (start, _, other) in pairwise(accepted):
            if not end or start < end:
                raise Violation(f"{one} and {other} both accept writes from {start!r} on")

    def _check_map(self, core: RouterCore) -> None:
        topology = core._table.topology
        self._losses.follow(core)
        for route in topology.map:
            if route.created and not self._is_kept(manifest(route.segment)):
                raise Violation(f"segment {route.segment} is in the map as created, and has no durable manifest")
        if topology is not self._topology:
            self._check_together(topology)
            core._table.check_invariants()
            self._follow({change.number: change for change in topology.changes})
            self._topology = topology

    def _check_together(self, topology: Topology) -> None:
        for prefix in topology.together:
            inside = [start for start in topology.map.starts if start > prefix and start.startswith(prefix)]
            if inside:
                raise Violation(f"a range begins at {inside[0]!r}, within {prefix!r}, which is kept together")
        if gone := {*self._together} - {*topology.together} - self._let_split:
            raise Violation(f"nobody let {gone} split, but it is no longer kept together")
        self._together = topology.together

    def _follow(self, pending: dict[int, Change]) -> None:
        ended = [change for number, change in self.pending.items() if number not in pending]
        self.done.update(change.kind for change in ended)
        self.done_though_struck += sum(change.number in self.struck for change in ended)
        self.pending = pending
        for change in pending.values():
            self._parents |= {parent.segment: parent.worker for parent in change.parents}

    def _segments(self) -> set[int]:
        directory = self._disk.find(SEGMENTS)
        names = directory.seen if isinstance(directory, Directory) else ()
        return {segment for name in names if (segment := segment_of(name)) is not None}

    def _is_kept(self, path: str) -> bool:
        node: Node | None = self._disk.root
        for part in path.split("/"):
            node = node.stable.get(part) if isinstance(node, Directory) else None
        return node is not None


def _malformed_at(server: Server) -> int:
    """The number of malformed messages that this server received."""
    match server.core:
        case RouterCore() as router:
            return router._malformed
        case WorkerCore() as worker:
            return worker._counts.failures["malformed messages"]
    return 0


def _accepted_by(server: Server) -> Iterator[KeyRange]:
    """The ranges of keys for which this server accepts writes."""
    core = server.core
    if server.alive and isinstance(core, WorkerCore) and core.service is not None and not core._stopping:
        for owned in core._ranges.values():
            if owned.role.is_served and owned.damage is None:
                yield owned.key_range
