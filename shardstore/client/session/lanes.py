"""Lanes: what waits to be sent, one per segment; and channels: what a worker lets us have in flight, one per worker.

A request is what one message asks of one segment, for the calls that wait for it. It waits in the lane of its segment:

    QUEUED   waits in its lane for a credit            SENT      holds a credit, waits for its answer
    DELAYED  waits a while before it is sent again     DONE      answered, refused for good, or given up

A lane lets one write request at a time out of the session. So requests that were added one after the other are applied
in that order, whatever is lost, refused or sent again, and a retry never falls out of the dedup window. Meanwhile
single operations gather in the lane, and leave together in the next request; as the callers of all of them still
wait, they may overtake others. A conditional operation is a write, and travels alone. Reads do not wait for writes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from shardstore.client.calls.calls import Call, Single
from shardstore.client.calls.cutting import Positions
from shardstore.client.session.refusals import Refused
from shardstore.key_range import KeyRange
from shardstore.limits import CREDITS, MIB, SECOND_NS
from shardstore.wire import columns
from shardstore.wire.route_map import Route
from shardstore.wire.wire_format import CONDITIONAL, WRITES, Flag, Op, Status

ATTEMPT_NS = SECOND_NS
ATTEMPT_DOUBLINGS_MAX = 3
BARRIERS = frozenset((Op.FLUSH, Op.COMPACT))
BARRIER_ATTEMPT_NS = 30 * SECOND_NS
"""They may rightly take long, and each one that is asked again is more work for who does it."""
GATHERED_ENTRIES_MAX = 4_096
GATHERED_BYTES_MAX = MIB
_WITH_VALUE = CONDITIONAL | {Op.PUT, Op.OUTCOME}
_GATHERED = frozenset((Op.GET, Op.PUT, Op.DELETE))
_KEY_FIXED = int(Flag.KEYS_FIXED)
_VALUE_FIXED = int(Flag.VALUES_FIXED)
_ONE_FIXED = _KEY_FIXED | _VALUE_FIXED


class RequestState:
    """Where a request is; see the module. Plain integers: looking up a member of an enum costs four times as much."""

    QUEUED: Final = 1
    SENT: Final = 2
    DELAYED: Final = 3
    DONE: Final = 4


@dataclass(slots=True, eq=False)
class Request:
    """One message, sent until it is answered. `dataclasses.replace` makes a new one that asks the same.

    lane, op, body, flags, entries  whom it asks for what
    calls                           who waits for it: single operations of one kind, or one other call
    positions                       where its entries stand in its call; None when they are all of it
    sequence                        number of the message; 0 before it is first sent
    route, channel, direct          to whom it was sent last, and how; it has no channel before its sequence
    shared                          the keys its sequence was for before it was shared out (succession.py), if it was
    alone                           it was sent at once for a single operation: until it has to be sent again, its
                                    timer also is that of its call
    unanswered                      how often it was sent without being refused: while that is not 0, a write may have
                                    been applied

    A request that no call waits for any more still holds its credit until its answer or the end of its attempt.
    """

    lane: Lane
    op: Op
    calls: list[Call]
    body: tuple[bytes, ...] = ()
    flags: int = 0
    entries: int = 0
    positions: Positions | None = None
    channel: Channel = field(init=False)
    route: Route | None = field(default=None, init=False)
    direct: bool = field(default=False, init=False)
    state: int = field(default=RequestState.QUEUED, init=False)
    alone: bool = field(default=False, init=False)
    attempt_end_ns: int = field(default=0, init=False)
    sequence: int = field(default=0, init=False)
    shared: KeyRange | None = field(default=None, init=False)
    sends: int = field(default=0, init=False)
    unanswered: int = field(default=0, init=False)
    failures: int = field(default=0, init=False)
    grain: int = field(default=0, init=False)

    @property
    def wanted(self) -> bool:
        """Whether a call still waits for it."""
        for call in self.calls:  # noqa: SIM110, any() costs twice as much, and this is asked for every message
            if not call.settled:
                return True
        return False

    @property
    def can_change(self) -> bool:
        """Whether it was refused each time it was sent, so that no answer to what it asked before can come."""
        return self.sends > 0 and self.unanswered == 0

    def attempt_ns(self) -> int:
        """How long this attempt may wait for its answer."""
        if self.op in BARRIERS and not self.flags & Flag.NO_WAIT:
            return BARRIER_ATTEMPT_NS
        return ATTEMPT_NS << min(self.sends - 1, ATTEMPT_DOUBLINGS_MAX)

    def deadline_ns(self) -> int:
        """The latest deadline of its calls."""
        first = self.calls[0].deadline_ns
        return first if len(self.calls) == 1 else max(call.deadline_ns for call in self.calls)

    @property
    def is_under_way(self) -> bool:
        """Whether it was sent and waits for its answer, or to be sent again after a while."""
        return self.state in (RequestState.SENT, RequestState.DELAYED)

    def was_sent_over(self, links: Set[str]) -> bool:
        """Whether its answer would come over one of these links."""
        return self.state is RequestState.SENT and self.direct and self.channel.link in links

    def waits_for_room(self) -> bool:
        """Whether it was refused for want of room, which a new owner does not change at once."""
        refused = self.lane.refusal
        return self.state is RequestState.DELAYED and refused is not None and refused.status is Status.BUSY


Waiting: TypeAlias = Single | Request


class Channel:
    """One worker, or the router itself: its credits, and the lanes that have something for it.

    `link` is the direct way to it, if `connected`, and `direct` whether to trust it; the other way is the router. Once
    it is not trusted, a timer is set for the channel, and then it is tried again.
    """

    def __init__(self, link: str) -> None:
        self.link = link
        self.endpoint = ""
        self.connected = False
        self.direct = False
        self.grain = 0
        self.credits = CREDITS
        self.in_flight = 0
        self.ready: deque[Lane] = deque()


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
            if request.state is RequestState.QUEUED:
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
        if first is None or isinstance(first, Request):
            return first
        singles = [first, *_take_alike(queue, first)] if queue and first.op in _GATHERED else [first]
        return request_of_singles(self, singles)

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
            request.body, request.flags = _body_of_singles(left)


def body_of_single(single: Single) -> tuple[tuple[bytes, ...], int]:
    """Body and flags of a request for one single operation."""
    return (single.key, single.value) if single.op in _WITH_VALUE else (single.key,), single.flags | _ONE_FIXED


def request_of_singles(lane: Lane, singles: list[Single]) -> Request:
    """A request for single operations of one kind."""
    return Request(lane, singles[0].op, [*singles], *_body_of_singles(singles), len(singles))


def _body_of_singles(singles: list[Single]) -> tuple[tuple[bytes, ...], int]:
    first = singles[0]
    if len(singles) == 1:
        return body_of_single(first)
    keys = columns.encode([single.key for single in singles])
    flags = first.flags | _KEY_FIXED * keys.fixed
    if first.op != Op.PUT:
        return (keys.frame,), flags
    values = columns.encode([single.value for single in singles])
    return (keys.frame, values.frame), flags | _VALUE_FIXED * values.fixed


def _pop(queue: deque[Waiting]) -> Waiting | None:
    while queue:
        waiting = queue.popleft()
        call: Call = waiting.calls[0] if isinstance(waiting, Request) else waiting
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
