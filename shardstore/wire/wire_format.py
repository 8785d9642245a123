"""The fixed header of every message, and the frames that follow it.

    offset  size  field            (little-endian)
         0     2  magic            b"sS"
         2     1  version          6
         3     1  op               what is asked, the same in the reply
         4     1  flags            see Flag
         5     1  status           NONE in a request, else the answer
         6     1  pressure         reply: how full the worker's buffers are, 0 to 255
         7     1  credits          reply: messages the asker may have in flight to this server
         8     4  entries          items in the columns
        12     4  segment          0: not known to the sender
        16     4  epoch            the ownership the sender believes in
        20     4  duration_ms      request: time left to its deadline; reply: time to wait before a retry
        24     8  client           issued by the router in the answer to HELLO; 0 before that
        32     8  sequence         number of the request, per client; a retry repeats it
        40     8  store            request: tag of the store that is meant (identifiers.py); 0: of whichever answers
        48

One ZeroMQ message is the header frame and a fixed number of body frames:

    op               request                 reply OK                         who answers
    GET              keys                    values                           worker
    PUT              keys, values            -                                worker
    DELETE           keys                    -                                worker
    COMPARE_AND_SET  key, change             - (entries: 1 done, 0 not)       worker
    INCREMENT        key, amount             value                            worker
    OUTCOME          key, document           document                         worker
    SCAN             document                keys, values, resume key, mark   worker
    END_SCAN         document, as of SCAN    -                                worker
    FLUSH            -                       -                                worker
    COMPACT          -                       -                                worker
    STATS            -                       document                         router; epoch n > 0: worker n - 1
    HELLO            document                document                         router
    ROUTES           -                       document                         router; also sent unasked, sequence 0
    ADMIN            document                document                         router
    REGISTER         document                document (ranges to serve)       router; the asker is a worker
    READY            document                -                                router; the asker is a worker
    HEARTBEAT        document                document (lease)                 router; the asker is a worker
    CHANGE           document                - (PROGRESS follows)             worker; the asker is the router
    PROGRESS         document                - (CHANGE follows)               router; the asker is a worker
    RETIRE           document                -                                worker; the asker is the router
    LOAD             document                - (nothing follows)              router; the asker is a worker

Any other status is followed by one document. A document is a msgpack map; see messages.py, admin_messages.py,
load_report.py and topology.py. A column is described in columns.py; its layout is a flag. In the answer to GET, an
absent key is nil; with MORE set only the first `entries` keys were answered, because the answer had reached its size
limit. In the answer to SCAN, the mark is what the worker wants to see again in the request for the next page, and in
END_SCAN; what it means is drawn in workers/serving/scanning.py.

A key alone is a fixed column of one. A change is a variable column of two, whatever the flags say: the value that the
key must have, and the one that it gets; nil is none. Amount and value of INCREMENT are counters (counters.py).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from enum import IntEnum
from functools import partial
from typing import Final, NamedTuple

from shardstore.limits import KIB, REQUEST_BYTES_MAX

MAGIC = b"sS"
VERSION = 6
_KIND = MAGIC + bytes([VERSION])
_FIELDS = struct.Struct("<BBBBBIIIIQQQ")
HEADER_BYTES = len(_KIND) + _FIELDS.size


class Op(IntEnum):
    """What a message asks. Numbers are never reused; 0 is invalid."""

    GET = 1
    PUT = 2
    DELETE = 3
    SCAN = 4
    FLUSH = 5
    COMPACT = 6
    STATS = 7
    HELLO = 8
    ROUTES = 9
    END_SCAN = 10
    COMPARE_AND_SET = 11
    INCREMENT = 12
    OUTCOME = 13
    ADMIN = 14
    REGISTER = 16
    READY = 17
    HEARTBEAT = 18
    CHANGE = 19
    PROGRESS = 20
    RETIRE = 21
    LOAD = 22


class Status(IntEnum):
    """How a request ended."""

    NONE = 0
    """This message is a request."""
    OK = 1
    BUSY = 2
    """Refused before the log, for want of room. Not applied. Without a time to come back, waiting does not help."""
    STALE_ROUTE = 3
    """Segment or epoch is not served here. Not applied; the newer routes follow."""
    CLOSED = 4
    """The server is stopping. Not applied."""
    INVALID = 5
    """The request breaks a rule. Not applied."""
    FAILED = 6
    """The server could not do it: damage or a refused file operation, named in the document."""
    UNAVAILABLE = 7
    """The owner of the segment is not up. Not applied."""
    UNKNOWN = 8
    """The owner went away with the request; asking again with the same id is safe."""
    TOO_OLD = 9
    """A retry from before the dedup window: whether it was applied is not known. Not applied now."""
    SCAN_INVALIDATED = 10
    """The scan cannot go on as its mode promises."""
    OTHER_STORE = 11
    """The server serves another store than the one that is meant. Not applied."""


class Flag:
    """Bits of the header: plain integers, since arithmetic on enum members costs more than decoding a header."""

    KEYS_FIXED: Final = 1
    VALUES_FIXED: Final = 2
    PRESENCE: Final = 4
    """GET: answer an empty value for a key that is there."""
    MORE: Final = 8
    """Reply to GET: only the first `entries` keys are answered."""
    RETRY: Final = 16
    """The request may have been sent before."""
    NO_WAIT: Final = 32
    """FLUSH, COMPACT: answer as soon as it is accepted, and BUSY if one of the segment runs."""
    OF_PARENT: Final = 64
    """GET: asked by the owner of a child of the segment; see topology.py."""


REQUEST_FRAMES: dict[int, int] = {
    Op.GET: 2,
    Op.PUT: 3,
    Op.DELETE: 2,
    Op.COMPARE_AND_SET: 3,
    Op.INCREMENT: 3,
    Op.OUTCOME: 3,
    Op.SCAN: 2,
    Op.END_SCAN: 2,
    Op.FLUSH: 1,
    Op.COMPACT: 1,
    Op.STATS: 1,
    Op.HELLO: 2,
    Op.ROUTES: 1,
    Op.ADMIN: 2,
    Op.REGISTER: 2,
    Op.READY: 2,
    Op.HEARTBEAT: 2,
    Op.CHANGE: 2,
    Op.PROGRESS: 2,
    Op.RETIRE: 2,
    Op.LOAD: 2,
}
REPLY_FRAMES: dict[int, int] = {
    Op.GET: 2,
    Op.PUT: 1,
    Op.DELETE: 1,
    Op.COMPARE_AND_SET: 1,
    Op.INCREMENT: 2,
    Op.OUTCOME: 2,
    Op.SCAN: 5,
    Op.END_SCAN: 1,
    Op.FLUSH: 1,
    Op.COMPACT: 1,
    Op.STATS: 2,
    Op.HELLO: 2,
    Op.ROUTES: 2,
    Op.ADMIN: 2,
    Op.REGISTER: 2,
    Op.READY: 1,
    Op.HEARTBEAT: 2,
    Op.CHANGE: 1,
    Op.PROGRESS: 1,
    Op.RETIRE: 1,
    Op.LOAD: 1,
}
SHORT_REQUEST_BYTES_MAX = 64 * KIB
"""Of all frames of a client's request that is not among the following."""
_LONG_REQUESTS: dict[int, int] = dict.fromkeys((Op.GET, Op.PUT, Op.DELETE, Op.COMPARE_AND_SET), REQUEST_BYTES_MAX + KIB)
FRAMES_OF_REFUSAL = 2
CONDITIONAL: frozenset[int] = frozenset((Op.COMPARE_AND_SET, Op.INCREMENT))
WRITES: frozenset[int] = CONDITIONAL | {Op.PUT, Op.DELETE}
OF_KEYS: frozenset[int] = WRITES | {Op.GET, Op.OUTCOME}
"""Operations whose first frame after the header are keys."""
ROUTED: frozenset[int] = OF_KEYS | {Op.SCAN, Op.END_SCAN, Op.FLUSH, Op.COMPACT, Op.STATS}
"""Operations that belong to one segment."""


