"""Loads a store with several times what its drains can handle, and checks memory, goodput and the speed of refusals.

First a single writer that waits for room measures the sustainable rate. It has its own store and the same time, since
a larger store has more to compact. Then many writers fill a second store at full speed, while a probe writes with
on_busy="fail", like a caller that would rather drop a write than wait. The offered load is what the writers write in
the first second, while buffers are empty. The memory of a process is its own (resident minus shared); its bound is
what it had at rest plus its share of the memory plan.

With a fast disk, drains keep up with nearly everything that the cores can write. `--drain-share` then simulates a slow
disk for both stores: it stops the maintenance processes for the rest of each short period.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from tempfile import TemporaryDirectory
from typing import Any

import click
import psutil

from benchmarks.progress import MeasuringProgress
from benchmarks.timing import percentile
from shardstore import Busy, Client, LocalCluster, OutcomeUnknown, Stats, connect
from shardstore.cli.failures import failures_in_one_line
from shardstore.limits import KIB, MESSAGE_BYTES_MAX, MIB, VALUE_BYTES_MAX
from shardstore.memory_plan import MemoryPlan, derive
from shardstore.options import parse_size

ENTRIES = 200
KEY_BYTES = 16
SAMPLE_SECONDS = 0.1
PROBE_SECONDS = 0.02
DRAIN_PERIOD_SECONDS = 0.1
MAINTENANCE_FACTOR = 3
"""A drain holds the columns of its input, their order, and the blocks of its output."""
COMPACTION_BYTES = 64 * MIB
"""Allowance for what a compaction holds of its inputs, which the memory plan does not determine."""


@click.command()
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False),
    help="Directory for the stores. [default: the temporary directory]",
)
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1))
@click.option("--memory", default="256MiB", show_default=True)
@click.option("--writers", default=8, show_default=True, type=click.IntRange(1), help="Writer processes.")
@click.option(
    "--seconds",
    default=60.0,
    show_default=True,
    type=click.FloatRange(1.0, 3600.0),
    help="Seconds of writing to each of the two stores.",
)
@click.option(
    "--drain-share",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0.05, 1.0),
    help="Share of the time in which drains may run.",
)
@click.option(
    "--value-bytes",
    default=8 * KIB,
    show_default=True,
    type=click.IntRange(0, VALUE_BYTES_MAX),
    help="Bytes of a value.",
)
def main(
    data: str | None,
    workers: int,
    memory: str,
    writers: int,
    seconds: float,
    drain_share: float,
    value_bytes: int,
) -> None:
    """Measure and print the figures as JSON; exits with 1 if a bound was exceeded."""

    @contextmanager
    def slow_cluster() -> Iterator[LocalCluster]:
        with (
            TemporaryDirectory(prefix="shardstore-overload-", dir=data) as directory,
            LocalCluster(directory, workers=workers, memory=memory, ranges=4 * workers) as cluster,
            _slow_drains(cluster, drain_share),
        ):
            yield cluster

    with failures_in_one_line(), MeasuringProgress() as progress:
        progress.expect(2)
        progress.say(f"one writer, {seconds:.0f} s")
        with slow_cluster() as cluster, _writing(cluster.url, 1, value_bytes) as written:
            sustainable = _rate(written, seconds)
        progress.advance()
        progress.say(f"{writers} writers, {seconds:.0f} s")
        with slow_cluster() as cluster:
            report = _overload(cluster, derive(parse_size(memory), workers), sustainable, writers, seconds, value_bytes)
        progress.advance()
    click.echo(json.dumps(report, indent=2))
    raise SystemExit(0 if all(report["holds"].values()) else 1)


def _overload(
    cluster: LocalCluster, plan: MemoryPlan, sustainable: float, writers: int, seconds: float, value_bytes: int
) -> dict[str, Any]:
    at_rest = {name: _own_bytes(pid) for name, pid in cluster.processes().items()}
    most, refusals = dict(at_rest), []
    with cluster.connect() as db, _writing(cluster.url, writers, value_bytes) as written:
        offered = _rate(written, 1.0)
        began, before = time.perf_counter(), written.value
        while time.perf_counter() - began < seconds:
            refusals += _probe(db, value_bytes)
            for name, pid in cluster.processes().items():
                most[name] = max(most.get(name, 0), _own_bytes(pid))
        goodput = (written.value - before) / (time.perf_counter() - began)
        stats = db.stats()
    bounds = {name: at_rest[name] + _bound(name, plan) for name in at_rest}
    requests = _sums(stats)
    refused_p99_ms = percentile(refusals, 99) * 1_000 if refusals else None
    return {
        "sustainable_mib_per_second": sustainable / MIB,
        "offered_mib_per_second": offered / MIB,
        "goodput_mib_per_second": goodput / MIB,
        "refusals_of_probes": len(refusals),
        "refused_p99_ms": refused_p99_ms,
        "refused_max_ms": max(refusals) * 1_000 if refusals else None,
        "requests_per_write": requests["sent"] / max(1, requests["applied"]),
        "own_mib": {name: {"most": most[name] / MIB, "bound": bounds[name] / MIB} for name in bounds},
        "stalls": {who: figures["stalls"]["events"][-4:] for who, figures in stats.items() if "stalls" in figures},
        "holds": {
            "memory": all(most[name] <= bounds[name] for name in bounds),
            "goodput": goodput >= 0.8 * sustainable,
            "refusals": refused_p99_ms is None or refused_p99_ms <= 50,
            "requests": requests["sent"] <= 1.1 * requests["applied"],
        },
    }


def _bound(name: str, plan: MemoryPlan) -> int:
    """The bytes that the process may have in addition to those at rest."""
    if name == "router":
        return plan.workers * plan.in_flight_bytes
    if name.endswith("maintenance"):
        return MAINTENANCE_FACTOR * max(plan.drain_run_bytes, plan.seal_bytes) + COMPACTION_BYTES
    return plan.lease_max + plan.cache_bytes + plan.view_bytes + plan.reply_bytes + MESSAGE_BYTES_MAX


def _rate(written: Any, seconds: float) -> float:
    """Bytes written per second during the next `seconds`."""
    before, began = written.value, time.perf_counter()
    time.sleep(seconds)
    return float(written.value - before) / (time.perf_counter() - began)


def _probe(db: Client, value_bytes: int) -> list[float]:
    """Write once without waiting for room. Returns how long the refusal took, or nothing if the write succeeded."""
    time.sleep(PROBE_SECONDS)
    began = time.perf_counter()
    try:
        db.put(os.urandom(KEY_BYTES), bytes(value_bytes), on_busy="fail")
    except (Busy, OutcomeUnknown):
        return [time.perf_counter() - began]
    return []


def _sums(stats: Stats) -> dict[str, int]:
    """How many write requests the workers received, and how many they applied."""
    workers = [figures for figures in stats.values() if "keys" in figures]
    sent = sum(figures["requests"].get("PUT", 0) for figures in workers)
    return {"sent": sent, "applied": sent - sum(figures["counts"].get("refused busy", 0) for figures in workers)}


def _own_bytes(pid: int) -> int:
    try:
        memory = psutil.Process(pid).memory_info()
    except psutil.Error:
        return 0
    return int(memory.rss - memory.shared)


@contextmanager
def _writing(url: str, writers: int, value_bytes: int) -> Iterator[Any]:
    """Run processes that write at full speed; yields the shared count of acknowledged bytes."""
    spawn = multiprocessing.get_context("spawn")
    written = spawn.Value("Q", 0)
    children = [spawn.Process(target=_write, args=(url, written, value_bytes), daemon=True) for _ in range(writers)]
    for child in children:
        child.start()
    before = written.value
    while written.value == before:
        time.sleep(SAMPLE_SECONDS)
    try:
        yield written
    finally:
        for child in children:
            child.kill()
            child.join()


def _write(url: str, written: Any, value_bytes: int) -> None:
    with connect(url) as db:
        values = [bytes(value_bytes)] * ENTRIES
        while True:
            random = os.urandom(KEY_BYTES * ENTRIES)
            keys = [random[at : at + KEY_BYTES] for at in range(0, len(random), KEY_BYTES)]
            db.put_many(zip(keys, values, strict=True), timeout=60)
            with written.get_lock():
                written.value += ENTRIES * (KEY_BYTES + value_bytes)


@contextmanager
def _slow_drains(cluster: LocalCluster, share: float) -> Iterator[None]:
    """Alternately stop and continue the maintenance processes, so that they run for this share of the time."""
    ended = threading.Event()

    def slow_down() -> None:
        stopped: list[int] = []
        while not ended.wait(share * DRAIN_PERIOD_SECONDS):
            _signal(stopped, signal.SIGSTOP)
            began = time.perf_counter()
            found = [pid for name, pid in cluster.processes().items() if name.endswith("maintenance")]
            ended.wait((1 - share) * DRAIN_PERIOD_SECONDS - (time.perf_counter() - began))
            _signal(stopped, signal.SIGCONT)
            stopped = found

    thread = threading.Thread(target=slow_down, daemon=True)
    if share < 1:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        if share < 1:
            thread.join()


def _signal(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
