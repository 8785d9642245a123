"""Moves requests from lanes onto links, and back into lanes when they have to be sent again. See in_flight.py."""

from __future__ import annotations

from collections.abc import Iterable

from shardstore.client.calls import Call, Single
from shardstore.client.in_flight import Request, State
from shardstore.client.lanes import Channel, Lane, single_body
from shardstore.client.pacing import pause_ns, slowness_after
from shardstore.client.routing import ROUTER
from shardstore.client.timers import Timers
from shardstore.effects import Send
from shardstore.entropy import Entropy
from shardstore.limits import DEADLINE_MS_MAX, MILLISECOND_NS, SECOND_NS
from shardstore.wire_format import WRITES, Flag, Header, encode_request

BACK_OFF_NS = 10 * MILLISECOND_NS
BACK_OFF_NS_MAX = 320 * MILLISECOND_NS
BACK_OFF_DOUBLINGS_MAX = 9
CHANGE_BACK_OFF_NS = MILLISECOND_NS
"""While a range changes its segments, which takes a few milliseconds."""
PAUSE_NS_MIN = 2 * MILLISECOND_NS
DIRECT_RETRY_NS = 5 * SECOND_NS
"""A direct way that is still bad then costs some requests an attempt each, a good one is not missed for longer."""
_RETRY = int(Flag.RETRY)


