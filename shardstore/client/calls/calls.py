"""The calls that a session takes. A call is the same object from its submission until it is settled.

Open            wait until the session has a client id and routes
Single          one key: GET, PUT, PUT_UNTIL, DELETE, COMPARE_AND_SET, INCREMENT, EXPIRE, TTL, OUTCOME
Many            columns of keys, with values for PUT and PUT_UNTIL
AtomicBatch     BATCH: changes of several keys in one range, all of them or none
Take            TAKE: the first or last entry within bounds, range after range
ScanPage        the next page of a scan
EndScan         the end of a scan in a range
Maintain        FLUSH, COMPACT
DeleteRange     DELETE_RANGE
Count           COUNT
GetStats        statistics of the router and of every worker
Administer      an action of an operator
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from shardstore.client.calls.arguments import Items
from shardstore.client.calls.batch_pieces import Positions
from shardstore.client.calls.some_read import SomeRead
from shardstore.estimate import Estimate
from shardstore.key_range import EVERYTHING, KeyRange
from shardstore.lazy_numpy import np
from shardstore.limits import DEADLINE_MS_MAX, MILLISECOND_NS
from shardstore.options import ScanMode
from shardstore.wire.admin_messages import Action, AdminRequest
from shardstore.wire.route_map import Route
from shardstore.wire.wire_format import WRITES, Op

HELD_NS = DEADLINE_MS_MAX * MILLISECOND_NS
"""The timeout of a held call until somebody waits for it."""


@dataclass(slots=True, eq=False)
class Call:
    """What all calls have in common. The session sets `deadline_ns`, `due_tick` (its timer), and how it ended.

    settled           it has ended, with an `error` or, if that is None, with an `answer`; or nobody waits for it
    parking           the queue at which the thread of a blocking client waits for it, once one does
    held              the call was submitted ahead of need; its time begins when somebody waits for it (Await)
    left              a write that nobody waits for, but that may be applied: requests already sent go on, and reads
                      wait for them
    missing           number of parts that are not answered yet
    fails_when_busy   a write that was refused for lack of room fails, instead of being sent again
    """

    timeout_ns: int
    deadline_ns: int = field(default=0, init=False)
    settled: bool = field(default=False, init=False)
    answer: Any = field(default=None, init=False)
    error: Exception | None = field(default=None, init=False)
    parking: Any = field(default=None, init=False)
    due_tick: int = field(default=0, init=False)
    missing: int = field(default=1, init=False)
    fails_when_busy: bool = field(default=False, init=False)
    held: bool = field(default=False, init=False)
    left: bool = field(default=False, init=False)

    def settle(self, answer: Any, error: Exception | None) -> None:
        """Note how it has ended. An interrupt in the middle leaves it as it was."""
        self.answer = answer
        self.error = error
        self.settled = True

    def add_parts(self, more: int) -> None:
        """Count this many more parts. Before it is cut, a call is one part."""
        self.missing += more

    def settled_with(self, last: Any) -> Any:
        """The value of the call, given the content of the last reply to one of its parts."""
        return last


@dataclass(slots=True, eq=False)
class Open(Call):
    """Settles with None once the session has a client id and routes."""


@dataclass(slots=True, eq=False)
class Single(Call):
    """One operation on one key. `value` is the second frame of its request, if it has one.

    GET settles with the value or None; with PRESENCE, with b"" or None. COMPARE_AND_SET settles with whether the change
    was made, INCREMENT with the new number, OUTCOME with an Ending.
    """

    op: Op
    key: bytes
    value: bytes = b""
    flags: int = 0

    @property
    def size(self) -> int:
        """The bytes of key and value."""
        return len(self.key) + len(self.value)


@dataclass(slots=True, eq=False)
class Many(Call):
    """One operation on many keys. GET settles with the list of values, None for a key without one.

    `parts`: the number of parts into which it was cut. `applied`: of a write, the sequence and segment of each part
    that is answered. `denied`: the error of a part that the role of the client does not allow, until all parts are
    answered. `rest_of`: the keys are those of a larger batch that were not read before.
    """

    op: Op
    keys: Items
    values: Items | None = None
    results: Any = field(default=None, init=False)
    parts: int = field(default=1, init=False)
    flags: int = field(default=0, init=False)
    rest_of: SomeRead | None = field(default=None, init=False)
    applied: list[tuple[int, int]] = field(default_factory=list, init=False)
    denied: Exception | None = field(default=None, init=False)

    def add_parts(self, more: int) -> None:
        """Count this many more parts. Before it is cut, a call is one part."""
        self.missing += more
        self.parts += more

    def collect(self, positions: Positions | None, values: Sequence[bytes | None]) -> None:
        """Put the values of one part at their positions."""
        if positions is None:
            self.results = values
            return
        if self.results is None:
            self.results = np.empty(len(self.keys.items), dtype=object)
        self.results[positions] = np.fromiter(values, object, len(values))  # faster than numpy's own look at a list

    def all_positions(self) -> Positions:
        """The positions of a part that is the whole call."""
        return np.arange(len(self.keys.items))

    def settled_with(self, last: Any) -> list[bytes | None] | None:
        """The values in the order of the keys, with those that were read before; None for a write."""
        results = self.results
        values: list[bytes | None] | None
        values = results if results is None or isinstance(results, list) else results.tolist()
        return values if values is None or self.rest_of is None else self.rest_of.with_rest(values)


@dataclass(slots=True, eq=False)
class AtomicBatch(Call):
    """Changes of keys in one range, made whole if each required key has its expected value.

    Values may be Expiring or Lasting, and None among them deletes the key; None among `expected` is no value. `key` is
    the first of all keys: its range is that of the batch. Settles with whether the changes were made.
    """

    keys: Sequence[bytes]
    values: Sequence[Any]
    required: Sequence[bytes]
    expected: Sequence[bytes | None]
    op: Op = Op.BATCH

    @property
    def key(self) -> bytes:
        """The first key."""
        return (self.keys or self.required)[0]


@dataclass(slots=True, eq=False)
class Take(Call):
    """Removes the first entry in [start, end), or the last one if `reverse`. Empty bounds are open.

    Settles with its key and value; None if there is none. Ranges are asked one after the other. `start` and `end` are
    those of what is left to ask; `asked` are the keys about which the request under way will tell.
    """

    start: bytes
    end: bytes
    reverse: bool
    op: Op = Op.TAKE
    asked: KeyRange = field(default=EVERYTHING, init=False)

    def goes_on(self) -> bool:
        """Leave out what was asked. Returns False if nothing is left."""
        asked = self.asked
        if self.reverse:
            self.end = asked.start
            return self.start < asked.start
        self.start = asked.end
        return bool(asked.end) and (not self.end or asked.end < self.end)


class Owner(NamedTuple):
    """The owner of a scan's cursor: keys and route of the segment as they were when its first page was answered."""

    key_range: KeyRange
    route: Route


