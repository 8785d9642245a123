"""Which segments a call of many parts concerns, and what it asks of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from shardstore.client.calls import EndScan, Maintain, Many, ScanPage, Statistics
from shardstore.client.cutting import cut
from shardstore.client.in_flight import Part
from shardstore.client.lanes import Lane
from shardstore.client.routing import Routing
from shardstore.key_range import KeyRange
from shardstore.messages import ScanRequest, encode
from shardstore.wire_format import Op


def parts_of(call: Many | ScanPage | EndScan | Maintain | Statistics, routing: Routing) -> list[tuple[Lane, Part]]:
    """The parts of a call, each with the lane it belongs in; at least one."""
    match call:
        case Many():
            return list(_pieces(call, routing))
        case ScanPage():
            return [_of_page(call, routing, Op.SCAN, call, call.mark)]
        case EndScan():
            return [_of_page(call.latest, routing, Op.END_SCAN, call, call.mark)]
        case Maintain():
            wanted = KeyRange(call.start, call.end)
            lanes = [lane for lane in routing.lanes if lane.key_range.intersection(wanted)]
            return [(lane, Part(call, call.op, flags=call.flags)) for lane in lanes]
        case Statistics():
            lanes = [routing.router_lane, *routing.lane_of_each_worker().values()]
            return [(lane, Part(call, Op.STATS)) for lane in lanes]
    assert_never(call)


def _pieces(call: Many, routing: Routing) -> Iterator[tuple[Lane, Part]]:
    for piece in cut(call.keys, call.values, routing.boundaries):
        body = (piece.keys,) if piece.values is None else (piece.keys, piece.values)
        yield routing.lanes[piece.route], Part(call, call.op, body, piece.flags, piece.entries, piece.positions)


def _of_page(page: ScanPage, routing: Routing, op: Op, call: ScanPage | EndScan, mark: bytes) -> tuple[Lane, Part]:
    """A request to the segment of a page."""
    lane = routing.last_lane_before(page.end) if page.reverse else routing.lane_of(page.start)
    asked = ScanRequest(page.start, page.end, page.reverse, page.keys_only, page.limit, page.mode.value, mark)
    return lane, Part(call, op, (encode(asked),))


def rest_of_scan(call: ScanPage, owned: KeyRange, resume: bytes) -> tuple[bytes, bytes] | None:
    """The range that is left after a page of the segment that owns these keys; None when nothing is."""
    if call.reverse:
        end = resume or owned.start
        return (call.start, end) if end > call.start else None
    start = resume or owned.end
    return (start, call.end) if start and (not call.end or start < call.end) else None
