"""The documents (msgpack maps) of messages between client, router and workers. See wire_format.py.

Every document is a frozen dataclass; only `encode` and `decode` convert it to and from bytes. `decode` checks every
field, so no other code sees an unchecked document.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import msgpack

from shardstore.identifiers import Buffer
from shardstore.key_range import KeyRange
from shardstore.limits import BOUND_BYTES_MAX, FRAME_BYTES_MAX, KEY_BYTES_MAX, KIB, MIB, REFUSAL_CHARACTERS_MAX
from shardstore.options import ScanMode
from shardstore.wire.admin_messages import AdminRequest
from shardstore.wire.bounded_msgpack import FLAWS, unpack
from shardstore.wire.load_report import LoadReport
from shardstore.wire.topology import Order
from shardstore.wire.wire_format import SENT_AS, MalformedMessage


@dataclass(frozen=True, slots=True)
class Refusal:
    """The document of every reply that is not OK. `used` and `limit` belong to BUSY, `file` and `offset` to damage.

    `routes` belongs to STALE_ROUTE: the encoded Routes that the server knows, empty if it knows none. `what` is cut at
    REFUSAL_CHARACTERS_MAX, as it may repeat data of a client.
    """

    what: str
    used: int = 0
    limit: int = 0
    file: str = ""
    offset: int = 0
    routes: bytes = b""

    def __post_init__(self) -> None:
        object.__setattr__(self, "what", self.what[:REFUSAL_CHARACTERS_MAX])


@dataclass(frozen=True, slots=True)
class ScanRequest:
    """Asks for one page of keys in [start, end) (empty means unbounded), from the start or (`reverse`) from the end.

    A page is always in ascending order. `limit` is how many entries the scan still wants (0: all); a page holds as many
    as fit. The resume key in the reply is the `start` (or, in reverse, the `end`) of the next page; it is empty if the
    range has no more. `mode` is a ScanMode. `cursor` is the one that came with the previous page of this scan in this
    range; empty for the first. In the message its name is "mark". With `moments`, values that are to expire come with
    their moments (expiring_items.py), in a variable column. END_SCAN ends the scan in the range; it uses `mode` and
    `cursor` only.
    """

    start: bytes = b""
    end: bytes = b""
    reverse: bool = False
    keys_only: bool = False
    limit: int = 0
    mode: str = ScanMode.LIVE.value
    cursor: bytes = field(default=b"", metadata={SENT_AS: "mark"})
    moments: bool = False


@dataclass(frozen=True, slots=True)
class TakeRequest:
    """Asks for the first entry with a key in [start, end) (empty means unbounded), or for the last one (`reverse`)."""

    start: bytes = b""
    end: bytes = b""
    reverse: bool = False


@dataclass(frozen=True, slots=True)
class CountRequest:
    """Asks how many keys in [start, end) have a value (empty means unbounded); `estimate`: only about how many."""

    start: bytes = b""
    end: bytes = b""
    estimate: bool = False


@dataclass(frozen=True, slots=True)
class CountReply:
    """The document of a reply to a COUNT: the fields of an Estimate. An exact count has no error, and no bytes."""

    entries: int
    bytes: int = 0
    error: int = 0


@dataclass(frozen=True, slots=True)
class OutcomeQuestion:
    """Asks what became of the write with this request id. The key in the same message is one of the write's keys.

    Once the reply has said that the write was not applied, it never will be.

    `elsewhere` lists start and end of key ranges in which other writes had the same id. If a segment also has keys of
    these ranges, it cannot tell which of the writes it knows by the id.
    """

    client: int
    sequence: int
    elsewhere: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        if len(self.elsewhere) not in (0, 2, 4) or max(map(len, self.elsewhere), default=0) > BOUND_BYTES_MAX:
            raise MalformedMessage("an OutcomeQuestion has at most two key ranges")
        if any(end and start >= end for start, end in zip(self.elsewhere[::2], self.elsewhere[1::2], strict=True)):
            raise MalformedMessage("a key range of an OutcomeQuestion ends before its start")

    @property
    def ranges_elsewhere(self) -> list[KeyRange]:
        """`elsewhere` as ranges."""
        return [KeyRange(*self.elsewhere[at : at + 2]) for at in range(0, len(self.elsewhere), 2)]


@dataclass(frozen=True, slots=True)
class OutcomeReply:
    """The document of a reply to an OUTCOME. `ending` is an Ending, but never PARTLY."""

    ending: str


@dataclass(frozen=True, slots=True)
class Hello:
    """Client to router: introduces the client. `library` names its program."""

    library: str


@dataclass(frozen=True, slots=True)
class Welcome:
    """Router to client: the client's id, the store's identity, the encoded Routes, and the router's data directory."""

    client: int
    store: str
    routes: bytes
    data: str


@dataclass(frozen=True, slots=True)
class Routes:
    """The route map (see RouteMap.to_document) and the endpoint of each worker. A worker that is down has none."""

    route_map: dict[str, Any]
    endpoints: dict[int, str]


@dataclass(frozen=True, slots=True)
class Register:
    """Worker to router, at its start and when the router asks again: where it listens and what it serves.

    endpoint  for clients on this host; behind a space, if there are keys, that for clients with keys: "unix://... tcp://..."
    serving   epoch by segment of the ranges that it has open
    known     highest epoch by segment found on its disk
    life      life of its log (workers/wal/log_document.py); 0 if it has no readable log
    failure   why it takes no writes, or serves nothing, so that it must not get more ranges; empty if it is sound
    """

    worker: int
    endpoint: str
    serving: dict[int, int]
    known: dict[int, int]
    life: int = 0
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Assignment:
    """A range that a worker must serve. `create`: the segment is new; otherwise it must exist on disk."""

    segment: int
    start: bytes
    end: bytes
    epoch: int
    create: bool


