"""Which segments a call of many parts concerns, and what it asks of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import assert_never

from shardstore.client.calls.calls import Administer, EndScan, GetStats, Maintain, Many, Owner, Page, ScanPage
from shardstore.client.calls.checking import Items
from shardstore.client.calls.cutting import cut
from shardstore.client.session import answers
from shardstore.client.session.in_flight import Request, SubRequest
from shardstore.client.session.lanes import Lane
from shardstore.client.session.routing import Routing
from shardstore.key_range import KeyRange
from shardstore.limits import KEY_BYTES_MAX, KEY_BYTES_MIN, VALUE_BYTES_MAX
from shardstore.wire import columns
from shardstore.wire.messages import ScanRequest, encode
from shardstore.wire.wire_format import Flag, Header, Op


def parts_of(
    call: Many | ScanPage | EndScan | Maintain | GetStats | Administer, routing: Routing
) -> list[tuple[Lane, SubRequest]]:
    """The parts of a call, each with the lane it belongs in; at least one."""
    match call:
        case Many():
            return list(_pieces(call, call.keys, call.values, routing))
        case ScanPage():
            return [_of_page(call, routing, Op.SCAN, call)]
        case EndScan():
            return [_of_page(call.latest, routing, Op.END_SCAN, call)]
        case Maintain():
            return _of_barrier(call, KeyRange(call.start, call.end), routing)
        case GetStats():
            lanes = [routing.router_lane, *routing.lane_of_each_worker().values()]
            return [(lane, SubRequest(call, Op.STATS)) for lane in lanes]
        case Administer():
            return [(routing.router_lane, SubRequest(call, Op.ADMIN, (encode(call.request),)))]
    assert_never(call)


def parts_again(part: SubRequest, lane: Lane, routing: Routing) -> list[tuple[Lane, SubRequest]]:
    """What a part that was for this lane wants of the lanes that have its keys now; none if others were asked that."""
    call = part.call
    match call:
        case Many():
            heirs = routing.lanes_over(lane.key_range)
            return [(heirs[0], part)] if len(heirs) == 1 else list(_pieces_again(call, part, routing))
        case ScanPage():
            return [_of_page(call, routing, Op.SCAN, call)]
        case Maintain():
            wanted = lane.key_range.intersection(KeyRange(call.start, call.end))
            return _of_barrier(call, wanted, routing) if wanted else []
        case GetStats():
            same_worker = routing.lane_of_each_worker().get(lane.route.worker) if lane.route else None
            return [(same_worker, part)] if same_worker else []
    raise AssertionError(f"a {type(call).__name__} has no part for a segment that can go")


def _pieces_again(call: Many, part: SubRequest, routing: Routing) -> Iterator[tuple[Lane, SubRequest]]:
    keys = _items(part.body[0], part.flags & Flag.KEYS_FIXED, part.entries, KEY_BYTES_MIN, KEY_BYTES_MAX)
    values = None
    if part.op == Op.PUT:
        values = _items(part.body[1], part.flags & Flag.VALUES_FIXED, part.entries, 0, VALUE_BYTES_MAX)
    flags = part.flags & ~(Flag.KEYS_FIXED | Flag.VALUES_FIXED)
    for lane, piece in _pieces(call, keys, values, routing):
        piece.flags |= flags
        if part.positions is not None and piece.positions is not None:
            piece.positions = part.positions[piece.positions]
        elif part.positions is not None:
            piece.positions = part.positions
        yield lane, piece


def _items(frame: bytes, fixed: int, entries: int, shortest: int, longest: int) -> Items:
    """A column as it was before it was encoded."""
    items = columns.decode(frame, bool(fixed), entries, shortest, longest)
    return Items(items, frame, len(frame) // entries) if fixed else Items(items, None, 0)


def _of_barrier(call: Maintain, wanted: KeyRange, routing: Routing) -> list[tuple[Lane, SubRequest]]:
    lanes = [lane for lane in routing.lanes_over(wanted) if lane.segment not in call.asked]
    call.asked.update(lane.segment for lane in lanes)
    return [(lane, SubRequest(call, call.op, flags=call.flags)) for lane in lanes]


def _pieces(call: Many, keys: Items, values: Items | None, routing: Routing) -> Iterator[tuple[Lane, SubRequest]]:
    for piece in cut(keys, values, routing.boundaries):
        body = (piece.keys,) if piece.values is None else (piece.keys, piece.values)
        yield routing.lanes[piece.route], SubRequest(call, call.op, body, piece.flags, piece.entries, piece.positions)


def _of_page(page: ScanPage, routing: Routing, op: Op, call: ScanPage | EndScan) -> tuple[Lane, SubRequest]:
    """A request to the segment of a page."""
    if call.owner is not None:
        lane = routing.lane_of_owner(call.owner)
    else:
        lane = routing.last_lane_before(page.end) if page.reverse else routing.lane_of(page.start)
    asked = ScanRequest(page.start, page.end, page.reverse, page.keys_only, page.limit, page.mode.value, call.mark)
    return lane, SubRequest(call, op, (encode(asked),))


def rest_of_scan(call: ScanPage, owned: KeyRange, resume: bytes) -> tuple[bytes, bytes] | None:
    """The range that is left after a page of the segment that owns these keys; None when nothing is."""
    if call.reverse:
        end = resume or owned.start
        return (call.start, end) if end > call.start else None
    start = resume or owned.end
    return (start, call.end) if start and (not call.end or start < call.end) else None


def page_of(request: Request, header: Header, frames: Sequence[bytes]) -> Page:
    """The page in the answer to a SCAN. Raises InvalidColumn."""
    call = request.calls[0]
    assert type(call) is ScanPage
    keys, values = answers.page_of(header, frames, call.keys_only)
    resume, mark = frames[3:]
    owned = request.lane.key_range
    owner = Owner(owned, request.route) if mark and request.route else None
    return Page(keys, values, rest_of_scan(call, owned, resume), bool(resume), mark, owner)
