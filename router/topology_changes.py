"""Carries out topology changes: sends orders to workers, takes their reports, and publishes the result.

The router makes durable only that a change is under way. After a restart it sends the orders again. Workers may repeat
an order without harm and report how far they are, so the change goes on from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from shardstore.errors import InvalidRequest
from shardstore.files.set_aside import set_aside
from shardstore.limits import MILLISECOND_NS
from shardstore.router.announcer import Announcer
from shardstore.router.change_stage import Stage, stage_of
from shardstore.router.change_waits import waits_for
from shardstore.router.cluster_state import ClusterState
from shardstore.router.membership import MemberState
from shardstore.router.resolutions import losses, resolved
from shardstore.seams.effects import Effect, Send
from shardstore.stats_schema import ChangesStats, ChangeStats
from shardstore.wire.admin_messages import Loss, PendingChange
from shardstore.wire.link_names import WORKERS
from shardstore.wire.messages import decode, encode
from shardstore.wire.topology import Change, Order, OrderMessage, Progress, Resolution, Retire
from shardstore.wire.wire_format import Header, Op

ORDER_AGAIN_NS = 500 * MILLISECOND_NS


@dataclass(slots=True)
class ChangeUnderWay:
    """One change under way, with the latest report of each worker, the dedup windows of the parents and their clock.

    `gone`: the abandoned segments that no process has open. `may_lose`: what was said when it was resolved.
    """

    change: Change
    reason: str = ""
    begun_ns: int = 0
    reports: dict[int, Progress] = field(default_factory=dict)
    windows: dict[int, Any] = field(default_factory=dict)
    clock_ms: int = 0
    ordered_ns: int = 0
    announced: bool = False
    gone: set[int] = field(default_factory=set)
    may_lose: list[Loss] = field(default_factory=list)

    @property
    def stage(self) -> Stage:
        """The stage of the change, from the latest reports."""
        return stage_of(self.change, self.reports.values(), self.gone)

    def statistics(self, now_ns: int) -> ChangeStats:
        """Statistics of the change: what it is, its stage, why it was begun and how long ago."""
        return {
            "kind": self.change.kind,
            "parents": [parent.segment for parent in self.change.parents],
            "children": [child.segment for child in self.change.children],
            "stage": self.stage.value,
            "reason": self.reason,
            "age_ns": now_ns - self.begun_ns if self.begun_ns else None,
        }

    @property
    def is_drained(self) -> bool:
        """Whether all parents are drained, except for those that are given up."""
        return all(self.has_drained(parent.segment) for parent in self.change.kept_parents)

    def has_drained(self, parent: int) -> bool:
        """Whether all data of this parent is in its files."""
        return any(parent in report.drained for report in self.reports.values())

    @property
    def knows_windows(self) -> bool:
        """Whether the dedup window of each parent is known, except for those that are given up."""
        return all(parent.segment in self.windows for parent in self.change.kept_parents)

    @property
    def may_hold_writes(self) -> bool:
        """Whether a child may have accepted writes.

        It cannot have if its parents have another owner and this router, which began the change, never had all their
        dedup windows.
        """
        return self.change.is_local or not self.begun_ns or self.knows_windows

    def trouble_of(self, segment: int) -> str:
        """What keeps a segment from going on, as its owner reported; empty if nothing does."""
        found = (report.trouble.get(segment, "") for report in self.reports.values())
        return next(filter(None, found), "")


class Resolved(NamedTuple):
    """What takes the place of a change, what that may lose, and the effects that carry it out."""

    following: list[Change]
    losses: list[Loss]
    effects: list[Effect]


class TopologyChanges:
    """All topology changes of the store that are under way.

    Invariants: they are the changes of the route table, in the same order; their reports come from workers that take
    part, and their dedup windows are those of parents.
    """

    def __init__(self, cluster: ClusterState, announcer: Announcer) -> None:
        self._table = cluster.table
        self._filesystem = cluster.table.filesystem
        self._membership = cluster.membership
        self._announcer = announcer
        self._under_way = {change.number: ChangeUnderWay(change) for change in self._table.topology.changes}
        self.done = 0

    def statistics(self, now_ns: int) -> ChangesStats:
        """Statistics: the number of changes done, and each change under way.

        A change that was begun before this router started has no reason and no age.
        """
        return {"done": self.done, "under_way": [each.statistics(now_ns) for each in self._under_way.values()]}

    def pending(self) -> list[PendingChange]:
        """Each change under way, and what it waits for."""
        return [
            PendingChange(
                number,
                each.change.kind,
                [parent.segment for parent in each.change.parents],
                [child.segment for child in each.change.children],
                str(each.stage),
                waits_for(each.change, each.stage, [*each.reports.values()], each.gone, self._membership),
                each.reason,
                each.change.resolution,
                each.may_lose,
            )
            for number, each in self._under_way.items()
        ]

    def stages(self) -> dict[int, Stage]:
        """The stage of each change under way, by the segments of its children."""
        return {
            child.segment: under_way.stage
            for under_way in self._under_way.values()
            for child in under_way.change.children
        }

    def begin(self, change: Change, reason: str, now_ns: int) -> list[Effect]:
        """Publish a change and send the orders for it.

        Raises NotWritable, with nothing changed, and StorageFailure.
        """
        self._table.publish_begin(change)
        self._announcer.refresh()
        under_way = self._under_way[change.number] = ChangeUnderWay(change, reason, now_ns)
        return self._order(under_way, now_ns)

    def progress(
        self, peer: bytes, request: Header, frames: Sequence[bytes], now_ns: int
    ) -> tuple[list[Effect], Change | None]:
        """Take in a worker's report on a change. Returns the effects, and the change if this report ends it.

        Raises MalformedMessage, StorageFailure.
        """
        report = decode(Progress, frames[1])
        member = self._membership.of_peer(peer)
        if member is None:
            return [], None
        under_way = self._under_way.get(report.change)
        if under_way is None:
            gone = [segment for segment in (*report.fenced, *report.drained) if not self._is_needed(segment)]
            return [self._retire(peer, report.change, gone)], None
        before = (len(under_way.windows), under_way.is_drained, len(under_way.gone))
        under_way.reports[member.worker] = report
        dropped = {each.segment for each in under_way.change.abandoned if each.worker == member.worker}
        under_way.gone |= dropped.intersection(report.dropped)
        under_way.windows |= {parent: window for parent, window in report.fenced.items() if window is not None}
        under_way.clock_ms = max(under_way.clock_ms, report.clock_ms)
        stage = under_way.stage
        effects: list[Effect] = []
        if stage is Stage.MATERIALISED:
            return self._end(under_way), under_way.change
        if stage in (Stage.ADOPTED, Stage.DRAINED) and not under_way.announced:
            under_way.announced = True
            effects = self._announcer.announce()
        if before != (len(under_way.windows), under_way.is_drained, len(under_way.gone)):
            effects += self._order(under_way, now_ns)
        return effects, None

    def tick(self, now_ns: int) -> list[Effect]:
        """Send again the orders that were sent ORDER_AGAIN_NS ago or earlier."""
        due = [each for each in self._under_way.values() if now_ns - each.ordered_ns >= ORDER_AGAIN_NS]
        return [effect for under_way in due for effect in self._order(under_way, now_ns)]

    def orders_of(self, worker: int) -> list[Order]:
        """The orders for a worker that registers, without dedup windows. Drops the earlier reports of the worker.

        The dedup windows of all changes would be too long for one message; each order that follows has its own.
        """
        concerned = [each for each in self._under_way.values() if worker in each.change.workers]
        for under_way in concerned:
            under_way.reports.pop(worker, None)
            under_way.ordered_ns = 0
        return [replace(self._order_of(under_way), windows={}) for under_way in concerned]

    def resolve(self, number: int, how: Resolution, dry_run: bool, now_ns: int) -> Resolved:
        """Resolve a change, unless `dry_run` is set, and send the orders for what takes its place.

        Raises InvalidRequest if it cannot be resolved in this way; NotWritable, with nothing changed; StorageFailure.
        """
        under_way = self._under_way.get(number)
        if under_way is None:
            raise InvalidRequest(f"there is no change {number} under way")
        change, stuck = under_way.change, self._stuck_parents(under_way)
        if how is Resolution.COMPLETE and not stuck:
            raise InvalidRequest(f"nothing is known that keeps change {number} from going on; it needs no resolution")
        following = resolved(self._table.topology, change, how, stuck)
        lost = losses(change, following, [*under_way.reports.values()], under_way.may_hold_writes)
        if dry_run:
            return Resolved(following, lost, [])
        self._table.publish_resolution(change, following)
        self._announcer.refresh()
        effects: list[Effect] = []
        if following[0].number == number:
            under_way.change, under_way.may_lose = following[0], [*under_way.may_lose, *lost]
        else:
            del self._under_way[number]
        for each in following:
            begun = self._under_way.setdefault(each.number, ChangeUnderWay(each, under_way.reason, now_ns))
            begun.may_lose = begun.may_lose or lost
            self._table.former_owners.add(each)
        for worker in change.workers:
            self.note_process(worker)
        for each in following:
            effects += self._order(self._under_way[each.number], now_ns)
        return Resolved(following, lost, effects)

    def note_process(self, worker: int) -> None:
        """Note that a worker has another process: if that opens no range, it has nothing open that is abandoned."""
        member = self._membership.of_worker(worker)
        if member is not None and member.opens_nothing:
            for under_way in self._under_way.values():
                under_way.gone |= {each.segment for each in under_way.change.abandoned if each.worker == worker}

    def children(self) -> set[int]:
        """The segments of all children of changes under way."""
        return {child.segment for each in self._under_way.values() for child in each.change.children}

    def unneeded(self, segments: Sequence[int]) -> list[int]:
        """The segments among these that are neither in the map nor parents of a change under way."""
        return [segment for segment in segments if not self._is_needed(segment)]

    def check_invariants(self) -> None:
        """Raise AssertionError if an invariant of this class does not hold."""
        changes = [each.change for each in self._under_way.values()]
        assert changes == [*self._table.topology.changes], "the changes under way are not those of the route table"
        for number, under_way in self._under_way.items():
            change = under_way.change
            assert change.number == number, f"change {change.number} is found as {number}"
            assert under_way.reports.keys() <= change.workers, "a worker reports that takes no part"
            parents = {parent.segment for parent in change.parents}
            assert under_way.windows.keys() <= parents, "a dedup window is that of no parent"
            abandoned = {each.segment for each in change.abandoned}
            assert under_way.gone <= abandoned, "a segment that is not abandoned counts as gone"

    def _is_needed(self, segment: int) -> bool:
        changes = [each.change for each in self._under_way.values()]
        needed = (each.segment for change in changes for each in (*change.parents, *change.discarded))
        return self._table.current.route_of_segment(segment) is not None or segment in needed

    def _stuck_parents(self, under_way: ChangeUnderWay) -> list[int]:
        """The parents that keep a change from going on, as far as the router knows."""
        change = under_way.change
        failing = [child.key_range for child in change.children if under_way.trouble_of(child.segment)]
        stuck = []
        for parent in change.kept_parents:
            member = self._membership.of_worker(parent.worker)
            in_trouble = member is None or not member.may_receive or under_way.trouble_of(parent.segment)
            if not under_way.has_drained(parent.segment):
                stuck += [parent.segment] * bool(in_trouble)
            elif any(parent.key_range.intersection(each) for each in failing):
                stuck.append(parent.segment)
        return stuck

    def _order(self, under_way: ChangeUnderWay, now_ns: int) -> list[Effect]:
        under_way.ordered_ns = now_ns
        body = encode(OrderMessage(self._order_of(under_way), self._announcer.routes))
        frames = (Header(Op.CHANGE).encode(), body)
        members = [self._membership.of_worker(worker) for worker in sorted(under_way.change.workers)]
        return [Send(WORKERS, each.peer, frames) for each in members if each and each.state is not MemberState.DOWN]

    def _order_of(self, under_way: ChangeUnderWay) -> Order:
        change = under_way.change
        routes = [self._table.current.route_of_segment(child.segment) for child in change.children]
        epochs = {int(route.segment): int(route.epoch) for route in routes if route is not None}
        windows = under_way.windows if under_way.knows_windows else {}
        gone = sorted(under_way.gone)
        return Order(change, epochs, windows, under_way.is_drained, self._full_disk(change), under_way.clock_ms, gone)

    def _full_disk(self, change: Change) -> str:
        """What keeps the parents from being drained because a disk is full; empty if nothing does."""
        members = [self._membership.of_worker(parent.worker) for parent in change.parents]
        return next((each.full_disk for each in members if each and each.full_disk), "")

    def _end(self, under_way: ChangeUnderWay) -> list[Effect]:
        change = under_way.change
        for each in change.abandoned:
            set_aside(self._filesystem, each.segment)
        self._table.publish_end(change)
        del self._under_way[change.number]
        self.done += 1
        announced = self._announcer.announce()
        members = [self._membership.of_worker(worker) for worker in sorted(change.workers)]
        retired = [
            self._retire(
                each.peer,
                change.number,
                [parent.segment for parent in change.parents if parent.worker == each.worker],
            )
            for each in members
            if each and each.state is not MemberState.DOWN
        ]
        return [*retired, *announced]

    def _retire(self, peer: bytes, change: int, segments: Sequence[int]) -> Send:
        body = encode(Retire(change, sorted(set(segments)), self._announcer.routes))
        return Send(WORKERS, peer, (Header(Op.RETIRE).encode(), body))