class MalformedMessage(ValueError):
    """The frames are no message of this version."""


class Header(NamedTuple):
    """The decoded header; see the module's drawing."""

    op: int
    flags: int = 0
    status: int = Status.NONE
    pressure: int = 0
    credits: int = 0
    entries: int = 0
    segment: int = 0
    epoch: int = 0
    duration_ms: int = 0
    client: int = 0
    sequence: int = 0
    store: int = 0

    def encode(self) -> bytes:
        """The header frame."""
        return _KIND + _FIELDS.pack(*self)

    def reply(
        self, status: int, flags: int = 0, pressure: int = 0, credits: int = 0, entries: int = 0, duration_ms: int = 0
    ) -> Header:
        """A header that answers this request."""
        op, *_, segment, epoch, _, client, sequence, store = self
        return _new_header(
            (op, flags, status, pressure, credits, entries, segment, epoch, duration_ms, client, sequence, store)
        )


def encode_request(
    op: int,
    flags: int,
    entries: int,
    segment: int,
    epoch: int,
    duration_ms: int,
    client: int,
    sequence: int,
    store: int,
) -> bytes:
    """The header frame of a routed request."""
    return _KIND + _FIELDS.pack(op, flags, 0, 0, 0, entries, segment, epoch, duration_ms, client, sequence, store)


