"""Moves requests from lanes onto links, and back into lanes if they have to be sent again."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from shardstore.client.calls.calls import Call, Single
from shardstore.client.session.lanes import (
    ATTEMPT_NS,
    BARRIERS,
    Channel,
    Lane,
    Request,
    RequestState,
    body_of_single,
)
from shardstore.client.session.timers import Timers
from shardstore.client.session.writer_pace import slowness_after, writer_pause_ns
from shardstore.limits import DEADLINE_MS_MAX, MILLISECOND_NS, SECOND_NS
from shardstore.seams.effects import Send
from shardstore.seams.entropy import Entropy
from shardstore.wire.link_names import ROUTER
from shardstore.wire.wire_format import WRITES, Flag, encode_request

BACK_OFF_NS = 10 * MILLISECOND_NS
BACK_OFF_NS_MAX = 320 * MILLISECOND_NS
BACK_OFF_DOUBLINGS_MAX = 9
CHANGE_BACK_OFF_NS = MILLISECOND_NS
"""The first delay while a range changes its segments, which takes a few milliseconds."""
PAUSE_NS_MIN = 2 * MILLISECOND_NS
DIRECT_RETRY_NS = 5 * SECOND_NS
"""How long a failed direct link is not used. If it still fails then, some requests lose an attempt."""
_RETRY = int(Flag.RETRY)
_SENT, _DONE = RequestState.SENT, RequestState.DONE


class Sender:
    """Sends requests, and keeps those that were sent and are not DONE.

    Invariants: a channel's `in_flight` is the number of its SENT requests that are not `free`. A write that was sent
    and is not DONE has a turn in its lane, or in each heir of its lane; of the writes to a lane itself, only the first
    of its `turns` is SENT. A request that is SENT or DELAYED has a timer, and so has each call that waits for it. A
    request that is `alone` needs none: the timer of the sender is due no later, and nearly always finds it answered.
    """

    def __init__(self, timers: Timers, entropy: Entropy) -> None:
        self._timers = timers
        self._entropy = entropy
        self._requests: dict[tuple[int, int], Request] = {}
        self._sequence = 0
        self.due_tick = 0
        self.request_of: Callable[[tuple[int, int]], Request | None] = self._requests.get
        """The request with this sequence to this segment; None if it is DONE."""
        self.touched: list[Channel] = []
        """Channels that may have a lane and a credit for it, since an event has changed them."""
        self.router_listens = True
        """Whether a router may listen. If not, requests for it are kept here, so it is certain that none left."""
        self.kept_some = False
        """Whether a request was kept for that reason since this flag was cleared."""
        self.store = 0
        """The tag of the client's store."""

    def requests(self) -> list[Request]:
        """All requests that were sent and are not DONE, oldest first."""
        return list(self._requests.values())

    def requests_of(self, call: Call) -> list[Request]:
        """The requests that were sent for a call and are not DONE."""
        return [request for request in self._requests.values() if call in request.calls]

    def offer(self, lane: Lane) -> None:
        """Put a lane that has something to send into the queue of its channel."""
        if not lane.offered:
            lane.offered = True
            lane.channel.ready.append(lane)
            self.touched.append(lane.channel)

    def set_credits(self, channel: Channel, credits: int) -> None:
        """Let so many requests be in flight over a channel from now on."""
        channel.credits = credits
        self.touched.append(channel)

    def offer_all(self, channels: Iterable[Channel], lanes: Iterable[Lane]) -> None:
        """Rebuild the queues of the channels, after lanes have come, gone or moved to other channels."""
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
        """Send a single operation at once. Returns None if it has to wait its turn, or may be gathered with others."""
        channel, op = lane.channel, call.op
        if lane.offered or channel.ready or channel.in_flight >= channel.credits:
            return None
        if not (channel.direct or self.router_listens):
            return None
        writes = op in WRITES
        if (lane.turns or lane.paused) and (writes or not lane.reads_may_go):
            return None
        body, flags = body_of_single(call)
        request = Request(lane, op, [call], body, flags, 1)
        request.alone = True
        if writes:
            lane.turns.append(request)
        return self._send(request, channel, client, now_ns)

    def due_alone(self, now_ns: int) -> list[Request]:
        """The requests sent `alone` whose time has come. The timer of the sender is set for the others."""
        due = []
        for request in self._requests.values():
            if request.alone and not request.due_tick:
                if request.due_ns <= now_ns:
                    due.append(request)
                else:
                    self._timers.set_no_later(self, request.due_ns)
        return due

    def send_ready(self, client: int, now_ns: int) -> list[Send]:
        """Send what credits allow. The lanes of a channel take turns."""
        sends: list[Send] = []
        while self.touched:
            channel = self.touched.pop()
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
                        self._keep(request, channel, now_ns)
                elif request is not None:
                    self.finish(request)
        return sends

    def queue_again(self, request: Request) -> None:
        """Send a request again once there is a credit."""
        self._release(request)
        self._watch_call(request)
        request.state = RequestState.QUEUED
        request.lane.retries.append(request)
        self.offer(request.lane)

    def delay(self, request: Request, wait_ns: int, now_ns: int, first_ns: int = BACK_OFF_NS) -> None:
        """Send a request again after `wait_ns`; if 0, after a time that grows from `first_ns` to BACK_OFF_NS_MAX.

        A random time is added, so that clients do not all come at once.
        """
        self._release(request)
        self._watch_call(request)
        request.state = RequestState.DELAYED
        wait_ns = wait_ns or min(first_ns << min(request.failures, BACK_OFF_DOUBLINGS_MAX), BACK_OFF_NS_MAX)
        request.failures += 1
        self._timers.set(request, now_ns + wait_ns + self._entropy.below(wait_ns // 2 + 1))

    def pause(self, lane: Lane, pause_ns: int, now_ns: int) -> None:
        """Make the next writes of a lane wait. Pauses too short for a timer add up until they are long enough."""
        lane.pause_owed_ns += pause_ns
        if lane.pause_owed_ns >= PAUSE_NS_MIN:
            lane.paused = True
            self._timers.set(lane, now_ns + lane.pause_owed_ns)
            lane.pause_owed_ns = 0

    def slow_down(self, request: Request, pressure: int, now_ns: int) -> None:
        """Make the next write to the range wait a little, as the reply to this write reports pressure."""
        lane = request.lane
        lane.pressure = pressure
        lane.slowness = slowness_after(lane.slowness, refused=False)
        self.pause(lane, writer_pause_ns(pressure, sum(map(len, request.body)), request.entries, lane.slowness), now_ns)

    def distrust(self, channel: Channel, now_ns: int) -> None:
        """Send to this worker through the router for a while."""
        channel.direct = False
        self._timers.set(channel, now_ns + DIRECT_RETRY_NS)

    def end_pause(self, lane: Lane) -> None:
        """Let writes of the lane be sent again."""
        self._timers.clear(lane)
        lane.paused = False
        if lane.sendable():
            self.offer(lane)

    def finish(self, request: Request) -> None:
        """Make a request DONE. Its calls are not settled by this."""
        self._release(request)
        request.state = _DONE
        lane = request.lane
        self._requests.pop((request.sequence, lane.segment), None)
        if lane.turns:
            self._end_turn(request, lane)
        elif lane.heirs:
            self.end_turns(request)

    def take_back(self, request: Request) -> None:
        """Make a request DONE whose calls other requests will serve. It keeps its turns until `end_turns`."""
        self._release(request)
        self._watch_call(request)
        request.state = RequestState.DONE
        self._requests.pop((request.sequence, request.lane.segment), None)

    def inherit(self, share: Request, whole: Request) -> None:
        """Send a share of a write that was taken back, when the share has its turn."""
        share.channel = share.lane.channel
        self._requests[share.sequence, share.lane.segment] = share
        share.lane.inherit(share, whole)
        self.offer(share.lane)

    def end_turns(self, request: Request) -> None:
        """End the turns of a DONE request to a segment that is gone, so that the writes behind it can be sent."""
        for heir in request.lane.heirs:
            self._end_turn(request, heir)

    def check_invariants(self, channels: Iterable[Channel]) -> None:
        """Raise AssertionError if an invariant of this class does not hold. `channels`: all of the session."""
        sent = [
            (request.channel, request.free) for request in self._requests.values() if request.state is RequestState.SENT
        ]
        for channel in channels:
            assert channel.in_flight == sent.count((channel, False)), "credits in use are miscounted"
            assert channel.barriers_free == sent.count((channel, True)), "barriers without a credit are miscounted"
        for place, request in self._requests.items():
            assert place == (request.sequence, request.lane.segment), "a request is kept in a wrong place"
            assert request.state is not RequestState.DONE, "a request that is DONE is kept"
            if request.op in WRITES:
                _check_turns(request)
            if request.is_under_way:
                self._check_timers(request)

    def _send(self, request: Request, channel: Channel, client: int, now_ns: int) -> Send:
        if not request.sequence:
            self._number(request)
        lane, sends, calls, flags = request.lane, request.sends, request.calls, request.flags
        route, op, is_direct = lane.route, request.op, channel.direct
        deadline_ns = calls[0].deadline_ns if len(calls) == 1 else max([call.deadline_ns for call in calls])
        left_ms = (deadline_ns - now_ns) // MILLISECOND_NS
        if not 0 < left_ms <= DEADLINE_MS_MAX:
            left_ms = min(max(left_ms, 1), DEADLINE_MS_MAX)
        if request.unanswered:
            flags |= _RETRY
        epoch = route.epoch if route else 0
        header = encode_request(
            op, flags, request.entries, lane.segment, epoch, left_ms, client, request.sequence, self.store
        )
        attempt_end_ns = now_ns + (request.attempt_ns() if sends or op in BARRIERS else ATTEMPT_NS)
        request.route, request.channel, request.direct = route, channel, is_direct
        request.state, request.sends, request.attempt_end_ns = _SENT, sends + 1, attempt_end_ns
        request.unanswered += 1
        channel.take_credit(request)
        if request.alone:
            self._timers.set_no_later(self, deadline_ns if deadline_ns < attempt_end_ns else attempt_end_ns)
        else:
            self._timers.set(request, attempt_end_ns)
        return Send(channel.link if is_direct else ROUTER, b"", [header, *request.body])

    def _keep(self, request: Request, channel: Channel, now_ns: int) -> None:
        if not request.sequence:
            self._number(request)
        request.channel = channel
        self.delay(request, 0, now_ns)
        self.kept_some = True

    def _number(self, request: Request) -> None:
        request.sequence = self._sequence = self._sequence + 1
        self._requests[self._sequence, request.lane.segment] = request

    def _end_turn(self, request: Request, lane: Lane) -> None:
        if lane.turns and lane.end_turn(request) and (lane.writes or lane.retries or lane.reads):
            self.offer(lane)

    def _watch_call(self, request: Request) -> None:
        """If a request is `alone`, give its call a timer of its own, since the request may lose its timer."""
        if request.alone:
            request.alone = False
            for call in request.calls:
                if not call.settled:
                    self._timers.set(call, call.deadline_ns)

    def _check_timers(self, request: Request) -> None:
        if request.alone and not request.due_tick:
            is_watched = 0 < self.due_tick <= self._timers.tick_of(request.due_ns)
            assert is_watched, "nobody looks after a request that was sent alone"
            return
        assert request.due_tick, "a request under way has no timer"
        calls_have_timers = all(call.settled or call.due_tick for call in request.calls)
        assert request.alone or calls_have_timers, "a call that waits for a request has no timer"

    def _release(self, request: Request) -> None:
        """Give back the timer and the credit of a request."""
        if request.due_tick:
            self._timers.clear(request)
        if request.state is _SENT:
            channel = request.channel
            channel.give_back_credit(request)
            if channel.ready:
                self.touched.append(channel)


def _check_turns(write: Request) -> None:
    lane = write.lane
    assert all(write in each.turns for each in lane.heirs or (lane,)), "a write has lost its turn"
    if write.state is RequestState.SENT and not lane.heirs:
        assert lane.turns[0] is write, "a write was sent before its turn"
