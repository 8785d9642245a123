"""The topology changes that the router has ordered, and their progress on this worker.

See shardstore/wire/topology.py for the stages of a change.

    parent here      fenced -> final, sealed   -> drained by ordinary jobs -> retired
    child here       opened -> adopted         -> materialised by a job    -> an ordinary range

A worker does not store this state: after a restart the router orders the change again, and the log and the manifests
show how far it had come. If this worker owns all parents and children, the children are adopted in the same step that
fences the parents, so there is always an owner that accepts writes.

An operator may resolve a change. This worker never opens a segment that was abandoned by that. If it has one open, it
stops, to be started again without it: `why_to_stop`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import replace

from shardstore.limits import MILLISECOND_NS, REFUSAL_CHARACTERS_MAX
from shardstore.seams.clock import NEVER_NS
from shardstore.seams.effects import Effect, Send, Stop
from shardstore.wire.link_names import ROUTER
from shardstore.wire.messages import encode
from shardstore.wire.topology import Change, Order, Progress, Relative
from shardstore.wire.wire_format import Header, Op
from shardstore.workers.board.worker_board import WorkerBoard
from shardstore.workers.jobs.specs import MaterialiseSpec
from shardstore.workers.load.range_size import size_of
from shardstore.workers.maintenance.queue import MaintenanceQueue
from shardstore.workers.ranges.dedup import DedupWindow
from shardstore.workers.ranges.inheritance import Inheritance
from shardstore.workers.ranges.owned_range import OwnedRange
from shardstore.workers.ranges.role import ADOPTED, FENCE_WANTED, FENCED, FINAL, ORDINARY, WAITING
from shardstore.workers.segment.state import SegmentState
from shardstore.workers.serving.hybrid_clock import HybridClock
from shardstore.workers.serving.write_path import WritePath

PROGRESS_INTERVAL_NS = 250 * MILLISECOND_NS
RETIRED_KNOWN = 1_024
"""Number of retired segments that are remembered, so that a late order does not bring one back."""

OpenRange = Callable[[Relative, int, Inheritance | None], OwnedRange]
"""Opens a range from disk with this epoch. A child, which may have no files yet, also gets its inheritance."""


class LocalChanges:
    """All changes in which this worker takes part. `ranges`: all ranges of the worker, with parents and children.

    Invariants: what is kept of a change goes with its order; a range that is not ordinary is a child or a parent of an
    order, and the dedup window of an adopted child is kept for its files; `former` are final, and not in `ranges`.
    """

    def __init__(
        self,
        worker: int,
        store: str,
        ranges: dict[int, OwnedRange],
        open_range: OpenRange,
        window_in_files: Callable[[int], DedupWindow],
        board: WorkerBoard,
    ) -> None:
        self._worker = worker
        self._store = store
        self._ranges = ranges
        self._open_range = open_range
        self._window_in_files = window_in_files
        self._board = board
        self._to_be_reopened = ""
        self.orders: dict[int, Order] = {}
        """The changes under way, by number."""
        self._reported: dict[int, Progress] = {}
        self._carried: dict[int, DedupWindow] = {}
        self._durable_first: dict[int, int] = {}
        self._report_due_ns = 0
        self._retired: deque[int] = deque(maxlen=RETIRED_KNOWN)
        self.former: dict[int, OwnedRange] = {}
        """Retired parents that open scans still read."""

    @property
    def parents(self) -> set[int]:
        """Segments of the parents of all changes under way."""
        return {parent.segment for order in self.orders.values() for parent in order.change.parents}

    def parents_elsewhere(self, owned: OwnedRange) -> list[Relative]:
        """The parents of a child that are not open here: those that other workers own, or that are given up."""
        for order in self.orders.values():
            if _is_child(owned, order.change):
                parents = order.change.parents_over(owned.key_range)
                return [parent for parent in parents if not self._is_here(parent, order.change)]
        return []

    def why_to_stop(self) -> str:
        """Why this process must end, and another one go on; empty if it need not."""
        for order in self.orders.values():
            for each in order.change.abandoned:
                if each.worker == self._worker and each.segment in self._ranges:
                    return f"segment {each.segment}, which is open here, was given up by an operator"
        return self._to_be_reopened

    def full_disk_elsewhere(self, owned: OwnedRange) -> str:
        """What fails at the owners of a child's parents because their disk is full; empty if nothing does."""
        orders = [order for order in self.orders.values() if _is_child(owned, order.change)]
        return next((order.full_disk for order in orders if order.full_disk), "")

    def take(self, order: Order) -> None:
        """Take an order, and open the ranges that it names. An order whose change is over is ignored."""
        change = order.change
        mine = [each.segment for each in (*change.parents, *change.children) if each.worker == self._worker]
        if any(segment in self._retired for segment in mine):
            return
        former = self.orders.get(change.number)
        if former is not None and former.change != change:
            failed = [child.segment_id for child in self._here(change.children) if child.job_damage]
            if failed:
                self._to_be_reopened = f"an operator has resolved what kept segment {failed[0]} from having files"
        self.orders[change.number] = order
        if not self.why_to_stop():
            self._forget(change.instead_of)
        for parent in change.kept_parents:
            if parent.worker == self._worker and parent.segment not in self._ranges:
                self._ranges[parent.segment] = self._open_range(parent, parent.epoch, None)
            if parent.worker == self._worker:  # requests from the owners of children have this epoch
                self._ranges[parent.segment].raise_epoch(parent.epoch)
        for child in change.children:
            if child.worker == self._worker:
                self._open_child(change, child, order.epochs[child.segment])
        self._report_due_ns = 0

    def advance(self, writes: WritePath, maintenance: MaintenanceQueue, now_ns: int) -> list[Effect]:
        """Do what can be done now, and report it to the router. Returns a Stop if this process must end."""
        effects: list[Effect] = [Stop(why)] if (why := self.why_to_stop()) else []
        for order in () if effects else self.orders.values():
            effects += self._fence(order.change, writes, maintenance, now_ns)
            effects += self._reach(order, writes)
            if writes.clock.has_reached(order.clock_ms):
                self._adopt(order, writes.wal.lsn_durable)
            self._materialise(order, maintenance)
            effects += self._report(order, writes.clock, now_ns)
        if now_ns >= self._report_due_ns:
            self._report_due_ns = now_ns + PROGRESS_INTERVAL_NS
        return effects

    def due_ns(self) -> int:
        """When to advance at the latest, to repeat the report and because an isolation may have ended."""
        return self._report_due_ns if self.orders else NEVER_NS

    def keep_only(self, changes: Container[int]) -> None:
        """End all other changes: they are done, as the router no longer knows them."""
        for change in [change for change in self.orders if change not in changes]:
            self.end(change)

    def end(self, change: int) -> None:
        """End a change that is done, unless a parent is still here.

        Then its progress is still reported, and the router replies that the parent can be removed. If a child here
        lacks files, the change was not done but cancelled: the order for what takes its place is about to come.
        """
        order = self.orders.get(change)
        if order is None or self._here(order.change.parents):
            return
        if any(child.role in (WAITING, ADOPTED) for child in self._here(order.change.children)):
            return
        self._forget(change)

    def _forget(self, change: int) -> None:
        """Forget an order, and what was kept of its change."""
        order = self.orders.pop(change, None)
        self._reported.pop(change, None)
        self._durable_first.pop(change, None)
        for child in order.change.children if order else ():
            self._carried.pop(child.segment, None)

    def retire(self, segments: Iterable[int], scanned: Callable[[OwnedRange], bool]) -> list[int]:
        """Drop the segments among these that can be removed, and return them. Ranges that are still needed stay.

        A drained parent can be removed, and so can a segment that is not open here. A parent that could not be opened
        can be removed too: a retirement that was cut short had begun to remove its files.
        """
        retired = []
        for segment in segments:
            owned = self._ranges.get(segment)
            if owned is not None and not (_is_drained(owned) or (owned.role is FINAL and owned.damage)):
                continue
            retired.append(segment)
            self._retired.append(segment)
            self._board.free(segment)
            if owned is not None:
                del self._ranges[segment]
                if scanned(owned):
                    owned.forget_requests()
                    self.former[segment] = owned
        return retired

    def forget_former(self, scanned: Callable[[OwnedRange], bool]) -> None:
        """Drop the retired parents that no scan reads any more."""
        self.former = {segment: owned for segment, owned in self.former.items() if scanned(owned)}

    def check_invariants(self) -> None:
        """Raise AssertionError if an invariant of this class does not hold."""
        orders, parents = self.orders, self.parents
        children = {child.segment for order in orders.values() for child in order.change.children}
        assert all(order.change.number == number for number, order in orders.items()), "an order is found as another"
        assert self._reported.keys() | self._durable_first.keys() <= orders.keys(), "progress of no order is kept"
        assert self._carried.keys() <= children, "a dedup window is kept for no child"
        for segment, owned in self._ranges.items():
            role = owned.role
            assert role not in (WAITING, ADOPTED) or segment in children, f"{role.label} is the child of no order"
            assert role is not ADOPTED or segment in self._carried, "the dedup window of an adopted child is lost"
            is_parent = role is FENCE_WANTED or role.is_fenced
            assert not is_parent or segment in parents, f"{role.label} is the parent of no order"
        assert self.former.keys().isdisjoint(self._ranges), "a range is served and retired"
        assert all(owned.role is FINAL for owned in self.former.values()), "a range was retired before it was final"

    def _open_child(self, change: Change, child: Relative, epoch: int) -> None:
        if child.segment not in self._ranges:
            parents = change.parents_over(child.key_range)
            here = [self._ranges[parent.segment] for parent in parents if self._is_here(parent, change)]
            inheritance = Inheritance(here, is_remote=len(here) < len(parents))
            self._ranges[child.segment] = self._open_range(child, epoch, inheritance)
        self._ranges[child.segment].raise_epoch(epoch)

    def _fence(self, change: Change, writes: WritePath, maintenance: MaintenanceQueue, now_ns: int) -> list[Effect]:
        """Fence the parents here. The writes that they have accepted are made durable, and sealed once applied.

        If the change is not local, writers wait for that sync. So what is in the log already is synced before the
        fence, while writers go on: under ASYNC this can be a second of writes.
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

    def _reach(self, order: Order, writes: WritePath) -> list[Effect]:
        """Let the clock reach that of the parents' owners, durably, before a child is served."""
        if writes.clock.has_reached(order.clock_ms):
            return []
        writes.clock.reach(order.clock_ms)
        return writes.lease_clock()

    def _adopt(self, order: Order, lsn_durable: int) -> None:
        """Let children accept writes once no parent does, and the dedup windows of the parents are known."""
        for child in self._here(order.change.children):
            if child.role is not WAITING:
                continue
            windows = self._windows(order, child)
            if windows is not None:
                self._carried[child.segment_id] = DedupWindow.joined(windows, lsn_durable)
                child.adopt(windows, lsn_durable)

    def _windows(self, order: Order, child: OwnedRange) -> list[DedupWindow] | None:
        """The dedup windows of a child's parents; None until all parents of the change are fenced or gone.

        A window that may lack requests says so: of a parent that is given up, unless it came in time, and of a parent
        whose discarded children may have applied some.
        """
        change = order.change
        if not order.is_settled:
            return None
        if change.is_local:
            here = self._here(change.parents)
            if not all(parent.role.is_fenced for parent in here):
                return None
            known = {parent.segment_id: parent.dedup for parent in here}
        elif not all(parent.segment in order.windows for parent in change.kept_parents):
            return None
        else:
            known = {segment: DedupWindow.from_document(window) for segment, window in order.windows.items()}
        parents = [parent.segment for parent in change.parents_over(child.key_range)]
        windows = [known[parent] if parent in known else self._window_in_files(parent) for parent in parents]
        return [window.incomplete() for window in windows] if change.discarded else windows

    def _materialise(self, order: Order, maintenance: MaintenanceQueue) -> None:
        change = order.change
        here = self._here(change.parents)
        if not (order.drained or (change.is_local and all(_is_drained(parent) for parent in here))):
            return
        for child in self._here(change.children):
            lacks_files = child.role is ADOPTED and not child.job_damage
            if lacks_files and child.segment_id not in maintenance.materialisations:
                parents = tuple(parent.segment for parent in change.parents_over(child.key_range))
                keys, dedup = child.key_range, self._carried[child.segment_id].to_carry()
                common = self._store, child.segment_id, keys.start, keys.end, child.epoch, parents, dedup
                maintenance.materialise(MaterialiseSpec(*common, change.given_up))

    def _report(self, order: Order, clock: HybridClock, now_ns: int) -> list[Effect]:
        """Report the progress of a change to the router: if there is news, and at intervals."""
        change = order.change
        parents, children = self._here(change.parents), self._here(change.children)
        final = [parent for parent in parents if parent.role is FINAL]
        progress = Progress(
            change.number,
            dict.fromkeys([parent.segment_id for parent in final]),
            [child.segment_id for child in children if child.role is not WAITING],
            [parent.segment_id for parent in parents if _is_drained(parent)],
            [child.segment_id for child in children if child.segment is not None],
            dropped=[each.segment for each in change.abandoned if each.segment not in self._ranges],
            trouble={each.segment_id: why for each in (*parents, *children) if (why := _trouble_of(each))},
        )
        if progress == self._reported.get(change.number) and now_ns < self._report_due_ns:
            return []
        self._reported[change.number] = progress
        if not change.is_local:  # another worker needs the dedup windows of the parents
            asked = [parent for parent in final if parent.segment_id not in order.windows]
            carried = {parent.segment_id: parent.dedup.to_carry() for parent in asked}
            clock_ms = clock.now_ms() if any(parent.may_expire for parent in asked) else 0
            progress = replace(progress, fenced=progress.fenced | carried, clock_ms=clock_ms)
        sizes = {each.segment_id: size_of(each) for each in (*parents, *children) if not each.damage}
        in_memory = {segment: len(self._ranges[segment].overlay) for segment in sizes}
        in_bytes = {segment: size.overlay_bytes for segment, size in sizes.items()}
        progress = replace(progress, entries=in_memory, bytes=in_bytes)
        return [Send(ROUTER, b"", (Header(Op.PROGRESS).encode(), encode(progress)))]

    def _is_here(self, parent: Relative, change: Change) -> bool:
        """Whether this worker has a parent of a change open."""
        return parent.worker == self._worker and parent.segment not in change.given_up

    def _here(self, relatives: Sequence[Relative]) -> list[OwnedRange]:
        """Those of these ranges that are here. A child may be gone: a later change may have replaced it already."""
        mine = [each.segment for each in relatives if each.worker == self._worker]
        return [self._ranges[segment] for segment in mine if segment in self._ranges]


def _trouble_of(owned: OwnedRange) -> str:
    """What keeps a range from going on in a change; empty if nothing does."""
    return str(owned.damage or owned.job_damage or owned.last_failure)[:REFUSAL_CHARACTERS_MAX]


def _is_child(owned: OwnedRange, change: Change) -> bool:
    return any(child.segment == owned.segment_id for child in change.children)


def _is_drained(parent: OwnedRange) -> bool:
    """Whether the manifest of a parent is its last one: its tables hold all that it ever accepted, and no job runs."""
    return parent.role is FINAL and not parent.overlay and parent.state is SegmentState.READY
