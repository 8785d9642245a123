"""Scans of tables by a client: each range as the worker shows it at its first page, whatever happens afterwards."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shardstore.client.calls.calls import Page, ScanPage
from shardstore.client.calls.scan import Scan
from shardstore.client.direct.ask import ASK
from shardstore.client.direct.reader import Reader
from shardstore.identifiers import Epoch, SegmentId, WorkerId
from shardstore.limits import KIB, MIB
from shardstore.options import Durability, ScanMode
from shardstore.segment_options import Compression, SegmentOptions
from shardstore.tables import deleted_keys, scan_page
from shardstore.wire.messages import ScanRequest
from shardstore.wire.route_map import Route, RouteMap
from shardstore.wire.wire_format import Op, Status
from tests.unit import worker_driver
from tests.unit.client.session_driver import new_scan
from tests.unit.set_wall import SetWall
from tests.unit.worker_driver import STORE, WorkerDriver, scan_all

NUMBERS = st.integers(0, 99)
BORDERS = (b"30", b"60")
"""Between the ranges."""
VALUES = (b"%06d", b"%0200d", b"%d", b"")
SMALL_PARTS = SegmentOptions(block_bytes=KIB, part_min_bytes=KIB, part_max_bytes=KIB, main_max_bytes=4 * KIB)
BOUNDS = st.tuples(st.integers(0, 60), st.integers(1, 60))
ACTIONS = st.one_of(
    st.tuples(st.just("put"), st.sets(NUMBERS, min_size=1, max_size=40), st.sampled_from(VALUES)),
    st.tuples(st.just("put"), st.sets(NUMBERS, min_size=1, max_size=8), st.sampled_from(VALUES)),
    st.tuples(st.just("delete"), st.sets(NUMBERS, min_size=1, max_size=60)),
    st.tuples(st.just("maintain"), st.just(Op.FLUSH)),
    st.tuples(st.just("maintain"), st.just(Op.FLUSH)),
    st.tuples(st.just("maintain"), st.just(Op.COMPACT)),
    st.tuples(st.just("scan"), BOUNDS, st.booleans(), st.booleans(), st.sampled_from([None, None, 1, 7])),
    st.tuples(st.just("page")),
    st.tuples(st.just("page")),
    st.tuples(st.just("page")),
)


def key(number: int) -> bytes:
    """A key of one of two lengths."""
    return b"%02d" % number + b"+" * (number % 3 == 0)


@dataclass
class World:
    """A worker with three ranges, a client that reads their files, and its latest scan.

    `moments`: what the worker showed of each range at its first page.
    """

    worker: WorkerDriver
    reader: Reader
    mode: ScanMode
    scan: Scan = field(default_factory=new_scan)
    keys_only: bool = False
    moments: dict[int, dict[bytes, bytes]] = field(default_factory=dict)
    writes: int = 0
    segments: tuple[int, ...] = (1, 2, 3)
    starts: tuple[bytes, ...] = (b"", *BORDERS)

    def __post_init__(self) -> None:
        rows = zip(self.starts, self.segments, strict=True)
        routes = [Route(start, SegmentId(segment), WorkerId(0), Epoch(1), created=True) for start, segment in rows]
        self.routes = RouteMap(1, tuple(routes))

    def act(self, action: tuple[Any, ...]) -> None:
        """Do what was drawn."""
        match action:
            case ("put", numbers, value):
                self.writes += 1
                for segment, keys in self.cut(numbers):
                    values = [value % self.writes if b"%" in value else value for _ in keys]
                    self.worker.put(dict(zip(keys, values, strict=True)), segment=segment)
            case ("delete", numbers):
                for segment, keys in self.cut(numbers):
                    self.worker.delete(keys, segment=segment)
            case ("maintain", op):
                self.maintain(op)
            case ("scan", (first, length), reverse, keys_only, limit):
                bounds = {"start": key(first), "end": key(first + length)}
                self.scan = new_scan(**bounds, reverse=reverse, keys_only=keys_only, limit=limit, mode=self.mode)
                self.keys_only = keys_only
                self.moments.clear()
            case ("page",):
                self.page()

    def cut(self, numbers: set[int]) -> list[tuple[int, list[bytes]]]:
        """The keys with these numbers, by segment."""
        keys = sorted(map(key, numbers))
        cut = [(segment, [each for each in keys if self.segment_of(each) == segment]) for segment in self.segments]
        return [(segment, within) for segment, within in cut if within]

    def segment_of(self, asked: bytes) -> int:
        return self.routes.route_of(asked).segment

    def maintain(self, op: Op) -> None:
        for segment in self.segments:
            sequence = self.worker.ask(op, segment=segment)
            self.worker.settle()
            assert self.worker.status(sequence) is Status.OK

    def page(self) -> None:
        """Read the next page, and check that it is what the worker shows, or showed at the first page of the range."""
        call = self.scan.next_call()
        if call is None:
            return
        assert isinstance(call, ScanPage)
        page = self.reader.page(call, self.routes) if call.view is None else call.view.page(call)
        if page is ASK:
            assert any(map(self.is_in_memory, self.segments)), "all tables can be read"
            self.maintain(Op.FLUSH)
            page = self.reader.page(call, self.routes)
        assert page is not ASK
        if self.mode is ScanMode.LIVE:
            assert page.view is None
            self.moments.clear()
        self.check(call, page)
        list(self.scan.take(page))

    def is_in_memory(self, segment: int) -> bool:
        """Whether a key of a range is in memory."""
        overlay = self.worker.core._ranges[SegmentId(segment)].overlay
        return bool(overlay.active.entries or overlay.runs)

    def check(self, call: ScanPage, page: Page) -> None:
        start, end = call.start, call.end
        if page.rest is not None:
            start, end = (page.rest[1], call.end) if call.reverse else (call.start, page.rest[0])
        shown: dict[bytes, bytes] = {}
        for segment in self.segments:
            at = self.routes.range_of(SegmentId(segment))
            if at.start < (end or b"\xff") and (not at.end or start < at.end):
                if segment not in self.moments:
                    self.moments[segment] = dict(scan_all_of(self.worker, segment))
                shown |= self.moments[segment]
        expected = {each: value for each, value in shown.items() if start <= each and (not end or each < end)}
        if 0 < call.limit < len(expected):
            near = sorted(expected, reverse=call.reverse)[: call.limit]
            expected = {each: expected[each] for each in sorted(near)}
        assert page.keys == sorted(expected)
        assert page.values == ([] if self.keys_only else [expected[each] for each in page.keys])


def scan_all_of(worker: WorkerDriver, segment: int) -> list[tuple[bytes, bytes]]:
    """All entries of a range, as its worker shows them."""
    ask = worker.ask
    with patch.object(worker, "ask", lambda op, body=(), **fields: ask(op, body, **{**fields, "segment": segment})):
        return scan_all(worker, ScanRequest())


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    st.lists(ACTIONS, min_size=10, max_size=60),
    st.sampled_from([ScanMode.SNAPSHOT, ScanMode.SNAPSHOT, ScanMode.LIVE]),
    st.sampled_from([1, 3, 16]),
    st.sampled_from([2, 16, 4_096]),
    st.booleans(),
    st.sampled_from(Compression),
)
def test_a_client_finds_in_the_tables_what_the_worker_shows(
    actions: list[tuple[Any, ...]],
    mode: ScanMode,
    page_entries: int,
    stretch_entries: int,
    is_loaded: bool,
    compression: Compression,
) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="direct-scans") as root,
        patch.object(worker_driver, "DEFAULTS", replace(SMALL_PARTS, compression=compression)),
        patch.object(scan_page, "SCAN_PAGE_ENTRIES", page_entries),
        patch.object(scan_page, "STRETCH_ENTRIES_MIN", 1),
        patch.object(scan_page, "STRETCH_ENTRIES_MAX", stretch_entries),
        patch.object(deleted_keys, "PASSED_ENTRIES_MIN", stretch_entries),
        patch.object(deleted_keys, "PASSED_ENTRIES_MAX", 2 * stretch_entries),
    ):
        worker = WorkerDriver(Path(root), Durability.ASYNC, boundaries=BORDERS).serve()
        reader = Reader(worker._files(), worker.boards, SetWall(), STORE, MIB, 10)
        world = World(worker, reader, mode, new_scan(mode=mode))
        if is_loaded:
            world.act(("put", set(range(100)), VALUES[1]))
            world.maintain(Op.COMPACT)
        for action in actions:
            world.act(action)
        while world.scan.next_call() is not None:
            world.page()
