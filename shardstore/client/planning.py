"""Which segments a call of many parts concerns, and what it asks of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from shardstore.client.calls import Maintain, Many, ScanPage, Statistics
from shardstore.client.cutting import cut
from shardstore.client.in_flight import Part
from shardstore.client.lanes import Lane
from shardstore.client.routing import Routing
from shardstore.key_range import KeyRange
from shardstore.messages import ScanRequest, encode
from shardstore.wire_format import Op


def parts_of(call: Many | ScanPage | Maintain | Statistics, routing: Routing) -> list[tuple[Lane, Part]]:
    """The parts of a call, each with the lane it belongs in; at least one."""
    match call:
        case Many():
            return list(_pieces(call, routing))
        case ScanPage():
            return [_page(call, routing)]
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


def _page(call: ScanPage, routing: Routing) -> tuple[Lane, Part]:
    lane = routing.last_lane_before(call.end) if call.reverse else routing.lane_of(call.start)
    asked = ScanRequest(call.start, call.end, call.reverse, call.keys_only, call.limit)
    return lane, Part(call, Op.SCAN, (encode(asked),))


def rest_of_scan(call: ScanPage, owned: KeyRange, resume: bytes) -> tuple[bytes, bytes] | None:
    """The range that is left after a page of the segment that owns these keys; None when nothing is."""
    if call.reverse:
        end = resume or owned.start
        return (call.start, end) if end > call.start else None
    start = resume or owned.end
    return (start, call.end) if start and (not call.end or start < call.end) else None
