"""Decodes replies: the content of one that is OK, or the refusal."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from shardstore.client.calls.calls import Owner, Page, ScanPage
from shardstore.client.calls.pages import page_of
from shardstore.client.session.lanes import Lane, Request
from shardstore.client.session.refusals import RefusedReply
from shardstore.errors import Place
from shardstore.estimate import Estimate
from shardstore.identifiers import Lasting
from shardstore.limits import KEY_BYTES_MAX, MILLISECOND_NS, VALUE_BYTES_MAX
from shardstore.outcome import Ending
from shardstore.wire import columns, counters
from shardstore.wire.admin_messages import AdminReply
from shardstore.wire.lifetimes import decode_ttl
from shardstore.wire.messages import CountReply, OutcomeReply, Refusal, Statistics, decode
from shardstore.wire.wire_format import CONDITIONAL, Flag, Header, MalformedMessage, Op, Status

WITH_CONTENT: frozenset[int] = CONDITIONAL | {
    Op.BATCH,
    Op.TAKE,
    Op.OUTCOME,
    Op.SCAN,
    Op.COUNT,
    Op.STATS,
    Op.ADMIN,
    Op.TTL,
}
"""Operations besides GET whose reply has content."""
_VALUES_FIXED = int(Flag.VALUES_FIXED)


def values_of_reply(request: Request, header: Header, frame: bytes) -> list[bytes | None]:
    """The values in the reply to a GET: of all its keys or, with MORE, of the first ones. Raises InvalidColumn."""
    answered = header.entries
    if request.entries == answered == 1 and header.flags & _VALUES_FIXED and len(frame) <= VALUE_BYTES_MAX:
        return [frame]
    if not 0 < answered <= request.entries or (answered < request.entries) != bool(header.flags & Flag.MORE):
        raise columns.InvalidColumn(f"{answered} values for {request.entries} keys")
    return columns.decode(frame, bool(header.flags & Flag.VALUES_FIXED), answered, 0, VALUE_BYTES_MAX, nullable=True)


def content_of(request: Request, header: Header, frames: Sequence[bytes]) -> Any:
    """The content of the reply to an operation in WITH_CONTENT. Raises MalformedMessage or InvalidColumn."""
    match request.op:
        case Op.SCAN:
            return _page_of(request, header, frames)
        case Op.STATS:
            return decode(Statistics, frames[1]).figures
        case Op.ADMIN:
            return decode(AdminReply, frames[1])
        case Op.COUNT:
            counted = decode(CountReply, frames[1])
            return Estimate(counted.entries, counted.bytes, counted.error)
        case Op.COMPARE_AND_SET | Op.BATCH | Op.EXPIRE:
            return bool(header.entries)
        case Op.TAKE:
            return _taken_of(header, frames)
    try:
        if request.op == Op.TTL:
            return decode_ttl(frames[1])
        return counters.of_value(frames[1]) if request.op == Op.INCREMENT else _ending_of(frames[1])
    except ValueError as error:
        raise MalformedMessage(str(error)) from None


def _taken_of(header: Header, frames: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    key, value = frames[1:]
    if header.entries != bool(key) or len(key) > KEY_BYTES_MAX or len(value) > VALUE_BYTES_MAX:
        raise MalformedMessage(f"{header.entries} entries, a key of {len(key)} bytes, a value of {len(value)} bytes")
    return (key, value) if key else None


def _ending_of(frame: bytes) -> Ending:
    return Ending(decode(OutcomeReply, frame).ending)


def _page_of(request: Request, header: Header, frames: Sequence[bytes]) -> Page:
    call = request.calls[0]
    assert type(call) is ScanPage
    keys = columns.Column(frames[1], bool(header.flags & Flag.KEYS_FIXED))
    values_fixed = bool(header.flags & Flag.VALUES_FIXED)
    if call.moments and not values_fixed:
        values = partial(_with_moments, frames[2], header.entries)
    else:
        values = partial(columns.decode, frames[2], values_fixed, header.entries, 0, VALUE_BYTES_MAX)
    resume, cursor = frames[3:]
    owned = request.lane.key_range
    owner = Owner(owned, request.route) if cursor and request.route else None
    return page_of(call, owned, keys, values, header.entries, resume)._replace(cursor=cursor, owner=owner)


def _with_moments(frame: bytes, entries: int) -> list[Any]:
    """The values of a page; those that are to expire as Expiring. Raises InvalidColumn."""
    values, kinds = columns.decode_ending(frame, entries, VALUE_BYTES_MAX, nullable=False)
    if Lasting in kinds:
        raise columns.InvalidColumn("a lifetime in a reply")
    return values


def refused_of(request: Request, header: Header, frames: Sequence[bytes]) -> RefusedReply:
    """The refusal in the reply to a request. Raises MalformedMessage."""
    wait_ns, refusal = header.duration_ms * MILLISECOND_NS, decode(Refusal, frames[1])
    return RefusedReply(Status(header.status), wait_ns, refusal, place_of(request.lane))


def place_of(lane: Lane) -> Place | None:
    """The range and worker of a lane; None for the lane of the router."""
    if lane.route is None:
        return None
    return Place(lane.segment, lane.key_range.start, lane.key_range.end, lane.route.worker)
