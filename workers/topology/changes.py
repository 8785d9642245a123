"""What the router has ordered, and how far it is here. See shardstore/wire/topology.py for the stages of a change.

    parent here      fenced -> final, sealed   -> drained by ordinary jobs -> retired
    child here       opened -> adopted         -> materialised by a job    -> an ordinary range

Nothing of this is durable here: after a restart the router orders it again, and the log and the manifests tell how far
it had come. A change within this process is adopted at the moment of the fence: no write waits for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import replace

from shardstore.limits import MILLISECOND_NS
from shardstore.seams.effects import Effect, Send
from shardstore.wire.messages import encode
from shardstore.wire.topology import Change, Order, Progress, Relative
from shardstore.wire.wire_format import Header, Op
from shardstore.workers.jobs.specs import AdoptSpec
from shardstore.workers.maintenance.queue import MaintenanceQueue
from shardstore.workers.ranges.dedup import DedupWindow
from shardstore.workers.ranges.inheritance import Inheritance
from shardstore.workers.ranges.owned_range import OwnedRange
from shardstore.workers.ranges.role import ADOPTED, FENCE_WANTED, FENCED, FINAL, ORDINARY, WAITING
from shardstore.workers.registration import ROUTER
from shardstore.workers.segment.state import SegmentState
from shardstore.workers.serving.write_path import WritePath

REPORT_INTERVAL_NS = 250 * MILLISECOND_NS
RETIRED_KNOWN = 1_024
"""Retired segments that are remembered, so that a late order does not bring one back."""

OpenRange = Callable[[Relative, int, Inheritance | None], OwnedRange]
"""Opens a range from disk, with this epoch. A child, which may be missing there, is given what it inherits."""


class Changes:
    """All changes that concern this worker. `ranges` are those of the worker: parents and children are among them."""

    def __init__(self, worker: int, store: str, ranges: dict[int, OwnedRange], open_range: OpenRange) -> None:
        self._worker = worker
        self._store = store
        self._ranges = ranges
        self._open_range = open_range
        self._orders: dict[int, Order] = {}
        self._reported: dict[int, Progress] = {}
        self._carried: dict[int, DedupWindow] = {}
        self._durable_first: dict[int, int] = {}
        self._report_due_ns = 0
        self._retired: deque[int] = deque(maxlen=RETIRED_KNOWN)
        self.former: dict[int, OwnedRange] = {}
        """Parents that were retired while scans read them."""

    def __bool__(self) -> bool:
        """Whether any change is under way."""
        return bool(self._orders)

    @property
    def parents(self) -> set[int]:
        """Segments of the parents of all changes under way."""
        return {parent.segment for order in self._orders.values() for parent in order.change.parents}

    def parents_elsewhere(self, owned: OwnedRange) -> list[Relative]:
        """The parents of a child that other workers own."""
        for order in self._orders.values():
            if _is_child(owned, order.change):
                parents = order.change.parents_over(owned.key_range)
                return [parent for parent in parents if parent.worker != self._worker]
        return []

    def full_disk_elsewhere(self, owned: OwnedRange) -> str:
        """What keeps the parents of a child from being drained, for want of room; empty if nothing does."""
        orders = [order for order in self._orders.values() if _is_child(owned, order.change)]
        return next((order.full_disk for order in orders if order.full_disk), "")

    def take(self, order: Order) -> None:
        """Know this order, and open what it names. One that comes when its change is over is not heard."""
        change = order.change
        mine = [each.segment for each in (*change.parents, *change.children) if each.worker == self._worker]
        if any(segment in self._retired for segment in mine):
            return
        self._orders[change.number] = order
        for parent in change.parents:
            if parent.worker == self._worker and parent.segment not in self._ranges:
                self._ranges[parent.segment] = self._open_range(parent, parent.epoch, None)
            if parent.worker == self._worker:  # the epoch under which the owners of children ask
                self._ranges[parent.segment].raise_epoch(parent.epoch)
        for child in change.children:
            if child.worker == self._worker:
                self._open_child(change, child, order.epochs[child.segment])
        self._report_due_ns = 0

    def advance(self, writes: WritePath, maintenance: MaintenanceQueue, now_ns: int) -> list[Effect]:
        """Do what can be done now, and tell the router of it."""
        effects: list[Effect] = []
        for order in self._orders.values():
            effects += self._fence(order.change, writes, maintenance, now_ns)
            self._adopt(order, writes.wal.lsn_durable)
            self._materialise(order, maintenance)
            effects += self._report(order, now_ns)
        if now_ns >= self._report_due_ns:
            self._report_due_ns = now_ns + REPORT_INTERVAL_NS
        return effects

    def wakeup_ns(self) -> int | None:
        """When to advance without another reason: progress is told again, and an isolation may be over."""
        return self._report_due_ns if self._orders else None

    def keep_only(self, changes: Container[int]) -> None:
        """All others are done: the router knows them no more."""
        for change in [change for change in self._orders if change not in changes]:
            self.end(change)

    def end(self, change: int) -> None:
        """The change is done. As long as a parent is here, it is reported: the router says again that this can go."""
        order = self._orders.get(change)
        if order is None or self._here(order.change.parents):
            return
        del self._orders[change]
        self._reported.pop(change, None)
        self._durable_first.pop(change, None)
        for child in order.change.children:
            self._carried.pop(child.segment, None)

    def retire(self, segments: Iterable[int], scanned: Callable[[OwnedRange], bool]) -> list[int]:
        """Answers which of these can go: all but what is served here and is no drained parent.

        A parent that cannot be opened goes too: its files went before, in a retirement that was cut short.
        """
        retired = []
        for segment in segments:
            owned = self._ranges.get(segment)
            if owned is not None and not (_is_drained(owned) or (owned.role is FINAL and owned.damage)):
                continue
            retired.append(segment)
            self._retired.append(segment)
            if owned is not None:
                del self._ranges[segment]
                if scanned(owned):
                    owned.forget_requests()
                    self.former[segment] = owned
        return retired

    def forget_former(self, scanned: Callable[[OwnedRange], bool]) -> None:
        """Let go of retired parents that no scan reads any more."""
        self.former = {segment: owned for segment, owned in self.former.items() if scanned(owned)}

    def _open_child(self, change: Change, child: Relative, epoch: int) -> None:
        if child.segment not in self._ranges:
            parents = change.parents_over(child.key_range)
            here = [self._ranges[parent.segment] for parent in parents if parent.worker == self._worker]
            inheritance = Inheritance(here, is_remote=len(here) < len(parents))
            self._ranges[child.segment] = self._open_range(child, epoch, inheritance)
        self._ranges[child.segment].raise_epoch(epoch)

    def _fence(self, change: Change, writes: WritePath, maintenance: MaintenanceQueue, now_ns: int) -> list[Effect]:
        """Accept nothing more for the parents here; what was accepted becomes durable, and is sealed once applied.

        When a child is elsewhere, the writers wait for that sync. So what is in the log before is synced first, while
        they go on: under ASYNC it can be a second of writes.
        """
        effects: list[Effect] = []
        parents = self._here(change.parents)
        for parent in parents:
            if parent.role is ORDINARY:
                parent.want_fence()
        if any(parent.role is FENCE_WANTED and now_ns < parent.isolated_until_ns for parent in parents):
            return []
        if parents and not change.is_local:
            durable_first = self._durable_first.setdefault(change.number, writes.wal.lsn_appended)
            if writes.wal.lsn_durable < durable_first:
                return writes.require_durable(durable_first)
        for parent in parents:
            if not parent.role.is_fenced:
                parent.fence(writes.wal.lsn_appended)
                effects += maintenance.fence(parent)
            if writes.wal.lsn_durable < parent.fence_lsn:
                effects += writes.require_durable(parent.fence_lsn)
            if min(writes.lsn_applied, writes.wal.lsn_durable) >= parent.fence_lsn and parent.role is FENCED:
                parent.finalise()
                maintenance.sealer.seal(parent)
        return effects

    def _adopt(self, order: Order, lsn_durable: int) -> None:
        """Let children accept writes, once no parent does and it is known which requests the parents have applied."""
        for child in self._here(order.change.children):
            if child.role is not WAITING:
                continue
            windows = self._windows(order, child)
            if windows is not None:
                self._carried[child.segment_id] = DedupWindow.joined(windows, lsn_durable)
                child.adopt(windows, lsn_durable)

    def _windows(self, order: Order, child: OwnedRange) -> list[DedupWindow] | None:
        """The dedup windows of the parents of a child; None before all parents of the change are fenced."""
        parents = order.change.parents_over(child.key_range)
        if order.change.is_local:
            here = self._here(order.change.parents)
            if not all(parent.role.is_fenced for parent in here):
                return None
            return [self._ranges[parent.segment].dedup for parent in parents]
        if not order.windows:
            return None
        return [DedupWindow.from_document(order.windows[parent.segment]) for parent in parents]

    def _materialise(self, order: Order, maintenance: MaintenanceQueue) -> None:
        change = order.change
        here = self._here(change.parents)
        if not (order.drained or (change.is_local and all(_is_drained(parent) for parent in here))):
            return
        for child in self._here(change.children):
            lacks_files = child.role is ADOPTED and not child.job_damage
            if lacks_files and child.segment_id not in maintenance.adoptions:
                parents = tuple(parent.segment for parent in change.parents_over(child.key_range))
                keys, dedup = child.key_range, self._carried[child.segment_id].to_carry()
                maintenance.adopt(
                    AdoptSpec(self._store, child.segment_id, keys.start, keys.end, child.epoch, parents, dedup)
                )

    def _report(self, order: Order, now_ns: int) -> list[Effect]:
        """Tell the router how far the change is here, when there is news and from time to time."""
        change = order.change
        parents, children = self._here(change.parents), self._here(change.children)
        final = [parent for parent in parents if parent.role is FINAL]
        progress = Progress(
            change.number,
            dict.fromkeys([parent.segment_id for parent in final]),
            [child.segment_id for child in children if child.role is not WAITING],
            [parent.segment_id for parent in parents if _is_drained(parent)],
            [child.segment_id for child in children if child.segment is not None],
        )
        if progress == self._reported.get(change.number) and now_ns < self._report_due_ns:
            return []
        self._reported[change.number] = progress
        if not change.is_local:  # then another worker needs what the parents know of requests
            asked = [parent for parent in final if parent.segment_id not in order.windows]
            carried = {parent.segment_id: parent.dedup.to_carry() for parent in asked}
            progress = replace(progress, fenced=progress.fenced | carried)
        return [Send(ROUTER, b"", (Header(Op.PROGRESS).encode(), encode(progress)))]

    def _here(self, relatives: Sequence[Relative]) -> list[OwnedRange]:
        """Those that are served here; a child may have changed again before it was heard that this change is over."""
        mine = [each.segment for each in relatives if each.worker == self._worker]
        return [self._ranges[segment] for segment in mine if segment in self._ranges]


def _is_child(owned: OwnedRange, change: Change) -> bool:
    return any(child.segment == owned.segment_id for child in change.children)


def _is_drained(parent: OwnedRange) -> bool:
    """Whether the manifest of a parent is its last: all that it ever accepted is in its tables, and no job runs."""
    return parent.role is FINAL and not len(parent.overlay) and parent.state is SegmentState.READY
