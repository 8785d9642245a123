"""Adds workers to the store and removes them while it serves.

    add    make the lowest free number durable -> the supervisor starts the process -> the process registers
    drain  make the worker `leaving`, durably -> the policies move its ranges away -> its open scans end, or expire if
           they were abandoned -> remove it, durably -> the supervisor stops the process

A worker that leaves still leaves after a restart, since ROUTES names it. The directory of a removed worker remains. Its
log holds only records of retired segments, so the number can be used again: the new process recovers that log as usual.
"""

from __future__ import annotations

from shardstore.errors import InvalidRequest
from shardstore.limits import WORKERS_MAX
from shardstore.router.cluster_state import ClusterState
from shardstore.router.membership import SILENCE_NS_MAX, MemberState
from shardstore.seams.effects import Effect, ReportWorkers


class Workforce:
    """The set of workers of one store."""

    def __init__(self, cluster: ClusterState) -> None:
        self._table = cluster.table
        self._membership = cluster.membership
        self._empty_since_ns: dict[int, int] = {}

    def report(self) -> ReportWorkers:
        """The effect that reports which workers must run, including those that leave."""
        return ReportWorkers(self._table.topology.workers)

    def next_worker(self) -> int:
        """The number of the next worker to add. Raises InvalidRequest if the store can have no more workers."""
        workers = self._table.topology.workers
        if len(workers) >= WORKERS_MAX:
            raise InvalidRequest(f"a store has at most {WORKERS_MAX} workers")
        return min(set(range(WORKERS_MAX)).difference(workers))

    def add_worker(self) -> list[Effect]:
        """Add the worker `next_worker` to the store. Raises InvalidRequest, StorageFailure."""
        topology = self._table.topology
        self._table.publish_workers([*topology.workers, self.next_worker()], topology.leaving)
        return [self.report()]

    def check_drain(self, worker: int) -> None:
        """Raise InvalidRequest if this worker cannot leave."""
        topology = self._table.topology
        if worker not in topology.workers:
            raise InvalidRequest(f"there is no worker {worker}")
        if topology.staying == [worker]:
            raise InvalidRequest(f"worker {worker} is the last one that stays: add another worker first")

    def drain_worker(self, worker: int) -> None:
        """Make a worker leave: it gives its ranges away and is then removed. Does nothing if it already leaves.

        Raises InvalidRequest, StorageFailure.
        """
        self.check_drain(worker)
        topology = self._table.topology
        if worker not in topology.leaving:
            self._table.publish_workers(topology.workers, [*topology.leaving, worker])

    def remove_empty(self, now_ns: int) -> list[int]:
        """Remove the leaving workers that own nothing and hold no scan open. Returns their numbers.

        Raises StorageFailure.
        """
        topology = self._table.topology
        empty = set(topology.leaving) - topology.engaged
        self._empty_since_ns = {worker: self._empty_since_ns.get(worker, now_ns) for worker in empty}
        removed = {worker for worker in empty if not self._may_hold_scans(worker, now_ns)}
        if removed:
            self._table.publish_workers(set(topology.workers) - removed, set(topology.leaving) - removed)
        return sorted(removed)

    def _may_hold_scans(self, worker: int, now_ns: int) -> bool:
        """Whether a worker that owns nothing may still hold scans open. It may until a later heartbeat reports none."""
        member, since_ns = self._membership.of_worker(worker), self._empty_since_ns[worker]
        if member is None:  # this router was restarted: the worker has time to register
            return now_ns - since_ns <= SILENCE_NS_MAX
        return member.state is not MemberState.DOWN and (member.scans > 0 or member.heartbeat_ns <= since_ns)
