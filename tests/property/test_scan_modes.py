"""Scans of every mode among writes, seals, drains and compactions: a model checks that each page fits its mode."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from shardstore.key_range import KeyRange
from shardstore.limits import ISOLATION_NS_MAX, KIB, SCAN_ABANDONED_NS, SCAN_IDLE_NS
from shardstore.options import Durability, ScanMode
from shardstore.tables import scan_page
from shardstore.wire.wire_format import Op, Status
from shardstore.workers.jobs import cleared_tables
from shardstore.workers.overlay import overlay
from shardstore.workers.serving import scan_path
from tests.unit.worker_driver import WorkerDriver
from tests.unit.workers.serving.scan_driver import AtWorker, Entries

KEYS = st.sampled_from([b"%02d" % number for number in range(12)])
BOUNDS = st.sampled_from([b"", *(b"%02d" % number for number in range(12))])
ACTIONS = st.one_of(
    st.tuples(st.just("put"), st.lists(KEYS, min_size=1, max_size=6)),
    st.tuples(st.just("put"), st.lists(KEYS, min_size=1, max_size=6)),
    st.tuples(st.just("delete"), st.lists(KEYS, min_size=1, max_size=3)),
    st.tuples(st.just("delete range"), st.tuples(BOUNDS, BOUNDS)),
    st.tuples(st.just("seal")),
    st.tuples(st.just("begin a job")),
    st.tuples(st.just("maintain"), st.sampled_from([Op.FLUSH, Op.COMPACT])),
    st.tuples(st.just("open"), st.sampled_from(ScanMode), st.booleans(), st.sampled_from([0, 0, 3])),
    st.tuples(st.just("open"), st.sampled_from(ScanMode), st.booleans(), st.sampled_from([0, 0, 3])),
    st.tuples(st.just("page"), st.integers(0, 9)),
    st.tuples(st.just("page"), st.integers(0, 9)),
    st.tuples(st.just("page"), st.integers(0, 9)),
    st.tuples(st.just("leave"), st.integers(0, 9)),
    st.tuples(st.just("wait"), st.sampled_from([ISOLATION_NS_MAX, SCAN_IDLE_NS, SCAN_ABANDONED_NS])),
)


@dataclass
class Modelled:
    """A scan, and the content of the range at its first page. `wanted`: entries it still wants, None for all."""

    scan: AtWorker
    moment: dict[bytes, bytes]
    state: tuple[int, int]
    opened_ns: int
    paged_ns: int
    wanted: int | None

    def page_of(self, content: dict[bytes, bytes], begin: bytes) -> Entries:
        """The entries of this content between the beginning and the end of a page."""
        low, high = (self.scan.end, begin) if self.scan.reverse else (begin, self.scan.start)
        entries = [(key, value) for key, value in content.items() if low <= key and (not high or key < high)]
        return sorted(entries, reverse=self.scan.reverse)


@dataclass
class World:
    """A worker with one range, its expected content, and the scans under way."""

    worker: WorkerDriver
    content: dict[bytes, bytes] = field(default_factory=dict)
    scans: list[Modelled] = field(default_factory=list)
    writes: int = 0

    @property
    def state(self) -> tuple[int, int]:
        return self.writes, self.worker.core._ranges[1].stored().manifest.version

    def act(self, action: tuple[Any, ...]) -> None:
        match action:
            case ("put", keys):
                pairs = dict.fromkeys(keys, b"%d" % self.writes)
                self.written(self.worker.put(pairs), self.content | pairs)
            case ("delete", keys):
                rest = {key: value for key, value in self.content.items() if key not in keys}
                self.written(self.worker.delete(keys), rest)
            case ("delete range", (start, end)) if not end or start < end:
                rest = {key: value for key, value in self.content.items() if key not in KeyRange(start, end)}
                self.written(self.worker.delete_range(start, end), rest)
            case ("seal",):
                self.worker.core.service.maintenance.sealer.seal(self.worker.core._ranges[1])
            case ("begin a job",):
                while self.worker.syncs:
                    self.worker.sync()
                if self.worker.jobs and self.worker.jobs[0].job not in self.worker._begun:
                    self.worker.begin_job()
            case ("maintain", op):
                sequence = self.worker.ask(op)
                self.worker.settle()
                assert self.worker.status(sequence) is Status.OK
            case ("open", mode, reverse, limit):
                now_ns = self.worker.now_ns
                scan = AtWorker(self.worker, mode, reverse, limit)
                self.page(Modelled(scan, dict(self.content), self.state, now_ns, now_ns, limit or None))
            case ("page", number) if self.scans:
                self.page(self.scans.pop(number % len(self.scans)))
            case ("leave", number) if self.scans:
                self.leave(self.scans.pop(number % len(self.scans)))
            case ("wait", duration_ns):
                self.worker.now_ns += duration_ns
        self.worker.core._ranges[1].overlay.check_invariants()

    def isolating(self) -> list[Modelled]:
        """The scans that keep writers waiting; at most one."""
        until_ns = self.worker.now_ns - ISOLATION_NS_MAX
        found = [each for each in self.scans if each.scan.mode == ScanMode.FULL_ISOLATION and each.opened_ns > until_ns]
        assert len(found) <= 1
        return found

    def written(self, sequence: int, then: dict[bytes, bytes]) -> None:
        status = self.worker.status(sequence)
        assert status is (Status.BUSY if self.isolating() else Status.OK)
        if status is Status.OK:
            self.writes += 1
            self.content = then

    def page(self, modelled: Modelled) -> None:
        scan = modelled.scan
        begin = scan.end if scan.reverse else scan.start
        sequence = scan.ask()
        status, allowed = self.worker.status(sequence), self.allowed(modelled)
        assert status in allowed, f"{scan.mode}: {status}, not one of {allowed}"
        if status is not Status.OK:
            return
        entries = scan.take(sequence)
        if scan.mode != ScanMode.SNAPSHOT:
            assert entries == modelled.page_of(self.content, begin)
        if scan.mode != ScanMode.LIVE:
            assert entries == modelled.page_of(modelled.moment, begin)
        modelled.paged_ns = self.worker.now_ns
        if modelled.wanted is not None:
            modelled.wanted -= len(entries)
            scan.limit = modelled.wanted
        if not scan.done and modelled.wanted != 0:
            self.scans.append(modelled)
        elif scan.mode == ScanMode.FAIL_FAST:
            self.leave(modelled)
        else:
            assert not scan.cursor, "nothing is held for a scan that is done"

    def allowed(self, modelled: Modelled) -> set[Status]:
        """The allowed statuses of a page."""
        mode, now_ns = modelled.scan.mode, self.worker.now_ns
        if not modelled.scan.cursor:
            alone = mode != ScanMode.FULL_ISOLATION or not self.isolating()
            return {Status.OK} if alone else {Status.OK, Status.BUSY}  # OK if there is only one page
        if mode == ScanMode.SNAPSHOT and now_ns >= modelled.paged_ns + SCAN_IDLE_NS + SCAN_ABANDONED_NS:
            return {Status.OK, Status.SCAN_INVALIDATED}  # once the worker checks
        ended = (mode == ScanMode.FAIL_FAST and modelled.state != self.state) or (
            mode == ScanMode.FULL_ISOLATION and now_ns >= modelled.opened_ns + ISOLATION_NS_MAX
        )
        return {Status.SCAN_INVALIDATED} if ended else {Status.OK}

    def leave(self, modelled: Modelled) -> None:
        status = modelled.scan.end_scan()
        changed = modelled.scan.mode == ScanMode.FAIL_FAST and modelled.state != self.state
        assert status is (Status.SCAN_INVALIDATED if changed else Status.OK)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(ACTIONS, min_size=10, max_size=60),
    st.sampled_from([0, 1, 4]),
    st.sampled_from([0, 1_000, KIB * KIB]),
    st.sampled_from([1, 2_000, KIB * KIB]),
    st.sampled_from([2, 4_096]),
    st.sampled_from([0, 4_096]),
    st.sampled_from([1, 3, 4_096]),
)
def test_every_page_is_what_its_mode_allows(
    actions: list[tuple[Any, ...]],
    set_aside_max: int,
    set_aside_bytes: int,
    drain_run_bytes: int,
    sorted_a_turn: int,
    cleared_in_place: int,
    cut_min: int,
) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="scan-modes") as root,
        patch.object(scan_page, "SCAN_PAGE_ENTRIES", 2),
        patch.object(overlay, "RUNS_SET_ASIDE_MAX", set_aside_max),
        patch.object(overlay, "SET_ASIDE_BYTES_MIN", set_aside_bytes),
        patch.object(scan_path, "SORTED_A_TURN", sorted_a_turn),
        patch.object(overlay, "CLEARED_IN_PLACE_MAX", cleared_in_place),
        patch.object(cleared_tables, "CUT_ENTRIES_MIN", cut_min),
    ):
        world = World(WorkerDriver(Path(root), durability=Durability.ASYNC).serve())
        world.worker.core.service.maintenance.drains.bytes_max = drain_run_bytes
        for action in actions:
            world.act(action)
        for modelled in world.scans:
            world.leave(modelled)
        assert AtWorker(world.worker, ScanMode.SNAPSHOT).rest() == sorted(world.content.items())
