"""What becomes of requests and of what waits when a segment is gone: others have its keys now, its lane's heirs.

    what waits in the lane      goes to the heirs, cut anew
    a request under way         is waited for: the former owner answers what it had logged
    a request to be sent again  a read or a barrier is asked of the heirs anew, and so is a write that was refused each
                                time. A write that may have been applied keeps its sequence: cut anew, it goes to each
                                heir as a retry, whose dedup window has what the former owner's had.

Until a write to the former segment is answered or passed on, it has the turn in each of the heirs: the writes of one
key stay in order. Where several such writes meet in one heir, they go in the order of their sequences, as the dedup
window wants them.

A sequence that was shared out so cannot be told apart any more when heirs merge again: the window of the merged
segment has the sequence if either part was applied. What then is still open ends as OutcomeUnknown.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from shardstore.client.calls.calls import Single
from shardstore.client.calls.outcome_token import UNKNOWABLE
from shardstore.client.session.lanes import Lane, Request, RequestState, Waiting, request_of_singles
from shardstore.client.session.planning import requests_instead_of
from shardstore.client.session.routing import Routing
from shardstore.client.session.sender import Sender
from shardstore.errors import OutcomeUnknown
from shardstore.wire.wire_format import WRITES


class Succession:
    """Hands on what was for a segment that is gone. `settle` is told calls for which nothing is left to wait."""

    def __init__(self, routing: Routing, sender: Sender, settle: Callable[..., None]) -> None:
        self._routing = routing
        self._sender = sender
        self._settle = settle

    def adopt(self, gone: Iterable[Lane]) -> None:
        """These lanes are of the map no more: name heirs, keep turns, and hand on all that is not under way."""
        requests = [request for request in self._sender.requests() if request.lane.heirs]
        for lane in dict.fromkeys([*gone, *(request.lane for request in requests)]):
            lane.heirs = self._routing.lanes_over(lane.key_range)
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
        """A request that its segment is not to be asked again: ask the heirs instead."""
        self._sender.take_back(request)
        if request.op not in WRITES or not request.unanswered:
            self._ask_anew(request)
        elif self._beyond_telling(request):
            for call in request.calls:
                unknown = "the segment of a part of the write was split and merged before that part was answered"
                self._settle(call, error=OutcomeUnknown(unknown, UNKNOWABLE.encode()))
        else:
            self._share_out(request)
        self._sender.end_turns(request)

    def put_first(self, waiting: Waiting) -> None:
        """Let it be what is sent next of its kind."""
        for heir, instead in self._of_heirs(waiting):
            heir.put_first(instead)
            self._sender.offer(heir)

    def _ask_anew(self, request: Request) -> None:
        singles = _singles_of(request)
        for waiting in reversed(singles) if singles else [request]:
            self.put_first(waiting)

    def _share_out(self, request: Request) -> None:
        """One request to each heir with some of the keys, under the same sequence."""
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
                singles.setdefault(self._routing.lane_of(call.key), []).append(call)
        return [request_of_singles(heir, some) for heir, some in singles.items()]

    def _beyond_telling(self, request: Request) -> bool:
        """Whether the window of an heir may have the sequence because of another share of it."""
        if request.shared is None:
            return False
        among = [heir.key_range.intersection(request.shared) for heir in request.lane.heirs]
        return any(keys and keys.intersection(request.lane.key_range) != keys for keys in among)

    def _of_heirs(self, waiting: Waiting) -> list[tuple[Lane, Waiting]]:
        """What is to be asked of whom instead; nothing if its call is settled."""
        if isinstance(waiting, Request):
            return [(instead.lane, instead) for instead in self._instead_of(waiting)]
        return [] if waiting.settled else [(self._routing.lane_of(waiting.key), waiting)]

    def _instead_of(self, request: Request) -> list[Request]:
        call = request.calls[0]
        if call.settled:
            return []
        requests = requests_instead_of(request, self._routing)
        call.add_parts(len(requests) - 1)
        if not call.missing:
            self._settle(call, call.settled_with(None))
        return requests


def _singles_of(request: Request) -> list[Single]:
    """The single operations that it is for; none if it is for a part of another call."""
    return [call for call in request.calls if type(call) is Single]


def _taken(queue: deque[Any]) -> list[Any]:
    taken = [*queue]
    queue.clear()
    return taken
