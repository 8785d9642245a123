"""Refusals: replies that are not OK, and the errors that callers get for them."""

from __future__ import annotations

from typing import NamedTuple

from shardstore.errors import (
    AccessDenied,
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
from shardstore.wire.messages import Refusal
from shardstore.wire.wire_format import Status

_FINAL = frozenset((Status.INVALID, Status.FAILED, Status.TOO_OLD, Status.SCAN_INVALIDATED, Status.DENIED))


class RefusedReply(NamedTuple):
    """A reply that is not OK, and its place."""

    status: Status
    wait_ns: int
    refusal: Refusal
    place: Place | None

    def is_final(self, waits: bool) -> bool:
        """Whether the request must not be sent again. `waits`: whether the request may wait for room."""
        return self.status in _FINAL or (self.status is Status.BUSY and not (waits and self.wait_ns))

    def error(self) -> ShardstoreError:
        """A new error for a call that ends with this refusal."""
        refusal = self.refusal
        match self.status:
            case Status.INVALID:
                return InvalidRequest(refusal.what)
            case Status.DENIED:
                return AccessDenied(refusal.what)
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
