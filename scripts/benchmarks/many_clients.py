"""Single operations from one and from several client processes, in workloads of YCSB, compared with Redis.

Both sync once a second: the store acknowledges writes once the operating system has them ("async"), and Redis appends
to its file with "everysec". The runs of both alternate. Before each run the store rests, so that the run begins with
everything in tables. At the end values are read back and checked, untimed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from ycsb.report import Report
from ycsb.run import run_phase
from ycsb.settings import Phase, StoreName
from ycsb.settings import Settings as Load

from benchmarks.clusters import WrongAnswer, new_store
from benchmarks.many_readers import processes
from benchmarks.peers.redis_server import NoServer, redis_server
from benchmarks.processes import SERVER, cpu_figure, cpu_per_million, cpu_seconds, cpu_seconds_of_server
from benchmarks.settings import Settings
from benchmarks.targets import ASYNC, Row
from benchmarks.timing import Figures, medians, rate_of

CLIENTS = (1, 4)
"""The numbers of client processes, each with rows of its own."""
RECORDS_MAX = 100_000
OPERATIONS_MAX = {1: 20_000, 4: 60_000}
CHECKED_OPERATIONS_MAX = 10_000
BATCH = 100
"""Operations of a call when records are loaded and when they are checked, by one process."""
SHAPE = "ycsb"
OURS = "shardstore"
REDIS = ("redis", "redis-tcp")


@dataclass(frozen=True, slots=True)
class Side:
    """One of the stores: the load for it, how it comes to rest, and the CPU seconds of its processes so far."""

    load: Load
    rest: Callable[[], object]
    cpu_seconds: Callable[[], Mapping[str, float]]


def ycsb_a(settings: Settings) -> Iterator[Row]:
    """Half reads and half updates of records chosen by a Zipf distribution, by 1 and by 4 client processes."""
    return _rows(settings, "a")


def ycsb_b(settings: Settings) -> Iterator[Row]:
    """95 % reads and 5 % updates of records chosen by a Zipf distribution, by 1 and by 4 client processes."""
    return _rows(settings, "b")


def ycsb_c(settings: Settings) -> Iterator[Row]:
    """Only reads of records chosen by a Zipf distribution, by 1 and by 4 client processes."""
    return _rows(settings, "c")


def _rows(settings: Settings, letter: str) -> Iterator[Row]:
    workload = f"ycsb_{letter}"
    with ExitStack() as stack:
        sides = _sides(settings, stack, letter)
        for name, side in sides.items():
            settings.say(f"{workload}, loading {name}")
            _checked(name, run_phase(replace(side.load, phase=Phase.LOAD, batch=BATCH)))
        for clients in CLIENTS:
            figures = _together(settings, workload, sides, clients)
            yield Row(workload, SHAPE, processes(clients), figures.pop(OURS), {}, figures, ASYNC)
        for name, side in sides.items():
            operations = min(settings.n, CHECKED_OPERATIONS_MAX)
            check = replace(side.load, workload="c", operations=operations, batch=BATCH, verify=True)
            _checked(name, run_phase(check))


def _together(settings: Settings, workload: str, sides: Mapping[str, Side], clients: int) -> dict[str, Figures]:
    """The medians of the runs of each store with so many client processes. The runs of the stores alternate."""
    runs: dict[str, list[Figures]] = {name: [] for name in sides}
    operations = min(settings.n, OPERATIONS_MAX[clients])
    for number in range(settings.runs):
        for name, side in sides.items():
            settings.say(f"{workload}, {name}, {processes(clients)}, run {number + 1} of {settings.runs}")
            side.rest()
            runs[name].append(_run(name, side, replace(side.load, operations=operations, processes=clients)))
    return {name: medians(measured) for name, measured in runs.items()}


def _sides(settings: Settings, stack: ExitStack, letter: str) -> dict[str, Side]:
    """The store and the chosen Redis servers, all of them empty."""
    store = stack.enter_context(new_store(settings, "async"))
    load = _load_of(settings, letter, StoreName.SHARDSTORE, store.cluster.url)
    sides = {OURS: Side(load, store.rest, lambda: cpu_seconds(store.cluster))}
    for name in filter(REDIS.__contains__, settings.peers):
        try:
            sides[name] = _redis_side(settings, stack, letter, tcp=name == "redis-tcp")
        except NoServer as reason:
            settings.fail(f"ycsb_{letter}, {name}", reason)
    return sides


def _redis_side(settings: Settings, stack: ExitStack, letter: str, tcp: bool) -> Side:
    directory = Path(stack.enter_context(settings.temporary_directory()))
    server = stack.enter_context(redis_server(directory, "everysec", tcp))
    url = f"redis://127.0.0.1:{server.port}" if tcp else f"unix://{server.socket}"
    load = _load_of(settings, letter, StoreName.REDIS, url)
    return Side(load, os.sync, lambda: {SERVER: cpu_seconds_of_server(server.pid)})


def _load_of(settings: Settings, letter: str, store: StoreName, url: str) -> Load:
    return Load(url, store=store, workload=letter, records=min(settings.n, RECORDS_MAX))


def _run(name: str, side: Side, load: Load) -> Figures:
    """Measure one run, with the CPU seconds of the clients and of the processes that serve them."""
    before = side.cpu_seconds()
    report = _checked(name, run_phase(load))
    servers = cpu_per_million(before, side.cpu_seconds(), report.operations)
    clients = report.client_cpu_seconds / report.operations * 1e6
    return rate_of(report.operations, report.seconds) | servers | {cpu_figure("client"): clients}


def _checked(name: str, report: Report) -> Report:
    if any(report.faults.values()):
        raise WrongAnswer(f"{name} failed or returned wrong data: {report.faults}")
    return report
