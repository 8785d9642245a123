"""Requests, the lanes in which they wait, one for each segment, and channels, one for each worker.

A request is one message to one segment, on behalf of one or more calls. It waits in the lane of its segment:

    QUEUED   waits in its lane for a credit            SENT      holds a credit, waits for its reply
    DELAYED  waits a while before it is sent again     DONE      answered, finally refused, or dropped

A lane sends one write request at a time. So writes are applied in the order in which they were added, whatever is lost,
refused or sent again, and a retry never falls out of the dedup window. Meanwhile single operations gather in the lane,
and are sent together in the next request; they may overtake others, since all their callers still wait. A conditional
operation is a write, and is sent alone. Reads do not wait for writes.

A FLUSH or COMPACT waits for the disk. It takes no credit on the direct link while there are not too many of them: a
worker drains all ranges together that it is asked to flush before the drain begins.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from shardstore.client.calls.batch_pieces import Positions
from shardstore.client.calls.calls import Call, Single
from shardstore.client.session.refusals import RefusedReply
from shardstore.key_range import KeyRange
from shardstore.limits import CREDITS, DRAIN_RANGES_MAX, MIB, SECOND_NS
from shardstore.wire import columns
from shardstore.wire.route_map import Route
from shardstore.wire.wire_format import CONDITIONAL, WRITES, Flag, Op, Status

ATTEMPT_NS = SECOND_NS
ATTEMPT_DOUBLINGS_MAX = 3
BARRIERS = frozenset((Op.FLUSH, Op.COMPACT))
BARRIER_ATTEMPT_NS = 30 * SECOND_NS
"""A flush or compaction may take long, and one that is sent again is more work for the worker."""
BARRIERS_FREE = DRAIN_RANGES_MAX
"""So many of them may be in flight to a worker without a credit: as many ranges as one drain takes."""
GATHERED_ENTRIES_MAX = 4_096
GATHERED_BYTES_MAX = MIB
_WITH_VALUE = CONDITIONAL | {Op.PUT, Op.PUT_UNTIL, Op.OUTCOME}
_GATHERED = frozenset((Op.GET, Op.PUT, Op.DELETE))
_KEY_FIXED = int(Flag.KEYS_FIXED)
_VALUE_FIXED = int(Flag.VALUES_FIXED)
_ONE_FIXED = _KEY_FIXED | _VALUE_FIXED


class RequestState:
    """The states of a request, see the module. Integers, as looking up an enum member takes four times as long."""

    QUEUED: Final = 1
    SENT: Final = 2
    DELAYED: Final = 3
    DONE: Final = 4


@dataclass(slots=True, eq=False)
class Request:
    """One message, which is sent until it is answered. `dataclasses.replace` makes a new request with the same content.

    lane, op, body, flags, entries  its segment and content
    calls                           the calls that wait for it: single operations of one kind, or one other call
    positions                       the places of its entries in its call; None if they are all of it
    sequence                        number of the message; 0 before it is first sent
    route, channel, direct          where it was sent last, and whether directly; without a sequence it has no channel
    free                            it is SENT without a credit
    shared                          the keys of its sequence before it was divided among heirs (succession.py); None if
                                    it was not divided
    alone                           it was sent at once for a single operation: until it has to be sent again, neither
                                    it nor its call has a timer; the sender looks after it
    unanswered                      how often it was sent without being refused; while this is not 0, a write may have
                                    been applied

    A request for which no call waits any more holds its credit until its reply, or the end of its attempt.
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
    free: bool = field(default=False, init=False)
    state: int = field(default=RequestState.QUEUED, init=False)
    alone: bool = field(default=False, init=False)
    attempt_end_ns: int = field(default=0, init=False)
    sequence: int = field(default=0, init=False)
    shared: KeyRange | None = field(default=None, init=False)
    sends: int = field(default=0, init=False)
    unanswered: int = field(default=0, init=False)
    failures: int = field(default=0, init=False)
    due_tick: int = field(default=0, init=False)

    @property
    def wanted(self) -> bool:
        """Whether a call still waits for it."""
        for call in self.calls:  # noqa: SIM110, any() costs twice as much, and this is asked for every message
            if not call.settled:
                return True
        return False

    @property
    def can_change(self) -> bool:
        """Whether each message so far was refused, so that no reply to an earlier one can come."""
        return self.sends > 0 and self.unanswered == 0

    def attempt_ns(self) -> int:
        """How long its next attempt waits for a reply."""
        if self.op in BARRIERS and not self.flags & Flag.NO_WAIT:
            return BARRIER_ATTEMPT_NS
        return ATTEMPT_NS << min(self.sends, ATTEMPT_DOUBLINGS_MAX)

    @property
    def due_ns(self) -> int:
        """When to look after a request that is `alone`: at the end of its attempt, or at the deadline of its call."""
        deadline_ns = self.calls[0].deadline_ns
        return deadline_ns if deadline_ns < self.attempt_end_ns else self.attempt_end_ns

    @property
    def is_under_way(self) -> bool:
        """Whether it was sent, and waits for its reply or before it is sent again."""
        return self.state in (RequestState.SENT, RequestState.DELAYED)

    def was_sent_over(self, links: Set[str]) -> bool:
        """Whether its reply would come over one of these links."""
        return self.state is RequestState.SENT and self.direct and self.channel.link in links

    def waits_for_room(self) -> bool:
        """Whether it was refused for lack of room. A new owner would have no more room yet."""
        refused = self.lane.refusal
        return self.state is RequestState.DELAYED and refused is not None and refused.status is Status.BUSY


