"""The client without input and output: calls and messages in, messages and settled calls out.

    call --requests_of_calls--> requests --> lane of each segment --credit of its worker--> message
                                                  ^                                            |
                                                  +-- sent again: refused, stale, lost, unanswered <-- reply, timer

Every request ends: with its reply, with a final refusal, or when no call waits for it any more. Every call ends by its
deadline: a write that may have been applied with OutcomeUnknown, any other call with its latest refusal, or with
Unavailable. A write that is sent again keeps its id, and its segment remembers the ids that it has applied.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from shardstore.client.calls.batch_pieces import Boundaries
from shardstore.client.calls.calls import HELD_NS, Call, EndScan, GetStats, ScanPage, Single, is_write
from shardstore.client.session import endings, replies
from shardstore.client.session.collector import Collector
from shardstore.client.session.effects import Abandon, Await, NewCalls, SessionEffect, SessionEvent
from shardstore.client.session.lane_map import LaneMap
from shardstore.client.session.lanes import Channel, Lane, Request, RequestState
from shardstore.client.session.link_changes import LinkChange, LinkChanges
from shardstore.client.session.refusals import RefusedReply
from shardstore.client.session.requests_of_calls import requests_for
from shardstore.client.session.router_contact import RouterContact
from shardstore.client.session.sender import BACK_OFF_NS, CHANGE_BACK_OFF_NS, Sender
from shardstore.client.session.succession import Succession
from shardstore.client.session.timers import Timers
from shardstore.client.session.whereabouts import Finder
from shardstore.client.session.writer_pace import PRESSURE_FREE, slowness_after
from shardstore.errors import InvalidRequest, ScanInvalidated, ShardstoreError
from shardstore.seams.effects import LinkDenied, LinkDown, LinkUp, Received, SendFailed, Tick
from shardstore.seams.entropy import Entropy
from shardstore.wire.columns import InvalidColumn
from shardstore.wire.messages import Routes, decode
from shardstore.wire.route_map import RouteMap
from shardstore.wire.wire_format import (
    WRITES,
    Flag,
    Header,
    MalformedMessage,
    Op,
    Status,
    decode_reply,
)

_OK = int(Status.OK)
_GET = Op.GET
_OF_ROUTER = frozenset((Op.ROUTES, Op.HELLO))
_OWNER_LOST = "the worker that answered for the range when the scan came there no longer owns it"
FollowRoutes: TypeAlias = Callable[[str, RouteMap, Boundaries], None]
"""Is told the identity of the store and the routes, whenever newer ones came."""


class Session:
    """One client's side of the protocol. Counts replies that come too `late`, and `malformed` ones."""

    def __init__(
        self, finder: Finder, entropy: Entropy, direct: bool, reach: Callable[[str], str], follow: FollowRoutes
    ) -> None:
        self._timers = Timers()
        self._lane_map = LaneMap(direct, reach)
        self._sender = Sender(self._timers, entropy)
        self._succession = Succession(self._lane_map, self._sender, self._settle, self._fail)
        self._collector = Collector(self._settle, self._fail, self._submit, self._succession)
        self._contact = RouterContact(finder, self._timers, self._sender, self._fail, self._send_again)
        self._links = LinkChanges(self._lane_map, self._sender, self._contact, self._send_again)
        self._follow = follow
        self._effects: list[SessionEffect] = []
        self._now_ns = 0
        self.wakeup_ns: Callable[[], int | None] = self._timers.wakeup_ns
        """When the session wants its next Tick."""
        self.late = 0
        self.malformed = 0
        self._handlers: dict[type, Callable[[Any], None]] = {
            list: self._submit,
            Abandon: self._abandon,
            Await: self._await,
            Received: self._received,
            **dict.fromkeys((SendFailed, LinkUp, LinkDown, LinkDenied), self._link_changed),
            Tick: self._tick,
        }

    def start(self, now_ns: int) -> list[SessionEffect]:
        """The effects before the first event."""
        return [*self._contact.start(now_ns)]

    def handle(self, event: SessionEvent, now_ns: int) -> list[SessionEffect]:
        """Handle one event. Returns the effects."""
        self._now_ns = now_ns
        self._effects = []
        self._handlers[type(event)](event)
        if self._sender.touched:
            self._send_ready()
        return self._effects

    def _send_ready(self) -> None:
        """Send what credits allow, and look for the router if some of it is kept for a router."""
        self._effects += self._sender.send_ready(self._contact.client, self._now_ns)
        if self._sender.kept_some:
            self._sender.kept_some = False
            self._effects += self._contact.check_router(self._now_ns)
            self._effects += self._sender.send_ready(self._contact.client, self._now_ns)

    def check_invariants(self) -> None:
        """Raise AssertionError if an invariant of a part of the session does not hold."""
        self._timers.check_invariants()
        self._lane_map.check_invariants()
        lanes = (*self._lane_map.lanes, self._lane_map.router_lane)
        channels = (*self._lane_map.channels.values(), self._lane_map.router_lane.channel)
        for lane in lanes:
            lane.check_invariants()
        for channel in channels:
            channel.check_invariants()
        self._sender.check_invariants(channels)

    # Calls

    def _submit(self, calls: NewCalls) -> None:
        """Start the time of each call. A lone single operation is sent at once if possible; others wait their turn."""
        now_ns, lane_map = self._now_ns, self._lane_map
        known = lane_map.known
        for call in calls:
            if call.settled:  # abandoned meanwhile
                continue
            call.deadline_ns = now_ns + (HELD_NS if call.held else call.timeout_ns)
            if known and type(call) is Single and len(calls) == 1:
                lane = lane_map.lane_of(call.key)
                send = self._sender.send_alone(lane, call, self._contact.client, now_ns)
                if send is not None:
                    self._effects.append(send)
                    return
            self._timers.set(call, call.deadline_ns)
            if known:
                self._route(call)
            else:
                self._effects += self._contact.keep_until_routed(call, now_ns)

    def _route(self, call: Call) -> None:
        """Queue the requests of a call in the lanes of their segments."""
        if type(call) is Single:
            lane = self._lane_map.lane_of(call.key)
            if not call.fails_when_busy or self._lets_in(lane, call):
                lane.add(call)
                self._sender.offer(lane)
            return
        try:
            requests = requests_for(call, self._lane_map)
        except InvalidRequest as divided:
            self._fail(call, divided)
            return
        call.add_parts(len(requests) - 1)
        if not requests:
            self._settle(call)
        if call.fails_when_busy and not all(self._lets_in(request.lane, call) for request in requests):
            return
        for request in requests:
            request.lane.add(request)
            self._sender.offer(request.lane)

    def _lets_in(self, lane: Lane, call: Call) -> bool:
        """Whether a write that fails when busy may be queued; if not, it fails here. It ends a pause of the lane."""
        if lane.turns and lane.turns[0].waits_for_room() and lane.refusal is not None:
            self._fail(call, lane.refusal.error())
            return False
        self._sender.end_pause(lane)
        return True

    def _abandon(self, event: Abandon) -> None:
        call = event.call
        if not call.settled and is_write(call):
            call.left = any(request.unanswered for request in self._sender.requests_of(call))
        if not call.left:
            call.settled = True
            self._timers.clear(call)

    def _await(self, event: Await) -> None:
        call = event.call
        call.held = False
        if not call.settled and call.deadline_ns:  # without a deadline it is not submitted yet
            call.deadline_ns = self._now_ns + call.timeout_ns
            self._timers.set(call, call.deadline_ns)

    def _settle(self, call: Call, answer: Any = None, error: Exception | None = None) -> None:
        if not call.settled:
            call.settle(answer, error)
            if call.due_tick:
                self._timers.clear(call)
            self._effects.append(call)

    def _expire(self, call: Call) -> None:
        if type(call) is GetStats and call.results:
            self._settle(call, endings.with_missing_workers(call, self._lane_map))
            return
        requests = self._sender.requests_of(call)
        why_silent = self._contact.why_silent(self._now_ns)
        self._fail(call, endings.error_at_deadline(call, why_silent, self._contact.url, self._lane_map, requests))

    def _fail(self, call: Call, error: Exception) -> None:
        """Settle a call with this error, or with OutcomeUnknown if some of it may have been applied."""
        if not call.settled:
            requests = self._sender.requests_of(call)
            self._settle(call, error=endings.error_of(call, error, self._contact.client, requests))

    def interrupted(self, call: Call, what: str) -> ShardstoreError:
        """The error for a call when this session is discarded, perhaps in the middle of a step."""
        return endings.error_when_interrupted(call, what, self._contact.client, self._sender.requests_of(call))

    # Messages

    def _received(self, event: Received) -> None:
        link, frames = event.link, event.frames
        try:
            header = decode_reply(frames)
            op, _, status, _, credits, _, segment, _, _, client, sequence, _ = tuple(header)  # quicker than its fields
            if op in _OF_ROUTER:
                self._heard_router(header, frames)
                return
            request = self._sender.request_of((sequence, segment))
            if request is None or op != request.op or client != self._contact.client:
                self.late += 1
                self._lane_map.trust(link)  # a late reply to an earlier attempt still shows that the link works
                return
            channel = request.channel
            if credits and credits != channel.credits:
                self._sender.set_credits(channel, credits)
            if link == channel.link:
                channel.direct = channel.connected
            if status == _OK:
                self._answered(request, header, frames)
            else:
                self._refused(request, replies.refused_of(request, header, frames))
        except (MalformedMessage, InvalidColumn):
            self.malformed += 1

    def _answered(self, request: Request, header: Header, frames: list[bytes]) -> None:
        op, calls = request.op, request.calls
        content: Any = None
        if op is _GET:
            content = replies.values_of_reply(request, header, frames[1])
        elif op in replies.WITH_CONTENT:
            content = replies.content_of(request, header, frames)
        request.lane.refusal = None
        if header.pressure > PRESSURE_FREE and op in WRITES:
            self._sender.slow_down(request, header.pressure, self._now_ns)
        if type(calls[0]) is not Single:
            self._collector.take(request, content)
        elif op is not _GET:
            for call in calls:
                self._settle(call, content)
        else:
            for call, value in zip(calls, content, strict=False):
                self._settle(call, value)
            for call in calls[len(content) :]:
                self._route(call)
        self._sender.finish(request)  # last, so that a write is known as sent or as answered if this is interrupted

    def _refused(self, request: Request, refused: RefusedReply) -> None:
        """Handle a refusal. A final one settles the calls; after any other, the request is sent again."""
        status = refused.status
        first = request.calls[0]
        if status is Status.OTHER_STORE:
            self._effects += self._contact.refused_by_another(request, refused.refusal.what, self._now_ns)
            return
        if type(first) is GetStats and status is not Status.STALE_ROUTE:
            self._sender.finish(request)
            self._collector.take(request, {"unavailable": str(refused.error())})
            return
        if status in (Status.INVALID, Status.DENIED):
            request.unanswered -= 1
        if refused.is_final(waits=not request.flags & Flag.NO_WAIT):
            end = self._collector.deny if status is Status.DENIED else self._fail
            for call in request.calls:
                end(call, refused.error())
            self._sender.finish(request)
            return
        if status is not Status.UNKNOWN:
            request.unanswered = max(request.unanswered - 1, 0)
        if status is not Status.STALE_ROUTE:
            request.lane.refusal = refused
        if status is not Status.BUSY:
            self._effects += self._contact.ask(self._now_ns)
        if status is Status.STALE_ROUTE and refused.refusal.routes:
            self._update_routes(decode(Routes, refused.refusal.routes))
        self._ask_again(request, refused)

    def _ask_again(self, request: Request, refused: RefusedReply) -> None:
        """Send a refused request again: to its segment, or to the segments that replace it."""
        status, first = refused.status, request.calls[0]
        if status is Status.BUSY and request.op in WRITES:
            request.lane.slowness = slowness_after(request.lane.slowness, refused=True)
            self._fail_no_wait_callers(request, refused)
        if status is Status.STALE_ROUTE and isinstance(first, ScanPage | EndScan) and first.cursor:
            self._sender.finish(request)
            self._fail(first, ScanInvalidated(None, b"", _OWNER_LOST))
        elif not request.wanted:
            self._sender.finish(request)
        elif request.state is RequestState.SENT and request.lane.heirs and status is not Status.BUSY:
            self._succession.pass_on(request)
        elif request.state is RequestState.SENT:
            first_ns = CHANGE_BACK_OFF_NS if status is Status.STALE_ROUTE else BACK_OFF_NS
            self._sender.delay(request, refused.wait_ns, self._now_ns, first_ns)

    def _fail_no_wait_callers(self, request: Request, refused: RefusedReply) -> None:
        """Fail the writes that do not wait for room: those of a refused request, and those queued in its lane."""
        behind = [waiting.calls[0] if isinstance(waiting, Request) else waiting for waiting in request.lane.writes]
        for call in [*request.calls, *behind]:
            if call.fails_when_busy:
                self._fail(call, refused.error())

    # Routes

    def _heard_router(self, header: Header, frames: list[bytes]) -> None:
        routes, effects = self._contact.heard(header, frames, self._now_ns)
        self._effects += effects
        if routes is not None:
            self._update_routes(routes)

    def _update_routes(self, routes: Routes) -> None:
        """Go over to newer routes, and route the calls that waited for some.

        Requests to the former owner of a segment, or over a dropped link, are sent again. A request whose segment is
        gone still waits for its reply.
        """
        updated = self._lane_map.update(routes)
        if updated is None:
            return
        changes, gone = updated
        self._effects += changes
        dropped = {change.link for change in changes}
        if gone:
            self._succession.pass_on_lanes(gone)
        self._sender.offer_all(self._lane_map.channels.values(), self._lane_map.lanes)
        for request in self._sender.requests():
            lost = request.is_under_way and self._lane_map.is_superseded(request.route) and not request.waits_for_room()
            if lost or request.was_sent_over(dropped):
                self._send_again(request)
        if (route_map := self._lane_map.routes) is not None:
            self._follow(self._contact.store, route_map, self._lane_map.boundaries)
        for call in self._contact.take_waiting():
            self._route(call)

    # Time and links

    def _tick(self, event: Tick) -> None:
        for item in self._timers.take_due(self._now_ns):
            if isinstance(item, Call):
                self._expire(item)
            elif isinstance(item, Request):
                self._due(item)
            elif item is self._sender:
                for request in self._sender.due_alone(self._now_ns):
                    self._due(request)
            elif isinstance(item, Channel):
                item.direct = item.connected
            elif isinstance(item, Lane):
                self._sender.end_pause(item)
            else:
                self._effects += self._contact.on_timer(self._now_ns)

    def _link_changed(self, event: LinkChange) -> None:
        self._effects += self._links.handle(event, self._now_ns)

    def _due(self, request: Request) -> None:
        """Handle the timer of a request. If it got no reply, it is sent again, and the router is asked for routes.

        A direct link is not trusted then. If only the deadline of the call has passed, the request keeps its credit
        until the end of its attempt.
        """
        if request.alone and request.calls[0].deadline_ns <= self._now_ns:
            self._expire(request.calls[0])
        if request.state is RequestState.SENT and self._now_ns < request.attempt_end_ns:
            self._timers.set(request, request.attempt_end_ns)
            return
        if request.state is RequestState.SENT:
            if request.direct:
                self._sender.distrust(request.channel, self._now_ns)
            self._effects += self._contact.ask(self._now_ns)
        if request.wanted:
            self._send_again(request)
        else:
            self._sender.finish(request)

    def _send_again(self, request: Request) -> None:
        """Send a request again once there is a credit; if its segment is gone, to those that have its keys now."""
        if request.lane.heirs:
            self._succession.pass_on(request)
        else:
            self._sender.queue_again(request)
