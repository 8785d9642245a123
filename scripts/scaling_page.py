"""Writes docs/scaling.md from docs/scaling.json: the figures of scaling_model.py for machines with more cores.

Run it in the environment of the project. With the JSON of a benchmark run it takes the costs from there first:

.venv/bin/python scripts/scaling_page.py                # write the page anew
.venv/bin/python scripts/scaling_page.py bench.json     # take the costs of this run, and write the page
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from benchmarks.processes import KINDS, cpu_figure
from benchmarks.records import SHAPES, VARIABLE_4K, records_of
from benchmarks.targets import CALLS_OF_1000, DIRECT_PATH, ONE_CALL, ROUTER_PATH
from scaling_model import CORES, DISK, MEMORY, ROUTER, US_PER_SECOND, Costs, Machine, cores_until, predict
from ycsb.keys import KEY_BYTES
from ycsb.settings import Settings as YCSBSettings

DOCS = Path(__file__).parent.parent / "docs"
PAGE = DOCS / "scaling.md"
COSTS = DOCS / "scaling.json"
WRITE_AMPLIFICATION = 5.3
"""Bytes that drains and compactions write for each byte drained: between the two figures for 10 million keys of 4 GiB
and 128 MiB mains in BENCHMARKS.md, as the default lies between them. A short run does not show it."""
COPIES = 6
"""A value is copied five times between two processes, and once more into the log or a page of a table."""
MOVES_OF_A_COPY = 2
TOUCHED_BYTES = 16 * 64
"""An entry touches some 16 cache lines: of a dict or an index, of objects, of messages."""
MEMORY_GB_PER_S = {2: 10.0, 16: 50.0, 64: 200.0}
DISK_MB_PER_S = {2: 1_000.0, 16: 1_000.0, 64: 3_000.0}
"""Assumed: the share of a small virtual machine, two channels of DDR5 and eight of them; one or three fast SSDs."""
SAMPLE = 1_000
MANY_CORES = 1_000
COSTS_HEADINGS = ("operation", "client", "router", "worker", "maint.", "all", "measured /s", "cores busy")
MODEL_HEADINGS = ("operation", "2 cores", "16 cores", "64 cores", "clients", "workers", "maint.", "MB/s", "GB/s")
LIMITS_HEADINGS = ("operation", "router", "disk", "memory")


class Line(NamedTuple):
    """A row of a benchmark that the page shows, and the share of its operations that write."""

    workload: str
    shape: str
    way: str
    writes: float = 0.0

    @property
    def name(self) -> str:
        """The name of the line in the tables."""
        size = " 4 KiB" if self.shape == VARIABLE_4K.name else ""
        return f"{self.workload}{size}, {self.way}"


Measured: TypeAlias = Mapping[Line, tuple[Mapping[str, float], Costs]]
"""For each line the figures of the run, and the costs that the model takes from them."""
LINES = (
    Line("get", "hex", DIRECT_PATH),
    Line("get_tables", "hex", DIRECT_PATH),
    Line("get_tables", "hex", ROUTER_PATH),
    Line("put", "hex", DIRECT_PATH, writes=1.0),
    Line("put", "hex", ROUTER_PATH, writes=1.0),
    Line("get_tasks", "hex", "64 tasks"),
    Line("get_threads", "hex", "16 threads"),
    Line("ycsb_a", "ycsb", "4 processes", writes=0.5),
    Line("ycsb_b", "ycsb", "4 processes", writes=0.05),
    Line("ycsb_c", "ycsb", "4 processes"),
    Line("get_many_processes", "hex", "4 processes"),
    Line("get_many_tables", "hex", ONE_CALL),
    Line("put_many", "hex", CALLS_OF_1000, writes=1.0),
    Line("put_many", "hex", ONE_CALL, writes=1.0),
    Line("get_many_tables", VARIABLE_4K.name, ONE_CALL),
    Line("put_many", VARIABLE_4K.name, ONE_CALL, writes=1.0),
)
WORKLOADS = (*dict.fromkeys(line.workload for line in LINES), "jobs")
COMMAND = "python3 scripts/bench.py --n 200000 --runs 1 --shape hex --shape variable-4k --json bench.json"

HEAD = """\
# On machines with more cores

All measurements of this project come from a machine with {cores} cores. This page says on paper
what they mean for 16 and 64 cores. **Nothing here was measured on such a machine.**

`scripts/scaling_page.py` makes this page from the CPU costs in [scaling.json](scaling.json), which
it takes from one run of the benchmarks. The model is `scripts/scaling_model.py`. To repeat it:

```sh
{command} \\
{workloads}
.venv/bin/python scripts/scaling_page.py bench.json
```

The costs below are those of {date}:
{cpu}, {cores} cores, Python {python}.
The load before the run was {load_before}; other work on the machine makes costs and waits larger.
"""

COSTS_TEXT = """\
## What an operation costs