Queued: TypeAlias = Single | Request


class Channel:
    """The credits of one worker, or of the router itself, and the lanes that have something to send to it.

    `link` is the direct link to it, if it is `linked`, and `connected` while it can be used: over tcp, that is once it
    is up. `direct` says whether the link is trusted. Without it, messages go through the router. A link that is
    connected and not trusted is tried again when the timer of the channel is due.

    `in_flight` counts the messages that take a credit each, `barriers_free` those that take none.

    Invariants: a link that is trusted is connected; one that is connected and not trusted has a timer. The lanes in
    `ready` are `offered`; between two events there are none while there is a credit.
    """

    def __init__(self, link: str) -> None:
        self.link = link
        self.endpoint = ""
        self.linked = False
        self.connected = False
        self.direct = False
        self.due_tick = 0
        self.credits = CREDITS
        self.in_flight = 0
        self.barriers_free = 0
        self.ready: deque[Lane] = deque()

    def take_credit(self, request: Request) -> None:
        """Count a request that is sent over this channel."""
        if request.op in BARRIERS and self.direct and self.barriers_free < BARRIERS_FREE:
            request.free = True
            self.barriers_free += 1
        else:
            self.in_flight += 1

    def give_back_credit(self, request: Request) -> None:
        """Count a request that is not in flight any more."""
        if request.free:
            request.free = False
            self.barriers_free -= 1
        else:
            self.in_flight -= 1

    def check_invariants(self) -> None:
        """Raise AssertionError if an invariant of this class does not hold."""
        assert self.linked or not self.connected, "a link is connected that is not there"
        assert self.connected or not self.direct, "a link that is not connected is trusted"
        assert self.direct or not self.connected or self.due_tick, "a link without trust would never be tried again"
        assert all(lane.offered for lane in self.ready), "a lane is ready that was not offered"
        assert not self.ready or self.in_flight >= self.credits, "a lane waits though there is a credit"


