"""The fixed header of every message, and the frames that follow it.

    offset  size  field            (little-endian)
         0     2  magic            b"sS"
         2     1  version          6
         3     1  op               the operation; a reply repeats it
         4     1  flags            see Flag
         5     1  status           request: NONE; reply: how the request ended
         6     1  pressure         reply: how full the worker's lease is, 0 to 255
         7     1  credits          reply: messages the sender may have in flight to this server
         8     4  entries          items in the columns
        12     4  segment          0: not known to the sender
        16     4  epoch            epoch of the segment, as far as the sender knows
        20     4  duration_ms      request: time left until its deadline; reply: time to wait before a retry
        24     8  client           issued by the router in its reply to HELLO; 0 before that
        32     8  sequence         number of the request, per client; a retry repeats it
        40     8  store            request: tag of the wanted store (identifiers.py); 0: any store
        48

A message is the header frame and a fixed number of body frames:

    op               request                 reply OK                           server
    GET              keys                    values                             worker
    PUT              keys, values            -                                  worker
    PUT_UNTIL        keys, values            -                                  worker
    DELETE           keys                    -                                  worker
    COMPARE_AND_SET  key, change             - (entries: 1 done, 0 not)         worker
    INCREMENT        key, amount             value                              worker
    EXPIRE           key, end                - (entries: 1 done, 0 not)         worker
    TTL              key                     milliseconds (lifetimes.py)        worker
    BATCH            keys, values, required  - (entries: 1 done, 0 not)         worker
                     keys, expected values
    TAKE             document                key, value (entries: 1, or 0)      worker
    DELETE_RANGE     start, end              -                                  worker
    OUTCOME          key, document           document                           worker
    SCAN             document                keys, values, resume key, cursor   worker
    END_SCAN         document, as of SCAN    -                                  worker
    COUNT            document                document                           worker
    FLUSH            -                       -                                  worker
    COMPACT          -                       -                                  worker
    STATS            -                       document                           router; epoch n > 0: worker n - 1
    HELLO            document                document                           router
    ROUTES           -                       document                           router; also sent unasked, sequence 0
    ADMIN            document                document                           router
    REGISTER         document                document (ranges to serve)         router, asked by a worker
    READY            document                -                                  router, asked by a worker
    HEARTBEAT        document                document (lease)                   router, asked by a worker
    CHANGE           document                - (PROGRESS follows)               worker, asked by the router
    PROGRESS         document                - (CHANGE follows)                 router, asked by a worker
    RETIRE           document                -                                  worker, asked by the router
    LOAD             document                - (nothing follows)                router, asked by a worker

A reply of any other status has one document, a Refusal. A document is a msgpack map; see messages.py,
admin_messages.py, load_report.py and topology.py. A column is described in columns.py; a flag says which layout it has.

In a reply to GET, nil stands for an absent key. If MORE is set, the reply has only the first `entries` keys, because it
reached its size limit. In a reply to SCAN, the cursor must be sent back in the request for the next page or in
END_SCAN; it is described in workers/serving/scan_path.py.

A BATCH is applied whole or not at all. Its column of values may have nil, which deletes the key. The required keys and
their expected values, nil for no value, are variable columns, whatever the flags say; they may be empty. `entries`
counts the keys that are changed, without the required ones; it may be 0.

The values of PUT_UNTIL are a variable column, whatever the flags say, and some of them have an end (expiring_items.py).
So may values of BATCH, and the new value of COMPARE_AND_SET. The end of EXPIRE is a variable column of one: nil for
none, or the end of an empty value.

A TAKE removes the first or the last entry within bounds, and the reply has its key and its value; both are empty if
there is none in the range.

The ranges of DELETE_RANGE and COUNT lie in that of the segment. An empty bound is no bound.

A single key is a fixed column of one. The change of COMPARE_AND_SET is a variable column of two, whatever the flags
say: the value that the key must have, and its new value; nil means no value. Amount and value of INCREMENT are counters
(counters.py).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from enum import IntEnum
from functools import partial
from typing import Final, NamedTuple

from shardstore.limits import KIB, REQUEST_BYTES_MAX

MAGIC = b"sS"
VERSION = 6
_KIND = MAGIC + bytes([VERSION])
_KIND_BYTES = len(_KIND)
_FIELDS = struct.Struct("<3xBBBBBIIIIQQQ")
_unpack = _FIELDS.unpack
_new_tuple = tuple.__new__
_WHOLE = struct.Struct("<3sBBBBBIIIIQQQ")
_pack = _WHOLE.pack
_REQUEST = struct.Struct("<3sBB3xIIIIQQQ")
HEADER_BYTES = _WHOLE.size

SENT_AS = "sent as"
"""In the metadata of a field of a document: its name in messages, if that is another one."""


class Op(IntEnum):
    """The operation of a message. Numbers are never reused; 0 is invalid."""

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
    BATCH = 23
    TAKE = 24
    DELETE_RANGE = 25
    COUNT = 26
    PUT_UNTIL = 27
    EXPIRE = 28
    TTL = 29


class Status(IntEnum):
    """How a request ended, in the header of its reply."""

    NONE = 0
    """This message is a request."""
    OK = 1
    BUSY = 2
    """There is no room. The request was not logged and not applied. If `duration_ms` is 0, waiting does not help."""
    STALE_ROUTE = 3
    """The server does not serve this segment or epoch. Not applied. The document has the newer routes."""
    CLOSED = 4
    """The server is stopping. Not applied."""
    INVALID = 5
    """The request breaks a rule. Not applied."""
    FAILED = 6
    """The server failed: a file is damaged, or a file operation was refused. The document says which."""
    UNAVAILABLE = 7
    """The owner of the segment is down. Not applied."""
    UNKNOWN = 8
    """The owner went down with the request. A retry with the same id is safe."""
    TOO_OLD = 9
    """The retry is older than the dedup window. Not applied now; whether it was applied before is not known."""
    SCAN_INVALIDATED = 10
    """The scan cannot continue under the guarantees of its mode."""
    OTHER_STORE = 11
    """The server serves another store than the request names. Not applied."""
    DENIED = 12
    """The role of the client's key does not allow the operation. Not applied."""