CPU microseconds of one operation (of one key, in batches) by kind of process. *Cores busy* is what
the run itself kept busy of {cores} cores. Below that the processes waited for each other or for other
work of the machine, so the model, which assumes enough callers, gives more than was measured even
for {cores} cores.

* The CPU time of the router counts only on the router path. Elsewhere it does not grow with the
  operations: it takes reports once a second.
* Drains and compactions come after the writes. Their costs are those of the workload `jobs`: a
  drain takes {drain:.2f} µs for an entry and a compaction {compaction:.2f} µs. Drains and compactions
  write about {amplification:.1f} bytes for each byte drained in a store of 10 million keys
  ([BENCHMARKS.md](../BENCHMARKS.md)), so an entry is compacted {compacted:.1f} times. A workload
  whose own maintenance cost more keeps its own figure: with large values it lacks the compactions.
"""

MODEL_TEXT = """\
## What the model says

Operations a second: the lowest of four limits, which are all cores together, the one router, the
disk, and memory. A word behind a rate names the limit if it is not the cores. Beside it, for 64
cores: the cores that clients, workers and maintenance processes fill at that rate, and what the
disk (MB/s) and the memory (GB/s) must deliver.

* *Disk*: a byte that is written goes to the log once and to tables {amplification:.1f} times. Assumed are
  {disks} MB/s for 2, 16 and 64 cores. On the measured machine it was {disk_measured} MB/s.
* *Memory*: each byte is copied {copies} times, and an entry touches {touched} bytes of cache lines.
  Assumed are {memories} GB/s. One core of the measured machine copies {copied:.1f} GB/s, so it moves
  twice as much.
* Keys spread evenly over the workers, and every core is as fast as those measured.
"""

LIMITS_TEXT = """\
## Where cores no longer help

The number of cores from which on another limit than the cores sets the rate, with the disk and the
memory of the machine with 64 cores. A dash: the operation needs nothing of it.
"""

READING = """\
## How to read it

* **Router.** It is one process with one interpreter. Single operations that go through it do not
  become more with more cores. On the direct path, the default on one machine, none go through it.
* **Disk.** Writes come near it, the sooner the larger the values are. It writes
  less with smaller mains, which reduce write amplification ([BENCHMARKS.md](../BENCHMARKS.md)).
* **Memory.** Only batches of large values come near it.
* **Clients** read from files themselves, so they take nearly all of the cores then, and about half
  of them for all else. A program that needs its cores for itself leaves fewer for the store.
* **Maintenance** takes most of the cores of batched writes in the long run: a key is written once,
  and compacted several times.
* **A hot range** is written by one worker, on one core, which also answers reads of what is in
  memory. The model takes the load as spread evenly.
* **`get`** reads 256 keys that were just written, so a worker is asked at first; **`get_tables`**
  reads files, on the direct path without any worker.
* A single operation costs more here than on an idle machine with fast wake-ups: its processes go to
  sleep and are woken for each message. With many callers at once, messages travel together, and an
  operation costs a fraction of that.
