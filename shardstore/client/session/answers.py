"""What a reply means: the content of an answer, and the error of a refusal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from shardstore.client.session.in_flight import Request
from shardstore.errors import (
    Busy,
    Corruption,
    InvalidRequest,
    OutcomeUnknown,
    Place,
    ScanInvalidated,
    ShardstoreError,
    StorageFailure,
    Unavailable,
)
from shardstore.limits import KEY_BYTES_MAX, KEY_BYTES_MIN, MILLISECOND_NS, VALUE_BYTES_MAX
from shardstore.outcome import Ending
from shardstore.wire import columns, counters
from shardstore.wire.messages import OutcomeAnswer, Refusal, Statistics, decode
from shardstore.wire.wire_format import Flag, Header, MalformedMessage, Op, Status

if TYPE_CHECKING:
    from shardstore.client.session.lanes import Lane

_VALUES_FIXED = int(Flag.VALUES_FIXED)
FINAL = frozenset((Status.INVALID, Status.FAILED, Status.TOO_OLD, Status.SCAN_INVALIDATED))
"""After these a request is not sent again."""


def values_of(request: Request, header: Header, frame: bytes) -> list[bytes | None]:
    """The values in the answer to a GET: of all its keys or, with MORE, of the first. Raises InvalidColumn."""
    answered = header.entries
    if request.entries == answered == 1 and header.flags & _VALUES_FIXED and len(frame) <= VALUE_BYTES_MAX:
        return [frame]
    if not 0 < answered <= request.entries or (answered < request.entries) != bool(header.flags & Flag.MORE):
        raise columns.InvalidColumn(f"{answered} values for {request.entries} keys")
    return columns.decode(frame, bool(header.flags & Flag.VALUES_FIXED), answered, 0, VALUE_BYTES_MAX, nullable=True)


def page_of(header: Header, frames: Sequence[bytes], keys_only: bool) -> tuple[list[bytes], list[bytes]]:
    """Keys and values in the answer to a SCAN. Raises InvalidColumn."""
    if not header.entries:
        return [], []
    keys_fixed, values_fixed = bool(header.flags & Flag.KEYS_FIXED), bool(header.flags & Flag.VALUES_FIXED)
    keys = columns.decode(frames[1], keys_fixed, header.entries, KEY_BYTES_MIN, KEY_BYTES_MAX)
    if keys_only:
        return keys, []
    return keys, columns.decode(frames[2], values_fixed, header.entries, 0, VALUE_BYTES_MAX)


def figures_of(frame: bytes) -> dict[str, Any]:
    """The figures in the answer to STATS. Raises MalformedMessage."""
    return decode(Statistics, frame).figures


def result_of(op: int, header: Header, frames: Sequence[bytes]) -> bool | int | Ending | None:
    """What the answer to a write tells, or to OUTCOME. Raises MalformedMessage."""
    try:
        if op == Op.COMPARE_AND_SET:
            return bool(header.entries)
        if op == Op.INCREMENT:
            return counters.of_value(frames[1])
        return Ending(decode(OutcomeAnswer, frames[1]).ending) if op == Op.OUTCOME else None
    except ValueError as error:
        raise MalformedMessage(str(error)) from None


def place_of(lane: Lane) -> Place | None:
    """Range and worker of a lane; None for that of the router."""
    if lane.route is None:
        return None
    return Place(lane.segment, lane.key_range.start, lane.key_range.end, lane.route.worker)


class Refused(NamedTuple):
    """A reply that is not OK, and where it came from."""

    status: Status
    wait_ns: int
    refusal: Refusal
    place: Place | None

    @classmethod
    def of(cls, request: Request, header: Header, frames: Sequence[bytes]) -> Refused:
        """The refusal in the reply to a request. Raises MalformedMessage."""
        wait_ns, refusal = header.duration_ms * MILLISECOND_NS, decode(Refusal, frames[1])
        return cls(Status(header.status), wait_ns, refusal, place_of(request.lane))

    def error(self) -> ShardstoreError:
        """A new error to raise when a request ends with this refusal."""
        refusal = self.refusal
        match self.status:
            case Status.INVALID:
                return InvalidRequest(refusal.what)
            case Status.FAILED if refusal.file:
                return Corruption(refusal.file, refusal.offset, refusal.what)
            case Status.FAILED:
                return StorageFailure(refusal.what)
            case Status.TOO_OLD:
                return OutcomeUnknown(f"whether it was applied cannot be told any more: {refusal.what}")
            case Status.SCAN_INVALIDATED:
                return ScanInvalidated(None, b"", refusal.what)  # the scan itself knows how far it came
            case Status.BUSY:
                return Busy(refusal.what, refusal.used, refusal.limit, self.wait_ns, self.place)
            case _:
                return Unavailable(refusal.what)


def rest_of_keys(request: Request, answered: int) -> tuple[bytes, int, int]:
    """Frame, layout flags and number of the keys of a GET that are not answered yet."""
    left = request.entries - answered
    if request.flags & Flag.KEYS_FIXED:
        stride = columns.stride_of(len(request.body[0]), request.entries)
        return request.body[0][answered * stride :], request.flags, left
    keys = columns.decode(request.body[0], False, request.entries, KEY_BYTES_MIN, KEY_BYTES_MAX)
    rest = columns.encode(keys[answered:])
    return rest.frame, request.flags | (Flag.KEYS_FIXED if rest.fixed else 0), left