class Flag:
    """Bits of the header's flags. Plain integers, as arithmetic on enum members costs more than decoding a header."""

    KEYS_FIXED: Final = 1
    VALUES_FIXED: Final = 2
    PRESENCE: Final = 4
    """GET: reply with an empty value for every key that exists."""
    MORE: Final = 8
    """Reply to GET: it has only the first `entries` keys."""
    RETRY: Final = 16
    """The request may have been sent before."""
    NO_WAIT: Final = 32
    """FLUSH, COMPACT: reply as soon as the request is accepted; BUSY if one is already running on the segment."""
    OF_PARENT: Final = 64
    """GET: sent by the owner of a child of the segment; see topology.py."""
    IN_MEMORY: Final = 128
    """GET: the client would have read the files of the range, but the worker may have newer values in memory."""


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
    Op.BATCH: 5,
    Op.TAKE: 2,
    Op.DELETE_RANGE: 3,
    Op.COUNT: 2,
    Op.PUT_UNTIL: 3,
    Op.EXPIRE: 3,
    Op.TTL: 2,
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
    Op.BATCH: 1,
    Op.TAKE: 3,
    Op.DELETE_RANGE: 1,
    Op.COUNT: 2,
    Op.PUT_UNTIL: 1,
    Op.EXPIRE: 1,
    Op.TTL: 2,
}
SHORT_REQUEST_BYTES_MAX = 64 * KIB
"""Maximum size, all frames together, of requests that are not in `_LONG_REQUESTS`."""
_LONG_REQUESTS: dict[int, int] = dict.fromkeys(
    (Op.GET, Op.PUT, Op.PUT_UNTIL, Op.DELETE, Op.COMPARE_AND_SET, Op.BATCH), REQUEST_BYTES_MAX + KIB
)
FRAMES_OF_REFUSAL = 2
CONDITIONAL: frozenset[int] = frozenset((Op.COMPARE_AND_SET, Op.INCREMENT, Op.EXPIRE))
"""Operations on one key that depend on its value."""
WRITES: frozenset[int] = CONDITIONAL | {Op.PUT, Op.PUT_UNTIL, Op.DELETE, Op.BATCH, Op.TAKE, Op.DELETE_RANGE}
OF_KEYS: frozenset[int] = CONDITIONAL | {Op.PUT, Op.PUT_UNTIL, Op.DELETE, Op.GET, Op.OUTCOME, Op.TTL}
"""Operations whose first frame after the header holds keys."""
ROUTED: frozenset[int] = OF_KEYS | WRITES | {Op.SCAN, Op.END_SCAN, Op.COUNT, Op.FLUSH, Op.COMPACT, Op.STATS}
"""Operations that belong to one segment."""


