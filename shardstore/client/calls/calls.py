"""What a caller asks of a session. A call is one object from its submission to its settling.

Open            wait until the session has a client id and routes
Single          one key: GET, PUT, DELETE, COMPARE_AND_SET, INCREMENT, OUTCOME
Many            columns of keys, with values for PUT
ScanPage        the next page of a scan
EndScan         a scan leaves a range
Maintain        FLUSH, COMPACT
GetStats      figures of the router and of every worker
Administer      an action of an operator
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from shardstore.client.calls.arguments import Items
from shardstore.client.calls.cutting import Positions
from shardstore.key_range import KeyRange
from shardstore.lazy_numpy import np
from shardstore.options import ScanMode
from shardstore.wire.admin_messages import Action, AdminRequest
from shardstore.wire.route_map import Route
from shardstore.wire.wire_format import WRITES, Op


@dataclass(slots=True, eq=False)
class Call:
    """What every call has. The session sets the deadline, marks the call settled, and keeps its timer in `grain`.

    A call that is `held` is asked ahead of need: its time begins to run when somebody waits for it (Await).
    A write that is `left` may be applied, and nobody waits for it: what was sent of it goes on, reads come behind it.
    `missing` counts the parts that are not answered. A write that `fails_when_busy` is not sent again when it was
    refused for want of room.
    """

    timeout_ns: int
    deadline_ns: int = field(default=0, init=False)
    settled: bool = field(default=False, init=False)
    grain: int = field(default=0, init=False)
    missing: int = field(default=1, init=False)
    fails_when_busy: bool = field(default=False, init=False)
    held: bool = field(default=False, init=False)
    left: bool = field(default=False, init=False)

    def add_parts(self, more: int) -> None:
        """It is cut into so many parts more than before; at first it is one."""
        self.missing += more

    def settled_with(self, last: Any) -> Any:
        """What it is settled with when this was the last of the answers to its parts."""
        return last


@dataclass(slots=True, eq=False)
class Open(Call):
    """Settled with None once the session can route."""


@dataclass(slots=True, eq=False)
class Single(Call):
    """One operation on one key. `value` is the second frame of its request, if it has one.

    GET settles with the value or None; with PRESENCE, with b"" or None. COMPARE_AND_SET settles with whether it was
    done, INCREMENT with the number, OUTCOME with an Ending.
    """

    op: Op
    key: bytes
    value: bytes = b""
    flags: int = 0

    @property
    def size(self) -> int:
        """Bytes of key and value."""
        return len(self.key) + len(self.value)


@dataclass(slots=True, eq=False)
class Many(Call):
    """One operation on many keys. GET settles with the list of values, None for an absent key.

    `parts` is into how many parts it was cut; `applied` names those of a write that are answered, by sequence and
    segment.
    """

    op: Op
    keys: Items
    values: Items | None = None
    results: Any = field(default=None, init=False)
    parts: int = field(default=1, init=False)
    applied: list[tuple[int, int]] = field(default_factory=list, init=False)

    def add_parts(self, more: int) -> None:
        """It is cut into so many parts more than before; at first it is one."""
        self.missing += more
        self.parts += more

    def collect(self, positions: Positions | None, values: Sequence[bytes | None]) -> None:
        """Put the values of one part where they belong."""
        if positions is None:
            self.results = values
            return
        if self.results is None:
            self.results = np.empty(len(self.keys.items), dtype=object)
        self.results[positions] = values

    def all_positions(self) -> Positions:
        """The positions of a part that is the whole call."""
        return np.arange(len(self.keys.items))

    def settled_with(self, last: Any) -> list[bytes | None] | None:
        """The values in the order of the keys; None for a write."""
        if self.results is None or isinstance(self.results, list):
            return self.results
        values: list[bytes | None] = self.results.tolist()
        return values


class Owner(NamedTuple):
    """Whose mark it is: the keys and the route of the segment, in the ownership that answered the first page."""

    key_range: KeyRange
    route: Route


class Page(NamedTuple):
    """Entries of a page in key order (no values if only keys were asked), and the keys that are left, if any.

    `more` says that the segment of the page may have more of them: then `mark` goes into the call for the next page,
    and so does its `owner`, who is asked for that also when others have the keys by then. No mark, no owner.
    """

    keys: list[bytes]
    values: list[bytes]
    rest: tuple[bytes, bytes] | None
    more: bool
    mark: bytes
    owner: Owner | None = None


@dataclass(slots=True, eq=False)
class ScanPage(Call):
    """The first page of the keys in [start, end), or of the last if `reverse`; empty bounds are open. Settles with it.

    `limit` is how many entries the scan still wants, 0 for all; `mark` and `owner` are those of the page before in
    the same segment.
    """

    start: bytes
    end: bytes
    reverse: bool
    keys_only: bool
    limit: int
    mode: ScanMode = ScanMode.LIVE
    mark: bytes = b""
    owner: Owner | None = None


@dataclass(slots=True, eq=False)
class EndScan(Call):
    """The scan asks for no page behind `latest` in its segment. With FAIL_FAST an error if that changed meanwhile."""

    latest: ScanPage
    mark: bytes
    owner: Owner | None


@dataclass(slots=True, eq=False)
class Maintain(Call):
    """FLUSH or COMPACT of every segment with keys in [start, end), empty for unbounded.

    Settled with None when all are done or, with NO_WAIT in `flags`, when all are accepted. `asked` are the segments
    that were asked: each is asked once.
    """

    op: Op
    start: bytes = b""
    end: bytes = b""
    flags: int = 0
    asked: set[int] = field(default_factory=set, init=False)


@dataclass(slots=True, eq=False)
class GetStats(Call):
    """Settled with the figures of the router and, by worker, of the workers; who gave none has {"unavailable": why}."""

    results: dict[Any, dict[str, Any]] = field(default_factory=dict, init=False)

    def settled_with(self, last: Any) -> dict[Any, dict[str, Any]]:
        """The figures of all, those of the router first."""
        return dict(sorted(self.results.items(), key=_router_first))


@dataclass(slots=True, eq=False)
class Administer(Call):
    """Settled with the AdminReply once what was asked is wholly done."""

    request: AdminRequest


def _router_first(figures: tuple[str | int, object]) -> int:
    who, _ = figures
    return -1 if isinstance(who, str) else who


def is_write(call: Call) -> bool:
    """Whether the call changes the store."""
    if isinstance(call, Administer):
        return not call.request.dry_run and call.request.action != Action.RANGES
    return isinstance(call, Single | Many) and call.op in WRITES
