"""Single operations from several client processes at once, in workloads of YCSB, compared with Redis.

Both sync once a second: the store acknowledges writes once the operating system has them ("async"), and Redis appends
to its file with "everysec". The runs of both alternate. At the end values are read back and checked, untimed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from ycsb.report import Report
from ycsb.run import run_phase
from ycsb.settings import Phase, StoreName
from ycsb.settings import Settings as Load

from benchmarks.clusters import Store, WrongAnswer, new_store
from benchmarks.peers.redis_server import NoServer, redis_server
from benchmarks.settings import Settings
from benchmarks.targets import ASYNC, Row
from benchmarks.timing import Figures, medians, rate_of

CLIENTS = 4
RECORDS_MAX = 100_000
OPERATIONS_MAX = 200_000
CHECKED_OPERATIONS_MAX = 10_000
LOAD_BATCH = 100
SHAPE = "ycsb"
OURS = "shardstore"
REDIS = ("redis", "redis-tcp")


def ycsb_a(settings: Settings) -> Iterator[Row]:
    """Half reads and half updates, of records chosen by a Zipf distribution."""
    return _rows(settings, "a")


def ycsb_c(settings: Settings) -> Iterator[Row]:
    """Only reads, of records chosen by a Zipf distribution."""
    return _rows(settings, "c")


def _rows(settings: Settings, letter: str) -> Iterator[Row]:
    workload = f"ycsb_{letter}"
    with ExitStack() as stack:
        store = stack.enter_context(new_store(settings, "async"))
        loads = {OURS: _load_of(settings, letter, StoreName.SHARDSTORE, store.cluster.url)}
        for name in filter(REDIS.__contains__, settings.peers):
            try:
                url = _redis_url(settings, stack, tcp=name == "redis-tcp")
            except NoServer as reason:
                settings.fail(f"{workload}, {name}", reason)
            else:
                loads[name] = _load_of(settings, letter, StoreName.REDIS, url)
        for name, load in loads.items():
            settings.say(f"{workload}, loading {name}")
            _checked(name, run_phase(replace(load, phase=Phase.LOAD, batch=LOAD_BATCH, operations=None)))
        runs: dict[str, list[Figures]] = {name: [] for name in loads}
        for number in range(settings.runs):
            for name, load in loads.items():
                settings.say(f"{workload}, {name}, run {number + 1} of {settings.runs}")
                runs[name].append(_run(store if name == OURS else None, name, load))
        for name, load in loads.items():
            operations = min(settings.n, CHECKED_OPERATIONS_MAX)
            _checked(name, run_phase(replace(load, workload="c", operations=operations, verify=True)))
    figures = {name: medians(measured) for name, measured in runs.items()}
    yield Row(workload, SHAPE, f"{CLIENTS} processes", figures.pop(OURS), {}, figures, ASYNC)


def _load_of(settings: Settings, letter: str, store: StoreName, url: str) -> Load:
    records, operations = min(settings.n, RECORDS_MAX), min(settings.n, OPERATIONS_MAX)
    return Load(url, store=store, workload=letter, records=records, operations=operations, processes=CLIENTS)


def _redis_url(settings: Settings, stack: ExitStack, tcp: bool) -> str:
    directory = Path(stack.enter_context(settings.temporary_directory()))
    server = stack.enter_context(redis_server(directory, "everysec", tcp))
    return f"redis://127.0.0.1:{server.port}" if tcp else f"unix://{server.socket}"


def _run(store: Store | None, name: str, load: Load) -> Figures:
    """Measure one run, with the CPU seconds of the clients and, for shardstore, of the server processes too."""
    reports: list[Report] = []

    def run() -> Figures:
        reports.append(_checked(name, run_phase(load)))
        return rate_of(reports[0].operations, reports[0].seconds)

    figures = run() if store is None else store.with_cpu(load.operations or 1, run)
    return figures | {"client_cpu_s_per_million": reports[0].client_cpu_seconds / reports[0].operations * 1e6}


def _checked(name: str, report: Report) -> Report:
    if any(report.faults.values()):
        raise WrongAnswer(f"{name} failed or returned wrong data: {report.faults}")
    return report
