"""Makes the replies to requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shardstore.access.rights import allows, denial
from shardstore.errors import Busy, Corruption, InvalidRequest, ScanInvalidated, ShardstoreError, Unavailable
from shardstore.limits import CREDITS, MILLISECOND_NS
from shardstore.seams.effects import Effect, Received, Send
from shardstore.wire.messages import Refusal, encode
from shardstore.wire.wire_format import Header, MalformedMessage, Status, decode_header, encode_reply

CHILD_RETRY_NS = 2 * MILLISECOND_NS
"""When to ask a child again whose files are still being written."""
OPEN_RETRY_NS = 100 * MILLISECOND_NS
"""When to ask a range again that could not be opened."""
_OK = int(Status.OK)


def refuse_malformed(event: Received, flaw: str) -> list[Effect]:
    """Reply INVALID, if the header can be read. A malformed reply gets no reply."""
    try:
        header = decode_header(event.frames[0])
    except (IndexError, MalformedMessage):
        return []
    return [] if header.status else [Asker(event.link, event.peer, header).refuse(Status.INVALID, Refusal(flaw))]


def refuse_denied(event: Received, header: Header) -> list[Effect]:
    """Reply DENIED, if the role of the sender does not allow the operation; else nothing."""
    if allows(event.role, header.op):
        return []
    return [Asker(event.link, event.peer, header).refuse(Status.DENIED, Refusal(denial(event.role, header.op)))]


@dataclass(slots=True, eq=False)
class Asker:
    """A request that waits for its reply: its link, its sender and its header."""

    link: str
    peer: bytes
    header: Header

    def accept(self, pressure: int, body: Sequence[bytes] = (), flags: int = 0, entries: int = 0) -> Send:
        """Reply OK."""
        header = encode_reply(self.header, _OK, flags, pressure, CREDITS, entries, 0)
        return Send(self.link, self.peer, (header, *body))

    def refuse(self, status: Status, refusal: Refusal, retry_after_ns: int = 0, pressure: int = 0) -> Send:
        """Reply with another status than OK."""
        duration_ms = -(-retry_after_ns // MILLISECOND_NS)
        header = encode_reply(self.header, status, 0, pressure, CREDITS, 0, duration_ms)
        return Send(self.link, self.peer, (header, encode(refusal)))

    def wait_for_files(self, segment: int, failure: str) -> Send:
        """Reply that the range is a child whose files are still being written; the client asks again by itself.

        `failure`: why the latest job failed, which may be why the files are missing; empty if it did not fail.
        """
        reason = f", the latest job failed: {failure}" if failure else ""
        what = Refusal(f"segment {segment} has no files of its own yet{reason}")
        return self.refuse(Status.UNAVAILABLE, what, CHILD_RETRY_NS)

    def bounce(self) -> Send:
        """Reply that the range is a parent, so that the client asks its children."""
        return self.refuse(Status.STALE_ROUTE, Refusal("the range is changing"))

    def refuse_busy(self, busy: Busy, pressure: int) -> Send:
        """Reply that a limit was reached and nothing was applied."""
        return self.refuse(Status.BUSY, Refusal(busy.cause, busy.used, busy.limit), busy.retry_after_ns, pressure)

    def fail(self, error: ShardstoreError, pressure: int = 0) -> Send:
        """Reply with the error: a refusal, damage, a range that cannot be opened, or a file operation that failed."""
        match error:
            case Busy():
                return self.refuse_busy(error, pressure)
            case InvalidRequest():
                return self.refuse(Status.INVALID, Refusal(str(error)))
            case ScanInvalidated():
                return self.refuse(Status.SCAN_INVALIDATED, Refusal(error.cause))
            case Corruption():
                return self.refuse(Status.FAILED, Refusal(error.what, file=error.file, offset=error.offset))
            case Unavailable():
                return self.refuse(Status.UNAVAILABLE, Refusal(str(error)), OPEN_RETRY_NS)
        return self.refuse(Status.FAILED, Refusal(str(error)))