class Lane:
    """What waits to be sent to one segment. `turns`: the writes under way that are not DONE; only the first is sent.

    There is at most one, except for writes to former segments with some of the same keys. `heirs`: the lanes that have
    its keys once its segment is gone from the route map (succession.py); none until then.

    `refusal`: why the segment refused the latest request; None if it answered. While a lane is `paused`, its writes
    wait until its timer is due. `pause_owed_ns`: the sum of pauses that were too short for a timer. `slowness`
    multiplies pauses.

    Invariants: a lane that is paused has a timer. A lane that has something to send is `offered`, and one that is
    offered waits once in its channel. `turns` holds writes that are not DONE, each once.
    """

    def __init__(self, segment: int, key_range: KeyRange, route: Route | None, channel: Channel) -> None:
        self.segment = segment
        self.key_range = key_range
        self.route = route
        self.channel = channel
        self.offered = False
        self.retries: deque[Request] = deque()
        self.writes: deque[Queued] = deque()
        self.reads: deque[Queued] = deque()
        self.turns: list[Request] = []
        self.heirs: Sequence[Lane] = ()
        self.refusal: RefusedReply | None = None
        self.paused = False
        self.pause_owed_ns = 0
        self.slowness = 1.0
        self.pressure = 0
        """The latest pressure that slowed down writes."""
        self.due_tick = 0

    @property
    def writes_may_go(self) -> bool:
        """Whether a new write request may be sent."""
        return not self.turns and not self.paused

    @property
    def reads_may_go(self) -> bool:
        """Whether reads may be sent: not while an abandoned write is under way, as reads must come after it."""
        return not self.turns or not any(call.left for turn in self.turns for call in turn.calls)

    def add(self, waiting: Queued) -> None:
        """Queue it behind the others."""
        (self.writes if waiting.op in WRITES else self.reads).append(waiting)

    def put_first(self, waiting: Queued) -> None:
        """Queue it before the others."""
        (self.writes if waiting.op in WRITES else self.reads).appendleft(waiting)

    def sendable(self) -> bool:
        """Whether `next_request` may return a request."""
        reads, writes = self.reads and self.reads_may_go, self.writes and self.writes_may_go
        return bool(self.retries or reads or writes)

    def next_request(self) -> Request | None:
        """Take the request to send next: a retry, else a write if none is under way, else a read."""
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

    def _gather(self, queue: deque[Queued]) -> Request | None:
        """A request for the first item of the queue and, if that is a single operation, for others of its kind."""
        first = _pop(queue)
        if first is None or isinstance(first, Request):
            return first
        singles = [first, *_take_alike(queue, first)] if queue and first.op in _GATHERED else [first]
        return request_of_singles(self, singles)

    def inherit(self, share: Request, whole: Request) -> None:
        """Let the share of a write for this segment take the place of the whole write in the turns."""
        at = self.turns.index(whole)
        self.turns[at] = share
        if not at:
            self.retries.append(share)

    def end_turn(self, request: Request) -> bool:
        """Remove a request that is DONE from the turns, and let the next one be sent. Returns False if it has none."""
        turns = self.turns
        if turns[0] is request:
            del turns[0]
            if turns and turns[0].lane is self:
                self.retries.append(turns[0])
        elif request in turns:
            turns.remove(request)
        else:
            return False
        return True

    def check_invariants(self) -> None:
        """Raise AssertionError if an invariant of this class does not hold."""
        assert self.due_tick or not self.paused, "a pause would never end"
        assert self.offered or not self.sendable(), "a lane that has something to send is not offered"
        assert self.channel.ready.count(self) == self.offered, "a lane waits in its channel without an offer, or twice"
        if self.turns:
            open_writes = {turn for turn in self.turns if turn.op in WRITES and turn.state != RequestState.DONE}
            assert len(open_writes) == len(self.turns), "a turn is not that of a write under way, or a write has two"

    def leave_out_settled(self, request: Request) -> None:
        """Rebuild a gathered request for the calls that still wait. The others ended, as not applied."""
        left = [call for call in request.calls if type(call) is Single and not call.settled]
        if len(left) < len(request.calls):
            request.calls = [*left]
            request.entries = len(left)
            request.body, request.flags = _body_of_singles(left)


def body_of_single(single: Single) -> tuple[tuple[bytes, ...], int]:
    """The body and flags of a request for one single operation."""
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


def _pop(queue: deque[Queued]) -> Queued | None:
    while queue:
        waiting = queue.popleft()
        call: Call = waiting.calls[0] if isinstance(waiting, Request) else waiting
        if not call.settled and not call.left:
            return waiting
    return None


def _take_alike(queue: deque[Queued], first: Single) -> list[Single]:
    """Take the other single operations of the same kind out of the queue, up to the limits of a gathered request."""
    taken: list[Single] = []
    left: list[Queued] = []
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