class Sending:
    """All requests that were sent and are not DONE.

    Invariants: a channel's `in_flight` is the number of its SENT requests that are not free, and at most its credits
    when one is sent; of the writes to a lane, or to former ones over its keys, only the first of its `turns` is sent; a
    lane has a timer while it is paused; a request that is SENT or DELAYED has one, and so has each call that waits for
    it unless it is `alone`.
    """

    def __init__(self, timers: Timers, entropy: Entropy) -> None:
        self._timers = timers
        self._entropy = entropy
        self._requests: dict[tuple[int, int], Request] = {}
        self._sequence = 0
        self._touched: list[Channel] = []
        self.router_listens = True
        """Whether it may: while nobody does, what would go to it is kept here, known not to have left."""
        self.kept_some = False
        """Whether something was kept so since this was last cleared."""
        self.store = 0
        """Tag of the store that is meant."""

    def request_of(self, header: Header) -> Request | None:
        """The request that a reply answers, unless it is DONE."""
        return self._requests.get((header.sequence, header.segment))

    def requests(self) -> list[Request]:
        """All requests that were sent and are not DONE, the oldest first."""
        return list(self._requests.values())

    def requests_of(self, call: Call) -> list[Request]:
        """Those of them for which the call waits."""
        return [request for request in self._requests.values() if call in request.calls]

    def offer(self, lane: Lane) -> None:
        """The lane has something to send: put it in its channel's queue."""
        if not lane.offered:
            lane.offered = True
            lane.channel.ready.append(lane)
            self._touched.append(lane.channel)

    def offer_all(self, channels: Iterable[Channel], lanes: Iterable[Lane]) -> None:
        """Lanes may have changed their channels, or come and gone: make the queues anew."""
        offered: list[Lane] = []
        for channel in channels:
            offered += channel.ready
            channel.ready.clear()
        for lane in offered:
            lane.offered = False
        for lane in (*offered, *lanes):
            if lane.sendable():
                self.offer(lane)

    def send_alone(self, lane: Lane, call: Single, client: int, now_ns: int) -> Send | None:
        """Send a single operation at once; None when it has to wait its turn, or may be gathered with others."""
        channel = lane.channel
        if lane.offered or channel.ready or channel.in_flight >= channel.credits:
            return None
        if not (channel.direct or self.router_listens):
            return None
        writes = call.op in WRITES
        if lane.turns and not lane.reads_may_go if not writes else not lane.writes_may_go:
            return None
        flags, body = single_body(call)
        request = Request(lane, call.op, body, flags, 1, [call])
        request.alone = True
        if writes:
            lane.turns.append(request)
        return self._send(request, channel, client, now_ns)

    def send_ready(self, client: int, now_ns: int) -> list[Send]:
        """What credits allow to be sent, the lanes of a channel in turn."""
        sends: list[Send] = []
        while self._touched:
            channel = self._touched.pop()
            while channel.ready and channel.in_flight < channel.credits:
                lane = channel.ready.popleft()
                request = lane.next_request()
                lane.offered = lane.sendable()
                if lane.offered:
                    channel.ready.append(lane)
                if request is not None and request.wanted:
                    if request.can_change and len(request.calls) > 1:
                        lane.leave_out_settled(request)
                    if channel.direct or self.router_listens:
                        sends.append(self._send(request, channel, client, now_ns))
                    else:
                        self._keep(request, now_ns)
                elif request is not None:
                    self.finish(request)
        return sends

    def queue_again(self, request: Request) -> None:
        """Send the request again as soon as there is a credit."""
        self._release(request)
        self._watch_call(request)
        request.state = State.QUEUED
        request.lane.retries.append(request)
        self.offer(request.lane)

    def delay(self, request: Request, wait_ns: int, now_ns: int, first_ns: int = BACK_OFF_NS) -> None:
        """Send again after this time; if it is 0, after one that grows from `first_ns` up to BACK_OFF_NS_MAX.

        A little later at random, so that clients spread.
        """
        self._release(request)
        self._watch_call(request)
        request.state = State.DELAYED
        wait_ns = wait_ns or min(first_ns << min(request.failures, BACK_OFF_DOUBLINGS_MAX), BACK_OFF_NS_MAX)
        request.failures += 1
        self._timers.set(request, now_ns + wait_ns + self._entropy.below(wait_ns // 2 + 1))

    def pause(self, lane: Lane, pause_ns: int, now_ns: int) -> None:
        """Let the next writes of the lane wait; pauses that are too short for a timer add up until they are not."""
        lane.pause_owed_ns += pause_ns
        if lane.pause_owed_ns >= PAUSE_NS_MIN:
            lane.paused = True
            self._timers.set(lane, now_ns + lane.pause_owed_ns)
            lane.pause_owed_ns = 0

    def slow_down(self, request: Request, pressure: int, now_ns: int) -> None:
        """The buffers of the worker that has taken this write fill: let the next write to the range wait a little."""
        lane = request.lane
        lane.pressure = pressure
        lane.slowness = slowness_after(lane.slowness, refused=False)
        self.pause(lane, pause_ns(pressure, sum(map(len, request.body)), request.entries, lane.slowness), now_ns)

    def distrust(self, channel: Channel, now_ns: int) -> None:
        """Go through the router for a while."""
        channel.direct = False
        self._timers.set(channel, now_ns + DIRECT_RETRY_NS)

    def end_pause(self, lane: Lane) -> None:
        """The writes of the lane may go."""
        self._timers.clear(lane)
        lane.paused = False
        if lane.sendable():
            self.offer(lane)

    def finish(self, request: Request) -> None:
        """The request is over, whatever its calls are told."""
        self._release(request)
        request.state = State.DONE
        lane = request.lane
        self._requests.pop((request.sequence, lane.segment), None)
        if lane.turns:
            self._end_turn(request, lane)
        elif lane.heirs:
            self.end_turns(request)

    def take_back(self, request: Request) -> None:
        """The request is over, but its calls are to be served in another way; it has its turns until `end_turns`."""
        self._release(request)
        self._watch_call(request)
        request.state = State.DONE
        self._requests.pop((request.sequence, request.lane.segment), None)

    def inherit(self, share: Request, whole: Request) -> None:
        """Send a share of a write that was taken back when it has its turn."""
        self._requests[share.sequence, share.lane.segment] = share
        share.lane.inherit(share, whole)
        self.offer(share.lane)

    def end_turns(self, request: Request) -> None:
        """A request to a segment that is gone is over: let the writes behind it have their turn."""
        for heir in request.lane.heirs:
            self._end_turn(request, heir)

    def _send(self, request: Request, channel: Channel, client: int, now_ns: int) -> Send:
        self._number(request)
        lane = request.lane
        route = request.route = lane.route
        request.channel, request.direct = channel, channel.direct
        deadline_ns = request.deadline_ns()
        header = encode_request(
            request.op,
            request.flags | _RETRY if request.unanswered else request.flags,
            request.entries,
            lane.segment,
            route.epoch if route else 0,
            min(max((deadline_ns - now_ns) // MILLISECOND_NS, 1), DEADLINE_MS_MAX),
            client,
            request.sequence,
            self.store,
        )
        request.state = State.SENT
        request.sends += 1
        request.unanswered += 1
        channel.take(request)
        due_ns = request.attempt_end_ns = now_ns + request.attempt_ns()
        self._timers.set(request, min(due_ns, deadline_ns) if request.alone else due_ns)
        return Send(channel.link if channel.direct else ROUTER, b"", [header, *request.body])

    def _keep(self, request: Request, now_ns: int) -> None:
        self._number(request)
        self.delay(request, 0, now_ns)
        self.kept_some = True

    def _number(self, request: Request) -> None:
        if not request.sequence:
            self._sequence += 1
            request.sequence = self._sequence
            self._requests[self._sequence, request.lane.segment] = request

    def _end_turn(self, request: Request, lane: Lane) -> None:
        if request in lane.turns:
            lane.end_turn(request)
            if lane.writes or lane.retries or lane.reads:
                self.offer(lane)

    def _watch_call(self, request: Request) -> None:
        """Give the call of a request that is alone a timer of its own, before the request has none."""
        if request.alone:
            request.alone = False
            for call in request.calls:
                if not call.settled:
                    self._timers.set(call, call.deadline_ns)

    def _release(self, request: Request) -> None:
        """Give back what the request holds: its timer, its credit."""
        self._timers.clear(request)
        if request.state is State.SENT:
            request.channel.give_back(request)
            self._touched.append(request.channel)
