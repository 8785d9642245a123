"""The core of the router: takes messages, failed sends, ticks and stop requests, and returns effects.

    clients --> HELLO, ROUTES, STATS         handled here
                ADMIN                        admin.py: requests of operators
                routed operations            dispatch.py: to the worker that owns the segment
    workers --> REGISTER, READY, HEARTBEAT   registrar.py
                PROGRESS                     topology_changes.py: the progress of a change at this worker
                LOAD                         balancer.py: load reports
                GET                          dispatch.py: from the owner of a child to the owner of its parent
                replies                      dispatch.py: to the client that waits

The core accepts, refuses, or ignores and counts each message. No message raises an exception out of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from shardstore.access.rights import allows, denial
from shardstore.client_role import ADMIN
from shardstore.errors import InvalidRequest, NotWritable, StorageFailure
from shardstore.identifiers import tag_of_store
from shardstore.limits import CREDITS, MILLISECOND_NS, SECOND_NS
from shardstore.options import RouterOptions
from shardstore.router.admin import AdminRequests
from shardstore.router.announcer import Announcer
from shardstore.router.balancer import Balancer
from shardstore.router.budget import Budget
from shardstore.router.cluster_state import ClusterState
from shardstore.router.dispatch import Dispatch
from shardstore.router.known_clients import KnownClients
from shardstore.router.membership import Membership
from shardstore.router.registrar import Registrar
from shardstore.router.replies import accept, refuse
from shardstore.router.route_table import open_route_table
from shardstore.router.topology_changes import TopologyChanges
from shardstore.router.workforce import Workforce
from shardstore.seams.effects import Effect, PeerGone, Received, Send, SendFailed, Stop, StopRequested, Tick
from shardstore.seams.entropy import Entropy
from shardstore.seams.filesystem import Filesystem
from shardstore.wire.link_names import CLIENTS, WORKERS
from shardstore.wire.messages import Hello, Refusal, Statistics, Welcome, decode
from shardstore.wire.wire_format import (
    ROUTED,
    Header,
    MalformedMessage,
    Op,
    Status,
    decode_header,
    decode_message,
)

TICK_NS = 250 * MILLISECOND_NS
TICK_NS_MIN = 50 * MILLISECOND_NS
STOP_NS_MAX = 2 * SECOND_NS
"""The maximum time that a stop waits for requests in flight."""

RequestHandler: TypeAlias = Callable[[bytes, Header, list[bytes], int], list[Effect]]


class RouterCore:
    """The router of one store. The constructor raises Corruption, InvalidRequest or StorageFailure."""

    def __init__(self, filesystem: Filesystem, entropy: Entropy, options: RouterOptions) -> None:
        self._options = options
        self._tag = tag_of_store(options.store)
        self._table = open_route_table(
            filesystem, options.store, options.boundaries, options.workers, options.workers_asked
        )
        self._membership = Membership()
        self._budget = Budget(options.memory, self._table.topology.workers)
        cluster = ClusterState(self._table, self._membership, self._budget, 1 + entropy.below(2**63))
        self._clients = KnownClients(entropy)
        self._announcer = Announcer(cluster, self._clients)
        self._dispatch = Dispatch(cluster, self._announcer, options.memory.in_flight_bytes)
        self._changes = TopologyChanges(cluster, self._announcer)
        self._balancer = Balancer(cluster, self._changes, options.topology)
        self._registrar = Registrar(cluster, self._announcer, self._dispatch, self._changes)
        self._workforce = Workforce(cluster)
        self._admin = AdminRequests(cluster, self._changes, self._balancer, self._workforce)
        self._requests = [0] * (max(Op) + 1)
        self._malformed = self._denied = 0
        self._ticked_ns = 0
        self._due_ns: int | None = None
        """When the next Tick is due, as of the latest event that was more than a message to pass on."""
        self._stop_by_ns: int | None = None
        self._handlers: dict[type, Callable[[Any, int], list[Effect]]] = {
            SendFailed: self._gone,
            PeerGone: self._gone,
            Tick: self._tick,
            StopRequested: self._stop_requested,
        }
        self._from_clients = self._client_operations()
        self._from_workers = self._worker_operations()

    def start(self, now_ns: int) -> list[Effect]:
        """Begin to serve: report which workers must run."""
        self._ticked_ns = now_ns
        self._note_due()
        return [self._workforce.report()]

    def handle(self, event: Any, now_ns: int) -> list[Effect]:
        """Take one event and return its effects."""
        if type(event) is Received:
            effects = self._received(event, now_ns)
        else:
            effects = self._handlers[type(event)](event, now_ns)
            self._note_due()
        if self._stop_by_ns is not None and (not self._dispatch.in_flight or now_ns >= self._stop_by_ns):
            effects = [*effects, Stop()]
        return effects

    def end_turn(self, now_ns: int) -> list[Effect]:
        """Nothing: every event does what it makes due."""
        return []

    def wakeup_ns(self) -> int | None:
        """The time of the next Tick, earlier if the policies are due. None if no worker needs one."""
        return self._due_ns

    def check_invariants(self) -> None:
        """Raise AssertionError if an invariant of the parts does not hold. The route table is checked by itself."""
        self._membership.check_invariants()
        self._clients.check_invariants()
        self._changes.check_invariants()
        self._budget.check_invariants()
        self._dispatch.in_flight.check_invariants()

    def _client_operations(self) -> dict[int, RequestHandler]:
        return {
            **dict.fromkeys(ROUTED, self._dispatch.forward),
            Op.STATS: self._stats,
            Op.HELLO: self._hello,
            Op.ROUTES: self._routes,
            Op.ADMIN: self._admin.handle,
        }

    def _worker_operations(self) -> dict[int, RequestHandler]:
        return {
            Op.REGISTER: self._registrar.register,
            Op.READY: self._registrar.ready,
            Op.HEARTBEAT: self._registrar.heartbeat,
            Op.PROGRESS: self._progress,
            Op.LOAD: self._balancer.take_report,
            Op.GET: self._dispatch.forward_to_parent,
        }

    def _note_due(self) -> None:
        """Note when the next Tick is due. Requests are in flight to workers that are up only, so these need no look."""
        if not self._membership:
            self._due_ns = None
            return
        balancer_ns = self._balancer.wakeup_ns()
        due_ns = self._ticked_ns + TICK_NS
        self._due_ns = due_ns if balancer_ns is None else min(due_ns, max(balancer_ns, self._ticked_ns + TICK_NS_MIN))

    def _received(self, event: Received, now_ns: int) -> list[Effect]:
        frames = event.frames
        try:
            header = decode_message(frames)
            if event.link == CLIENTS:
                return self._client_request(event.peer, event.role, header, frames, now_ns)
            if header.status:
                return self._dispatch.return_reply(event.peer, header, frames)
            effects = self._worker_request(event.peer, header, frames, now_ns)
            self._note_due()
            return effects
        except MalformedMessage as error:
            self._malformed += 1
            return _refuse_malformed(event, str(error))

    def _client_request(self, peer: bytes, role: int, header: Header, frames: list[bytes], now_ns: int) -> list[Effect]:
        op = header.op
        handler = self._from_clients.get(op)
        if header.status or handler is None:
            raise MalformedMessage("not an operation for clients")
        self._requests[op] += 1
        if role != ADMIN and not allows(role, op):
            self._denied += 1
            return [refuse(CLIENTS, peer, header, Status.DENIED, Refusal(denial(role, op)))]
        if header.store and header.store != self._tag:
            other = f"this is store {self._options.store}, on {self._options.data}"
            return [refuse(CLIENTS, peer, header, Status.OTHER_STORE, Refusal(other))]
        if header.client:
            self._clients.learn(header.client, peer)
        if self._stop_by_ns is not None:
            return [refuse(CLIENTS, peer, header, Status.CLOSED, Refusal("the router is stopping"))]
        try:
            effects = handler(peer, header, frames, now_ns)
            if op not in ROUTED:
                self._note_due()
            return effects
        except NotWritable as error:
            return [refuse(CLIENTS, peer, header, Status.FAILED, Refusal(str(error)))]
        except StorageFailure as error:
            return [Stop(f"the route map could not be published: {error}")]

    def _worker_request(self, peer: bytes, header: Header, frames: list[bytes], now_ns: int) -> list[Effect]:
        handler = self._from_workers.get(header.op)
        if handler is None:
            raise MalformedMessage("not an operation for workers")
        self._requests[header.op] += 1
        try:
            return handler(peer, header, frames, now_ns)
        except InvalidRequest as error:
            return [refuse(WORKERS, peer, header, Status.INVALID, Refusal(str(error)))]
        except NotWritable as error:
            return [refuse(WORKERS, peer, header, Status.FAILED, Refusal(str(error)))]
        except StorageFailure as error:  # only a restart shows what the file holds now
            return [Stop(f"the route map could not be published: {error}")]

    def _hello(self, peer: bytes, header: Header, frames: list[bytes], now_ns: int) -> list[Effect]:
        decode(Hello, frames[1])
        client = self._clients.issue(peer)
        welcome = Welcome(client, self._options.store, self._announcer.routes, self._options.data)
        return [accept(CLIENTS, peer, header, welcome)]

    def _routes(self, peer: bytes, header: Header, frames: list[bytes], now_ns: int) -> list[Effect]:
        return [Send(CLIENTS, peer, [header.reply(Status.OK, credits=CREDITS).encode(), self._announcer.routes])]

    def _progress(self, peer: bytes, header: Header, frames: list[bytes], now_ns: int) -> list[Effect]:
        effects, ended = self._changes.progress(peer, header, frames, now_ns)
        return effects if ended is None else [*effects, *self._admin.change_ended(ended)]

    def _stats(self, peer: bytes, header: Header, frames: list[bytes], now_ns: int) -> list[Effect]:
        if header.epoch:
            return self._dispatch.forward(peer, header, frames, now_ns)
        return [accept(CLIENTS, peer, header, Statistics(self._statistics(now_ns)))]

    def _statistics(self, now_ns: int) -> dict[str, Any]:
        return {
            "requests": {Op(op).name.lower(): count for op, count in enumerate(self._requests) if count},
            "requests_in_flight": len(self._dispatch.in_flight),
            "bytes_in_flight": self._dispatch.in_flight.size_bytes(),
            "messages_malformed": self._malformed,
            "requests_denied": self._denied,
            "replies_unmatched": self._dispatch.replies_unmatched,
            "clients": len(self._clients),
            "store": self._options.store,
            "map_version": self._table.current.version,
            "ranges": len(self._table.current.routes),
            "changes": self._changes.statistics(now_ns),
            "unsplittable": self._balancer.unsplittable,
            "budget": self._budget.statistics(),
            "stalls": self._dispatch.stalls.statistics(now_ns),
            "workers": {
                member.worker: {
                    "state": member.state.value,
                    "failure": member.failure,
                    "heard_ago_ns": now_ns - member.heard_ns,
                    "processes": member.processes,
                    "leaving": member.worker in self._table.topology.leaving,
                    "pressure": member.pressure,
                    "bytes_in_flight": self._dispatch.in_flight.load_of(member.worker).size_bytes,
                }
                for member in self._membership.members()
            },
        }

    def _gone(self, event: SendFailed | PeerGone, now_ns: int) -> list[Effect]:
        if event.link == WORKERS:
            return self._registrar.lose_peer(event.peer)
        self._clients.forget_peer(event.peer)
        return []

    def _tick(self, event: Tick, now_ns: int) -> list[Effect]:
        self._ticked_ns = now_ns
        self._dispatch.tick(now_ns)
        effects = [*self._registrar.tick(now_ns), *self._changes.tick(now_ns)]
        try:
            effects += self._remove_empty_workers(now_ns)
            effects += self._balancer.tick(now_ns)
        except NotWritable:  # nothing was published; the next tick tries again
            pass
        except StorageFailure as error:
            effects.append(Stop(f"the route map could not be published: {error}"))
        return effects

    def _remove_empty_workers(self, now_ns: int) -> list[Effect]:
        removed = self._workforce.remove_empty(now_ns)
        if not removed:
            return []
        dismissed = [effect for worker in removed for effect in self._registrar.dismiss(worker)]
        replies = [effect for worker in removed for effect in self._admin.worker_removed(worker)]
        return [*dismissed, self._workforce.report(), *replies]

    def _stop_requested(self, event: StopRequested, now_ns: int) -> list[Effect]:
        if self._stop_by_ns is None:
            self._stop_by_ns = now_ns + STOP_NS_MAX
        return []


def _refuse_malformed(event: Received, flaw: str) -> list[Effect]:
    """Refuse a malformed request with INVALID, if its header is readable. Malformed replies get no reply."""
    try:
        header = decode_header(event.frames[0])
    except (IndexError, MalformedMessage):
        return []
    if header.status != Status.NONE:
        return []
    return [refuse(event.link, event.peer, header, Status.INVALID, Refusal(flaw))]