"""


def costs_from(report: Mapping[str, Any]) -> dict[str, Any]:
    """What the page needs of the JSON of a benchmark run. Raises SystemExit if a row is missing."""
    rows = {(row["workload"], row["shape"], row["way"]): row["figures"] for row in report["rows"]}
    needed = [line[:3] for line in LINES] + [("jobs", "hex", way) for way in ("drain", "compaction")]
    if missing := [", ".join(names) for names in needed if names not in rows]:
        raise SystemExit(f"the run has no row of {'; '.join(missing)}")
    jobs = {way: rows["jobs", "hex", way][cpu_figure("maintenance")] for way in ("drain", "compaction")}
    return {
        "machine": report["machine"],
        "drain_us": jobs["drain"],
        "compaction_us": jobs["compaction"],
        "operations": [{"name": line.name} | _costs_in(rows[line[:3]]) for line in LINES],
    }


def _costs_in(figures: Mapping[str, float]) -> dict[str, float]:
    """The rate of a row, its CPU microseconds by kind of process, and the cores that they kept busy."""
    costs = {f"{kind}_us": figures[cpu_figure(kind)] for kind in KINDS}
    rate = figures.get("settled_per_second", figures["per_second"])  # the CPU time of writes includes their drains
    return {"per_second": figures["per_second"], **costs, "cores_busy": rate * sum(costs.values()) / US_PER_SECOND}


def payload_bytes(shape: str) -> float:
    """The bytes of a key and its value."""
    if shape == "ycsb":
        return KEY_BYTES + YCSBSettings("").value_bytes
    sample = records_of(SHAPES[shape], SAMPLE)
    return sum(map(len, sample.keys + sample.values)) / SAMPLE


def operation_costs(line: Line, measured: Mapping[str, float], found: Mapping[str, Any]) -> Costs:
    """The costs of an operation: what was measured, and the jobs that follow from its writes."""
    payload = payload_bytes(line.shape)
    later = line.writes * (found["drain_us"] + (WRITE_AMPLIFICATION - 1) * found["compaction_us"])
    return Costs(
        client_us=measured["client_us"],
        router_us=measured["router_us"] if line.way == ROUTER_PATH else 0.0,
        worker_us=measured["worker_us"],
        maintenance_us=max(measured["maintenance_us"], later),
        disk_bytes=line.writes * payload * (1 + WRITE_AMPLIFICATION),
        memory_bytes=payload * COPIES * MOVES_OF_A_COPY + TOUCHED_BYTES,
    )


def machines() -> list[Machine]:
    """The machines of the page."""
    return [Machine(cores, DISK_MB_PER_S[cores], MEMORY_GB_PER_S[cores]) for cores in DISK_MB_PER_S]


def page(found: Mapping[str, Any]) -> str:
    """The text of the page."""
    facts = found["machine"]
    named = {
        **{name: facts[name] for name in ("cores", "date", "cpu", "python", "load_before")},
        "command": COMMAND,
        "workloads": _workload_lines(),
        "drain": found["drain_us"],
        "compaction": found["compaction_us"],
        "amplification": WRITE_AMPLIFICATION,
        "compacted": WRITE_AMPLIFICATION - 1,
        "disks": _in_words(DISK_MB_PER_S.values()),
        "memories": _in_words(MEMORY_GB_PER_S.values()),
        "disk_measured": f"{facts['disk_write_mb_per_s']:,}",
        "copied": facts["memory_copy_mb_per_s"] / 1_000,
        "copies": COPIES,
        "touched": f"{TOUCHED_BYTES:,}",
    }
    costs = {
        line: (measured, operation_costs(line, measured, found))
        for line, measured in zip(LINES, found["operations"], strict=True)
    }
    return "\n".join(
        [
            HEAD.format(**named),
            COSTS_TEXT.format(**named),
            _table(COSTS_HEADINGS, _costs_rows(costs)),
            MODEL_TEXT.format(**named),
            _table(MODEL_HEADINGS, _model_rows(costs)),
            LIMITS_TEXT,
            _table(LIMITS_HEADINGS, _limits_rows(costs)),
            READING,
        ]
    )


def _costs_rows(costs: Measured) -> Iterator[list[str]]:
    for line, (measured, cost) in costs.items():
        each = (cost.client_us, cost.router_us, cost.worker_us, cost.maintenance_us, cost.cpu_us)
        yield [line.name, *map(_us, each), _count(measured["per_second"]), f"{measured['cores_busy']:.1f}"]


def _model_rows(costs: Measured) -> Iterator[list[str]]:
    for line, (_, cost) in costs.items():
        found = [predict(cost, machine) for machine in machines()]
        rates = (_count(each.per_second) + ("" if each.limit == CORES else f" {each.limit}") for each in found)
        last = found[-1]
        filled = map(str, (last.clients, last.workers, last.maintenance))
        yield [line.name, *rates, *filled, f"{last.disk_mb_per_s:,.0f}", f"{last.memory_gb_per_s:,.1f}"]


def _limits_rows(costs: Measured) -> Iterator[list[str]]:
    for line, (_, cost) in costs.items():
        reached = (cores_until(limit, cost, machines()[-1]) for limit in (ROUTER, DISK, MEMORY))
        yield [line.name, *map(_cores, reached)]


def _table(headings: Sequence[str], rows: Iterator[list[str]]) -> str:
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _workload_lines() -> str:
    half = len(WORKLOADS) // 2
    return f"    {' '.join(WORKLOADS[:half])} \\\n    {' '.join(WORKLOADS[half:])}"


def _in_words(numbers: Any) -> str:
    *first, last = (f"{number:,.0f}" for number in numbers)
    return f"{', '.join(first)} and {last}"


def _cores(value: float) -> str:
    """A number of cores; so many that no machine has them are only named many."""
    if math.isinf(value):
        return "-"
    return f"{value:,.0f}" if value < MANY_CORES else f"over {MANY_CORES:,}"


def _us(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:,.0f}"


def _count(value: float) -> str:
    """A rate with three digits."""
    for size, unit in ((1e6, " M"), (1e3, " k")):
        if value >= size * 0.9995:  # what would be written as 1,000 of the smaller unit
            return f"{value / size:,.3g}{unit}" if value / size < 999.5 else f"{value / size:,.0f}{unit}"
    return f"{value:,.0f}"


def main() -> None:
    """Take the costs of a run, if one is named, and write the page."""
    if len(sys.argv) > 1:
        found = costs_from(json.loads(Path(sys.argv[1]).read_text()))
        COSTS.write_text(json.dumps(found, indent=2) + "\n")
    PAGE.write_text(page(json.loads(COSTS.read_text())))


if __name__ == "__main__":
    main()
