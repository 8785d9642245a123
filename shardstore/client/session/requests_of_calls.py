"""Makes the requests of a call: one for each segment that the call concerns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from shardstore.client.calls.arguments import Items
from shardstore.client.calls.batch_pieces import Positions, cut_by_range
from shardstore.client.calls.calls import (
    Administer,
    AtomicBatch,
    Call,
    Count,
    DeleteRange,
    EndScan,
    GetStats,
    Maintain,
    Many,
    Open,
    ScanPage,
    Take,
)
from shardstore.client.session.lane_map import LaneMap
from shardstore.client.session.lanes import Lane, Request
from shardstore.errors import InvalidRequest
from shardstore.key_range import KeyRange
from shardstore.limits import KEY_BYTES_MAX, KEY_BYTES_MIN, VALUE_BYTES_MAX
from shardstore.wire import columns
from shardstore.wire.messages import CountRequest, ScanRequest, TakeRequest, decode, encode
from shardstore.wire.wire_format import Flag, Op


def requests_for(call: Call, lane_map: LaneMap) -> list[Request]:
    """The requests of a call, each for its lane; none if the call only waits for routes.

    Raises InvalidRequest for an AtomicBatch of keys in several ranges.
    """
    match call:
        case Open():
            return []
        case Many():
            return list(_of_many(call, call.keys, call.values, None, lane_map))
        case AtomicBatch():
            return [_of_batch(call, lane_map)]
        case Take():
            return [_of_take(call, lane_map, None)]
        case ScanPage():
            return [_of_page(call, lane_map, Op.SCAN, call)]
        case EndScan():
            return [_of_page(call.latest, lane_map, Op.END_SCAN, call)]
        case Maintain():
            return _of_barrier(call, KeyRange(call.start, call.end), lane_map)
        case DeleteRange() | Count():
            return _of_range(call, KeyRange(call.start, call.end), lane_map)
        case GetStats():
            lanes = [lane_map.router_lane, *lane_map.lane_of_each_worker().values()]
            return [Request(lane, Op.STATS, [call]) for lane in lanes]
        case Administer():
            return [Request(lane_map.router_lane, Op.ADMIN, [call], (encode(call.request),))]
    raise AssertionError(f"a {type(call).__name__} is not planned")


def requests_instead_of(request: Request, lane_map: LaneMap) -> list[Request]:
    """The requests to the lanes that have the keys of a request's lane now; none if they were asked already.

    Raises InvalidRequest for an AtomicBatch of keys that several ranges have now.
    """
    call, lane = request.calls[0], request.lane
    match call:
        case Many():
            heirs = lane_map.lanes_over(lane.key_range)
            return [replace(request, lane=heirs[0])] if len(heirs) == 1 else _cut_again(call, request, lane_map)
        case AtomicBatch():
            return [replace(request, lane=lane_of_batch(call, lane_map))]
        case Take():
            return [_of_take(call, lane_map, call.asked if request.unanswered else None)]
        case ScanPage():
            return [_of_page(call, lane_map, Op.SCAN, call)]
        case Maintain():
            wanted = lane.key_range.intersection(KeyRange(call.start, call.end))
            return _of_barrier(call, wanted, lane_map) if wanted else []
        case DeleteRange():
            return _of_range(call, KeyRange(*request.body), lane_map)
        case Count():
            asked = decode(CountRequest, request.body[0])
            return _of_range(call, KeyRange(asked.start, asked.end), lane_map)
        case GetStats():
            same_worker = lane_map.lane_of_each_worker().get(lane.route.worker) if lane.route else None
            return [replace(request, lane=same_worker)] if same_worker else []
    raise AssertionError(f"a {type(call).__name__} asks nothing of a segment that can go")


def lane_of_batch(batch: AtomicBatch, lane_map: LaneMap) -> Lane:
    """The lane of the range that has all keys of a batch. Raises InvalidRequest if there is none."""
    lane = lane_map.lane_of(batch.key)
    for keys in filter(None, (batch.keys, batch.required)):
        if not columns.all_within(keys, lane.key_range):
            beyond = next(key for key in keys if key not in lane.key_range)
            raise InvalidRequest(
                f"a batch is for keys of one range, and {beyond!r:.60} is beyond that of {batch.key!r:.60}, "
                f"which is from {lane.key_range.start!r:.60} to {lane.key_range.end!r:.60}; "
                "a space that is made with together=True stays in one range"
            )
    return lane


def request_for_rest(request: Request, positions: Positions, answered: int) -> Request:
    """The request for the rest of a GET of which only the first keys were answered. `positions`: of all its keys."""
    entries = request.entries - answered
    keys, flags = request.body[0], request.flags
    if flags & Flag.KEYS_FIXED:
        frame = keys[answered * columns.stride_of(len(keys), request.entries) :]
    else:
        rest = columns.encode(_keys_of(request).items[answered:])
        frame, flags = rest.frame, flags | (Flag.KEYS_FIXED if rest.fixed else 0)
    return replace(request, body=(frame,), flags=flags, entries=entries, positions=positions[answered:])


def _cut_again(call: Many, request: Request, lane_map: LaneMap) -> list[Request]:
    values = _values_of(request) if request.op in (Op.PUT, Op.PUT_UNTIL) else None
    return list(_of_many(call, _keys_of(request), values, request.positions, lane_map))


def _keys_of(request: Request) -> Items:
    return _items(request.body[0], request.flags & Flag.KEYS_FIXED, request.entries, KEY_BYTES_MIN, KEY_BYTES_MAX)


def _values_of(request: Request) -> Items:
    if request.op == Op.PUT_UNTIL:
        values, _ = columns.decode_ending(request.body[1], request.entries, VALUE_BYTES_MAX, nullable=False)
        return Items(values, None, 0)
    return _items(request.body[1], request.flags & Flag.VALUES_FIXED, request.entries, 0, VALUE_BYTES_MAX)


def _items(frame: bytes, fixed: int, entries: int, shortest: int, longest: int) -> Items:
    """A column as it was before it was encoded."""
    items = columns.decode(frame, bool(fixed), entries, shortest, longest)
    return Items(items, frame, len(frame) // entries) if fixed else Items(items, None, 0)


def _of_many(
    call: Many, keys: Items, values: Items | None, positions: Positions | None, lane_map: LaneMap
) -> Iterator[Request]:
    """Requests for these entries of a call. `positions`: their places in the call; None if they are all of it."""
    for route, piece in cut_by_range(keys, values, lane_map.boundaries):
        request = Request(lane_map.lanes[route], call.op, [call], *piece)
        request.flags |= call.flags
        if positions is not None:
            request.positions = positions if piece.positions is None else positions[piece.positions]
        yield request


def _of_batch(batch: AtomicBatch, lane_map: LaneMap) -> Request:
    keys, values = columns.encode(batch.keys), columns.encode(batch.values)
    conditions = columns.encode_variable(batch.required), columns.encode_variable(batch.expected)
    flags = Flag.KEYS_FIXED * keys.fixed | Flag.VALUES_FIXED * values.fixed
    lane, body = lane_of_batch(batch, lane_map), (keys.frame, values.frame, *conditions)
    return Request(lane, Op.BATCH, [batch], body, flags, len(batch.keys))


def _of_take(take: Take, lane_map: LaneMap, asked: KeyRange | None) -> Request:
    """A request to the next range. `asked`: if it was asked before, the keys about which that will tell.

    What an heir knows of it then is said of no other keys.
    """
    lane = lane_map.last_lane_before(take.end) if take.reverse else lane_map.lane_of(take.start)
    take.asked = lane.key_range if asked is None else lane.key_range.intersection(asked) or lane.key_range
    return Request(lane, Op.TAKE, [take], (encode(TakeRequest(take.start, take.end, take.reverse)),))


def _of_barrier(call: Maintain, wanted: KeyRange, lane_map: LaneMap) -> list[Request]:
    lanes = [lane for lane in lane_map.lanes_over(wanted) if lane.segment not in call.asked]
    call.asked.update(lane.segment for lane in lanes)
    return [Request(lane, call.op, [call], flags=call.flags) for lane in lanes]


def _of_range(call: DeleteRange | Count, wanted: KeyRange, lane_map: LaneMap) -> list[Request]:
    """A request to each segment with keys of the wanted range, for these keys."""
    requests = []
    for lane in lane_map.lanes_over(wanted):
        piece = lane.key_range.intersection(wanted)
        assert piece is not None, "a lane has none of the keys that it was chosen for"
        if type(call) is Count:
            body: tuple[bytes, ...] = (encode(CountRequest(piece.start, piece.end, call.estimates)),)
        else:
            body = piece.start, piece.end
        requests.append(Request(lane, call.op, [call], body))
    return requests


def _of_page(page: ScanPage, lane_map: LaneMap, op: Op, call: ScanPage | EndScan) -> Request:
    """A request of `call` to the segment of a page."""
    if call.owner is not None:
        lane = lane_map.lane_of_owner(call.owner)
    else:
        lane = lane_map.last_lane_before(page.end) if page.reverse else lane_map.lane_of(page.start)
    bounds, mode = (page.start, page.end, page.reverse), page.mode.value
    asked = ScanRequest(*bounds, page.keys_only, page.limit, mode, call.cursor, page.moments)
    return Request(lane, op, [call], (encode(asked),))
