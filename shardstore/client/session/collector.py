"""Puts together what the parts of a call were answered; the last part settles it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shardstore.client.calls.calls import Call, EndScan, GetStats, Many, ScanPage
from shardstore.client.session.effects import Submit
from shardstore.client.session.lanes import Request
from shardstore.client.session.planning import request_for_rest
from shardstore.client.session.routing import ROUTER
from shardstore.client.session.succession import Succession
from shardstore.wire.wire_format import WRITES


class Collector:
    """`settle` a call with its value; `submit` another one; what was answered in part goes first in its lane."""

    def __init__(
        self, settle: Callable[[Call, Any], None], submit: Callable[[Submit], None], succession: Succession
    ) -> None:
        self._settle = settle
        self._submit = submit
        self._succession = succession

    def take(self, request: Request, content: Any) -> None:
        """What the request asked of one part of its call is answered; when it was the last, settle the call."""
        call = request.calls[0]
        if call.settled:
            if type(call) is ScanPage and not call.mark and content.more and content.mark:  # only this tells of it
                self._submit(Submit((EndScan(call.timeout_ns, call, content.mark, content.owner),)))
            return
        if type(call) is GetStats:
            call.results[request.route.worker if request.route else ROUTER] = content
        elif type(call) is Many and request.op in WRITES:
            call.applied.append((request.sequence, request.lane.segment))
        elif type(call) is Many:
            self._take_values(call, request, content)
        call.missing -= 1
        if not call.missing:
            self._settle(call, call.settled_with(content))

    def _take_values(self, call: Many, request: Request, values: list[bytes | None]) -> None:
        """Keep the values of a part; ask for the rest if only the first were answered."""
        answered = len(values)
        if answered == request.entries:
            call.collect(request.positions, values)
            return
        positions = call.all_positions() if request.positions is None else request.positions
        call.collect(positions[:answered], values)
        call.add_parts(1)
        self._succession.put_first(request_for_rest(request, positions, answered))
