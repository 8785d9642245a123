"""Moves requests from lanes onto links, and back into lanes when they have to be sent again. See in_flight.py."""

from __future__ import annotations

from shardstore.client.calls import Call, Single
from shardstore.client.in_flight import Request, State
from shardstore.client.lanes import Channel, Lane, single_body
from shardstore.client.routing import ROUTER
from shardstore.client.timers import Timers
from shardstore.effects import Send
from shardstore.entropy import Entropy
from shardstore.limits import DEADLINE_MS_MAX, MILLISECOND_NS
from shardstore.wire_format import WRITES, Flag, encode_request

BACK_OFF_NS = 10 * MILLISECOND_NS
BACK_OFF_DOUBLINGS_MAX = 5
PAUSE_NS_MIN = 2 * MILLISECOND_NS
_RETRY = int(Flag.RETRY)


class Sending:
    """All requests that were sent and are not DONE.

    Invariants: a channel's `in_flight` is the number of its SENT requests, and at most its credits when one is sent; a
    lane has at most one write that was sent and is not DONE, and a timer while it is paused; a request that is SENT or
    DELAYED has a timer, and so has each call that waits for it unless it is `alone`.
    """

    def __init__(self, timers: Timers, entropy: Entropy) -> None:
        self._timers = timers
        self._entropy = entropy
        self._requests: dict[int, Request] = {}
        self._sequence = 0
        self._touched: list[Channel] = []

    def request_of(self, sequence: int) -> Request | None:
        """The request with this sequence, unless it is DONE."""
        return self._requests.get(sequence)

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

    def offer_all(self, lanes: list[Lane]) -> None:
        """Lanes may have changed their channels: make the queues anew."""
        for lane in lanes:
            lane.channel.ready.clear()
            lane.offered = False
        for lane in lanes:
            if lane.sendable():
                self.offer(lane)

    def send_alone(self, lane: Lane, call: Single, client: int, now_ns: int) -> Send | None:
        """Send a single operation at once; None when it has to wait its turn, or may be gathered with others."""
        channel = lane.channel
        if lane.offered or channel.ready or channel.in_flight >= channel.credits:
            return None
        writes = call.op in WRITES
        if writes and not lane.writes_may_go:
            return None
        flags, body = single_body(call)
        request = Request(lane, call.op, body, flags, 1, [call])
        request.alone = True
        if writes:
            lane.writing = request
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
                    sends.append(self._send(request, channel, client, now_ns))
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

    def delay(self, request: Request, wait_ns: int, now_ns: int) -> None:
        """Send again after this time, or a growing one if it is 0; a little later at random, so that clients spread."""
        self._release(request)
        self._watch_call(request)
        request.state = State.DELAYED
        wait_ns = wait_ns or BACK_OFF_NS << min(request.failures, BACK_OFF_DOUBLINGS_MAX)
        request.failures += 1
        self._timers.set(request, now_ns + wait_ns + self._entropy.below(wait_ns // 2 + 1))

    def pause(self, lane: Lane, pause_ns: int, now_ns: int) -> None:
        """Let the next writes of the lane wait; pauses that are too short for a timer add up until they are not."""
        lane.pause_owed_ns += pause_ns
        if lane.pause_owed_ns >= PAUSE_NS_MIN:
            lane.paused = True
            self._timers.set(lane, now_ns + lane.pause_owed_ns)
            lane.pause_owed_ns = 0

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
        self._requests.pop(request.sequence, None)
        lane = request.lane
        if lane.writing is request:
            lane.writing = None
            if lane.writes:
                self.offer(lane)

    def _send(self, request: Request, channel: Channel, client: int, now_ns: int) -> Send:
        if not request.sequence:
            self._sequence += 1
            request.sequence = self._sequence
            self._requests[request.sequence] = request
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
        )
        request.state = State.SENT
        request.sends += 1
        request.unanswered += 1
        channel.in_flight += 1
        due_ns = request.attempt_end_ns = now_ns + request.attempt_ns()
        self._timers.set(request, min(due_ns, deadline_ns) if request.alone else due_ns)
        return Send(channel.link if channel.direct else ROUTER, b"", [header, *request.body])

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
            request.channel.in_flight -= 1
            self._touched.append(request.channel)
