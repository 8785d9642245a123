"""The parts of a worker that exist once its log is replayed: writes, scans, jobs, operations, its lease of memory."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from shardstore.memory_plan import MemoryPlan
from shardstore.seams.effects import Effect, Event, JobFailed, JobFinished, WalSynced, WalSyncFailed
from shardstore.stalls import Stalls
from shardstore.wire.messages import Lease, LeaseReport
from shardstore.workers.maintenance.queue import MaintenanceQueue
from shardstore.workers.operations import Operations
from shardstore.workers.ranges.owned_range import OwnedRange
from shardstore.workers.serving.admission import MemoryLimits
from shardstore.workers.serving.buffer_lease import SHORT_PRESSURE, BufferLease
from shardstore.workers.serving.scan_path import ScanPath
from shardstore.workers.serving.write_path import WritePath


@dataclass(frozen=True, slots=True)
class Service:
    """The parts that serve. They are made together."""

    memory: MemoryPlan
    lease: BufferLease
    writes: WritePath
    scans: ScanPath
    maintenance: MaintenanceQueue
    operations: Operations
    stalls: Stalls

    @property
    def is_idle(self) -> bool:
        """Whether the worker may stop: nothing waits for the log, and no job is publishing LOG."""
        return self.writes.idle and not self.maintenance.releasing

    def wants_more(self) -> bool:
        """Whether to ask for a larger lease at once."""
        writes = self.writes
        return writes.buffered_bytes + writes.logged_bytes + writes.refused_bytes > self.lease.asks_above

    def report(self, ranges: Iterable[OwnedRange]) -> LeaseReport:
        """Report to the router what is buffered, and give back what is not needed of the lease."""
        draining_bytes = sum([owned.draining_bytes for owned in ranges])
        report = self.lease.report(self.writes.held_bytes, self.writes.take_refused_bytes(), draining_bytes)
        self._limit()
        return report

    def take_lease(self, lease: Lease, now_ns: int) -> None:
        """Take the lease that the router granted, and drain what it wants drained."""
        self.lease.take(lease, self.writes.held_bytes)
        self._limit()
        if self.lease.is_short and self.writes.pressure > SHORT_PRESSURE:
            self.stalls.refused("the worker waits for a larger lease of the budget", now_ns)
        self.maintenance.sealer.seal_largest(lease.drain)
        self.maintenance.sealer.seal_full()

    def pass_time(self, now_ns: int) -> None:
        """Seal layers that rest, and look for jobs that are due and scans that are abandoned."""
        self.maintenance.pass_time(now_ns)
        self.scans.open.pass_time(now_ns)

    def tick(self, ranges: Iterable[OwnedRange], now_ns: int) -> list[Effect]:
        """Begin the syncs that are due, and lease the clock further if entries expire by it."""
        effects = self.writes.tick(now_ns)
        if self.writes.clock.is_inherited or any(owned.may_expire for owned in ranges):
            lsn_before = self.writes.wal.lsn_appended
            effects += self.writes.lease_clock()
            if self.writes.wal.lsn_appended > lsn_before:  # a log that gets nothing else must not grow for ever
                self.maintenance.releases.want()
        return effects

    def ended(self, event: Event, now_ns: int) -> list[Effect]:
        """Handle the end of a sync of the log, or of a job. Returns the effects."""
        match event:
            case WalSynced():
                self.maintenance.log_synced()
                return self.writes.synced(event.lsn)
            case WalSyncFailed():
                return self.writes.fail(event.reason)
            case JobFinished():
                effects = self.maintenance.finished(event, now_ns)
                self.scans.open.shed(now_ns)
                return effects
            case JobFailed():
                return self.maintenance.failed(event, now_ns)
        raise AssertionError(f"{event} is the end of no sync and no job")

    def seal_when_grown(self) -> None:
        """Let the drain policy check the layers once they have grown enough, not after every write."""
        if self.writes.has_grown():
            self.maintenance.sealer.seal_full()

    def check_invariants(self, ranges: Collection[OwnedRange]) -> None:
        """Raise AssertionError if an invariant of the lease, the writes, the scans or the jobs does not hold."""
        self.lease.check_invariants(self.writes.held_bytes)
        self.writes.check_invariants(ranges)
        self.scans.open.check_invariants()
        self.maintenance.check_invariants()

    def _limit(self) -> None:
        self.writes.limit(MemoryLimits.of_lease(self.lease.bytes, self.memory))
