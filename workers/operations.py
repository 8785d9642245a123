"""Handles requests: passes each operation to the part of the worker that handles it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from shardstore.errors import Busy, InvalidRequest
from shardstore.key_range import KeyRange
from shardstore.seams.effects import Effect
from shardstore.wire.messages import Statistics, encode
from shardstore.wire.wire_format import CONDITIONAL, Header, Op
from shardstore.workers.load.meter import LoadMeter
from shardstore.workers.maintenance.queue import MaintenanceQueue
from shardstore.workers.ranges.owned_range import OwnedRange
from shardstore.workers.serving import read_path
from shardstore.workers.serving.atomic_batch import batch_of, put_until_of
from shardstore.workers.serving.conditions import Judge, condition_of
from shardstore.workers.serving.drain_rate import RETRY_UNMEASURED_NS
from shardstore.workers.serving.reply import Asker
from shardstore.workers.serving.scan_path import ScanPath
from shardstore.workers.serving.take import take_of
from shardstore.workers.serving.write_path import WritePath
from shardstore.workers.topology.local_changes import LocalChanges
from shardstore.workers.topology.remote_reads import RemoteReads

_GET = int(Op.GET)
_SCAN = int(Op.SCAN)
_PUT_OR_DELETE = frozenset((Op.PUT, Op.DELETE))
_NEEDS_PARENTS = CONDITIONAL | {Op.GET, Op.SCAN, Op.COUNT, Op.BATCH, Op.TAKE, Op.TTL}
"""Operations for which a child without files needs its parents."""
_JUDGES: dict[int, Callable[[Header, Sequence[bytes], KeyRange], Judge]] = {
    Op.COMPARE_AND_SET: condition_of,
    Op.INCREMENT: condition_of,
    Op.EXPIRE: condition_of,
    Op.BATCH: batch_of,
    Op.PUT_UNTIL: put_until_of,
}
"""Makes what evaluates the conditions of a write."""


@dataclass(frozen=True, slots=True)
class Operations:
    """The parts that handle requests. `unsent_bytes` returns the size of unsent replies."""

    writes: WritePath
    scans: ScanPath
    maintenance: MaintenanceQueue
    changes: LocalChanges
    remote_reads: RemoteReads
    load: LoadMeter
    statistics: Callable[[int], dict[str, Any]]
    unsent_bytes: Callable[[], int]
    unsent_bytes_max: int

    def handle(self, owned: OwnedRange | None, asker: Asker, frames: Sequence[bytes], now_ns: int) -> list[Effect]:
        """Handle a request for a range, or for the worker (None). A SCAN or COUNT without a reply needs another turn.

        Raises InvalidRequest, Busy, ScanInvalidated, Corruption, StorageFailure.
        """
        if owned is None:
            return [asker.accept(self.writes.pressure, (encode(Statistics(self.statistics(now_ns))),))]
        op = asker.header.op
        if owned.inheritance is not None and owned.inheritance.is_remote and op in _NEEDS_PARENTS:
            return self._read_with_parents(owned, asker, frames, now_ns)
        if op == _GET:
            if self.unsent_bytes() > self.unsent_bytes_max:
                raise self._too_much_unsent()
            return [read_path.reply_to_get(owned, asker, frames, self.writes.pressure, self.load, self.writes.clock)]
        if op in _PUT_OR_DELETE:
            return self.writes.write(owned, asker, frames, now_ns)
        if op == _SCAN:
            if self.unsent_bytes() > self.unsent_bytes_max:
                raise self._too_much_unsent()
            page = self.scans.page(owned, asker, frames, now_ns)
            return [] if page is None else [page]
        if (judge_of := _JUDGES.get(op)) is not None:
            return self.writes.write_if(owned, asker, judge_of(asker.header, frames, owned.key_range), now_ns)
        return self._handle_others(owned, asker, frames, now_ns)

    def _handle_others(self, owned: OwnedRange, asker: Asker, frames: Sequence[bytes], now_ns: int) -> list[Effect]:
        """Handle the operations that are asked for less often."""
        op = asker.header.op
        match op:
            case Op.TAKE:
                return self._take(owned, asker, frames, now_ns)
            case Op.TTL:
                return [read_path.reply_to_ttl(owned, asker, frames, self.writes.pressure, self.writes.clock)]
            case Op.COUNT:
                counted = self.scans.counts.count(owned, asker, frames, self.writes.pressure, self.writes.clock)
                return [] if counted is None else [counted]
            case Op.DELETE_RANGE:
                return self.writes.clear(owned, asker, frames, now_ns)
            case Op.OUTCOME:
                return self.writes.outcome(owned, asker, frames, now_ns)
            case Op.END_SCAN:
                return [self.scans.end(owned, asker, frames)]
            case Op.FLUSH | Op.COMPACT:
                self.writes.refuse_frozen()
                return self.maintenance.barrier(owned, asker)
        raise InvalidRequest(f"operation {op} is not for workers")

    def _take(self, owned: OwnedRange, asker: Asker, frames: Sequence[bytes], now_ns: int) -> list[Effect]:
        """Handle a TAKE, or let it wait for another turn, as requests for pages do."""
        judge = take_of(owned, frames, self.writes.clock.now_ms())
        if judge is None:
            self.scans.turns.append((asker, frames))
            return []
        return self.writes.write_if(owned, asker, judge, now_ns)

    def _read_with_parents(self, owned: OwnedRange, asker: Asker, frames: Sequence[bytes], now_ns: int) -> list[Effect]:
        """Ask parents on other workers for what a GET does not find here. Other reads wait for the child's files."""
        if asker.header.op == Op.GET:
            parents = self.changes.parents_elsewhere(owned)
            return self.remote_reads.get(owned, parents, asker, frames, now_ns, self.writes.pressure, self.writes.clock)
        failure = self.maintenance.last_failure or self.changes.full_disk_elsewhere(owned)
        return [asker.wait_for_files(owned.segment_id, failure)]

    def _too_much_unsent(self) -> Busy:
        """The error for a read while the replies that slow readers have not taken are too large."""
        return Busy("replies wait for slow readers", self.unsent_bytes(), self.unsent_bytes_max, RETRY_UNMEASURED_NS)
