"""Lanes: what waits to be sent, one per segment; and channels: what a worker lets us have in flight, one per worker.

A lane lets one write request at a time out of the session. So parts that were added one after the other are applied
in that order, whatever is lost, refused or sent again, and a retry never falls out of the dedup window. Meanwhile
single operations gather in the lane, and leave together in the next request; as the callers of all of them still
wait, they may overtake others. A conditional operation is a write, and travels alone. Reads do not wait for writes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TypeAlias

from shardstore import columns
from shardstore.client.answers import Refused
from shardstore.client.calls import Call, Single
from shardstore.client.in_flight import BARRIERS, BARRIERS_FREE, Part, Request, State
from shardstore.key_range import KeyRange
from shardstore.limits import CREDITS, MIB
from shardstore.route_map import Route
from shardstore.wire_format import CONDITIONAL, WRITES, Flag, Op

GATHERED_ENTRIES_MAX = 4_096
GATHERED_BYTES_MAX = MIB
_WITH_VALUE = CONDITIONAL | {Op.PUT, Op.OUTCOME}
_GATHERED = frozenset((Op.GET, Op.PUT, Op.DELETE))
_KEY_FIXED = int(Flag.KEYS_FIXED)
_VALUE_FIXED = int(Flag.VALUES_FIXED)
_ONE_FIXED = _KEY_FIXED | _VALUE_FIXED

Waiting: TypeAlias = Single | Part


class Channel:
    """One worker, or the router itself: its credits, and the lanes that have something for it.

    `link` is the direct way to it, if `connected`, and `direct` whether to trust it; the other way is the router. Once
    it is not trusted, a timer is set for the channel, and then it is tried again.

    `in_flight` are requests that take a credit each, `barriers_free` those that take none (in_flight.py).
    """

    def __init__(self, link: str) -> None:
        self.link = link
        self.endpoint = ""
        self.connected = False
        self.direct = False
        self.grain = 0
        self.credits = CREDITS
        self.in_flight = 0
        self.barriers_free = 0
        self.ready: deque[Lane] = deque()

    def take(self, request: Request) -> None:
        """The request is sent over this channel."""
        if request.op in BARRIERS and self.direct and self.barriers_free < BARRIERS_FREE:
            request.free = True
            self.barriers_free += 1
        else:
            self.in_flight += 1

    def give_back(self, request: Request) -> None:
        """The request is not in flight any more."""
        if request.free:
            request.free = False
            self.barriers_free -= 1
        else:
            self.in_flight -= 1


class Lane:
    """What waits for one segment. `turns` are writes out of here that are not done; the first of them has the turn.

    There is one at most, but for those of former segments over its keys. `heirs` are the lanes that have its keys once
    its segment is gone from the map (succession.py), none until then.

    `refusal` is why the segment did not serve the latest of its requests; None when it did. While a lane is `paused`,
    its writes wait until its timer ends that; `pause_owed_ns` are pauses that were too short to be made.
    `slowness` multiplies them.
    """

    def __init__(self, segment: int, key_range: KeyRange, route: Route | None, channel: Channel) -> None:
        self.segment = segment
        self.key_range = key_range
        self.route = route
        self.channel = channel
        self.offered = False
        self.retries: deque[Request] = deque()
        self.writes: deque[Waiting] = deque()
        self.reads: deque[Waiting] = deque()
        self.turns: list[Request] = []
        self.heirs: Sequence[Lane] = ()
        self.refusal: Refused | None = None
        self.paused = False
        self.pause_owed_ns = 0
        self.slowness = 1.0
        self.pressure = 0
        """What the answer to the latest write told."""
        self.grain = 0

    @property
    def writes_may_go(self) -> bool:
        """Whether a new write request may be sent."""
        return not self.turns and not self.paused

    @property
    def reads_may_go(self) -> bool:
        """Whether no write is out that its caller has left: what is read from then on comes behind it."""
        return not self.turns or not any(call.left for turn in self.turns for call in turn.calls)

    def add(self, waiting: Waiting) -> None:
        """Let it wait its turn."""
        (self.writes if waiting.op in WRITES else self.reads).append(waiting)

    def put_first(self, waiting: Waiting) -> None:
        """Let it have the next turn of its kind."""
        (self.writes if waiting.op in WRITES else self.reads).appendleft(waiting)

    def sendable(self) -> bool:
        """Whether `next_request` may have something."""
        reads, writes = self.reads and self.reads_may_go, self.writes and self.writes_may_go
        return bool(self.retries or reads or writes)

    def next_request(self) -> Request | None:
        """What to send next: what is to be sent again, then a write if none is out, then a read."""
        while self.retries:
            request = self.retries.popleft()
            if request.state is State.QUEUED:
                return request
        if self.writes and self.writes_may_go:
            write = self._gather(self.writes)
            if write is not None:
                self.turns.append(write)
                return write
        return self._gather(self.reads) if self.reads and self.reads_may_go else None

    def _gather(self, queue: deque[Waiting]) -> Request | None:
        """A request for the first that waits and, if that is a single operation, for all of its kind."""
        first = _pop(queue)
        if first is None:
            return None
        if type(first) is Part:
            return Request(self, first.op, first.body, first.flags, first.entries, [first.call], first.positions)
        assert type(first) is Single
        singles = [first, *_take_alike(queue, first)] if queue and first.op in _GATHERED else [first]
        flags, body = body_of_singles(singles)
        calls: list[Call] = [*singles]
        return Request(self, first.op, body, flags, len(singles), calls)

    def inherit(self, share: Request, whole: Request) -> None:
        """Give the turn of a write to its share for this segment."""
        at = self.turns.index(whole)
        self.turns[at] = share
        if not at:
            self.retries.append(share)

    def end_turn(self, request: Request) -> None:
        """The write is done: let the next one have its turn."""
        first = self.turns[0] is request
        self.turns.remove(request)
        if first and self.turns and self.turns[0].lane is self:
            self.retries.append(self.turns[0])

    def leave_out_settled(self, request: Request) -> None:
        """Make a gathered request anew for those that still wait: the others were told that nothing was applied."""
        left = [call for call in request.calls if type(call) is Single and not call.settled]
        if len(left) < len(request.calls):
            request.calls = [*left]
            request.entries = len(left)
            request.flags, request.body = body_of_singles(left)


def single_body(single: Single) -> tuple[int, tuple[bytes, ...]]:
    """Flags and body of a request for one single operation."""
    return single.flags | _ONE_FIXED, (single.key, single.value) if single.op in _WITH_VALUE else (single.key,)


def body_of_singles(singles: list[Single]) -> tuple[int, tuple[bytes, ...]]:
    """Flags and body of a request for single operations of one kind."""
    first = singles[0]
    if len(singles) == 1:
        return single_body(first)
    keys = columns.encode([single.key for single in singles])
    flags = first.flags | _KEY_FIXED * keys.fixed
    if first.op != Op.PUT:
        return flags, (keys.frame,)
    values = columns.encode([single.value for single in singles])
    return flags | _VALUE_FIXED * values.fixed, (keys.frame, values.frame)


def _pop(queue: deque[Waiting]) -> Waiting | None:
    while queue:
        waiting = queue.popleft()
        call: Call = waiting if type(waiting) is Single else waiting.call  # type: ignore[union-attr]
        if not call.settled and not call.left:
            return waiting
    return None


def _take_alike(queue: deque[Waiting], first: Single) -> list[Single]:
    """Take the other single operations of the same kind out of the queue, up to the limits of a gathered request."""
    taken: list[Single] = []
    left: list[Waiting] = []
    size = first.size
    for waiting in queue:
        alike = type(waiting) is Single and waiting.op is first.op and waiting.flags == first.flags
        if alike and len(taken) + 1 < GATHERED_ENTRIES_MAX and size < GATHERED_BYTES_MAX:
            assert type(waiting) is Single
            if not waiting.settled and not waiting.left:
                size += waiting.size
                taken.append(waiting)
        else:
            left.append(waiting)
    queue.clear()
    queue.extend(left)
    return taken
