"""Single operations by one thread, compared with an echo of the same bytes over the same hops.

Runs of echoes and of operations alternate, so that a slow moment of the machine affects both. `get_core` is the floor:
the same reads in the core of a worker, in one process and without messages.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import cycle, islice
from pathlib import Path

from benchmarks import limits
from benchmarks.clusters import Store, WrongAnswer, new_store
from benchmarks.comparing import measure_peers
from benchmarks.echo import echo
from benchmarks.processes import cpu_figure
from benchmarks.records import HEX, Records, records_of
from benchmarks.settings import Settings
from benchmarks.targets import ASYNC, DEFAULT_OPTIONS, DICT_GET, DIRECT_PATH, ECHO, ROUTER_PATH, SYNCED_ECHO, Row
from benchmarks.timing import Figures, latency, latency_of, medians
from shardstore import Client, connect

PROJECT = Path(__file__).parent.parent.parent
RECORDS_MAX = 100_000
CORE_RECORDS_MAX = 20_000
"""So few that they stay in the overlay until they are flushed."""
OPERATIONS_MAX = 10_000
SYNCED_OPERATIONS_MAX = 3_000
OVERLAY_KEYS = 256
"""So few entries stay in an overlay for a minute after the last write. A larger layer is drained after five seconds."""
HOPS = {DIRECT_PATH: 1, ROUTER_PATH: 2}


def get(settings: Settings) -> Iterator[Row]:
    """Single reads of keys that were just written, so that they are in overlays."""
    return _gets(settings, "get", OVERLAY_KEYS)


def get_tables(settings: Settings) -> Iterator[Row]:
    """Single reads from tables, after a rest."""
    return _gets(settings, "get_tables", written_again=0)


def get_core(settings: Settings) -> Iterator[Row]:
    """Single reads handled by the core of a worker in one process, without messages: the floor of `get`."""
    entries = min(settings.n, CORE_RECORDS_MAX)
    settings.say("get_core")
    peers = measure_peers(settings, HEX, "get", entries)
    beside = {DICT_GET: limits.dict_get(settings, records_of(HEX, entries))}
    runs = [_core_gets(settings, entries) for _ in range(settings.runs)]
    for way in runs[0]:
        yield Row("get_core", HEX.name, way, medians([run[way] for run in runs]), beside, peers)


def _core_gets(settings: Settings, entries: int) -> dict[str, Figures]:
    """The figures of the reads from an overlay and from tables, by the process that measures them."""
    operations = str(min(settings.n, OPERATIONS_MAX))
    with settings.temporary_directory() as data:
        command = [sys.executable, "-m", "tests.measuring.core_gets", data, str(entries), operations]
        printed = subprocess.run(command, cwd=PROJECT, stdout=subprocess.PIPE, check=True).stdout
    return {
        way: latency_of(measured["times_ns"])
        | {cpu_figure("worker"): measured["cpu_seconds"] / len(measured["times_ns"]) * 1e6}
        for way, measured in json.loads(printed).items()
    }


def _gets(settings: Settings, workload: str, written_again: int) -> Iterator[Row]:
    """Read present keys. Before each run the first `written_again` are written again, and only they are read."""
    records = records_of(HEX, min(settings.n, RECORDS_MAX))
    fresh = Records(HEX, records.seed, records.keys[:written_again], records.values[:written_again])
    read = fresh if written_again else records
    operations = min(settings.n, OPERATIONS_MAX)
    keys, values = list(islice(cycle(read.keys), operations)), list(islice(cycle(read.values), operations))

    def run(store: Store, db: Client) -> Figures:
        if written_again:
            store.load(fresh)
        answers: list[bytes | None] = []
        figures = store.with_cpu(len(keys), lambda: latency(_answers(db, keys, answers)))
        if answers != values:
            raise WrongAnswer("a key was read with another value than was written")
        return figures | store.overlay_share(len(read.keys))

    with new_store(settings) as store:
        store.load(records)
        store.rest()
        yield from _rows(settings, workload, store, run, keys[:1], len(values[0]))


def put(settings: Settings) -> Iterator[Row]:
    """Writes of single keys, acknowledged once the operating system has them."""
    return _puts(settings, "put", "async")


def put_synced(settings: Settings) -> Iterator[Row]:
    """Writes of single keys, acknowledged after a sync."""
    return _puts(settings, "put_synced", "group_sync")


def _puts(settings: Settings, workload: str, durability: str) -> Iterator[Row]:
    most = OPERATIONS_MAX if durability == "async" else SYNCED_OPERATIONS_MAX
    records = records_of(HEX, min(settings.n, most))

    def run(store: Store, db: Client) -> Figures:
        puts = map(db.put, records.keys, records.values)
        figures = store.with_cpu(len(records.keys), lambda: latency(puts))
        if db.get_many(records.keys) != records.values:
            raise WrongAnswer("a record was read with another value than was written")
        return figures

    with new_store(settings, durability) as store:
        yield from _rows(settings, workload, store, run, (records.keys[0], records.values[0]), reply_bytes=0)


def _rows(
    settings: Settings,
    workload: str,
    store: Store,
    run: Callable[[Store, Client], Figures],
    request: Sequence[bytes],
    reply_bytes: int,
) -> Iterator[Row]:
    peers = measure_peers(settings, HEX, workload.removesuffix("_tables"), min(settings.n, RECORDS_MAX))
    options = ASYNC if workload == "put" else DEFAULT_OPTIONS
    limit = SYNCED_ECHO if workload == "put_synced" else ECHO
    for path, hops in HOPS.items():
        ours, echoes = [], []
        with ExitStack() as stack:
            bare = stack.enter_context(echo(settings, hops, request, reply_bytes, synced=limit == SYNCED_ECHO))
            db = stack.enter_context(connect(store.cluster.url, direct=path == DIRECT_PATH))
            for number in range(settings.runs):
                settings.say(f"{workload}, {path}, run {number + 1} of {settings.runs}")
                echoes.append(bare.latency(min(settings.n, SYNCED_OPERATIONS_MAX)))
                ours.append(run(store, db))
        yield Row(workload, HEX.name, path, medians(ours), {limit: medians(echoes)}, peers, options)


def _answers(db: Client, keys: Sequence[bytes], answers: list[bytes | None]) -> Iterator[None]:
    for key in keys:
        answers.append(db.get(key))
        yield
