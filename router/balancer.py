"""Begins topology changes: those that operators request, and those that the policies plan from load reports."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from shardstore.errors import Busy, InvalidRequest
from shardstore.limits import MILLISECOND_NS, SECOND_NS
from shardstore.router import change_plan, ownership
from shardstore.router.cluster_state import ClusterState
from shardstore.router.load_table import LoadTable
from shardstore.router.policies import topology_policy
from shardstore.router.policies.history import History
from shardstore.router.policies.loads import StoreLoad, WorkerLoad
from shardstore.router.policies.merge_policy import warm_ranges
from shardstore.router.policies.plan import Plan, PlanKind
from shardstore.router.policies.rebalance_policy import evacuations, moves
from shardstore.router.topology_changes import Resolved, TopologyChanges
from shardstore.seams.effects import Effect
from shardstore.topology_options import TopologyOptions
from shardstore.wire.load_report import LoadReport, RangeReport
from shardstore.wire.messages import decode
from shardstore.wire.topology import Change, Resolution
from shardstore.wire.wire_format import Header

POLICY_INTERVAL_NS = 100 * MILLISECOND_NS
LOOK_RANGE_NS = 2 * MILLISECOND_NS
"""The policies run after a report, at the earliest POLICY_INTERVAL_NS + LOOK_RANGE_NS for each range after their last
run. This bounds the share of the router's time that they take."""
LEAVING_LOOK_NS = SECOND_NS
"""The time between two runs of the policies while a worker leaves, with or without a report."""
UNSPLITTABLE_MAX = 16


class Balancer:
    """Spreads the load of one store. `unsplittable`: why the latest ranges that were found so cannot be split."""

    def __init__(self, cluster: ClusterState, changes: TopologyChanges, options: TopologyOptions) -> None:
        self._table = cluster.table
        self._membership = cluster.membership
        self._changes = changes
        self._options = options
        self._loads = LoadTable()
        self._history: History | None = None
        self._looked_ns = 0
        self._has_news = False
        self.unsplittable: list[str] = []

    def take_report(self, peer: bytes, request: Header, frames: Sequence[bytes], now_ns: int) -> list[Effect]:
        """Record the load report of a worker. Raises MalformedMessage."""
        report = decode(LoadReport, frames[1])
        member = self._membership.of_peer(peer)
        if member is not None and member.worker == report.worker:
            self._loads.note(report, self._table.current)
            self._has_news = True
        return []

    def wakeup_ns(self) -> int | None:
        """The time at which the policies should run; None until there is a report."""
        if self._table.topology.leaving:
            return self._looked_ns + LEAVING_LOOK_NS
        if not self._has_news:
            return None
        return self._looked_ns + POLICY_INTERVAL_NS + LOOK_RANGE_NS * len(self._table.current.routes)

    def tick(self, now_ns: int) -> list[Effect]:
        """Run the policies if they are due, and begin what they plan. Raises StorageFailure."""
        if self._history is None:
            self._history = History(now_ns)
        due_ns = self.wakeup_ns()
        if due_ns is None or now_ns < due_ns:
            return []
        self._looked_ns, self._has_news = now_ns, False
        loads = self._store_load()
        self._history.note_warm(warm_ranges(loads), now_ns)
        plans, unsplittable = topology_policy.choose_changes(loads, self._history, self._options, now_ns)
        for each in unsplittable:
            self._history.note_unsplittable(each, now_ns)
            self.unsplittable = [*self.unsplittable, f"segment {each.segment}: {each.reason}"][-UNSPLITTABLE_MAX:]
        return [effect for plan in plans for effect in self._begin_planned(plan, now_ns)]

    def begin(self, change: Change, reason: str, now_ns: int) -> list[Effect]:
        """Begin a change, and note it so that the policies leave its ranges alone for a while.

        Raises NotWritable, with nothing changed, and StorageFailure.
        """
        effects = self._changes.begin(change, reason, now_ns)
        self._note(change, now_ns)
        return effects

    def resolve(self, number: int, how: Resolution, dry_run: bool, now_ns: int) -> Resolved:
        """Resolve a change as TopologyChanges.resolve does, and note what takes its place."""
        found = self._changes.resolve(number, how, dry_run, now_ns)
        others = [] if dry_run else [each for each in found.following if each.number != number]
        for each in others:
            self._note(each, now_ns)
        return found

    def rebalance_plans(self, now_ns: int) -> list[Plan]:
        """The moves that would even out the load of the workers now."""
        return moves(self._store_load(), self._history or History(now_ns), self._options, now_ns)

    def evacuation_plans(self, worker: int) -> list[Plan]:
        """The moves that would empty a worker if it left now."""
        owned = {route.segment for route in ownership.routes_of(self._table.current, worker)}
        return [plan for plan in evacuations(self._store_load([worker])) if owned.issuperset(plan.segments)]

    def load_of(self, segment: int) -> RangeReport | None:
        """The latest report of a range; None if there is none."""
        return self._loads.report_of(segment)

    def _note(self, change: Change, now_ns: int) -> None:
        """Note a change that has begun, so that the policies leave its ranges alone for a while."""
        self._loads.inherit(change)
        if self._history is not None:
            parents = [parent.segment for parent in change.parents]
            children = [child.segment for child in change.children]
            self._history.note_change(PlanKind(change.kind), parents, children, now_ns)

    def _begin_planned(self, plan: Plan, now_ns: int) -> list[Effect]:
        try:
            change = change_plan.change_of_plan(self._table.topology, plan)
        except (InvalidRequest, Busy):  # the map has changed since the report: the next run plans again
            return []
        return self.begin(change, plan.reason, now_ns)

    def _store_load(self, leaving_too: Collection[int] = ()) -> StoreLoad:
        topology = self._table.topology
        leaving = {*topology.leaving, *leaving_too}
        workers = [
            WorkerLoad(member.worker, member.may_receive, member.worker in leaving)
            for member in self._membership.members()
        ]
        changing = {relative.segment for change in topology.changes for relative in (*change.parents, *change.children)}
        return self._loads.store_load(topology.map, workers, changing, len(topology.changes), topology.together)
