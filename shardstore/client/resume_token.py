"""Where a scan stands, as bytes that a caller may keep and hand to another client.

u8 version (1) | msgpack map: the fields of ResumePoint
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shardstore.errors import InvalidRequest
from shardstore.messages import decode, encode
from shardstore.options import ScanMode
from shardstore.wire_format import MalformedMessage

UNLIMITED = 2**64 - 1
MODES = {mode.value: mode for mode in ScanMode}
_VERSION = b"\x01"


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """Keys in [start, end) are left, empty for unbounded, of which at most `left` are wanted (or UNLIMITED)."""

    start: bytes
    end: bytes
    reverse: bool
    keys_only: bool
    left: int
    mode: str


def to_token(point: ResumePoint) -> bytes:
    """The bytes of a token."""
    return _VERSION + encode(point)


def from_token(token: Any) -> ResumePoint:
    """What a token says. Raises InvalidRequest for anything that is none."""
    if not isinstance(token, bytes) or token[:1] != _VERSION:
        raise InvalidRequest("what a scan resumes from is the resume_token of a scan")
    try:
        point = decode(ResumePoint, token[1:])
    except MalformedMessage as error:
        raise InvalidRequest(f"no resume token of a scan: {error}") from None
    if point.mode not in MODES or (point.end and point.start > point.end):
        raise InvalidRequest("no resume token of a scan: its fields are out of bounds")
    return point