class Page(NamedTuple):
    """The entries of a page in key order, without values if only keys are wanted. `rest`: the keys that are left.

    `more`: the segment of the page may have more entries. Then the call for the next page has the same `cursor` and
    `owner`: that worker is asked even if others own the keys by then. Without a cursor there is no owner. Or it has the
    same `view`, from which the client reads the next page itself.
    """

    keys: list[bytes]
    values: Sequence[bytes]
    rest: tuple[bytes, bytes] | None
    more: bool
    cursor: bytes = b""
    owner: Owner | None = None
    view: View | None = None


class View(Protocol):
    """The tables of a range as they were when its first page was read from them."""

    def page(self, call: ScanPage) -> Page:
        """Return the first page of the keys that the call wants, of those in the range. Raises Corruption."""


@dataclass(slots=True, eq=False)
class ScanPage(Call):
    """Settles with the first Page of the keys in [start, end); with the last one if `reverse`. Empty bounds are open.

    `limit`: the number of entries that the scan still wants; 0 for all. `cursor`, `owner` and `view`: those of the
    previous page in the same segment. `moments`: values that are to expire come as Expiring.
    """

    start: bytes
    end: bytes
    reverse: bool
    keys_only: bool
    limit: int
    mode: ScanMode = ScanMode.LIVE
    cursor: bytes = b""
    owner: Owner | None = None
    view: View | None = None
    moments: bool = False


@dataclass(slots=True, eq=False)
class EndScan(Call):
    """Ends a scan in the segment of its `latest` page. In mode FAIL_FAST this fails if the range was written."""

    latest: ScanPage
    cursor: bytes
    owner: Owner | None


@dataclass(slots=True, eq=False)
class Maintain(Call):
    """FLUSH or COMPACT of every segment with keys in [start, end); empty bounds are open.

    Settles with None when all are done or, with NO_WAIT in `flags`, when all are accepted. `asked`: the segments that
    were asked; none is asked twice.
    """

    op: Op
    start: bytes = b""
    end: bytes = b""
    flags: int = 0
    asked: set[int] = field(default_factory=set, init=False)


@dataclass(slots=True, eq=False)
class DeleteRange(Call):
    """The deletion of all keys in [start, end); empty bounds are open. It has a part in each segment with such keys.

    `parts`, `applied` and `denied`: as those of a Many.
    """

    start: bytes
    end: bytes
    op: Op = Op.DELETE_RANGE
    parts: int = field(default=1, init=False)
    applied: list[tuple[int, int]] = field(default_factory=list, init=False)
    denied: Exception | None = field(default=None, init=False)

    def add_parts(self, more: int) -> None:
        """Count this many more parts. Before it is cut, a call is one part."""
        self.missing += more
        self.parts += more

    def settled_with(self, last: Any) -> None:
        """None: nothing is known of the keys that were there."""
        return


@dataclass(slots=True, eq=False)
class Count(Call):
    """Settles with the Estimate of all keys in [start, end), exact unless `estimates`; empty bounds are open."""

    start: bytes
    end: bytes
    estimates: bool
    op: Op = Op.COUNT
    found: Estimate = field(default=Estimate(0, 0, 0), init=False)

    def settled_with(self, last: Any) -> Estimate:
        """The sum over all segments."""
        return self.found


@dataclass(slots=True, eq=False)
class GetStats(Call):
    """Settles with the statistics of the router and of each worker; {"unavailable": why} for one that gave none."""

    results: dict[Any, dict[str, Any]] = field(default_factory=dict, init=False)

    def settled_with(self, last: Any) -> dict[Any, dict[str, Any]]:
        """The statistics of all, the router first."""
        return dict(sorted(self.results.items(), key=_router_first))


@dataclass(slots=True, eq=False)
class Administer(Call):
    """Settles with the AdminReply once the action is complete."""

    request: AdminRequest


def _router_first(entry: tuple[str | int, object]) -> int:
    who, _ = entry
    return -1 if isinstance(who, str) else who


def is_write(call: Call) -> bool:
    """Whether the call changes the store."""
    if isinstance(call, Administer):
        return not call.request.dry_run and call.request.action != Action.RANGES
    return isinstance(call, Single | Many | AtomicBatch | Take | DeleteRange) and call.op in WRITES
