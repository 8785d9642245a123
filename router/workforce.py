"""Which workers the store has: they are added, emptied and let go while it serves.

    add    the lowest free number is the store's, durably -> the supervisor starts its process, which registers
    drain  leaving, durably -> the policies move its ranges away -> nothing is its own any more -> the scans it holds
           open end, abandoned ones with their leases -> gone, durably -> the supervisor stops its process in order

A worker that leaves goes on leaving through every restart: steering.py and the tick here need nothing but ROUTES. What
is left of it is its directory, with a log that nobody needs: all that it logged is of segments that are retired. So its
number can be given again, and the new process recovers that log as after any other stop.
"""

from __future__ import annotations

from shardstore.errors import InvalidRequest
from shardstore.limits import WORKERS_MAX
from shardstore.router.cluster_state import ClusterState
from shardstore.router.membership import SILENCE_NS_MAX, MemberState
from shardstore.seams.effects import Effect, ReportWorkers


class Workforce:
    """The workers of one store."""

    def __init__(self, cluster: ClusterState) -> None:
        self._table = cluster.table
        self._membership = cluster.membership
        self._empty_since_ns: dict[int, int] = {}

    def report(self) -> ReportWorkers:
        """Which workers are to run. Those that leave are among them."""
        return ReportWorkers(self._table.topology.workers)

    def next_worker(self) -> int:
        """The number of the next worker. Raises InvalidRequest when there is none."""
        workers = self._table.topology.workers
        if len(workers) >= WORKERS_MAX:
            raise InvalidRequest(f"a store has at most {WORKERS_MAX} workers")
        return min(set(range(WORKERS_MAX)).difference(workers))

    def add_worker(self) -> list[Effect]:
        """The store has one worker more: `next_worker`. Raises InvalidRequest, StorageFailure."""
        topology = self._table.topology
        self._table.publish_workers([*topology.workers, self.next_worker()], topology.leaving)
        return [self.report()]

    def check_drain(self, worker: int) -> None:
        """Raise InvalidRequest when this worker cannot leave."""
        topology = self._table.topology
        if worker not in topology.workers:
            raise InvalidRequest(f"there is no worker {worker}")
        if topology.staying == [worker]:
            raise InvalidRequest(f"worker {worker} is the last one that stays: add another before")

    def drain_worker(self, worker: int) -> None:
        """This worker is to own nothing any more, and to end. Raises InvalidRequest, StorageFailure.

        One that leaves already goes on leaving.
        """
        self.check_drain(worker)
        topology = self._table.topology
        if worker not in topology.leaving:
            self._table.publish_workers(topology.workers, [*topology.leaving, worker])

    def remove_drained(self, now_ns: int) -> list[int]:
        """Remove the leaving workers that own nothing any more. Returns their numbers. Raises StorageFailure."""
        topology = self._table.topology
        empty = set(topology.leaving) - topology.engaged
        self._empty_since_ns = {worker: self._empty_since_ns.get(worker, now_ns) for worker in empty}
        removed = {worker for worker in empty if not self._may_hold_scans(worker, now_ns)}
        if removed:
            self._table.publish_workers(set(topology.workers) - removed, set(topology.leaving) - removed)
        return sorted(removed)

    def _may_hold_scans(self, worker: int, now_ns: int) -> bool:
        """Whether scans may be open that began before the worker was empty: those it told of since, or may yet."""
        member, since_ns = self._membership.of_worker(worker), self._empty_since_ns[worker]
        if member is None:  # after a start of this router: it lives, or its next process will register
            return now_ns - since_ns <= SILENCE_NS_MAX
        return member.state is not MemberState.DOWN and (member.scans > 0 or member.heartbeat_ns <= since_ns)
