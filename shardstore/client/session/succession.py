"""Moves requests from the lane of a segment that is gone to its heirs, the lanes that have its keys now.

    waiting in the lane    goes to the heirs, cut again
    under way              still waits for its reply: the former owner answers for what it has logged
    to be sent again       A read, FLUSH or COMPACT becomes a new request to the heirs, and so does a write that was
                           refused each time. A write that may have been applied keeps its sequence: it is cut again
                           and shared out to the heirs as retries. The dedup window of an heir has what that of the
                           former owner had.

Until a write to the former segment is answered or passed on, it has the turn in each of the heirs, so the writes of one
key stay in order. If several such writes meet in one heir, they go in the order of their sequences, as the dedup window
requires.

An atomic batch goes whole to the heir that has all its keys. If they are divided among heirs it fails: with
OutcomeUnknown if it may have been applied, and then any of the heirs can tell, as its window has what that of the
former owner had.

When heirs merge again, the shares of one sequence cannot be told apart any more: the window of the merged segment has
the sequence if any of them was applied. A share that is not answered by then ends with OutcomeUnknown.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from shardstore.client.calls.calls import AtomicBatch, Call, Single
from shardstore.client.calls.outcome_token import UNKNOWABLE
from shardstore.client.session.lane_map import LaneMap
from shardstore.client.session.lanes import Lane, Queued, Request, RequestState, request_of_singles
from shardstore.client.session.requests_of_calls import lane_of_batch, requests_instead_of
from shardstore.client.session.sender import Sender
from shardstore.errors import InvalidRequest, OutcomeUnknown
from shardstore.wire.wire_format import WRITES


class Succession:
    """Passes requests on to the heirs of their segments.

    `settle` settles calls that have nothing left to wait for. `fail` settles a call with an error, or with
    OutcomeUnknown if it may have been applied.
    """

    def __init__(
        self,
        lane_map: LaneMap,
        sender: Sender,
        settle: Callable[..., None],
        fail: Callable[[Call, Exception], None],
    ) -> None:
        self._lane_map = lane_map
        self._sender = sender
        self._settle = settle
        self._fail = fail

    def pass_on_lanes(self, gone: Iterable[Lane]) -> None:
        """Name the heirs of lanes that left the route map, keep turns of writes, and pass on all that is not SENT."""
        requests = [request for request in self._sender.requests() if request.lane.heirs]
        for lane in dict.fromkeys([*gone, *(request.lane for request in requests)]):
            lane.heirs = self._lane_map.lanes_over(lane.key_range)
        requests = [request for request in self._sender.requests() if request.lane.heirs]
        for request in sorted(requests, key=lambda request: request.sequence):
            if request.op in WRITES:
                for heir in request.lane.heirs:
                    if request not in heir.turns:
                        heir.turns.append(request)
        for lane in gone:
            for waiting in (*_taken(lane.writes), *_taken(lane.reads)):
                for heir, instead in self._of_heirs(waiting):
                    heir.add(instead)
            lane.retries.clear()
            lane.turns.clear()
        for request in requests:
            if request.state != RequestState.SENT:
                self.pass_on(request)

    def pass_on(self, request: Request) -> None:
        """Pass a request on to the heirs of its segment."""
        self._fail_divided(request)
        self._sender.take_back(request)
        if request.op not in WRITES or not request.unanswered:
            self._ask_anew(request)
        elif self._is_ambiguous(request):
            for call in request.calls:
                unknown = "the segment of a part of the write was split and merged before that part was answered"
                self._settle(call, error=OutcomeUnknown(unknown, UNKNOWABLE.encode()))
        else:
            self._share_out(request)
        self._sender.end_turns(request)

    def put_first(self, waiting: Queued) -> None:
        """Queue it before others of its kind; if its segment is gone, with the heirs."""
        for heir, instead in self._of_heirs(waiting):
            heir.put_first(instead)
            self._sender.offer(heir)

    def _ask_anew(self, request: Request) -> None:
        singles = _singles_of(request)
        for waiting in reversed(singles) if singles else [request]:
            self.put_first(waiting)

    def _share_out(self, request: Request) -> None:
        """Send one request to each heir with some of the keys, all with the same sequence."""
        shares = self._shares(request)
        shared = request.shared or (request.lane.key_range if len(shares) > 1 else None)
        for share in shares:
            share.sequence = request.sequence
            share.unanswered = request.unanswered
            share.shared = shared
            self._sender.inherit(share, request)

    def _shares(self, request: Request) -> list[Request]:
        if type(request.calls[0]) is not Single:
            return self._instead_of(request)
        singles: dict[Lane, list[Single]] = {}
        for call in _singles_of(request):
            if not call.settled:
                singles.setdefault(self._lane_map.lane_of(call.key), []).append(call)
        return [request_of_singles(heir, some) for heir, some in singles.items()]

    def _is_ambiguous(self, request: Request) -> bool:
        """Whether the dedup window of an heir may have the sequence because of another share."""
        if request.shared is None:
            return False
        among = [heir.key_range.intersection(request.shared) for heir in request.lane.heirs]
        return any(keys and keys.intersection(request.lane.key_range) != keys for keys in among)

    def _of_heirs(self, waiting: Queued) -> list[tuple[Lane, Queued]]:
        """What replaces a waiting item, each with its lane; nothing if the call is settled."""
        if isinstance(waiting, Request):
            return [(instead.lane, instead) for instead in self._instead_of(waiting)]
        return [] if waiting.settled else [(self._lane_map.lane_of(waiting.key), waiting)]

    def _fail_divided(self, request: Request) -> None:
        """Fail an atomic batch whose keys are divided among heirs. It is in doubt until then, so that this can tell."""
        call = request.calls[0]
        if type(call) is AtomicBatch and not call.settled:
            try:
                lane_of_batch(call, self._lane_map)
            except InvalidRequest as divided:
                self._fail(call, divided)

    def _instead_of(self, request: Request) -> list[Request]:
        call = request.calls[0]
        if call.settled:
            return []
        try:
            requests = requests_instead_of(request, self._lane_map)
        except InvalidRequest as divided:
            self._fail(call, divided)
            return []
        call.add_parts(len(requests) - 1)
        if not call.missing:
            self._settle(call, call.settled_with(None))
        return requests


def _singles_of(request: Request) -> list[Single]:
    """The single operations of a request; none if it is a part of another call."""
    return [call for call in request.calls if type(call) is Single]


def _taken(queue: deque[Any]) -> list[Any]:
    taken = [*queue]
    queue.clear()
    return taken
