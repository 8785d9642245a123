"""The model of machines with more cores: its arithmetic, and the page that is made of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
import scaling_page
from scaling_model import CORES, DISK, MEMORY, ROUTER, Costs, Machine, cores_until, limits, predict
from scaling_page import COSTS, LINES, PAGE, Line, costs_from, operation_costs, payload_bytes

COSTS_OF_A_WRITE = Costs(30, 10, 8, 2, disk_bytes=200, memory_bytes=4_000)
MANY_CORES = Machine(64, disk_mb_per_s=10, memory_gb_per_s=1)


def test_each_limit_is_what_there_is_by_what_an_operation_needs() -> None:
    assert limits(COSTS_OF_A_WRITE, MANY_CORES) == {CORES: 1_280_000, ROUTER: 100_000, DISK: 50_000, MEMORY: 250_000}


@pytest.mark.parametrize(
    ("machine", "limit", "per_second"),
    [
        (Machine(2, 1_000, 100), CORES, 40_000),
        (Machine(16, 1_000, 100), ROUTER, 100_000),
        (Machine(16, 10, 100), DISK, 50_000),
        (Machine(16, 1_000, 0.1), MEMORY, 25_000),
    ],
)
def test_the_lowest_limit_sets_the_rate(machine: Machine, limit: str, per_second: float) -> None:
    found = predict(COSTS_OF_A_WRITE, machine)
    assert (found.limit, found.per_second) == (limit, per_second)
    assert found.disk_mb_per_s == per_second * 200 / 1e6
    assert found.memory_gb_per_s == per_second * 4_000 / 1e9


def test_processes_are_as_many_as_the_cores_that_their_work_fills() -> None:
    found = predict(COSTS_OF_A_WRITE, Machine(16, 1_000, 100))
    assert (found.clients, found.workers, found.maintenance) == (3, 1, 1)


def test_an_operation_that_needs_nothing_of_a_limit_is_not_limited() -> None:
    read = Costs(30, 0, 10, 0, disk_bytes=0, memory_bytes=1_000)
    assert predict(read, MANY_CORES).limit == MEMORY
    assert predict(read, Machine(64, 0.001, 1_000)).per_second == 1_600_000
    assert cores_until(ROUTER, read, MANY_CORES) == float("inf")


def test_a_limit_is_reached_by_the_cores_that_just_allow_its_rate() -> None:
    cores = cores_until(ROUTER, COSTS_OF_A_WRITE, MANY_CORES)
    assert cores == 5
    assert limits(COSTS_OF_A_WRITE, Machine(5, 1, 1))[CORES] == limits(COSTS_OF_A_WRITE, MANY_CORES)[ROUTER]


FOUND = {"drain_us": 0.5, "compaction_us": 0.25}
MEASURED = {"client_us": 20.0, "router_us": 0.4, "worker_us": 10.0, "maintenance_us": 0.1}


def test_writes_cost_the_jobs_that_follow_and_bytes_on_the_disk() -> None:
    costs = operation_costs(Line("put", "hex", "direct path", writes=0.5), MEASURED, FOUND)
    assert costs.maintenance_us == pytest.approx(0.5 * (0.5 + 4.3 * 0.25))
    assert costs.disk_bytes == pytest.approx(0.5 * 40 * 6.3)
    reads = operation_costs(Line("get", "hex", "direct path"), MEASURED, FOUND)
    assert (reads.maintenance_us, reads.disk_bytes) == (0.1, 0)


def test_the_router_counts_only_on_its_path() -> None:
    of_way = {way: operation_costs(Line("get", "hex", way), MEASURED, FOUND) for way in ("direct path", "router path")}
    assert (of_way["direct path"].router_us, of_way["router path"].router_us) == (0, 0.4)
    assert of_way["router path"].cpu_us == 30.5


@pytest.mark.parametrize(("shape", "smallest", "largest"), [("hex", 40, 40), ("ycsb", 1_024, 1_024)])
def test_the_bytes_of_a_record_are_those_of_its_shape(shape: str, smallest: float, largest: float) -> None:
    assert smallest <= payload_bytes(shape) <= largest


def row(line: tuple[str, ...], **figures: float) -> dict[str, Any]:
    workload, shape, way = line
    return {"workload": workload, "shape": shape, "way": way, "figures": figures}


def report() -> dict[str, Any]:
    cpu = {f"{kind}_cpu_s_per_million": 1.5 for kind in ("client", "router", "worker", "maintenance")}
    return {
        "machine": {"cores": 2},
        "rows": [
            *(row(line[:3], per_second=1_000.0, **cpu) for line in LINES),
            *(row(("jobs", "hex", way), maintenance_cpu_s_per_million=0.5) for way in ("drain", "compaction")),
        ],
    }


def test_seconds_for_a_million_are_microseconds_of_one() -> None:
    found = costs_from(report())
    assert [operation["name"] for operation in found["operations"]] == [line.name for line in LINES]
    assert all(operation["client_us"] == 1.5 for operation in found["operations"])
    assert (found["drain_us"], found["compaction_us"]) == (0.5, 0.5)


def test_a_run_without_a_row_of_the_page_is_refused() -> None:
    short = report()
    del short["rows"][3]
    with pytest.raises(SystemExit, match="the run has no row of put, hex, direct path"):
        costs_from(short)


def test_the_page_is_made_of_the_costs() -> None:
    assert PAGE.read_text() == scaling_page.page(json.loads(COSTS.read_text())), "run scripts/scaling_page.py"
