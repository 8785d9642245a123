"""The report of figures: medians, ratios, targets, tables, JSON."""

from __future__ import annotations

import json

import pytest
from benchmarks.report import Report, comparison_table, figures_table, peers_table, rounded
from benchmarks.targets import (
    A_MILLION,
    ASYNC,
    CALLS_OF_1000,
    DEFAULT_OPTIONS,
    DIRECT_PATH,
    ECHO,
    ENTRY_AND_100,
    ONE_CALL,
    ONE_THREAD,
    ONE_WAY,
    Row,
    comparisons,
)
from benchmarks.timing import Figures, latency, latency_of, medians, percentile, rate, rate_of
from rich.console import Console
from rich.table import Table

WAYS_OF_YCSB = ("1 process", "4 processes")
PEERS = {"lmdb": {"per_second": 500.0}, "redis": {"per_second": 400.0}}


def row(workload: str, way: str = ONE_CALL, shape: str = "hex", per_second: float = 1_000.0) -> Row:
    return Row(workload, shape, way, {"per_second": per_second}, {ONE_WAY: {"per_second": 4_000.0}}, PEERS)


def text_of(table: Table) -> str:
    console = Console(width=200)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def test_a_median_is_taken_of_each_figure() -> None:
    runs: list[Figures] = [{"a": 1, "b": 30}, {"a": 3, "b": 20}, {"a": 2, "b": 10}]
    assert medians(runs) == {"a": 2, "b": 20}


@pytest.mark.parametrize(("percent", "expected"), [(50, 50), (99, 99), (100, 100), (1, 1)])
def test_percentiles_are_times_that_were_measured(percent: int, expected: int) -> None:
    assert percentile(list(range(100, 0, -1)), percent) == expected


def test_the_percentile_of_one_time_is_that_time() -> None:
    assert percentile([7], 50) == percentile([7], 99) == 7


def test_latencies_are_microseconds() -> None:
    figures = latency_of([10_000] * 98 + [50_000, 1_000_000])
    assert (figures["p50_us"], figures["p99_us"]) == (10, 50)
    assert figures["per_second"] == pytest.approx(100 / (2_030_000 / 1e9))


def test_a_rate_counts_what_the_work_did() -> None:
    done: list[int] = []
    figures = rate(3, lambda: done.extend([1, 2, 3]))
    assert done == [1, 2, 3]
    assert figures["per_second"] == pytest.approx(3 / figures["seconds"])
    assert rate_of(10, 2.0) == {"seconds": 2.0, "per_second": 5.0}


def test_every_operation_is_done_and_the_first_are_not_timed() -> None:
    done: list[int] = []
    figures = latency(map(done.append, range(150)))
    assert done == list(range(150))
    assert figures["per_second"] * figures["seconds"] == pytest.approx(50)


def test_a_row_stands_beside_its_limits_and_then_its_peers_the_best_first() -> None:
    found = list(comparisons(row("put_many")))
    assert [comparison.against for comparison in found] == [ONE_WAY, "lmdb (best peer)", "redis"]
    assert [comparison.ratio for comparison in found] == [0.25, 2.0, 2.5]
    assert [comparison.target for comparison in found] == [None, 2.0, None]
    assert [comparison.reached for comparison in found] == [None, True, None]


def test_less_than_the_target_is_missed() -> None:
    assert [comparison.reached for comparison in comparisons(row("put_many", per_second=999))] == [None, False, None]


def test_separate_calls_and_single_clients_have_no_target() -> None:
    assert all(comparison.target is None for comparison in comparisons(row("put_many", CALLS_OF_1000)))
    targets = [[comparison.target for comparison in comparisons(row("ycsb_a", way))] for way in WAYS_OF_YCSB]
    assert targets == [[None, None, None], [None, None, 1.0]]


def test_other_shapes_are_to_reach_eight_tenths_and_half_of_a_copy_with_large_values() -> None:
    variable = list(comparisons(row("get_many_tables", shape="variable-100")))
    assert [comparison.target for comparison in variable] == [None, pytest.approx(1.2), None]
    large = list(comparisons(row("get_many", shape="variable-4k", per_second=2_000)))
    assert [(comparison.target, comparison.reached) for comparison in large[:2]] == [(0.5, True), (1.6, True)]


def test_every_variant_of_a_named_peer_has_its_target() -> None:
    peers = {"leveldb": {"per_second": 900.0}, "leveldb-tuned": {"per_second": 1_200.0}, "lmdb": {"per_second": 9e9}}
    found = comparisons(Row("scan", "hex", ONE_CALL, {"per_second": 1_000.0}, {}, peers))
    assert [(comparison.against, comparison.reached) for comparison in found] == [
        ("lmdb (best peer)", None),
        ("leveldb-tuned", False),
        ("leveldb", True),
    ]


