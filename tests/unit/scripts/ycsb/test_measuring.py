"""The measured loops over fake stores: what they time, count and hand over, and how they are stopped."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np
import pytest
from ycsb.answers import MISSING, WRONG_SCAN, WRONG_VALUE, Answers
from ycsb.crews import Orders
from ycsb.keys import hash_in, hashes_of, keys_of
from ycsb.loops import Pace, make_calls, make_calls_async
from ycsb.measured import Measured, Recorder
from ycsb.plans import Call, calls_of
from ycsb.report import Report, report_of
from ycsb.samples import NEVER_NS, SECOND_NS, Rows, Samples
from ycsb.settings import Phase, Settings
from ycsb.store import Store, chained, chained_async
from ycsb.table import lines_of
from ycsb.values import Values
from ycsb.workloads import Kind

SETTINGS = Settings(
    "unix:///nowhere", workload="a", records=200, operations=1_000, fields=1, field_bytes=50, verify=True
)
VALUES = Values(SETTINGS.value_bytes)


class Refused(Exception):
    """The error of the fake store."""


@dataclass
class Memory:
    """A loaded store in a dict; `tell` runs before each call and may raise."""

    records: dict[bytes, bytes] = field(
        default_factory=lambda: {
            key: VALUES.make(hash_in(key), 0) for key in keys_of(hashes_of(np.arange(SETTINGS.records)))
        }
    )
    tell: Callable[[], None] = lambda: None

    def store(self) -> Store:
        return Store((Refused,), self.read, self.write, self.scan, self.read_many, self.write_many, lambda: None)

    def async_store(self) -> Store:
        functions = (_awaited(each) for each in (self.read, self.write, self.scan, self.read_many, self.write_many))
        return Store((Refused,), *functions, _awaited(lambda: None))

    def read(self, key: bytes) -> bytes | None:
        self.tell()
        return self.records.get(key)

    def write(self, key: bytes, value: bytes) -> None:
        self.tell()
        self.records[key] = value

    def scan(self, key: bytes, count: int) -> list[tuple[bytes, bytes]]:
        self.tell()
        return [(each, self.records[each]) for each in sorted(self.records) if each >= key][:count]

    def read_many(self, keys: list[bytes]) -> list[bytes | None]:
        return list(map(self.read, keys))

    def write_many(self, keys: list[bytes], values: list[bytes]) -> None:
        for key, value in zip(keys, values, strict=True):
            self.write(key, value)


def _awaited(function: Callable[..., Any]) -> Callable[..., Any]:
    async def call(*arguments: Any) -> Any:
        await asyncio.sleep(0)
        return function(*arguments)

    return call


def measured_by(memory: Memory, settings: Settings, calls: Iterator[Call] | None = None) -> Report:
    """The measurements of one runner that makes its calls to the store."""
    begin_ns = time.perf_counter_ns()
    orders = Orders(settings, 0, begin_ns)
    calls = calls or calls_of(settings, 0)
    samples, pace = orders.new_samples(), orders.pace(0)
    if settings.tasks:
        store = memory.async_store()
        asyncio.run(
            make_calls_async(calls, store.functions(settings.batch, chained_async), store.errors, samples, pace)
        )
    else:
        store = memory.store()
        make_calls(calls, store.functions(settings.batch, chained), store.errors, samples, pace)
    measured = Measured(begin_ns)
    measured.add(orders.recorder.parts())
    return report_of(settings, measured, 0.5)


@pytest.mark.parametrize("tasks", [0, 1])
@pytest.mark.parametrize(("workload", "batch"), [("a", 1), ("d", 1), ("e", 1), ("f", 1), ("a", 8), ("d", 8), ("f", 8)])
def test_every_operation_is_counted_once(workload: str, batch: int, tasks: int) -> None:
    settings = replace(SETTINGS, workload=workload, batch=batch, tasks=tasks)
    report = measured_by(Memory(), settings)
    expected: Counter[int] = Counter()
    for kind, operations, _ in calls_of(settings, 0):
        expected[kind] += operations
    assert {kind: figures.operations for kind, figures in report.kinds.items()} == expected
    assert sum(figures.latencies.count for figures in report.kinds.values()) == settings.operations // batch
    assert not report.faults
    assert report.operations == settings.operations == sum(point.operations for point in report.points)


@pytest.mark.parametrize("tasks", [0, 1])
def test_only_the_call_itself_is_timed(tasks: int) -> None:
    report = measured_by(Memory(tell=lambda: time.sleep(0.002)), replace(SETTINGS, operations=50, tasks=tasks))
    for figures in report.kinds.values():
        assert min(figures.latencies.percentiles_ns((0,))) >= 2_000_000
    assert report.seconds >= 50 * 0.002


@pytest.mark.parametrize("tasks", [0, 1])
def test_errors_are_counted_by_kind_and_name_and_not_timed(tasks: int) -> None:
    made = iter(range(10**9))

    def refuse_every_fifth() -> None:
        if next(made) % 5 == 0:
            raise Refused

    report = measured_by(Memory(tell=refuse_every_fifth), replace(SETTINGS, tasks=tasks))
    assert sum(faults["Refused"] for faults in report.faults.values()) == 200
    assert set(report.faults) == {Kind.READ, Kind.UPDATE}
    assert report.operations == 800
    assert report.wrong_answers == 0
    assert sum(point.faults for point in report.points) == 200
    assert any("Refused" in line for line in lines_of(report))


def test_other_errors_end_the_run() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        measured_by(Memory(tell=fail), SETTINGS)


@pytest.mark.parametrize("batch", [1, 8])
def test_wrong_and_missing_values_are_found(batch: int) -> None:
    memory = Memory()
    wrong, missing = [key for _, _, (key, *_) in islice(calls_of(SETTINGS, 0), 2)]
    memory.records[wrong] = VALUES.make(hash_in(missing), 0)
    del memory.records[missing]
    settings = replace(SETTINGS, workload="c", batch=batch)
    reads: Counter[bytes] = Counter()
    for _, _, (keys,) in calls_of(settings, 0):
        reads.update([keys] if batch == 1 else keys)
    report = measured_by(memory, settings)
    assert report.faults == {Kind.READ: {WRONG_VALUE: reads[wrong], MISSING: reads[missing]}}
    assert report.wrong_answers == reads[wrong] + reads[missing] > 0
    unverified = measured_by(memory, replace(settings, verify=False))
    assert unverified.faults == {Kind.READ: {MISSING: reads[missing]}}


def test_a_record_whose_insert_failed_may_be_missing() -> None:
    answers = Answers(replace(SETTINGS, workload="d"))
    answers.failed(Kind.INSERT, (b"new", b"value"), Refused())
    answers.checks[Kind.READ](Kind.READ, (b"new",), None)
    answers.checks[Kind.READ](Kind.READ, (b"old",), None)
    assert answers.faults == {(Kind.INSERT, "Refused"): 1, (Kind.READ, MISSING): 1}


@pytest.mark.parametrize(
    ("positions", "faults"),
    [
        ((0, 1, 2), {}),
        ((0,), {}),
        ((), {MISSING: 1}),
        ((1, 2), {MISSING: 1}),
        ((0, 2, 1), {WRONG_SCAN: 1}),
        ((0, 1, 1), {WRONG_SCAN: 1}),
        ((0, 1, 2, 3), {WRONG_SCAN: 1}),
    ],
)
def test_scans_are_checked(positions: tuple[int, ...], faults: dict[str, int]) -> None:
    entries = sorted(Memory().records.items())
    answers = Answers(replace(SETTINGS, workload="e"))
    answers.checks[Kind.SCAN](Kind.SCAN, (entries[0][0], 3), [entries[at] for at in positions])
    assert answers.faults == {(Kind.SCAN, name): count for name, count in faults.items()}


def test_a_wrong_value_in_a_scan_is_found() -> None:
    entries = sorted(Memory().records.items())[:3]
    entries[1] = (entries[1][0], entries[2][1])
    answers = Answers(replace(SETTINGS, workload="e"))
    answers.checks[Kind.SCAN](Kind.SCAN, (entries[0][0], 3), entries)
    assert answers.faults == {(Kind.SCAN, WRONG_VALUE): 1}


@pytest.mark.parametrize("tasks", [0, 1])
def test_a_halt_of_the_store_is_charged_to_the_calls_it_delayed(tasks: int) -> None:
    made = iter(range(10**9))

    def halt_once() -> None:
        if next(made) == 10:
            time.sleep(0.2)

    # One call should begin every millisecond, so the pause delays about 200 of them, the last ones only a little.
    settings = replace(SETTINGS, workload="c", operations=400, target=1_000.0, tasks=tasks)
    figures = measured_by(Memory(tell=halt_once), settings).kinds[Kind.READ]
    assert figures.service.percentiles_ns((99,))[0] < 50_000_000
    assert figures.latencies.percentiles_ns((70,))[0] > 40_000_000
    assert figures.latencies.max_ns >= figures.service.max_ns >= 200_000_000


def test_the_pace_of_all_runners_reaches_the_target() -> None:
    target, runners = 500.0, 4
    paces = [Pace(target, runners, runner, begin_ns=7_000) for runner in range(runners)]
    begins = sorted(pace.next_ns(2) for _ in range(100) for pace in paces)
    assert begins[0] == 7_000
    assert begins[-1] - begins[0] == pytest.approx(100 * runners * 2 / target * SECOND_NS, rel=0.02)


def test_time_ends_a_run() -> None:
    settings = replace(SETTINGS, operations=None, seconds=0.1)
    report = measured_by(Memory(), settings)
    assert 0.1 <= report.seconds < 5
    paced = measured_by(Memory(), replace(settings, target=100.0))
    assert 1 <= paced.operations <= 10
    assert "service time" in "\n".join(lines_of(paced))


def test_runners_stop_when_they_are_told_to() -> None:
    orders, memory = _stopped_at_call(100)
    store, samples = memory.store(), orders.new_samples()
    make_calls(calls_of(orders.settings, 0), store.functions(1, chained), store.errors, samples, None)
    assert _operations(orders) == 101


def test_all_tasks_of_a_loop_stop_when_they_are_told_to() -> None:
    orders, memory = _stopped_at_call(100)
    store, samples = memory.async_store(), orders.new_samples()
    functions = store.functions(1, chained_async)

    async def make_all() -> None:
        tasks = [calls_of(replace(orders.settings, tasks=8), runner) for runner in range(8)]
        await asyncio.gather(*(make_calls_async(each, functions, store.errors, samples, None) for each in tasks))

    asyncio.run(make_all())
    assert 101 <= _operations(orders) <= 101 + 8


def _stopped_at_call(number: int) -> tuple[Orders, Memory]:
    """Orders for an hour, and a store that stops them at some call."""
    orders = Orders(replace(SETTINGS, operations=None, seconds=3_600.0), 0, time.perf_counter_ns())
    made = iter(range(10**9))
    return orders, Memory(tell=lambda: orders.stop() if next(made) == number else None)


def _operations(orders: Orders) -> int:
    measured = Measured(0)
    measured.add(orders.recorder.parts())
    return measured.operations


def test_calls_belong_to_the_second_in_which_they_ended() -> None:
    begin_ns = 5 * SECOND_NS
    recorder = Recorder(begin_ns, paced=True)
    started = np.array([0.1, 0.2, 0.9, 3.0]) * SECOND_NS
    ended = np.array([0.2, 0.3, 1.1, 3.5]) * SECOND_NS
    rows = Rows(
        kinds=np.array([Kind.READ, Kind.UPDATE, Kind.READ, Kind.READ]),
        operations=np.array([1, 2, 3, 4]),
        intended_ns=begin_ns + started.astype(np.int64) - SECOND_NS // 10,
        started_ns=begin_ns + started.astype(np.int64),
        ended_ns=begin_ns + ended.astype(np.int64),
    )
    recorder.take(rows, Counter({(Kind.READ, "Busy"): 6}), int(rows.ended_ns[-1]))
    measured = Measured(begin_ns)
    for _ in range(2):
        measured.add(recorder.parts())
    points = measured.points()
    assert [(point.second, point.operations, point.faults) for point in points] == [
        (0, 3, 0),
        (1, 3, 0),
        (2, 0, 0),
        (3, 4, 6),
    ]
    assert [points[at].p50_ns for at in (1, 2, 3)] == pytest.approx([0.3 * SECOND_NS, 0, 0.6 * SECOND_NS], rel=1e-3)
    read = measured.kinds[Kind.READ]
    assert (read.operations, read.latencies.count) == (8, 3)
    assert read.service.max_ns == pytest.approx(0.5 * SECOND_NS, rel=1e-3)
    assert measured.seconds == 3.5


def test_samples_are_handed_over_once_a_second() -> None:
    handed: list[int] = []

    class Taker:
        stopped = False

        def take(self, rows: Rows, faults: object, now_ns: int) -> None:
            handed.append(len(rows.kinds))

    samples = Samples(Taker(), Answers(SETTINGS), begin_ns=0, end_ns=NEVER_NS)
    for ended_ns in range(0, 3 * SECOND_NS, SECOND_NS // 10):
        samples.add(Kind.READ, 1, ended_ns, ended_ns, ended_ns)
        if ended_ns >= samples.due_ns:
            assert samples.hand_over(ended_ns)
    assert handed == [11, 10]


def test_the_report_as_json_and_as_a_table() -> None:
    report = measured_by(Memory(), replace(SETTINGS, target=100_000.0))
    plain = report.to_json()
    assert plain["operations"] == 1_000
    assert plain["settings"]["distribution"] == "zipfian"
    assert plain["kinds"].keys() == {"read", "update"}
    assert plain["kinds"]["read"]["latency"]["percentiles_us"].keys() >= {"50", "99", "99.9", "100"}
    assert sum(point["operations"] for point in plain["series"]) == 1_000
    lines = list(lines_of(report))
    assert "workload a (update heavy)" in lines[0]
    assert [line.split()[0] for line in lines[1:6]] == ["operation", "read", "service", "update", "service"]


def test_a_load_says_so() -> None:
    report = measured_by(Memory({}), replace(SETTINGS, phase=Phase.LOAD, batch=50))
    assert report.operations == SETTINGS.records
    assert list(report.kinds) == [Kind.INSERT]
    assert next(iter(lines_of(report))).startswith("shardstore: load, 200 records of 50 bytes")
