"""Moves requests from lanes onto links, and back into lanes when they have to be sent again. See in_flight.py."""

from __future__ import annotations

from shardstore.client.calls import Call
from shardstore.client.in_flight import Request, State
from shardstore.client.lanes import Channel, Lane
from shardstore.client.routing import ROUTER
from shardstore.client.timers import Timers
from shardstore.effects import Send
from shardstore.entropy import Entropy
from shardstore.limits import DEADLINE_MS_MAX, MILLISECOND_NS
from shardstore.wire_format import Flag, Header

BACK_OFF_NS = 10 * MILLISECOND_NS
BACK_OFF_DOUBLINGS_MAX = 5
_RETRY = int(Flag.RETRY)


class Sending:
    """All requests that were sent and are not DONE.

    Invariants: a channel's `in_flight` is the number of its SENT requests, and at most its credits when one is sent; a
    lane has at most one write that was sent and is not DONE; a request that is SENT or DELAYED has a timer.
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
        request.state = State.QUEUED
        request.lane.retries.append(request)
        self.offer(request.lane)

    def delay(self, request: Request, wait_ns: int, now_ns: int) -> None:
        """Send again after this time, or a growing one if it is 0; a little later at random, so that clients spread."""
        self._release(request)
        request.state = State.DELAYED
        wait_ns = wait_ns or BACK_OFF_NS << min(request.failures, BACK_OFF_DOUBLINGS_MAX)
        request.failures += 1
        self._timers.set(request, now_ns + wait_ns + self._entropy.below(wait_ns // 2 + 1))

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
        left_ms = (request.deadline_ns() - now_ns) // MILLISECOND_NS
        header = Header(
            request.op,
            request.flags | _RETRY if request.unanswered else request.flags,
            entries=request.entries,
            segment=lane.segment,
            epoch=route.epoch if route else 0,
            duration_ms=min(max(left_ms, 1), DEADLINE_MS_MAX),
            client=client,
            sequence=request.sequence,
        )
        request.state = State.SENT
        request.sends += 1
        request.unanswered += 1
        channel.in_flight += 1
        self._timers.set(request, now_ns + request.attempt_ns())
        return Send(channel.link if channel.direct else ROUTER, b"", [header.encode(), *request.body])

    def _release(self, request: Request) -> None:
        """Give back what the request holds: its timer, its credit."""
        self._timers.clear(request)
        if request.state is State.SENT:
            request.channel.in_flight -= 1
            self._touched.append(request.channel)