class MalformedMessage(ValueError):
    """The frames are not a message of this version."""


class Header(NamedTuple):
    """A decoded header; see the drawing above."""

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
        """Encode the header as a frame."""
        return _pack(_KIND, *self)

    def reply(
        self, status: int, flags: int = 0, pressure: int = 0, credits: int = 0, entries: int = 0, duration_ms: int = 0
    ) -> Header:
        """Return the header of a reply to this request."""
        op, *_, segment, epoch, _, client, sequence, store = self
        return _new_tuple(
            Header,
            (op, flags, status, pressure, credits, entries, segment, epoch, duration_ms, client, sequence, store),
        )


encode_request: Callable[[int, int, int, int, int, int, int, int, int], bytes] = partial(_REQUEST.pack, _KIND)
"""encode_request(op, flags, entries, segment, epoch, duration_ms, client, sequence, store): the header frame of a
request, without making a Header. An alias, as a wrapper function would double the cost."""


def encode_reply(
    request: Header, status: int, flags: int, pressure: int, credits: int, entries: int, duration_ms: int
) -> bytes:
    """Encode the header frame of the reply to a request, without making a Header."""
    op, _, _, _, _, _, segment, epoch, _, client, sequence, store = tuple(request)  # quicker than a NamedTuple
    return _pack(
        _KIND, op, flags, status, pressure, credits, entries, segment, epoch, duration_ms, client, sequence, store
    )


def decode_header(frame: bytes) -> Header:
    """Decode a header frame. Raises MalformedMessage."""
    if len(frame) != HEADER_BYTES or not frame.startswith(_KIND):
        raise _no_header(frame)
    return _new_tuple(Header, _unpack(frame))


def _no_header(frame: bytes) -> MalformedMessage:
    """Return the error for a frame that is not a header of this version."""
    if len(frame) != HEADER_BYTES:
        return MalformedMessage(f"a header has {HEADER_BYTES} bytes, not {len(frame)}")
    return MalformedMessage(f"magic {frame[:2]!r} version {frame[2]}; this is {MAGIC!r} version {VERSION}")


def request_bytes_max(first_frame: bytes) -> int:
    """Return the maximum size, all frames together, of a client's request that begins with this frame."""
    if len(first_frame) != HEADER_BYTES or not first_frame.startswith(_KIND):
        return SHORT_REQUEST_BYTES_MAX
    return _LONG_REQUESTS.get(first_frame[len(_KIND)], SHORT_REQUEST_BYTES_MAX)


def decode_message(frames: Sequence[bytes]) -> Header:
    """Decode the header of a message and check the number of its frames. Raises MalformedMessage."""
    if not frames:
        raise MalformedMessage("no frames")
    frame = frames[0]
    if len(frame) != HEADER_BYTES or frame[:_KIND_BYTES] != _KIND:
        raise _no_header(frame)
    fields = _unpack(frame)
    if (fields[0], fields[2], len(frames)) not in _SHAPES:
        raise MalformedMessage(
            f"{len(frames)} frames for operation {fields[0]}, status {fields[2]}: "
            "too many or too few, or so long that they were left out"
        )
    return _new_tuple(Header, fields)


def decode_request(frames: Sequence[bytes]) -> Header:
    """As `decode_message`, for a request only. Raises MalformedMessage."""
    header = decode_message(frames)
    if header.status:
        raise MalformedMessage("a reply where a request is expected")
    return header


def decode_reply(frames: Sequence[bytes]) -> Header:
    """As `decode_message`, for a reply only. Raises MalformedMessage."""
    header = decode_message(frames)
    if not header.status:
        raise MalformedMessage("a request where a reply is expected")
    return header


_SHAPES: frozenset[tuple[int, int, int]] = frozenset(
    (
        *((int(op), int(Status.NONE), frames) for op, frames in REQUEST_FRAMES.items()),
        *((int(op), int(Status.OK), frames) for op, frames in REPLY_FRAMES.items()),
        *((int(op), int(status), FRAMES_OF_REFUSAL) for op in REPLY_FRAMES for status in Status if status > Status.OK),
    )
)
"""Operation, status and number of frames of every message."""
