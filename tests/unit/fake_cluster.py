"""A cluster in a dict behind the wire protocol, with epochs, a dedup window and scripted faults."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeAlias

import msgpack

from shardstore.identifiers import Epoch, Expiring, Lasting, SegmentId, WorkerId, tag_of_store
from shardstore.key_range import KeyRange
from shardstore.limits import KEY_BYTES_MAX, VALUE_BYTES_MAX
from shardstore.options import ScanMode
from shardstore.outcome import Ending
from shardstore.wire import columns
from shardstore.wire.admin_messages import AdminReply, AdminRequest
from shardstore.wire.lifetimes import NO_END, NO_VALUE, encode_ttl
from shardstore.wire.messages import (
    CountReply,
    CountRequest,
    OutcomeQuestion,
    OutcomeReply,
    Refusal,
    Routes,
    ScanRequest,
    Statistics,
    TakeRequest,
    Welcome,
    decode,
    encode,
)
from shardstore.wire.route_map import Route, RouteMap, presplit
from shardstore.wire.wire_format import CONDITIONAL, WRITES, Flag, Header, Op, Status, decode_request

ROUTER = "router"
Frames: TypeAlias = list[bytes]


class Lose(Enum):
    """A message that is lost."""

    REQUEST = "request"
    REPLY = "reply"


@dataclass(frozen=True)
class Refuse:
    """A refusal instead of a result; nothing is applied."""

    status: Status
    duration_ms: int = 0
    refusal: Refusal = field(default_factory=lambda: Refusal("so it was scripted"))


class FakeCluster:
    """Ranges that start at "", "40", "80" and "c0", on two workers.

    A change of ranges (`split`, `merge`, `move`) is published at once. Until `fence` only the parents serve; after it
    only the children do, and they know the requests that were applied. Former segments serve pages with a cursor until
    `forget_former`.

    `script` holds what happens to the next routed requests, None for nothing special; a scan's preparation of the next
    range is not counted. `log` holds the applied requests.
    """

    def __init__(self, boundaries: Sequence[bytes] = (b"\x40", b"\x80", b"\xc0"), workers: int = 2) -> None:
        fresh = presplit(boundaries, workers)
        self.route_map: RouteMap = fresh.with_routes(
            Route(route.start, route.segment, route.worker, Epoch(1), True) for route in fresh
        )
        self.endpoints = {worker: f"unix://worker-{worker}" for worker in range(workers)}
        self.data: dict[bytes, bytes] = {}
        self.script: deque[Lose | Refuse | None] = deque()
        self.down: set[int] = set()
        self.credits = 16
        self.pressure = 0
        self.values_max = 1_000_000
        self.page_entries = 1_000
        self.clients = 0
        self.store = "store"
        self.requests: list[Header] = []
        self.log: list[tuple[Op, list[bytes], list[bytes]]] = []
        self.scans_ended: list[bytes] = []
        self.admin: deque[AdminReply | Lose | Refuse] = deque()
        """How the next requests of an operator end; without an entry, nothing is done."""
        self.asked: list[tuple[Header, AdminRequest]] = []
        """The requests of an operator."""
        self.applied: dict[int, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        """The sequences applied, by segment and client, ascending."""
        self.taken: dict[int, dict[tuple[int, int], tuple[bytes, bytes]]] = defaultdict(dict)
        """What was taken, by segment, client and sequence."""
        self._parents: dict[int, list[Route]] = {}
        """The children that do not serve yet."""
        self._fencing: dict[int, Route] = {}
        self._former: dict[int, Route] = {}
        self._ranges: dict[int, KeyRange] = {}
        self.barred: set[tuple[int, int, int]] = set()
        self.told: dict[tuple[int, int, int], bytes] = {}

    def receive(self, link: str, frames: Frames) -> list[Frames]:
        """The replies to a message sent over this link."""
        header = decode_request(frames)
        if header.store and header.store != tag_of_store(self.store):
            return [self._refuse(header, Refuse(Status.OTHER_STORE, 0, Refusal(f"this is {self.store}")))]
        if header.op == Op.HELLO:
            self.clients += 1
            welcome = Welcome(1_000 + self.clients, self.store, encode(self.routes()), "/data")
            return [[header.reply(Status.OK).encode(), encode(welcome)]]
        if header.op == Op.ROUTES:
            return [[header.reply(Status.OK).encode(), encode(self.routes())]]
        if header.op == Op.ADMIN:
            return self._administer(header, frames)
        if header.op == Op.STATS and not header.epoch:
            return [self._answer(header, [encode(Statistics({"role": "router"}))])]
        return self._routed(link, header, frames)

    def routes(self) -> Routes:
        """The router's route map."""
        up = {worker: endpoint for worker, endpoint in self.endpoints.items() if worker not in self.down}
        return Routes(self.route_map.to_document(), up)

    def broadcast(self) -> Frames:
        """The message with which the router announces new routes."""
        return [Header(Op.ROUTES, status=Status.OK).encode(), encode(self.routes())]

    def new_epochs(self, worker: int) -> None:
        """Give a worker a new ownership, as after a restart."""
        self.give_to(worker, [route.segment for route in self.route_map if route.worker == worker])

    def give_to(self, worker: int, segments: Sequence[int]) -> None:
        """Give the segments a new owner, or a new ownership."""
        self.route_map = self.route_map.with_routes(
            Route(route.start, route.segment, WorkerId(worker), Epoch(route.epoch + 1), True)
            for route in self._routes(segments)
        )

    def split(self, segment: int, at: bytes, workers: Sequence[int]) -> None:
        """Split the segment in two; the second starts at this key."""
        (parent,) = self._routes([segment])
        self._change([parent], [parent.start, at], workers)

    def merge(self, segment: int, worker: int) -> None:
        """Merge the segment with its right neighbour."""
        at = [route.segment for route in self.route_map].index(SegmentId(segment))
        parents = self.route_map.routes[at : at + 2]
        self._change(parents, [parents[0].start], [worker])

    def move(self, segment: int, worker: int) -> None:
        """Move the range to a worker."""
        (parent,) = self._routes([segment])
        self._change([parent], [parent.start], [worker])

    def fence(self) -> None:
        """Fence the parents of all published changes, so that the children serve."""
        for child, parents in self._parents.items():
            for parent in parents:
                self.taken[child] |= self.taken[parent.segment]
                for client, sequences in self.applied[parent.segment].items():
                    self.applied[child][client] = sorted({*self.applied[child][client], *sequences})
        self._former |= self._fencing
        self._parents.clear()
        self._fencing.clear()

    def forget_former(self) -> None:
        """Release everything held for scans of former segments."""
        self._former.clear()

    def _administer(self, header: Header, frames: Frames) -> list[Frames]:
        self.asked.append((header, decode(AdminRequest, frames[1])))
        end = self.admin.popleft() if self.admin else AdminReply()
        if isinstance(end, Lose):
            return []
        return [self._refuse(header, end) if isinstance(end, Refuse) else self._answer(header, [encode(end)])]

    def _change(self, parents: Sequence[Route], starts: Sequence[bytes], workers: Sequence[int]) -> None:
        self.fence()
        fresh = max(self._ranges | {route.segment: None for route in self.route_map}) + 1
        children = [
            Route(start, SegmentId(fresh + at), WorkerId(worker), Epoch(1), True)
            for at, (start, worker) in enumerate(zip(starts, workers, strict=True))
        ]
        for parent in parents:
            self._ranges[parent.segment] = self.route_map.range_of(parent.segment)
            self._fencing[parent.segment] = parent
        kept = [route for route in self.route_map if route not in parents]
        routes = sorted([*kept, *children], key=lambda route: route.start)
        self.route_map = RouteMap(self.route_map.version + 1, tuple(routes))
        for child in children:
            self._ranges[child.segment] = self.route_map.range_of(child.segment)
            self._parents[child.segment] = [*parents]

    def _routes(self, segments: Sequence[int]) -> list[Route]:
        return [route for route in self.route_map if route.segment in segments]

    def _range_of(self, header: Header) -> KeyRange:
        current = self.route_map.route_of_segment(header.segment)
        return self.route_map.range_of(current.segment) if current else self._ranges[header.segment]

    def _who_serves(self, header: Header, frames: Frames) -> Route | None:
        if header.segment in self._parents:
            return None
        route = self.route_map.route_of_segment(header.segment) or self._fencing.get(header.segment)
        if route is None and header.op in (Op.SCAN, Op.END_SCAN) and decode(ScanRequest, frames[1]).cursor:
            return self._former.get(header.segment)
        return route

    def _routed(self, link: str, header: Header, frames: Frames) -> list[Frames]:
        self.requests.append(header)
        fate = self.script.popleft() if self.script and not _is_look_ahead(header, frames) else None
        if fate is Lose.REQUEST:
            return []
        if isinstance(fate, Refuse):
            return [self._refuse(header, fate)]
        if header.op == Op.STATS:
            route: Route | None = Route(b"", SegmentId(0), WorkerId(header.epoch - 1), Epoch(header.epoch))
        else:
            route = self._who_serves(header, frames)
        if route is None or route.epoch != header.epoch or link not in (ROUTER, f"worker:{route.worker}"):
            return [self._refuse(header, Refuse(Status.STALE_ROUTE, 0, Refusal("stale", routes=encode(self.routes()))))]
        if route.worker in self.down:
            down = Refuse(Status.UNAVAILABLE, 100, Refusal("worker is down"))
            return [self._refuse(header, down)] if link == ROUTER else []
        reply = self._execute(header, frames)
        return [] if fate is Lose.REPLY else [reply]

    def _execute(self, header: Header, frames: Frames) -> Frames:
        if header.op in WRITES and (header.segment, header.client, header.sequence) in self.barred:
            return self._refuse(header, Refuse(Status.TOO_OLD))
        if header.op in CONDITIONAL:
            return self._write_if(header, frames)
        if header.op == Op.BATCH:
            return self._write_batch(header, frames)
        if header.op == Op.TAKE:
            return self._take(header, frames)
        if header.op == Op.COUNT:
            return self._count(header, frames)
        if header.op in WRITES:
            return self._write(header, frames)
        if header.op == Op.OUTCOME:
            return self._outcome(header, frames)
        if header.op == Op.GET:
            return self._get(header, frames)
        if header.op == Op.TTL:
            return self._answer(header, [encode_ttl(NO_END if frames[1] in self.data else NO_VALUE)])
        if header.op == Op.SCAN:
            return self._scan(header, frames)
        if header.op == Op.END_SCAN:
            self.scans_ended.append(decode(ScanRequest, frames[1]).cursor)
        if header.op == Op.STATS:
            return self._answer(header, [encode(Statistics({"worker": header.epoch - 1}))])
        return self._answer(header, [])

    def _write(self, header: Header, frames: Frames) -> Frames:
        applied = self.applied[header.segment][header.client]
        if header.sequence in applied:
            return self._answer(header, [])
        if applied and header.sequence < applied[-1]:
            return self._refuse(header, Refuse(Status.TOO_OLD, 0, Refusal("its client has written later")))
        applied.append(header.sequence)
        values: list[bytes] = []
        if header.op == Op.DELETE_RANGE:
            cleared = KeyRange(frames[1], frames[2])
            assert cleared.intersection(self._range_of(header)) == cleared
            keys = [key for key in sorted(self.data) if key in cleared]
        else:
            keys = self._keys(header, frames)
        if header.op in (Op.PUT, Op.PUT_UNTIL):
            fixed = bool(header.flags & Flag.VALUES_FIXED)
            if header.op == Op.PUT:
                values = columns.decode(frames[2], fixed, header.entries, 0, VALUE_BYTES_MAX)
            else:  # nothing expires here
                values = [
                    each.value for each in columns.decode_ending(frames[2], header.entries, VALUE_BYTES_MAX, False)[0]
                ]
            self.data.update(zip(keys, values, strict=True))
        else:
            for key in keys:
                self.data.pop(key, None)
        self.log.append((Op(header.op), keys, values))
        return self._answer(header, [])

    def _count(self, header: Header, frames: Frames) -> Frames:
        asked = decode(CountRequest, frames[1])
        wanted = KeyRange(asked.start, asked.end)
        assert wanted.intersection(self._range_of(header)) == wanted
        entries = len([key for key in self.data if key in wanted])
        return self._answer(header, [encode(CountReply(entries, 10 * entries, int(asked.estimate)))])

    def _write_if(self, header: Header, frames: Frames) -> Frames:
        identity = (header.segment, header.client, header.sequence)
        if identity not in self.told:
            [key] = self._keys(header, frames)
            self.told[identity] = self._changed(header, key, frames[2])
        told = self.told[identity]
        if header.op in (Op.COMPARE_AND_SET, Op.EXPIRE):
            return self._answer(header, [], entries=int(told != b""))
        return self._answer(header, [told], entries=1, flags=Flag.VALUES_FIXED)

    def _write_batch(self, header: Header, frames: Frames) -> Frames:
        identity = (header.segment, header.client, header.sequence)
        applied = self.applied[header.segment][header.client]
        if identity not in self.told and header.sequence not in applied:
            self.told[identity] = self._batch_applied(header, frames)
        return self._answer(header, [], entries=int(self.told.get(identity, b"applied") != b""))

    def _take(self, header: Header, frames: Frames) -> Frames:
        """What a retry gets is known to all children of a segment, as `fence` hands it on."""
        taken = self.taken[header.segment].get((header.client, header.sequence))
        if taken is None:
            asked, owned = decode(TakeRequest, frames[1]), self._range_of(header)
            wanted = KeyRange(asked.start, asked.end).intersection(owned)
            keys = sorted(key for key in self.data if wanted and key in wanted)
            key = keys[-1 if asked.reverse else 0] if keys else b""
            taken = self.taken[header.segment][header.client, header.sequence] = (key, self.data.pop(key, b""))
            if key:
                self.applied[header.segment][header.client].append(header.sequence)
                self.log.append((Op.TAKE, [key], [taken[1]]))
        return self._answer(header, [*taken], entries=int(taken[0] != b""))

    def _batch_applied(self, header: Header, frames: Frames) -> bytes:
        """Apply a batch. The result is empty if a condition does not hold."""
        required, expected = map(msgpack.unpackb, frames[3:5])
        if [self.data.get(key) for key in required] != expected:
            return b""
        keys = self._keys(header, frames) if header.entries else []
        fixed = bool(header.flags & Flag.VALUES_FIXED)
        values = columns.decode(frames[2], fixed, header.entries, 0, VALUE_BYTES_MAX, nullable=True)
        self.applied[header.segment][header.client].append(header.sequence)
        self.log.append((Op.BATCH, keys, values))
        self.data.update(zip(keys, values, strict=True))
        self.data = {key: value for key, value in self.data.items() if value is not None}
        return b"applied"

    def _changed(self, header: Header, key: bytes, frame: bytes) -> bytes:
        """The result of a conditional operation; empty if its condition does not hold."""
        if header.op == Op.INCREMENT:
            value: bytes | None = b"%d" % (int(self.data.get(key, b"0")) + int(frame))
        elif header.op == Op.EXPIRE:  # this cluster has no clock: nothing expires
            value = self.data.get(key)
            if value is None:
                return b""
        else:
            (expected, value), _ = columns.decode_ending(frame, 2, VALUE_BYTES_MAX, nullable=True)
            value = value.value if isinstance(value, Expiring | Lasting) else value
            if self.data.get(key) != expected:
                return b""
        self.applied[header.segment][header.client].append(header.sequence)
        self.log.append((Op(header.op), [key], [] if value is None else [value]))
        if value is None:
            self.data.pop(key, None)
            return b"deleted"
        self.data[key] = value
        return value

    def _outcome(self, header: Header, frames: Frames) -> Frames:
        question = decode(OutcomeQuestion, frames[2])
        identity = (header.segment, question.client, question.sequence)
        is_applied = question.sequence in self.applied[header.segment][question.client]
        if not is_applied:
            self.barred.add(identity)
        ending = Ending.APPLIED if is_applied else Ending.NOT_APPLIED
        return self._answer(header, [encode(OutcomeReply(ending.value))])

    def _get(self, header: Header, frames: Frames) -> Frames:
        keys = self._keys(header, frames)[: self.values_max]
        values: list[Any] = [self.data.get(key) for key in keys]
        if header.flags & Flag.PRESENCE:
            values = [None if value is None else b"" for value in values]
        column = columns.encode(values)
        flags = (Flag.VALUES_FIXED if column.fixed else 0) | (Flag.MORE if len(keys) < header.entries else 0)
        return self._answer(header, [column.frame], flags=flags, entries=len(keys))

    def _scan(self, header: Header, frames: Frames) -> Frames:
        asked = decode(ScanRequest, frames[1])
        owned = self._range_of(header)
        keys = sorted(self.data)
        low = bisect_left(keys, max(asked.start, owned.start))
        ends = [end for end in (asked.end, owned.end) if end]
        keys = keys[low : bisect_left(keys, min(ends)) if ends else None]
        limit = min(asked.limit or self.page_entries, self.page_entries)
        page, more = (keys[-limit:], keys[:-limit]) if asked.reverse else (keys[:limit], keys[limit:])
        resume = b"" if not more else page[0] if asked.reverse else page[-1] + b"\0"
        cursor = b"cursor of %d" % header.segment
        assert asked.cursor in (b"", cursor), "a cursor belongs to one segment"
        if asked.mode == ScanMode.LIVE or (asked.mode != ScanMode.FAIL_FAST and (not more or len(page) == asked.limit)):
            cursor = b""
        if not page:
            return self._answer(header, [b"", b"", resume, cursor])
        key_column = columns.encode(page)
        value_column = columns.encode([b"" if asked.keys_only else self.data[key] for key in page])
        flags = int(Flag.KEYS_FIXED) * key_column.fixed | int(Flag.VALUES_FIXED) * value_column.fixed
        return self._answer(
            header, [key_column.frame, value_column.frame, resume, cursor], flags=flags, entries=len(page)
        )

    def _keys(self, header: Header, frames: Frames) -> list[bytes]:
        keys = columns.decode(frames[1], bool(header.flags & Flag.KEYS_FIXED), header.entries, 1, KEY_BYTES_MAX)
        assert columns.all_within(keys, self._range_of(header))
        return keys

    def _answer(self, header: Header, body: Frames, **fields: int) -> Frames:
        return [header.reply(Status.OK, credits=self.credits, pressure=self.pressure, **fields).encode(), *body]

    def _refuse(self, header: Header, refuse: Refuse) -> Frames:
        reply = header.reply(refuse.status, credits=self.credits, duration_ms=refuse.duration_ms)
        return [reply.encode(), encode(refuse.refusal)]


def _is_look_ahead(header: Header, frames: Frames) -> bool:
    if header.op != Op.SCAN:
        return False
    asked = decode(ScanRequest, frames[1])
    return (asked.mode, asked.limit, asked.keys_only) == (ScanMode.LIVE, 1, True)