@pytest.mark.parametrize(
    ("workload", "limit", "figure", "ours", "theirs", "reached"),
    [
        ("get", ECHO, "p50_us", 50.0, 40.0, True),
        ("get", ECHO, "p50_us", 51.0, 40.0, False),
        ("put", ECHO, "p50_us", 51.0, 40.0, False),
        ("get_tasks", ONE_THREAD, "per_second", 50.0, 10.0, True),
        ("get_threads", ONE_THREAD, "per_second", 19.0, 10.0, False),
        ("replay", A_MILLION, "per_second", 1e6, 1e6, True),
        ("memory", ENTRY_AND_100, "bytes_per_entry", 351.0, 140.0, False),
        ("memory", ENTRY_AND_100, "bytes_per_entry", 350.0, 140.0, True),
    ],
)
def test_targets_against_limits(
    workload: str, limit: str, figure: str, ours: float, theirs: float, reached: bool
) -> None:
    (comparison,) = comparisons(Row(workload, "hex", DIRECT_PATH, {figure: ours}, {limit: {figure: theirs}}, {}))
    assert (comparison.figure, comparison.reached) == (figure, reached)


def test_single_operations_are_compared_by_their_middle_and_the_quickest_peer_is_the_best() -> None:
    peers = {"slow": {"p50_us": 80.0, "per_second": 9e9}, "quick": {"p50_us": 20.0, "per_second": 1.0}}
    found = list(comparisons(Row("put", "hex", DIRECT_PATH, {"p50_us": 40.0, "per_second": 1.0}, {}, peers)))
    assert [(comparison.against, comparison.ratio) for comparison in found] == [("quick (best peer)", 2), ("slow", 0.5)]


def test_the_tables_show_figures_and_verdicts() -> None:
    rows = [row("put_many"), row("put_many", CALLS_OF_1000)]
    rows[0].figures["client_cpu_s_per_million"] = 0.5
    assert "1,000" in text_of(figures_table(rows))
    assert "0.5" in text_of(figures_table(rows))
    lines = text_of(comparison_table(rows)).splitlines()
    assert len([line for line in lines if line.strip().endswith("reached")]) == 1
    assert any("at least 2.00" in line and "lmdb (best peer)" in line and "500 /s" in line for line in lines)


def test_peers_are_listed_once_and_then_only_the_best() -> None:
    lines = text_of(comparison_table([row("put_many"), row("put_many", CALLS_OF_1000)])).splitlines()
    assert len([line for line in lines if "lmdb" in line]) == 2
    assert len([line for line in lines if "redis" in line]) == 1


def test_peers_measured_anew_for_a_row_are_listed_with_it() -> None:
    rows = [row("ycsb_a", way) for way in WAYS_OF_YCSB]
    rows[1] = Row("ycsb_a", "hex", "4 processes", rows[1].figures, {}, {"redis": {"per_second": 100.0}})
    lines = [line for line in text_of(comparison_table(rows)).splitlines() if "redis" in line]
    assert ["4 processes" in line for line in lines] == [False, True]


def test_peers_have_a_table_with_the_cpu_time_of_client_and_server() -> None:
    cpu = {"client_cpu_s_per_million": 31.0, "server_cpu_s_per_million": 17.0}
    rows = [Row("get", "hex", way, {}, {}, {"redis": {"p50_us": 70.0} | cpu}) for way in (DIRECT_PATH, "router path")]
    heading, line = text_of(peers_table(rows)).rstrip("\n").split("\n")
    assert heading.split()[-4:] == ["client", "s/M", "server", "s/M"]
    assert line.split() == ["get", "hex", "redis", "70", "31", "17"]


@pytest.mark.parametrize(
    ("value", "text"), [(1_234_567.8, "1,234,568"), (99.94, "99.9"), (0.1234, "0.123"), (0, "0"), (100, "100")]
)
def test_figures_are_rounded_for_the_eye(value: float, text: str) -> None:
    assert rounded(value) == text


def test_a_report_is_plain_values() -> None:
    report = Report({"cpu": "any"}, {"n": 10}, {"lmdb": "as it comes"}, {"redis": "install it"}, [row("put_many")])
    report.fail("scan, hex, lmdb", ValueError("no"))
    plain = json.loads(json.dumps(report.to_json()))
    assert plain["rows"][0]["comparisons"][1]["reached"] is True
    assert plain["rows"][0]["peers"] == PEERS
    assert plain["failures"] == {"scan, hex, lmdb": "ValueError: no"}
    assert plain["missing_peers"] == {"redis": "install it"}


def test_the_table_says_which_options_are_not_default(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [Row("put", "hex", ONE_CALL, {"p50_us": 1.0}, {}, {}, options) for options in (ASYNC, DEFAULT_OPTIONS)]
    Console(width=200).print(figures_table(rows))
    heading, given, default = capsys.readouterr().out.rstrip("\n").split("\n")
    assert heading.rstrip().endswith("not default")
    assert given.rstrip().endswith("durability=async")
    assert default.rstrip().endswith("1")
