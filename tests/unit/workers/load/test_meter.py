"""The load report of a worker: its content and its bounds."""

from __future__ import annotations

from pathlib import Path

import pytest

from shardstore.limits import (
    KEY_BYTES_MAX,
    LOAD_CUT_RANGES_MAX,
    LOAD_CUTS_MAX,
    LOAD_KEY_BYTES_MAX,
    LOAD_KEYS_MAX,
    LOAD_RANGES_MAX,
    SECOND_NS,
)
from shardstore.wire.load_report import LoadReport, RangeReport
from shardstore.wire.messages import decode, encode
from shardstore.wire.wire_format import Op
from shardstore.workers.load.meter import (
    CUTS_PER_REPORT,
    EARLY_BYTES,
    EARLY_INTERVAL_NS,
    FEW_BYTES,
    LOAD_INTERVAL_NS,
    LoadMeter,
)
from shardstore.workers.load.range_size import RangeSize, size_of
from tests.simulation.sim_entropy import SimEntropy
from tests.unit.worker_driver import WorkerDriver

EMPTY = RangeSize(0, 0, 0, 0, b"")


def sized(stored_bytes: int) -> RangeSize:
    return RangeSize(stored_bytes, 0, stored_bytes, 0, b"")


class Worker:
    """A meter with a clock; `asked` lists the segments whose cuts were requested, with the number of pieces."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []
        self.now_ns = SECOND_NS
        self.meter = LoadMeter(3, SimEntropy(1, "load"), self._cut_keys)

    def _cut_keys(self, segment: int, pieces: int) -> list[bytes]:
        self.asked.append((segment, pieces))
        return [b"cut%d" % segment] if segment % 2 else []

    def report(self, sizes: dict[int, RangeSize]) -> LoadReport:
        """The report one second later, checked to be encodable."""
        self.now_ns += SECOND_NS
        report = self.meter.report(sizes, self.now_ns)
        assert decode(LoadReport, encode(report)) == report
        return report


def test_a_report_says_what_a_range_is_and_does() -> None:
    worker = Worker()
    sizes = {1: RangeSize(1_000, 24, 900, 5, b"stored")}
    worker.report(sizes)
    for _ in range(60):
        for _ in range(100):
            worker.meter.note(1, Op.PUT, [b"tail", b"tall"], 2, 50)
        report = worker.report(sizes)
    figures = report.ranges[0]
    assert (report.worker, len(report.ranges)) == (3, 1)
    assert figures == RangeReport(
        segment=1,
        size_bytes=1_024,
        live_bytes=900,
        entries=5,
        measured_ns=60 * SECOND_NS,
        requests_per_s=100,
        operations_per_s=200,
        bytes_per_s=5_000,
        busy_permille=2,
        puts_per_s=200,
        appends_per_s=0,
        keys=figures.keys,
        last=b"tall",
        cuts=[b"cut1"],
    )
    assert len(figures.keys) == LOAD_KEYS_MAX
    assert set(figures.keys) == {b"tail", b"tall"}


def test_ranges_are_measured_from_their_first_report_on_and_forgotten_with_them() -> None:
    worker = Worker()
    worker.meter.note(1, Op.GET, [b"k"], 1, 0)
    worker.report({1: EMPTY})
    worker.meter.note(1, Op.PUT, [b"k"], 1_000, 0)
    rates = {of.segment: of.operations_per_s for of in worker.report({1: EMPTY, 2: EMPTY}).ranges}
    assert rates == {1: 1_000, 2: 0}
    assert [(of.segment, of.measured_ns) for of in worker.report({2: EMPTY}).ranges] == [(2, SECOND_NS)]
    again = worker.report({1: EMPTY}).ranges[0]
    assert (again.measured_ns, again.operations_per_s, again.last) == (0, 0, b"")


def test_a_report_is_due_at_once_and_then_in_intervals() -> None:
    worker = Worker()
    assert worker.meter.due_ns == 0
    worker.report({})
    assert worker.meter.due_ns == worker.now_ns + LOAD_INTERVAL_NS


def test_a_worker_that_grows_fast_reports_sooner() -> None:
    worker = Worker()
    worker.report({1: sized(80 * EARLY_BYTES)})
    regular_ns, early_ns = worker.now_ns + LOAD_INTERVAL_NS, worker.now_ns + EARLY_INTERVAL_NS
    worker.meter.note(1, Op.PUT, [b"k"], 1, 10 * EARLY_BYTES - 1)
    worker.meter.note(1, Op.GET, [b"k"], 1, 10 * EARLY_BYTES)
    assert worker.meter.due_ns == regular_ns, "an eighth of what is there"
    worker.meter.note(2, Op.DELETE, [b"k"], 1, 1)
    assert worker.meter.due_ns == early_ns, "a range that was not reported yet counts too"
    worker.report({1: sized(90 * EARLY_BYTES)})
    assert worker.meter.due_ns == worker.now_ns + LOAD_INTERVAL_NS
    worker.report({})
    worker.meter.note(1, Op.PUT, [b"k"], 1, EARLY_BYTES - 1)
    assert worker.meter.due_ns == worker.now_ns + LOAD_INTERVAL_NS, "so few bytes do not count as growth"


def test_cuts_of_the_largest_are_looked_for_a_few_at_a_time_and_again_when_much_has_changed() -> None:
    worker = Worker()
    sizes = {segment: sized(segment * 1_000) for segment in range(1, 12)}
    reports = [worker.report(sizes) for _ in range(3)]
    assert worker.asked == [(segment, LOAD_CUTS_MAX + 1) for segment in (11, 10, 9, 8, 7, 6, 5, 4)]
    assert (CUTS_PER_REPORT, LOAD_CUT_RANGES_MAX) == (4, 8)
    assert {of.segment for of in reports[0].ranges if of.cuts} == {11, 9}
    assert {of.segment for of in reports[2].ranges if of.cuts} == {11, 9, 7, 5}
    worker.asked.clear()
    worker.report(sizes | {5: sized(5_624), 7: sized(7_876), 9: sized(0), 10: sized(FEW_BYTES + 1)})
    assert worker.asked == [(10, 2), (7, 16), (3, 16)], "3 is one of the largest now, and 9 has nothing to cut"


def test_the_ranges_of_a_large_worker_take_turns() -> None:
    worker = Worker()
    sizes = dict.fromkeys(range(1, LOAD_RANGES_MAX + 11), EMPTY)
    turns = [[of.segment for of in worker.report(sizes).ranges] for _ in range(2)]
    assert turns[0] == list(range(1, LOAD_RANGES_MAX + 1))
    assert turns[1] == [*range(LOAD_RANGES_MAX + 1, LOAD_RANGES_MAX + 11), *range(1, LOAD_RANGES_MAX - 9)]


def test_the_busiest_ranges_get_the_room_for_keys() -> None:
    worker = Worker()
    sizes = dict.fromkeys(range(1, 11), EMPTY)
    worker.report(sizes)
    for segment in sizes:
        for at in range(LOAD_KEYS_MAX):
            worker.meter.note(segment, Op.GET, [b"%04d" % at + b"x" * (KEY_BYTES_MAX - 4)], segment * 1_000_000, 0)
    ranges = worker.report(sizes).ranges
    kept = [of.segment for of in ranges if of.keys]
    assert kept == [9, 10]
    assert LOAD_KEY_BYTES_MAX // (LOAD_KEYS_MAX * KEY_BYTES_MAX) == 2
    assert all(len(of.keys) == LOAD_KEYS_MAX for of in ranges if of.keys)


def test_the_size_of_a_range_does_not_depend_on_where_its_data_are(tmp_path: Path) -> None:
    driver = WorkerDriver(tmp_path).serve()
    pairs = {b"k%04d" % at: b"v" * 100 for at in range(500)}
    driver.put(pairs)
    driver.settle()
    owned = driver.core._ranges[1]
    before = size_of(owned)
    assert before == RangeSize(0, 500 * 105, 500 * 105, 500, b"")
    driver.ask(Op.FLUSH)
    driver.settle()
    after = size_of(owned)
    assert (after.overlay_bytes, after.entries, after.last) == (0, 500, b"k0499")
    assert after.stored_bytes == owned.stored().bytes
    assert after.stored_bytes == pytest.approx(before.overlay_bytes, rel=0.25)


def test_what_is_deleted_and_says_so_is_not_alive_wherever_it_is(tmp_path: Path) -> None:
    driver = WorkerDriver(tmp_path).serve()
    pairs = {b"k%04d" % at: b"v" * 100 for at in range(500)}
    driver.put(pairs)
    driver.settle()
    driver.ask(Op.FLUSH)
    driver.settle()
    owned = driver.core._ranges[1]
    driver.delete(list(pairs)[:490])
    driver.settle()
    in_overlay = size_of(owned)
    driver.ask(Op.FLUSH)
    driver.settle()
    for size in (in_overlay, size_of(owned)):
        assert size.entries == 990
        assert size.bytes > 500 * 100
        assert size.live_bytes == pytest.approx(10 * 105, rel=0.5)