def decode_header(frame: bytes) -> Header:
    """The header of a message. Raises MalformedMessage."""
    if len(frame) != HEADER_BYTES:
        raise MalformedMessage(f"a header has {HEADER_BYTES} bytes, not {len(frame)}")
    if not frame.startswith(_KIND):
        raise MalformedMessage(f"magic {frame[:2]!r} version {frame[2]}; this is {MAGIC!r} version {VERSION}")
    return _new_header(_FIELDS.unpack_from(frame, len(_KIND)))


def request_bytes_max(first_frame: bytes) -> int:
    """How long a client's request may be that begins with this frame, all frames together."""
    if len(first_frame) != HEADER_BYTES or not first_frame.startswith(_KIND):
        return SHORT_REQUEST_BYTES_MAX
    return _LONG_REQUESTS.get(first_frame[len(_KIND)], SHORT_REQUEST_BYTES_MAX)


def decode_message(frames: Sequence[bytes]) -> Header:
    """The header of a request or a reply with the frames that belong to it. Raises MalformedMessage."""
    if not frames:
        raise MalformedMessage("no frames")
    header = decode_header(frames[0])
    if header.status == _OK:
        expected = REPLY_FRAMES.get(header.op)
    elif header.status:
        expected = FRAMES_OF_REFUSAL if header.status in _REFUSALS and header.op in REPLY_FRAMES else None
    else:
        expected = REQUEST_FRAMES.get(header.op)
    if len(frames) != expected:
        raise MalformedMessage(
            f"{len(frames)} frames for operation {header.op}, status {header.status}: "
            "too many or too few, or so long that they were left out"
        )
    return header


def decode_request(frames: Sequence[bytes]) -> Header:
    """The header of a request. Raises MalformedMessage."""
    header = decode_message(frames)
    if header.status:
        raise MalformedMessage("a reply where a request is expected")
    return header


def decode_reply(frames: Sequence[bytes]) -> Header:
    """The header of a reply. Raises MalformedMessage."""
    header = decode_message(frames)
    if not header.status:
        raise MalformedMessage("a request where a reply is expected")
    return header


_new_header = partial(tuple.__new__, Header)
_OK = int(Status.OK)
_REFUSALS = frozenset(map(int, Status)) - {Status.NONE, Status.OK}
