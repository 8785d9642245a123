"""A request: what one message asks of one segment, for the calls that wait for it.

    QUEUED   waits in its lane for a credit            SENT      holds a credit if it needs one, waits for its answer
    DELAYED  waits a while before it is sent again     DONE      answered, refused for good, or given up

A request that was made and sent at once for a single operation is `alone`: until it has to be sent again, its timer
also is that of its call.

`unanswered` counts the times it was sent without being refused: while that is not 0, a write may have been applied.
A request that no call waits for any more still holds its credit until its answer or the end of its attempt.

A FLUSH or COMPACT waits for the disk. On the direct way the first BARRIERS_FREE of them take no credit, so that a
worker learns of all ranges to flush before its drain begins, and drains them together.
"""

from __future__ import annotations

from collections.abc import Set
from typing import TYPE_CHECKING, Final

from shardstore.client.calls import Call
from shardstore.client.cutting import Positions
from shardstore.key_range import KeyRange
from shardstore.limits import DRAIN_RANGES_MAX, SECOND_NS
from shardstore.route_map import Route
from shardstore.wire_format import Flag, Op, Status

if TYPE_CHECKING:
    from shardstore.client.lanes import Channel, Lane

ATTEMPT_NS = SECOND_NS
ATTEMPT_DOUBLINGS_MAX = 3
BARRIERS = frozenset((Op.FLUSH, Op.COMPACT))
BARRIER_ATTEMPT_NS = 30 * SECOND_NS
"""They may rightly take long, and each one that is asked again is more work for who does it."""
BARRIERS_FREE = DRAIN_RANGES_MAX
"""So many in flight to a worker take no credit: as many as one drain takes ranges."""


class State:
    """Where a request is; see the module. Plain integers: looking up a member of an enum costs four times as much."""

    QUEUED: Final = 1
    SENT: Final = 2
    DELAYED: Final = 3
    DONE: Final = 4


class Part:
    """What a call of many parts wants of one segment, as it waits to become a request."""

    __slots__ = ("body", "call", "entries", "flags", "op", "positions")

    def __init__(
        self,
        call: Call,
        op: Op,
        body: tuple[bytes, ...] = (),
        flags: int = 0,
        entries: int = 0,
        positions: Positions | None = None,
    ) -> None:
        self.call = call
        self.op = op
        self.body = body
        self.flags = flags
        self.entries = entries
        self.positions = positions


class Request:
    """One message, sent until it is answered. `sequence` is 0 and `route` None before it is first sent.

    `free`: it is SENT without a credit. `shared` are the keys its sequence was for before it was shared out
    (succession.py), None if it was not.
    """

    __slots__ = (
        "alone",
        "attempt_end_ns",
        "body",
        "calls",
        "channel",
        "direct",
        "entries",
        "failures",
        "flags",
        "free",
        "grain",
        "lane",
        "op",
        "positions",
        "route",
        "sends",
        "sequence",
        "shared",
        "state",
        "unanswered",
    )

    def __init__(
        self,
        lane: Lane,
        op: Op,
        body: tuple[bytes, ...],
        flags: int,
        entries: int,
        calls: list[Call],
        positions: Positions | None = None,
    ) -> None:
        self.lane = lane
        self.op = op
        self.body = body
        self.flags = flags
        self.entries = entries
        self.calls = calls
        self.positions = positions
        self.channel: Channel = lane.channel
        self.route: Route | None = None
        self.direct = False
        self.free = False
        self.state: int = State.QUEUED
        self.alone = False
        self.attempt_end_ns = 0
        self.sequence = 0
        self.shared: KeyRange | None = None
        self.sends = 0
        self.unanswered = 0
        self.failures = 0
        self.grain = 0

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
        return self.state in (State.SENT, State.DELAYED)

    def was_sent_over(self, links: Set[str]) -> bool:
        """Whether its answer would come over one of these links."""
        return self.state is State.SENT and self.direct and self.channel.link in links

    def waits_for_room(self) -> bool:
        """Whether it was refused for want of room, which a new owner does not change at once."""
        refused = self.lane.refusal
        return self.state is State.DELAYED and refused is not None and refused.status is Status.BUSY
