"""The documents (msgpack maps) that client, router and workers exchange beside columns. See wire_format.py.

Every document is a frozen dataclass; `encode` and `decode` are its only way to and from bytes. A document from
the network is checked field by field before anything uses it.
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
from shardstore.wire.load_report import LoadReport
from shardstore.wire.topology import Order
from shardstore.wire.unpacking import FLAWS, unpack
from shardstore.wire.wire_format import MalformedMessage


@dataclass(frozen=True, slots=True)
class Refusal:
    """Body of every reply that is not OK. `used` and `limit` belong to BUSY, `file` and `offset` to damage.

    `routes` is the body of STALE_ROUTE: the encoded Routes the server knows, empty when it knows none. `what` is cut at
    REFUSAL_CHARACTERS_MAX, as it may repeat what a client sent.
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
    """One page of a range: keys in [start, end), empty for unbounded, ascending or (`reverse`) from the end down.

    The page itself is always in ascending order. `limit` is how many entries the scan still wants (0: all); a page
    holds as many of them as fit. The resume key in the reply is the new `start` (forward) or `end` (reverse) for the
    next page, empty when the range is done. `mode` is a ScanMode. `mark` is what the latest page of this scan in this
    range came with, empty for its first page there. In END_SCAN, which ends the scan's stay in the range, only these
    two count.
    """

    start: bytes = b""
    end: bytes = b""
    reverse: bool = False
    keys_only: bool = False
    limit: int = 0
    mode: str = ScanMode.LIVE.value
    mark: bytes = b""


@dataclass(frozen=True, slots=True)
class OutcomeQuestion:
    """What became of the write with this request id? It has, or had, to do with the key beside this document.

    Once it was answered that the write was not applied, the write is never applied any more.

    `elsewhere`: start and end, one after the other, of key ranges in which other writes had the same id. Of a segment
    that has any of those keys too, nobody can tell which write it knows by that id.
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
        """`elsewhere`, as ranges."""
        return [KeyRange(*self.elsewhere[at : at + 2]) for at in range(0, len(self.elsewhere), 2)]


@dataclass(frozen=True, slots=True)
class OutcomeAnswer:
    """`ending` is an Ending, but never PARTLY."""

    ending: str


@dataclass(frozen=True, slots=True)
class Hello:
    """Client to router: which program speaks."""

    library: str


@dataclass(frozen=True, slots=True)
class Welcome:
    """Router to client: its id, the identity of the store and its data directory on the router's host, the Routes."""

    client: int
    store: str
    routes: bytes
    data: str


@dataclass(frozen=True, slots=True)
class Routes:
    """The route map (RouteMap.to_document) and where each worker listens; a worker that is down has no endpoint."""

    route_map: dict[str, Any]
    endpoints: dict[int, str]


@dataclass(frozen=True, slots=True)
class Register:
    """Worker to router, at its start and when the router asks again: where it listens and what it serves.

    `serving`: epoch by segment of ranges it has open now. `known`: highest epoch by segment found on its disk.
    `life`: of its log, see workers/wal/log_document.py; 0 when it has none that can be read. `failure`: why it takes no
    writes, or serves nothing, and is to be given nothing more; empty if that is not so.
    """

    worker: int
    endpoint: str
    serving: dict[int, int]
    known: dict[int, int]
    life: int = 0
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Assignment:
    """One range a worker is to serve. `create`: the segment is new; otherwise it must exist on disk."""

    segment: int
    start: bytes
    end: bytes
    epoch: int
    create: bool


@dataclass(frozen=True, slots=True)
class Assignments:
    """Router to worker: all ranges it owns, the changes that concern it, the encoded Routes, and the router's life.

    `router` is the number of this life of the router. `segment_next`: no segment at or above it was ever given.
    `retired`: segments that the worker found on disk and that nobody needs any more. `life` is the newest of the log
    that holds what the worker has acknowledged; 0 when it never had one.
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
    """What a worker may buffer (`lease`), does buffer, of that is under way to segments, and would like to be allowed.

    All in bytes.
    """

    lease: int
    used: int
    draining: int
    wanted: int


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Worker to router, twice a second, and when it needs more to buffer: it lives.

    `router` is that of Assignments, `scans` how many scans it holds open. `full_disk`: what fails for want of room, at
    most REFUSAL_CHARACTERS_MAX of it; empty if nothing does.
    """

    worker: int
    pressure: int
    router: int
    report: LeaseReport
    scans: int
    full_disk: str = ""


@dataclass(frozen=True, slots=True)
class Lease:
    """Answer to HEARTBEAT: the bytes the worker may buffer from now on, and how many of them it is to drain.

    It counts only while the worker has sent no later heartbeat. See router/budget.py.
    """

    lease: int
    drain: int


@dataclass(frozen=True, slots=True)
class Statistics:
    """Answer to STATS: figures by name, nested maps allowed."""

    figures: dict[str, Any] = field(default_factory=dict)


_BYTES_MAX: dict[type, int] = {
    Hello: 512,
    Heartbeat: 8 * KIB,
    ScanRequest: 4 * KEY_BYTES_MAX,
    AdminRequest: 4 * KEY_BYTES_MAX,
    OutcomeQuestion: 8 * KEY_BYTES_MAX,
    Register: 4 * MIB,
    Ready: 4 * MIB,
    LoadReport: 16 * MIB,
}
"""How long a document may be that asks something of a server: before a client is known, some hundred bytes."""

Document = TypeVar("Document")


def encode(document: Any) -> bytes:
    """The frame of a document."""
    packed: bytes = msgpack.packb(to_plain(document))
    return packed


def decode(kind: type[Document], frame: Buffer, bytes_max: int = FRAME_BYTES_MAX) -> Document:
    """The document of that kind in a frame, of at most so many bytes. Raises MalformedMessage for anything else."""
    try:
        values = unpack(frame, _BYTES_MAX.get(kind, bytes_max))
    except FLAWS as error:
        raise MalformedMessage(f"no {kind.__name__}: {error}") from None
    return from_plain(kind, values)


def to_plain(document: Any) -> Any:
    """Fields by name; a nested document becomes a map, anything else stays."""
    names = _field_names(type(document))  # type: ignore[arg-type]  # a class is hashable
    if names is not None:
        return {name: to_plain(getattr(document, name)) for name in names}
    return [to_plain(item) for item in document] if type(document) in (list, tuple) else document


def from_plain(kind: type[Document], values: Any) -> Document:
    """The document of that kind with these fields, each checked. Raises MalformedMessage."""
    kinds: dict[str, Any] = _field_kinds(kind)  # type: ignore[arg-type]  # a class is hashable
    if type(values) is not dict or values.keys() != kinds.keys():
        raise MalformedMessage(f"the fields of a {kind.__name__} are {', '.join(kinds)}")
    return kind(**{name: _checked(kind, name, kinds[name], value) for name, value in values.items()})


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
def _field_names(kind: Any) -> tuple[str, ...] | None:
    """The fields of a document; None for anything else."""
    return tuple(field.name for field in dataclasses.fields(kind)) if dataclasses.is_dataclass(kind) else None


@cache
def _field_kinds(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


@cache
def _form(expected: Any) -> tuple[bool, Any, tuple[Any, ...]]:
    """Of the type of a field: whether it is a document, its origin, its arguments."""
    return dataclasses.is_dataclass(expected), get_origin(expected), get_args(expected)
