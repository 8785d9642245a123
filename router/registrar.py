"""Registration, readiness, heartbeats and failure of workers.

REGISTER    makes new epochs and the life of the worker's log durable, then grants them. The same process gets the same
            reply again. A process whose log is not the newest gets the life of the newest log
READY       the worker has all its segments on disk. It is up now, even if it accepts no writes or refuses everything
HEARTBEAT   the worker is alive, and reports what it buffers (budget.py). A heartbeat of an unknown peer is refused, and
            the worker registers again
silence     a worker is down if it sends nothing for five seconds, or if a message to it cannot be delivered
"""

from __future__ import annotations

from collections.abc import Sequence

from shardstore.errors import InvalidRequest
from shardstore.identifiers import WorkerId, is_later_life
from shardstore.router import ownership
from shardstore.router.announcer import Announcer
from shardstore.router.cluster_state import ClusterState
from shardstore.router.dispatch import Dispatch
from shardstore.router.membership import SILENCE_NS_MAX, Member, MemberState
from shardstore.router.replies import accept, refuse
from shardstore.router.topology_changes import TopologyChanges
from shardstore.seams.effects import Effect
from shardstore.wire.link_names import WORKERS
from shardstore.wire.messages import Assignments, Heartbeat, Ready, Refusal, Register, decode
from shardstore.wire.wire_format import Header, Status


class Registrar:
    """Keeps the membership up to date, grants epochs and renews leases."""

    def __init__(
        self, cluster: ClusterState, announcer: Announcer, dispatch: Dispatch, changes: TopologyChanges
    ) -> None:
        self._table = cluster.table
        self._membership = cluster.membership
        self._budget = cluster.budget
        self._router_life = cluster.router_life
        self._announcer = announcer
        self._dispatch = dispatch
        self._changes = changes
        self._ticked_ns = 0

    def register(self, peer: bytes, request: Header, frames: Sequence[bytes], now_ns: int) -> list[Effect]:
        """Register a worker's process in place of any former one.

        Raises InvalidRequest, for example for a worker that was removed, MalformedMessage, StorageFailure.
        """
        registration = decode(Register, frames[1])
        self._check(registration)
        if self._is_repeated(peer, registration):
            return [self._assign(peer, request, registration)]
        granted = ownership.routes_with_new_epochs(self._table.current, registration)
        known_life = self._table.topology.lives.get(registration.worker, 0)
        is_new_life = not registration.failure and is_later_life(registration.life, known_life)
        if granted or is_new_life:
            self._table.publish(granted, {registration.worker: registration.life} if is_new_life else None)
        former = [self._membership.of_worker(registration.worker), self._membership.of_peer(peer)]
        abandoned = [effect for member in former if member is not None for effect in self._lose(member)]
        opens_nothing = bool(registration.failure) and not registration.life  # it cannot read its log
        self._membership.join(
            WorkerId(registration.worker), peer, registration.endpoint, now_ns, registration.failure, opens_nothing
        )
        self._changes.note_process(registration.worker)
        self._budget.join(registration.worker, request.sequence)
        announced = self._announcer.announce()
        return [*abandoned, self._assign(peer, request, registration), *announced]

    def ready(self, peer: bytes, request: Header, frames: Sequence[bytes], now_ns: int) -> list[Effect]:
        """Mark a worker as up, so that it gets requests. Raises MalformedMessage, StorageFailure."""
        serving = decode(Ready, frames[1]).serving
        member = self._membership.of_peer(peer)
        if member is None or not ownership.serves_the_map(self._table.current, member.worker, serving):
            return [self._register_again(peer, request)]
        created = ownership.newly_created_routes(self._table.current, member.worker, self._changes.children())
        if created and not member.failure:
            self._table.publish(created)
        member.state = MemberState.UP
        member.heard_ns = now_ns
        return [accept(WORKERS, peer, request), *self._announcer.announce()]

    def heartbeat(self, peer: bytes, request: Header, frames: Sequence[bytes], now_ns: int) -> list[Effect]:
        """Take in a heartbeat, and reply with the worker's new lease. Raises MalformedMessage.

        A worker that is not up here but sends heartbeats must register again: its READY, or the reply to its REGISTER,
        was lost.
        """
        beat = decode(Heartbeat, frames[1])
        member = self._membership.of_peer(peer)
        known = member is not None and member.worker == beat.worker and member.state is MemberState.UP
        if member is None or not known or beat.router != self._router_life:
            return [self._register_again(peer, request)]
        member.heard_ns = member.heartbeat_ns = now_ns
        member.pressure = beat.pressure
        member.scans = beat.scans
        member.full_disk = beat.full_disk
        lease = self._budget.renew_lease(member.worker, request.sequence, beat.report)
        if member.worker in self._budget.short:
            self._dispatch.stalls.refused(f"the budget has no memory left for worker {member.worker}", now_ns)
        return [accept(WORKERS, peer, request, lease)]

    def lose_peer(self, peer: bytes) -> list[Effect]:
        """Mark the worker of a peer that cannot be reached as down."""
        member = self._membership.of_peer(peer)
        return [] if member is None else [*self._lose(member), *self._announcer.announce()]

    def dismiss(self, worker: int) -> list[Effect]:
        """Forget a worker that was removed from the store."""
        self._budget.forget(worker)
        member = self._membership.of_worker(worker)
        if member is None:
            return []
        abandoned = self._lose(member)
        self._membership.forget(member)
        return [*abandoned, *self._announcer.announce()]

    def tick(self, now_ns: int) -> list[Effect]:
        """Mark workers as down that were silent for too long."""
        if now_ns - self._ticked_ns > SILENCE_NS_MAX // 2:  # this process was paused and received nothing
            self._membership.hear_all(now_ns)
        self._ticked_ns = now_ns
        silent = self._membership.silent(now_ns)
        abandoned = [effect for member in silent for effect in self._lose(member)]
        return [*abandoned, *self._announcer.announce()] if silent else []

    def _is_repeated(self, peer: bytes, registration: Register) -> bool:
        """Whether this process has already been granted its epochs, and repeats its request."""
        member = self._membership.of_peer(peer)
        same = member is not None and member.worker == registration.worker and member.state is MemberState.JOINING
        return same and not registration.serving

    def _assign(self, peer: bytes, request: Header, registration: Register) -> Effect:
        ranges = ownership.assignments(self._table.current, WorkerId(registration.worker))
        orders = self._changes.orders_of(registration.worker)
        retired = self._changes.unneeded([*registration.known])
        topology = self._table.topology
        life = topology.lives.get(registration.worker, 0)
        routes = self._announcer.routes
        assignments = Assignments(ranges, routes, self._router_life, topology.segment_next, orders, retired, life)
        return accept(WORKERS, peer, request, assignments)

    def _lose(self, member: Member) -> list[Effect]:
        if member.state is MemberState.DOWN:
            return []
        self._membership.lose(member)
        self._budget.lose(member.worker)
        return self._dispatch.abandon(member.worker)

    def _register_again(self, peer: bytes, request: Header) -> Effect:
        refusal = Refusal("register again", routes=self._announcer.routes)
        return refuse(WORKERS, peer, request, Status.STALE_ROUTE, refusal)

    def _check(self, registration: Register) -> None:
        if registration.worker not in self._table.topology.workers:
            raise InvalidRequest(f"this store has no worker {registration.worker}")
        for route in ownership.routes_of(self._table.current, registration.worker):
            if not 0 <= ownership.highest_known_epoch(registration, route.segment) < ownership.EPOCH_MAX:
                raise InvalidRequest(f"no epoch of segment {route.segment} can follow the reported one")