@dataclass(frozen=True, slots=True)
class Assignments:
    """Router to worker: all ranges that it owns, the changes that concern it, and the encoded Routes.

    router         number of the router's life
    segment_next   no segment number at or above this was ever assigned
    retired        segments on the worker's disk that are no longer needed
    life           newest known life of the worker's log, which holds its acknowledged writes; 0 if it never had a log
    """

    ranges: list[Assignment]
    routes: bytes
    router: int
    segment_next: int
    orders: list[Order] = field(default_factory=list)
    retired: list[int] = field(default_factory=list)
    life: int = 0


@dataclass(frozen=True, slots=True)
class Ready:
    """Worker to router: these segments (epoch by segment) are open, durable and served."""

    serving: dict[int, int]


@dataclass(frozen=True, slots=True)
class LeaseReport:
    """A worker's buffered bytes: its limit (`lease`), `used` of it, of these being drained, and the limit `wanted`."""

    lease: int
    used: int
    draining: int
    wanted: int


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Worker to router, twice a second, and when it needs a larger lease: the worker is alive.

    `router` is that of Assignments, `scans` the number of open scans. `full_disk` says what fails because the disk is
    full, in at most REFUSAL_CHARACTERS_MAX characters; empty if nothing does.
    """

    worker: int
    pressure: int
    router: int
    report: LeaseReport
    scans: int
    full_disk: str = ""


@dataclass(frozen=True, slots=True)
class Lease:
    """Reply to HEARTBEAT: how many bytes the worker may buffer from now on, and how many of its bytes it must drain.

    It is valid only if the worker has sent no later heartbeat. See router/budget.py.
    """

    lease: int
    drain: int


@dataclass(frozen=True, slots=True)
class Statistics:
    """Reply to STATS: statistics by name, with nested maps."""

    figures: dict[str, Any] = field(default_factory=dict)


_BYTES_MAX: dict[type, int] = {
    Hello: 512,
    Heartbeat: 8 * KIB,
    ScanRequest: 4 * KEY_BYTES_MAX,
    CountRequest: 4 * KEY_BYTES_MAX,
    AdminRequest: 4 * KEY_BYTES_MAX,
    OutcomeQuestion: 8 * KEY_BYTES_MAX,
    Register: 4 * MIB,
    Ready: 4 * MIB,
    LoadReport: 16 * MIB,
}
"""Maximum size of documents in requests. For HELLO, which anyone can send, it is a few hundred bytes."""

Document = TypeVar("Document")


def encode(document: Any) -> bytes:
    """Encode a document as a frame."""
    packed: bytes = msgpack.packb(to_plain(document))
    return packed


def decode(kind: type[Document], frame: Buffer, bytes_max: int = FRAME_BYTES_MAX) -> Document:
    """Decode a frame as a document of this kind. Raises MalformedMessage, also if the frame is too long.

    `bytes_max` applies to kinds that have no limit of their own in `_BYTES_MAX`.
    """
    try:
        values = unpack(frame, _BYTES_MAX.get(kind, bytes_max))
    except FLAWS as error:
        raise MalformedMessage(f"no {kind.__name__}: {error}") from None
    return from_plain(kind, values)


def to_plain(document: Any) -> Any:
    """Return a document as a map of its fields, nested documents too. Other values are returned unchanged."""
    fields = _fields_by_name(type(document))  # type: ignore[arg-type]  # a class is hashable
    if fields is not None:
        return {name: to_plain(getattr(document, field)) for name, field in fields.items()}
    return [to_plain(item) for item in document] if type(document) in (list, tuple) else document


def from_plain(kind: type[Document], values: Any) -> Document:
    """Build a document of this kind from a map of its fields, checking each. Raises MalformedMessage."""
    fields = _fields_by_name(kind) or {}  # type: ignore[arg-type]  # a class is hashable
    kinds: dict[str, Any] = _field_kinds(kind)  # type: ignore[arg-type]
    if type(values) is not dict or values.keys() != fields.keys():
        raise MalformedMessage(f"the fields of a {kind.__name__} are {', '.join(fields)}")
    return kind(**{fields[name]: _checked(kind, name, kinds[fields[name]], value) for name, value in values.items()})


def _checked(kind: type, name: str, expected: Any, value: Any) -> Any:
    if type(value) is expected and (expected is not int or 0 <= value < 2**64):
        return value
    is_document, origin, arguments = _form(expected)
    if is_document:
        return from_plain(expected, value)
    if origin in (list, tuple) and type(value) is list:
        return origin(_checked(kind, name, arguments[0], item) for item in value)
    if origin is dict and type(value) is dict:
        if all(_is(key, arguments[0]) and _is(item, arguments[1]) for key, item in value.items()):
            return value
    elif expected is Any:
        return value
    raise MalformedMessage(f"{kind.__name__}.{name} is no {expected}")


def _is(value: Any, expected: Any) -> bool:
    return expected is Any or type(value) is expected


@cache
def _fields_by_name(kind: Any) -> dict[str, str] | None:
    """Return a document's fields by their names in messages; None if `kind` is not a document."""
    if not dataclasses.is_dataclass(kind):
        return None
    return {each.metadata.get(SENT_AS, each.name): each.name for each in dataclasses.fields(kind)}


@cache
def _field_kinds(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


@cache
def _form(expected: Any) -> tuple[bool, Any, tuple[Any, ...]]:
    """Return for the type of a field whether it is a document, its origin, and its arguments."""
    return dataclasses.is_dataclass(expected), get_origin(expected), get_args(expected)
