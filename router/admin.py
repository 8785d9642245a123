"""Handles ADMIN, the requests of operators about ranges and workers. See shardstore/wire/admin_messages.py.

The reply to a change comes when the change is done, which may take a drain. The reply to `drain_worker` comes when the
worker is removed. A retry with the same id waits for the same result, or gets the same reply again.

After a restart the router no longer knows the earlier requests, though it may still carry them out. It refuses a retry
with TOO_OLD and begins nothing, since a second merge would merge another range, and a second `add_worker` would add
another worker.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from shardstore.errors import Busy, InvalidRequest
from shardstore.limits import MILLISECOND_NS
from shardstore.router import change_plan
from shardstore.router.balancer import Balancer
from shardstore.router.cluster_state import ClusterState
from shardstore.router.membership import MemberState
from shardstore.router.policies.plan import Plan, PlanKind
from shardstore.router.policies.together import with_prefix
from shardstore.router.replies import accept, refuse
from shardstore.router.topology_changes import TopologyChanges
from shardstore.router.workforce import Workforce
from shardstore.seams.effects import Effect
from shardstore.wire.admin_messages import Action, AdminReply, AdminRequest, PlannedChange, RangeRow
from shardstore.wire.link_names import CLIENTS
from shardstore.wire.messages import Refusal, decode
from shardstore.wire.topology import Change, Resolution
from shardstore.wire.wire_format import Flag, Header, Status

REMEMBERED_MAX = 1_024
ACTIVE = "active"
ASKED_FOR = "asked for"
_REPEATABLE = frozenset((Action.RANGES, Action.CHANGES, Action.KEEP_TOGETHER, Action.LET_SPLIT))
FORGOTTEN = "the router has restarted since the first try; look at the ranges and workers to see what was done"


@dataclass(slots=True)
class OperatorRequest:
    """One request, the peer that waits for it, and its reply.

    `changes_open`: the changes that are not done yet. `leaving`: the worker that is not removed yet. `refusal`: why
    there is no reply but this.
    """

    peer: bytes
    header: Header
    reply: AdminReply
    changes_open: set[int] = field(default_factory=set)
    leaving: int | None = None
    refusal: str = ""

    @property
    def is_open(self) -> bool:
        """Whether the request is not done yet."""
        return bool(self.changes_open) or self.leaving is not None

    def answer(self) -> Effect:
        """The reply to the peer."""
        if self.refusal:
            return refuse(CLIENTS, self.peer, self.header, Status.INVALID, Refusal(self.refusal))
        return accept(CLIENTS, self.peer, self.header, self.reply)


class AdminRequests:
    """Handles the requests of operators, and remembers the latest by (client, sequence)."""

    def __init__(
        self, cluster: ClusterState, changes: TopologyChanges, balancer: Balancer, workforce: Workforce
    ) -> None:
        self._table = cluster.table
        self._membership = cluster.membership
        self._changes = changes
        self._balancer = balancer
        self._workforce = workforce
        self._requests: OrderedDict[tuple[int, int], OperatorRequest] = OrderedDict()
        self._change_actions: dict[str, Callable[[AdminRequest, int], list[Plan]]] = {
            Action.SPLIT: self._split,
            Action.MERGE: self._merge,
            Action.MOVE: self._move,
            Action.REBALANCE: self._rebalance,
        }
        self._prefix_actions: dict[str, Callable[[bytes], tuple[bytes, ...]]] = {
            Action.KEEP_TOGETHER: self._with_prefix,
            Action.LET_SPLIT: self._without_prefix,
        }
        self._worker_actions: dict[str, Callable[[bytes, Header, AdminRequest], list[Effect]]] = {
            Action.ADD_WORKER: self._add_worker,
            Action.DRAIN_WORKER: self._drain_worker,
        }

    def handle(self, peer: bytes, header: Header, frames: Sequence[bytes], now_ns: int) -> list[Effect]:
        """Carry out a request, and reply now or when it is done. Raises MalformedMessage, StorageFailure."""
        earlier = self._requests.get((header.client, header.sequence))
        if earlier is not None:
            earlier.peer, earlier.header = peer, header
            return [] if earlier.is_open else [earlier.answer()]
        request = decode(AdminRequest, frames[1])
        if header.flags & Flag.RETRY and not (request.dry_run or request.action in _REPEATABLE):
            return [refuse(CLIENTS, peer, header, Status.TOO_OLD, Refusal(FORGOTTEN))]
        try:
            if request.action == Action.RANGES:
                return [accept(CLIENTS, peer, header, AdminReply(ranges=self._rows()))]
            if request.action == Action.CHANGES:
                return [accept(CLIENTS, peer, header, AdminReply(pending=self._changes.pending()))]
            if request.action == Action.RESOLVE:
                return self._resolve(peer, header, request, now_ns)
            if request.action in self._prefix_actions:
                self._table.publish_together(self._prefix_actions[request.action](request.key))
                return [accept(CLIENTS, peer, header, AdminReply())]
            if request.action in self._worker_actions:
                return self._worker_actions[request.action](peer, header, request)
            if request.action not in self._change_actions:
                raise InvalidRequest(f"unknown action {request.action!r}; the actions are {', '.join(Action)}")
            return self._change(peer, header, request, now_ns)
        except InvalidRequest as error:
            return [refuse(CLIENTS, peer, header, Status.INVALID, Refusal(str(error)))]
        except Busy as busy:
            refusal = Refusal(busy.cause, busy.used, busy.limit)
            return [refuse(CLIENTS, peer, header, Status.BUSY, refusal, busy.retry_after_ns // MILLISECOND_NS)]

    def change_ended(self, change: Change) -> list[Effect]:
        """Note that a change is done, and reply to the requests whose last change it was."""
        effects: list[Effect] = []
        givers = {parent.worker for parent in change.parents}
        for each in self._requests.values():
            if each.leaving in givers:
                each.reply.changes.append(_planned_change(change, change.number, f"worker {each.leaving} leaves"))
            if change.number in each.changes_open:
                each.changes_open.remove(change.number)
                if not each.changes_open:
                    effects.append(each.answer())
        return effects

    def worker_removed(self, worker: int) -> list[Effect]:
        """Note that a worker was removed, and reply to the requests that waited for it."""
        waiting = [each for each in self._requests.values() if each.leaving == worker]
        for each in waiting:
            each.leaving = None
        return [each.answer() for each in waiting]

    def _resolve(self, peer: bytes, header: Header, request: AdminRequest, now_ns: int) -> list[Effect]:
        """Resolve a change. Requests that waited for a change that is cancelled are refused."""
        if request.resolution not in list(Resolution):
            raise InvalidRequest(f"a change is resolved by {' or '.join(Resolution)}, not by {request.resolution!r}")
        how = Resolution(request.resolution)
        found = self._balancer.resolve(request.change, how, request.dry_run, now_ns)
        reason = f"change {request.change} is resolved: {how}"
        planned = [_planned_change(each, each.number, reason) for each in found.following]
        reply = AdminReply(planned, losses=found.losses)
        if request.dry_run:
            return [accept(CLIENTS, peer, header, reply)]
        refused = [] if how is Resolution.COMPLETE else self._change_cancelled(request.change)
        self._remember(OperatorRequest(peer, header, reply, {each.number for each in found.following}))
        return [*found.effects, *refused]

    def _change_cancelled(self, change: int) -> list[Effect]:
        waiting = [each for each in self._requests.values() if change in each.changes_open]
        for each in waiting:
            each.changes_open.clear()
            each.refusal = f"an operator has cancelled change {change}"
        return [each.answer() for each in waiting]

    def _change(self, peer: bytes, header: Header, request: AdminRequest, now_ns: int) -> list[Effect]:
        planned: list[PlannedChange] = []
        effects: list[Effect] = []
        for plan in self._change_actions[request.action](request, now_ns):
            change = change_plan.change_of_plan(self._table.topology, plan)
            planned.append(_planned_change(change, 0 if request.dry_run else change.number, plan.reason))
            if not request.dry_run:
                effects += self._balancer.begin(change, plan.reason, now_ns)
        if request.dry_run or not planned:
            return [accept(CLIENTS, peer, header, AdminReply(planned))]
        self._remember(OperatorRequest(peer, header, AdminReply(planned), {change.number for change in planned}))
        return effects

    def _remember(self, request: OperatorRequest) -> None:
        self._requests[request.header.client, request.header.sequence] = request
        while len(self._requests) > REMEMBERED_MAX:
            self._requests.popitem(last=False)

    def _with_prefix(self, prefix: bytes) -> tuple[bytes, ...]:
        topology = self._table.topology
        return with_prefix(topology.together, prefix, topology.map.starts)

    def _without_prefix(self, prefix: bytes) -> tuple[bytes, ...]:
        return tuple(each for each in self._table.topology.together if each != prefix)

    def _split(self, request: AdminRequest, now_ns: int) -> list[Plan]:
        route = self._table.current.route_of(request.key)
        return [Plan(PlanKind.SPLIT, (route.segment,), (int(route.worker),) * 2, ASKED_FOR, (request.key,))]

    def _merge(self, request: AdminRequest, now_ns: int) -> list[Plan]:
        left = self._table.current.route_of(request.key)
        end = self._table.current.range_of(left.segment).end
        right = self._table.current.route_of(end) if end else left
        return [Plan(PlanKind.MERGE, (left.segment, right.segment), (int(left.worker),), ASKED_FOR)]

    def _move(self, request: AdminRequest, now_ns: int) -> list[Plan]:
        member = self._membership.of_worker(request.worker)
        if request.worker in self._table.topology.staying and not (member and member.may_receive):
            state = member.state if member else MemberState.DOWN
            why = f"takes no ranges: {member.trouble}" if member and member.trouble else f"is {state}"
            raise Busy(f"worker {request.worker} {why}", 1, 1, change_plan.CHANGE_RETRY_NS)
        route = self._table.current.route_of(request.key)
        return [Plan(PlanKind.MOVE, (route.segment,), (request.worker,), ASKED_FOR)]

    def _rebalance(self, request: AdminRequest, now_ns: int) -> list[Plan]:
        return self._balancer.rebalance_plans(now_ns)

    def _add_worker(self, peer: bytes, header: Header, request: AdminRequest) -> list[Effect]:
        reply = AdminReply(worker=self._workforce.next_worker())
        effects = [] if request.dry_run else self._workforce.add_worker()
        self._remember(OperatorRequest(peer, header, reply))
        return [*effects, accept(CLIENTS, peer, header, reply)]

    def _drain_worker(self, peer: bytes, header: Header, request: AdminRequest) -> list[Effect]:
        """Mark a worker as leaving; the policies move its ranges. The reply names the moves, once it is removed."""
        if not request.dry_run:
            self._workforce.drain_worker(request.worker)
            self._remember(OperatorRequest(peer, header, AdminReply(worker=request.worker), leaving=request.worker))
            return []
        self._workforce.check_drain(request.worker)
        plans = self._balancer.evacuation_plans(request.worker)
        planned = [
            _planned_change(change_plan.change_of_plan(self._table.topology, plan), 0, plan.reason) for plan in plans
        ]
        return [accept(CLIENTS, peer, header, AdminReply(planned, worker=request.worker))]

    def _rows(self) -> list[RangeRow]:
        stages = self._changes.stages()
        rows = []
        for route in self._table.current:
            load = self._balancer.load_of(route.segment)
            rows.append(
                RangeRow(
                    route.start,
                    self._table.current.range_of(route.segment).end,
                    int(route.segment),
                    int(route.worker),
                    int(route.epoch),
                    load.size_bytes if load else 0,
                    load.operations_per_s if load else 0,
                    str(stages.get(route.segment, ACTIVE)),
                )
            )
        return rows


def _planned_change(change: Change, number: int, reason: str) -> PlannedChange:
    last = change.children[-1]
    return PlannedChange(
        number,
        change.kind,
        [parent.segment for parent in change.parents],
        [child.segment for child in change.children],
        last.start if len(change.children) > 1 else b"",
        last.worker,
        reason,
    )
