"""Puts together what the parts of a call were answered; the last part settles it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shardstore.client.calls.calls import Administer, Call, EndScan, GetStats, Many, ScanPage
from shardstore.client.session import answers
from shardstore.client.session.effects import Submit
from shardstore.client.session.in_flight import Request, SubRequest
from shardstore.client.session.routing import ROUTER
from shardstore.client.session.succession import Succession
from shardstore.wire.wire_format import WRITES, Header, Op


class Collecting:
    """`settle` a call with its value; `submit` another one; what was answered in part goes first in its lane."""

    def __init__(
        self, settle: Callable[[Call, Any], None], submit: Callable[[Submit], None], succession: Succession
    ) -> None:
        self._settle = settle
        self._submit = submit
        self._succession = succession

    def take_part(self, call: Call, request: Request, header: Header, content: Any) -> None:
        """One part of a call is answered; when it was the last, settle the call."""
        if call.settled:
            if type(call) is ScanPage and not call.mark and content.more and content.mark:  # only this tells of it
                self._submit(Submit((EndScan(call.timeout_ns, call, content.mark, content.owner),)))
            return
        value: Any = None
        if type(call) is Many and request.op in WRITES:
            call.applied.append((request.sequence, request.lane.segment))
        call.missing -= 1
        if type(call) is Many and request.op == Op.GET:
            self._collect(call, request, header.entries, content)
            value = call.collected() if not call.missing else None
        elif type(call) is GetStats:
            worker = request.route.worker if request.route else ROUTER
            call.results[worker] = content
            value = dict(sorted(call.results.items(), key=_router_first))
        elif type(call) in (ScanPage, Administer):
            value = content
        if not call.missing:
            self._settle(call, value)

    def _collect(self, call: Many, request: Request, answered: int, values: list[bytes | None]) -> None:
        """Keep the values of a part; ask for the rest if only the first were answered."""
        if answered == request.entries:
            call.collect(request.positions, values)
            return
        positions = request.positions if request.positions is not None else call.all_positions()
        call.collect(positions[:answered], values)
        frame, flags, left = answers.rest_of_keys(request, answered)
        rest = SubRequest(call, Op.GET, (frame,), flags, left, positions[answered:])
        call.missing += 1
        self._succession.put_first(rest, request.lane)


def _router_first(figures: tuple[str | int, object]) -> int:
    who, _ = figures
    return -1 if isinstance(who, str) else who
