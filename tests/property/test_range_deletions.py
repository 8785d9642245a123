"""Range deletions among puts, deletes, drains, compactions and crashes: a worker against a dict."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from shardstore.key_range import KeyRange
from shardstore.options import Durability, ScanMode
from shardstore.tables import counting, scan_page
from shardstore.wire.wire_format import Op, Status
from shardstore.workers.jobs import cleared_tables
from shardstore.workers.overlay import overlay
from tests.unit.worker_driver import WorkerDriver, reopened
from tests.unit.workers.serving.scan_driver import AtWorker

FIXED = [b"%02d" % number for number in range(16)]
EVERY_KEY = [*FIXED, b"1", b"07 longer", b"15 longer"]
KEYS = st.sampled_from(EVERY_KEY)
BOUNDS = st.sampled_from([b"", *EVERY_KEY])
WRITES = st.one_of(
    st.tuples(st.just("put"), st.lists(KEYS, min_size=1, max_size=8)),
    st.tuples(st.just("put"), st.just(EVERY_KEY)),
    st.tuples(st.just("put"), st.lists(st.sampled_from(FIXED), min_size=1, max_size=8)),
    st.tuples(st.just("delete"), st.lists(KEYS, min_size=1, max_size=3)),
    st.tuples(st.just("clear"), BOUNDS, BOUNDS),
    st.tuples(st.just("clear"), BOUNDS, BOUNDS),
)
OTHERS = st.one_of(
    st.tuples(st.just("maintain"), st.sampled_from([Op.FLUSH, Op.COMPACT])),
    st.tuples(st.just("begin to compact")),
    st.tuples(st.just("flush first")),
    st.tuples(st.just("seal")),
    st.tuples(st.just("open a scan"), st.booleans()),
    st.tuples(st.just("crash")),
)
ACTIONS = st.lists(st.one_of(WRITES, OTHERS), min_size=4, max_size=40)


@dataclass
class World:
    """A worker with one range, its expected content, and the scans under way, each with what it must show."""

    worker: WorkerDriver
    content: dict[bytes, bytes] = field(default_factory=dict)
    scans: list[tuple[AtWorker, list[tuple[bytes, bytes]]]] = field(default_factory=list)
    puts: int = 0

    def act(self, action: tuple[Any, ...]) -> None:
        match action:
            case ("put", keys):
                self.put(keys)
            case ("delete", keys):
                self.applied(self.worker.delete(keys))
                self.content = {key: value for key, value in self.content.items() if key not in keys}
            case ("clear", start, end) if not end or start < end:
                self.applied(self.worker.delete_range(start, end))
                cleared = KeyRange(start, end)
                self.content = {key: value for key, value in self.content.items() if key not in cleared}
            case ("crash",):
                self.scans.clear()
                self.worker = reopened(self.worker, _sequence=self.worker._sequence)
            case _:
                self.maintain_or_scan(action)
        self.check()

    def maintain_or_scan(self, action: tuple[Any, ...]) -> None:
        match action:
            case ("maintain", op):
                sequence = self.worker.ask(op)
                self.worker.settle()
                assert self.worker.status(sequence) is Status.OK
            case ("begin to compact",):
                self.worker.settle()
                self.worker.ask(Op.COMPACT)
                while self.worker.jobs and not hasattr(self.worker.jobs[0].spec, "seed"):
                    self.worker.run_job()
                if self.worker.jobs:
                    self.begin_job()
            case ("flush first",):
                self.worker.ask(Op.FLUSH)
                while self.worker.syncs:
                    self.worker.sync()
                while len(self.worker.jobs) > 1:  # the compaction was begun before
                    self.worker.jobs.rotate(-1)
                    self.worker.run_job()
                    self.worker.jobs.rotate(1)
            case ("seal",):
                self.worker.core.service.maintenance.sealer.seal(self.worker.core._ranges[1])
            case ("open a scan", reverse):
                scan = AtWorker(self.worker, ScanMode.SNAPSHOT, reverse, 0)
                first = scan.take(scan.ask())
                left = sorted(self.content.items(), reverse=reverse)
                assert first == left[: len(first)]
                self.scans.append((scan, left[len(first) :]))

    def begin_job(self) -> None:
        try:
            self.worker.begin_job()
        except StopIteration:  # it had nothing to rewrite, and is run again as a whole
            self.worker._begun.clear()

    def put(self, keys: list[bytes]) -> None:
        self.puts += 1
        pairs = dict.fromkeys(keys, b"%d" % self.puts)
        self.applied(self.worker.put(pairs))
        self.content |= pairs

    def applied(self, sequence: int) -> None:
        while self.worker.syncs:
            self.worker.sync()
        assert self.worker.status(sequence) is Status.OK

    def check(self) -> None:
        assert self.worker.get(EVERY_KEY) == [self.content.get(key) for key in EVERY_KEY]
        found = [self.worker.get([key])[0] for key in EVERY_KEY[::5]]
        assert found == [self.content.get(key) for key in EVERY_KEY[::5]]
        assert AtWorker(self.worker, ScanMode.LIVE).rest() == sorted(self.content.items())
        assert AtWorker(self.worker, ScanMode.LIVE, True).rest() == sorted(self.content.items(), reverse=True)
        self.check_count(b"", b"")
        self.check_count(EVERY_KEY[3], EVERY_KEY[11])
        self.worker.core.check_entries()

    def check_count(self, start: bytes, end: bytes) -> None:
        expected = len([key for key in self.content if key in KeyRange(start, end)])
        assert self.worker.count(start, end).entries == expected
        estimated = self.worker.count(start, end, estimate=True)
        assert abs(estimated.entries - expected) <= estimated.error


@settings(max_examples=60, deadline=None)
@given(ACTIONS, st.sampled_from([0, 5, 4_096]), st.sampled_from([1, 3, 4_096]), st.sampled_from([2, 10]))
def test_a_cleared_key_has_no_value_until_it_is_put_again(
    actions: list[tuple[Any, ...]], cleared_in_place: int, cut_min: int, page_entries: int
) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="clears") as root,
        patch.object(overlay, "CLEARED_IN_PLACE_MAX", cleared_in_place),
        patch.object(cleared_tables, "CUT_ENTRIES_MIN", cut_min),
        patch.object(scan_page, "SCAN_PAGE_ENTRIES", page_entries),
        patch.object(counting, "COUNTED_A_STEP", page_entries),
    ):
        world = World(WorkerDriver(Path(root), durability=Durability.GROUP_SYNC).serve())
        for action in actions:
            world.act(action)
        for scan, left in world.scans:
            assert scan.rest() == left
        world.act(("maintain", Op.COMPACT))
