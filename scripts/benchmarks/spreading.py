"""What a store gains by changing its ranges itself: work for two workers, even ranges, fast reads of cold ranges."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import numpy as np
from ycsb.distributions import ScrambledZipfian

from benchmarks.bottleneck import Bottleneck
from benchmarks.clusters import Store, WrongAnswer, new_store
from benchmarks.load_process import Load, Running, running
from benchmarks.processes import keep_on
from benchmarks.records import HEX, Records, records_of
from benchmarks.settings import Settings
from benchmarks.targets import ASYNC, BUSY_ELSEWHERE, IDLE, ONE_WORKER, ONE_WORKER_CPU, SPLIT_BEFOREHAND, Row
from benchmarks.timing import Figures, medians
from benchmarks.topology import BY_HAND, keys_of, tail
from shardstore import TopologyOptions
from shardstore.limits import KIB, MIB

COOLDOWN_SECONDS = 2
SPLITTING = f"{ASYNC}, other ranges and TopologyOptions"
SPLIT_BYTES = 128 * MIB
RANGES = 8
RANGES_MIN = 2
"""Ranges that the store must have made from one, which holds this many times the bytes of `split_bytes`."""
CLIENTS = 2
CALL_ENTRIES = 1_000
LARGE_CALL_ENTRIES = 4_000
"""Large enough that a call cut into two requests still makes large requests."""
SPREAD_SECONDS_MAX = 60
"""Policies act on loads measured for at least 5 s, so this leaves time for changes that depend on each other."""
RECORDS_PER_SECOND_OF_SPREADING = 30_000
MEASURED_SECONDS = 10
SUSTAINED_SECONDS = 30
"""Long enough to include maintenance: clients write several times what buffers hold."""
RECORDS_PER_MEASURED_SECOND = 50_000
WINDOW_SECONDS = 1.0
SPLITS_SECONDS_MAX = 120
PROBES_PER_SECOND = 100
"""Low enough that a read waits for the one before it only if that takes 10 ms or more."""
HOT_CORE, COLD_CORE = 0, 1


def two_workers(settings: Settings) -> Iterator[Row]:
    """Updates by two clients, or inserts by one, on two workers compared with one.

    `per_busy_second`: keys per CPU second of the process that limits the store (bottleneck.py), which is the rate if
    each process has a core. `workers_at_work`: CPU seconds of all workers divided by those of the busiest worker of
    each second: 2 if both work all the time, whatever the cost of a key.
    """
    records = records_of(HEX, settings.count(HEX))
    auto = TopologyOptions(split_bytes=SPLIT_BYTES, cooldown=COOLDOWN_SECONDS)
    for way, (keys, call_entries) in _patterns(records).items():
        runs: dict[int, list[Figures]] = {1: [], 2: []}
        for run in range(settings.runs):
            for workers, figures in runs.items():
                settings.say(f"two_workers, {way}, {workers} at work, run {run + 1} of {settings.runs}")
                boundaries = records.boundaries(RANGES) if keys else []
                with new_store(settings, "async", boundaries, topology=auto, workers=workers) as store:
                    if keys:
                        store.load(records)
                    with _clients(store, keys, call_entries) as clients:
                        time.sleep(_spread_seconds(settings))
                        figures.append(_measured(store, clients, _measured_seconds(settings, SUSTAINED_SECONDS)))
        one, two = medians(runs[1]), medians(runs[2])
        beside = {name: {figure: one[figure]} for name, figure in _ONE.items()}
        yield Row("two_workers", HEX.name, way, two, beside, {}, SPLITTING)


_ONE = {ONE_WORKER: "per_second", ONE_WORKER_CPU: "per_busy_second"}


def _patterns(records: Records) -> dict[str, tuple[Sequence[bytes], int]]:
    """The keys to write, none for new ascending ones, and the number in a call, by the name of the pattern."""
    count = len(records.keys)
    hot_end = records.boundaries(RANGES)[0]
    zipfian = ScrambledZipfian(count, np.random.default_rng(0)).draw(np.full(count, count))
    hot = [key for key in records.keys if key < hot_end]
    return {
        "sequential inserts": ((), LARGE_CALL_ENTRIES),
        "zipfian updates": ([records.keys[at] for at in zipfian.tolist()], LARGE_CALL_ENTRIES),
        "one hot range": (hot, LARGE_CALL_ENTRIES),
        "one hot range, smaller calls": (hot, CALL_ENTRIES),
    }


def self_split(settings: Settings) -> Iterator[Row]:
    """Uniform updates of a store that began as one range and split itself, compared with one split beforehand."""
    records = records_of(HEX, settings.count(HEX))
    stored = sum(map(len, records.keys + records.values))
    auto = TopologyOptions(split_bytes=max(KIB, stored // RANGES_MIN), cooldown=COOLDOWN_SECONDS)
    ways: dict[str, list[Figures]] = {"itself": [], SPLIT_BEFOREHAND: []}
    with new_store(settings, "async", [], topology=auto) as itself:
        settings.say("self_split, splitting")
        itself.load(records)
        itself.db.flush()
        boundaries = _boundaries_when_split(settings, itself, records)
        with new_store(settings, "async", boundaries, topology=BY_HAND) as beforehand:
            beforehand.load(records)
            for run in range(settings.runs):
                settings.say(f"self_split, run {run + 1} of {settings.runs}")
                for way, store in zip(ways, (itself, beforehand), strict=True):
                    store.move_to_tables()
                    with _clients(store, records.keys) as clients:
                        ways[way].append(_measured(store, clients, _measured_seconds(settings)))
    beside = {SPLIT_BEFOREHAND: {"per_second": medians(ways[SPLIT_BEFOREHAND])["per_second"]}}
    figures = medians(ways["itself"]) | {"ranges": float(len(boundaries) + 1)}
    yield Row("self_split", HEX.name, "uniform updates", figures, beside, {}, SPLITTING)


def _boundaries_when_split(settings: Settings, store: Store, records: Records) -> list[bytes]:
    """Update until the store has split itself and policies had time to spread the ranges; returns the boundaries."""
    with _clients(store, records.keys) as clients:
        last = time.perf_counter() + SPLITS_SECONDS_MAX
        while len(store.db.admin.ranges()) < RANGES_MIN:
            if time.perf_counter() > last:
                raise WrongAnswer("the store does not split itself")
            time.sleep(WINDOW_SECONDS / 4)
        time.sleep(_spread_seconds(settings))
        _stop(clients)
    return [row.start for row in store.db.admin.ranges()[1:]]


def cold_p99(settings: Settings) -> Iterator[Row]:
    """Single reads of cold ranges at a steady rate, while two clients write at full speed into one range of eight.

    Compared with the same reads on an idle machine, and while the two clients write into another store of this
    machine, where they compete with the readers only for processor time. Once more with separate processors: one for
    the worker of the hot range and its clients, the other for the rest, as on a machine with enough of them.
    """
    records = records_of(HEX, settings.count(HEX))
    auto = TopologyOptions(split_bytes=SPLIT_BYTES, cooldown=COOLDOWN_SECONDS)
    apart: dict[bool, list[Figures]] = {False: [], True: []}
    runs: dict[str, list[Figures]] = {IDLE: [], BUSY_ELSEWHERE: [], "auto off": [], "auto on": []}
    for run in range(settings.runs):
        settings.say(f"cold_p99, run {run + 1} of {settings.runs}")
        with ExitStack() as stack:
            fixed, changing = (
                stack.enter_context(new_store(settings, "async", records.boundaries(RANGES), topology=topology))
                for topology in (BY_HAND, auto)
            )
            hot, *cold_rows = fixed.db.admin.ranges()
            hot_keys = keys_of(hot, records)
            cold = [key for key in records.keys if key >= cold_rows[0].start]
            for store in (fixed, changing):
                store.load(records)
                store.move_to_tables()
            runs[IDLE].append(_probed(settings, fixed, cold))
            with _clients(changing, hot_keys) as clients:
                time.sleep(_spread_seconds(settings))
                runs[BUSY_ELSEWHERE].append(_probed(settings, fixed, cold))
                runs["auto on"].append(_probed(settings, changing, cold))
                _stop(clients)
            with _clients(fixed, hot_keys) as clients:
                runs["auto off"].append(_probed(settings, fixed, cold))
                _stop(clients)
            for busy, figures in apart.items():
                figures.append(_probed_apart(settings, fixed, records, busy))
    beside = {name: tail(medians(runs[name])) for name in (IDLE, BUSY_ELSEWHERE)}
    for way in ("auto off", "auto on"):
        yield Row("cold_p99", HEX.name, way, medians(runs[way]), beside, {}, SPLITTING)
    idle = {IDLE: tail(medians(apart[False]))}
    yield Row("cold_p99", HEX.name, "processors apart", medians(apart[True]), idle, {}, SPLITTING)


def _probed_apart(settings: Settings, store: Store, records: Records, busy: bool) -> Figures:
    """Read ranges that are not on the worker of the first range; if `busy`, clients write into the first range."""
    hot, *rows = store.db.admin.ranges()
    for name, pid in store.cluster.processes().items():
        keep_on(pid, HOT_CORE if name.startswith(f"worker-{hot.worker}") else COLD_CORE)
    cold = [key for row in rows if row.worker != hot.worker for key in keys_of(row, records)]
    probe = Load(store.cluster.url, cold, value_bytes=0, calls_per_second=PROBES_PER_SECOND, core=COLD_CORE)
    with ExitStack() as stack:
        clients = stack.enter_context(_clients(store, keys_of(hot, records), core=HOT_CORE)) if busy else []
        with running(probe) as probing:
            time.sleep(_measured_seconds(settings))
            figures = probing.stop().latency()
        _stop(clients)
    return figures


def _probed(settings: Settings, store: Store, keys: Sequence[bytes]) -> Figures:
    load = Load(store.cluster.url, keys, value_bytes=0, calls_per_second=PROBES_PER_SECOND)
    with running(load) as probe:
        time.sleep(_measured_seconds(settings))
        return probe.stop().latency()


@contextmanager
def _clients(
    store: Store, keys: Sequence[bytes], call_entries: int = CALL_ENTRIES, core: int | None = None
) -> Iterator[list[Running]]:
    """Run clients that write at full speed: CLIENTS for the keys, or one that inserts new keys."""
    with ExitStack() as stack:
        share = len(keys) // CLIENTS
        parts = [keys[number * share : (number + 1) * share] for number in range(CLIENTS)]
        loads = [Load(store.cluster.url, part, call_entries, core=core) for part in (parts if keys else [()])]
        yield [stack.enter_context(running(load)) for load in loads]


def _stop(clients: Sequence[Running]) -> None:
    for client in clients:
        client.stop()


def _measured(store: Store, clients: Sequence[Running], seconds: float) -> Figures:
    """The rate of the clients during `seconds`, per second and per CPU second of the process that limits them."""
    bottleneck = Bottleneck(store.cluster)
    started = time.perf_counter_ns()
    for _ in range(round(seconds / WINDOW_SECONDS)):
        time.sleep(WINDOW_SECONDS)
        bottleneck.end_window()
    ended = time.perf_counter_ns()
    keys = sum(client.stop().keys_answered(started, ended) for client in clients)
    return {"per_second": keys / ((ended - started) / 1e9), **bottleneck.figures(keys)}


def _spread_seconds(settings: Settings) -> float:
    return min(SPREAD_SECONDS_MAX, settings.n / RECORDS_PER_SECOND_OF_SPREADING)


def _measured_seconds(settings: Settings, seconds_max: float = MEASURED_SECONDS) -> float:
    return max(WINDOW_SECONDS, min(seconds_max, settings.n / RECORDS_PER_MEASURED_SECOND))
