"""The resume token: the position of a scan, as bytes that any client of the store can continue from.

u8 version (2) | msgpack map: the fields of ResumePoint
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shardstore.errors import InvalidRequest
from shardstore.limits import BOUND_BYTES_MAX
from shardstore.options import ScanMode
from shardstore.wire.messages import decode, encode
from shardstore.wire.wire_format import MalformedMessage

UNLIMITED = 2**64 - 1
MODES = {mode.value: mode for mode in ScanMode}
_VERSION = b"\x02"
_DAMAGED = "the token is damaged: hand over the bytes of resume_token as they are"


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """What is left of a scan: at most `left` entries (or UNLIMITED) with keys in [start, end); empty bounds are open.

    `first` and `last` are the bounds of the whole scan, within which it may seek.
    """

    start: bytes
    end: bytes
    reverse: bool
    keys_only: bool
    left: int
    mode: str
    first: bytes
    last: bytes

    @property
    def is_sound(self) -> bool:
        """Whether this can be the position of a scan."""
        bounds = (self.start, self.end, self.first, self.last)
        return (
            self.mode in MODES
            and 0 <= self.left <= UNLIMITED
            and max(map(len, bounds)) <= BOUND_BYTES_MAX
            and self.first <= self.start
            and (not self.last or self.start <= self.last)
            and (not self.end or self.start <= self.end)
            and (not self.last or b"" < self.end <= self.last)
        )


def to_token(point: ResumePoint) -> bytes:
    """Encode a token."""
    return _VERSION + encode(point)


def from_token(token: Any) -> ResumePoint:
    """Decode a token. Raises InvalidRequest for anything that is not one."""
    if not isinstance(token, bytes) or token[:1] != _VERSION:
        raise InvalidRequest("what a scan resumes from is the resume_token of a scan")
    try:
        point = decode(ResumePoint, token[1:])
    except MalformedMessage:
        raise InvalidRequest(_DAMAGED) from None
    if not point.is_sound:
        raise InvalidRequest(_DAMAGED)
    return point
