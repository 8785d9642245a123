"""Combines the replies to the parts of a call. The last one settles the call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shardstore.client.calls.calls import Call, Count, DeleteRange, EndScan, GetStats, Many, ScanPage, Take
from shardstore.client.session.effects import NewCalls
from shardstore.client.session.lanes import Request
from shardstore.client.session.requests_of_calls import request_for_rest
from shardstore.client.session.succession import Succession
from shardstore.wire.link_names import ROUTER
from shardstore.wire.wire_format import WRITES, Op


class Collector:
    """`settle` settles a call with its value, `fail` with an error; `submit` submits another call.

    `succession` queues the rest of a request that was answered in part, before all others in its lane.
    """

    def __init__(
        self,
        settle: Callable[[Call, Any], None],
        fail: Callable[[Call, Exception], None],
        submit: Callable[[NewCalls], None],
        succession: Succession,
    ) -> None:
        self._settle = settle
        self._fail = fail
        self._submit = submit
        self._succession = succession

    def take(self, request: Request, content: Any) -> None:
        """Take the content of the reply to one part of a call. If it was the last part, settle the call."""
        call = request.calls[0]
        if call.settled:
            # nobody else knows the cursor of this scan, whose first page is no longer wanted
            if type(call) is ScanPage and not call.cursor and content.more and content.cursor:
                self._submit([EndScan(call.timeout_ns, call, content.cursor, content.owner)])
            return
        if type(call) is GetStats:
            call.results[request.route.worker if request.route else ROUTER] = content
        elif type(call) is Count:
            call.found = call.found.plus(content)
        elif isinstance(call, Many | DeleteRange) and request.op in WRITES:
            call.applied.append((request.sequence, request.lane.segment))
        elif type(call) is Many:
            self._take_values(call, request, content)
        elif type(call) is Take and content is None and call.goes_on():
            self._succession.put_first(Request(request.lane, Op.TAKE, [call]))
            return
        call.missing -= 1
        if call.missing:
            return
        if isinstance(call, Many | DeleteRange) and call.denied is not None:
            self._fail(call, call.denied)
        else:
            self._settle(call, call.settled_with(content))

    def deny(self, call: Call, error: Exception) -> None:
        """Take that the role of this client does not allow one part of a call. The call fails with its last part.

        Only then it is known whether another part was applied, as one may have been whose role has changed.
        """
        if isinstance(call, Many | DeleteRange):
            call.missing -= 1
            call.denied = error
            if call.missing:
                return
        self._fail(call, error)

    def _take_values(self, call: Many, request: Request, values: list[bytes | None]) -> None:
        """Keep the values of a part. If they are only the first ones, ask for the rest."""
        answered = len(values)
        if answered == request.entries:
            call.collect(request.positions, values)
            return
        positions = call.all_positions() if request.positions is None else request.positions
        call.collect(positions[:answered], values)
        call.add_parts(1)
        self._succession.put_first(request_for_rest(request, positions, answered))
