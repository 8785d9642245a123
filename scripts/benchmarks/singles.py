"""Single operations by one thread, compared with an echo of the same bytes over the same hops.

Runs of echoes and of operations alternate, so that a slow moment of the machine affects both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

from benchmarks.clusters import Store, WrongAnswer, new_store
from benchmarks.comparing import measure_peers
from benchmarks.echo import echo
from benchmarks.records import HEX, records_of
from benchmarks.settings import Settings
from benchmarks.targets import ASYNC, DEFAULT_OPTIONS, DIRECT_PATH, ECHO, ROUTER_PATH, SYNCED_ECHO, Row
from benchmarks.timing import Figures, latency, medians
from shardstore import Client, connect

RECORDS_MAX = 100_000
OPERATIONS_MAX = 3_000
HOPS = {DIRECT_PATH: 1, ROUTER_PATH: 2}


def get(settings: Settings) -> Iterator[Row]:
    """Reads of single present keys, from a store that was just loaded."""
    records = records_of(HEX, min(settings.n, RECORDS_MAX))
    keys, values = records.keys[:OPERATIONS_MAX], records.values[:OPERATIONS_MAX]

    def run(store: Store, db: Client) -> Figures:
        answers: list[bytes | None] = []
        figures = store.with_cpu(len(keys), lambda: latency(_gets(db, keys, answers)))
        if answers != values:
            raise WrongAnswer("a key was read with another value than was written")
        return figures

    with new_store(settings) as store:
        store.load(records)
        yield from _rows(settings, "get", store, run, keys[:1], len(values[0]))


def put(settings: Settings) -> Iterator[Row]:
    """Writes of single keys, acknowledged once the operating system has them."""
    return _puts(settings, "put", "async")


def put_synced(settings: Settings) -> Iterator[Row]:
    """Writes of single keys, acknowledged after a sync."""
    return _puts(settings, "put_synced", "group_sync")


def _puts(settings: Settings, workload: str, durability: str) -> Iterator[Row]:
    records = records_of(HEX, min(settings.n, OPERATIONS_MAX))

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
    peers = measure_peers(settings, HEX, workload, min(settings.n, RECORDS_MAX))
    options = ASYNC if workload == "put" else DEFAULT_OPTIONS
    limit = SYNCED_ECHO if workload == "put_synced" else ECHO
    for path, hops in HOPS.items():
        ours, echoes = [], []
        with ExitStack() as stack:
            bare = stack.enter_context(echo(settings, hops, request, reply_bytes, synced=limit == SYNCED_ECHO))
            db = stack.enter_context(connect(store.cluster.url, direct=path == DIRECT_PATH))
            for number in range(settings.runs):
                settings.say(f"{workload}, {path}, run {number + 1} of {settings.runs}")
                echoes.append(bare.latency(min(settings.n, OPERATIONS_MAX)))
                ours.append(run(store, db))
        yield Row(workload, HEX.name, path, medians(ours), {limit: medians(echoes)}, peers, options)


def _gets(db: Client, keys: Sequence[bytes], answers: list[bytes | None]) -> Iterator[None]:
    for key in keys:
        answers.append(db.get(key))
        yield
