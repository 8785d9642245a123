"""The workloads of bench.py, and the limits they are held against."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path

import click
import numpy as np
import zmq
from rich.console import Console

from shardstore import Client, LocalCluster, connect
from shardstore.cli import failures_in_one_line
from shardstore.options import Durability

VALUE_BYTES = 24
SINGLE_OPERATIONS = 3_000
WARM_UP_OPERATIONS = 100
TIMEOUT_SECONDS = 120.0
Record = tuple[bytes, bytes]


def splitmix64(first: int, count: int) -> np.ndarray:
    """`count` outputs of splitmix64 from the state `first`: distinct, and spread over all 64 bits."""
    state = (np.arange(first + 1, first + count + 1, dtype=np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def keys_of(first: int, count: int) -> list[bytes]:
    """Keys of 16 hexadecimal digits."""
    return [b"%016x" % number for number in splitmix64(first, count).tolist()]


def records_of(count: int) -> list[Record]:
    """Keys in no order, each with a value of its own."""
    return [(key, (key + key)[:VALUE_BYTES]) for key in keys_of(0, count)]


def put_many(db: Client, records: Sequence[Record]) -> dict[str, float]:
    """Write all records in one call."""
    return _rate(len(records), lambda: db.put_many(records, timeout=TIMEOUT_SECONDS))


def get_many(db: Client, records: Sequence[Record]) -> dict[str, float]:
    """Read as many keys in one call; four of five are there."""
    keys = [key for key, _ in records]
    keys[::5] = keys_of(len(records), len(keys[::5]))
    answers: list[bytes | None] = []
    figures = _rate(len(keys), lambda: answers.extend(db.get_many(keys, timeout=TIMEOUT_SECONDS)))
    expected = [None if at % 5 == 0 else value for at, (_, value) in enumerate(records)]
    return _checked(figures, answers == expected)


def scan(db: Client, records: Sequence[Record]) -> dict[str, float]:
    """Read everything in key order."""
    found: list[Record] = []
    figures = _rate(len(records), lambda: found.extend(db.scan(timeout=TIMEOUT_SECONDS)))
    return _checked(figures, set(records) <= set(found))


def get(db: Client, records: Sequence[Record]) -> dict[str, float]:
    """Read one key after the other."""
    return _latency(db.get(key) for key, _ in islice(records, SINGLE_OPERATIONS))


def put(db: Client, records: Sequence[Record]) -> dict[str, float]:
    """Write one key after the other."""
    return _latency(db.put(key, value) for key, value in islice(records, SINGLE_OPERATIONS))


WORKLOADS: dict[str, Callable[[Client, Sequence[Record]], dict[str, float]]] = {
    "put_many": put_many,
    "get_many": get_many,
    "scan": scan,
    "get": get,
    "put": put,
}

ECHO = """
import sys, zmq
socket = zmq.Context().socket(zmq.ROUTER)
socket.bind(sys.argv[1])
while True:
    frames = socket.recv_multipart()
    if len(frames) == 2:
        break
    socket.send_multipart(frames)
"""


def echo_limit() -> dict[str, float]:
    """A message of the size of a single request, to another process and back, with nothing but pyzmq."""
    with tempfile.TemporaryDirectory(prefix="shardstore-") as directory, zmq.Context() as context:
        endpoint = f"ipc://{directory}/echo"
        child = subprocess.Popen([sys.executable, "-c", ECHO, endpoint])
        try:
            with context.socket(zmq.DEALER) as socket:
                socket.setsockopt(zmq.LINGER, 1_000)
                socket.connect(endpoint)
                figures = _latency(_echoes(socket))
                socket.send(b"")
            child.wait(10)
        finally:
            child.kill()
            child.wait()
    return figures


def _echoes(socket: zmq.Socket[bytes]) -> Iterator[None]:
    for _ in range(SINGLE_OPERATIONS):
        socket.send_multipart([b"h" * 40, b"k" * 17])
        socket.recv_multipart()
        yield


def sync_limit(directory: str | None) -> dict[str, float]:
    """A record of the size of a single write, appended to a file and synced, with nothing but the operating system."""
    with tempfile.TemporaryFile(dir=directory, buffering=0) as file:
        return _latency(_syncs(file.fileno()))


def _syncs(descriptor: int) -> Iterator[None]:
    for _ in range(SINGLE_OPERATIONS // 10 + WARM_UP_OPERATIONS):
        os.write(descriptor, bytes(100))
        os.fdatasync(descriptor)
        yield


def dict_limits(records: Sequence[Record]) -> dict[str, dict[str, float]]:
    """The same records into a bare dict and out of it, in one process, without a disk."""
    table: dict[bytes, bytes] = {}
    keys = [key for key, _ in records]
    return {
        "dict update": _rate(len(records), lambda: table.update(records)),
        "dict get": _rate(len(records), lambda: list(map(table.get, keys))),
    }


def _rate(count: int, work: Callable[[], object]) -> dict[str, float]:
    started = time.perf_counter()
    work()
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "per_second": count / seconds}


def _latency(operations: Iterator[object]) -> dict[str, float]:
    """Time each step of the iterator, after some that warm everything up."""
    deque(islice(operations, WARM_UP_OPERATIONS), maxlen=0)
    times = []
    started = time.perf_counter_ns()
    for _ in operations:
        ended = time.perf_counter_ns()
        times.append(ended - started)
        started = ended
    return {
        "p50_us": statistics.median(times) / 1_000,
        "p99_us": statistics.quantiles(times, n=100)[98] / 1_000,
        "per_second": len(times) / (sum(times) / 1e9),
    }


def _checked(figures: dict[str, float], right: bool) -> dict[str, float]:
    if not right:
        raise SystemExit("the answers are not what was written: the figures mean nothing")
    return figures


def machine() -> dict[str, object]:
    """What the figures depend on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine()
    )
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.platform(),
        "pyzmq": zmq.pyzmq_version(),
    }


def hex_boundaries(ranges: int) -> list[bytes]:
    """Keys that split hexadecimal keys evenly; by itself a new store spreads its ranges over all bytes."""
    return [b"%04x" % (0x10000 * at // ranges) for at in range(1, ranges)]


@contextmanager
def client_of(url: str | None, data: str | None, durability: str, workers: int | None) -> Iterator[Client]:
    """A client of the given cluster, or of a new one that ends with the run."""
    with ExitStack() as stack:
        if url is None:
            data = data or stack.enter_context(tempfile.TemporaryDirectory(prefix="shardstore-bench-"))
            workers = workers or 2
            cluster = LocalCluster(data, workers=workers, durability=durability, ranges=hex_boundaries(4 * workers))
            url = stack.enter_context(cluster).url
        yield stack.enter_context(connect(url))


@click.command()
@click.argument("names", nargs=-1, metavar=f"[{'|'.join(WORKLOADS)}]...")
@click.option("--n", default=500_000, show_default=True, type=click.IntRange(10), help="Records.")
@click.option("--durability", default="group_sync", show_default=True, type=click.Choice([d.value for d in Durability]))
@click.option("--workers", type=int, help="Worker processes of the new cluster. [default: 2]")
@click.option("--data", type=click.Path(), help="Directory of the new cluster. [default: a temporary one]")
@click.option("--url", help="Measure this cluster instead of a new one.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(
    names: tuple[str, ...],
    n: int,
    durability: str,
    workers: int | None,
    data: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Measure the named workloads, or all."""
    unknown = set(names) - set(WORKLOADS)
    if unknown:
        raise click.UsageError(f"no workload {', '.join(sorted(unknown))}; there are {', '.join(WORKLOADS)}")
    progress = Console(stderr=True)
    figures: dict[str, dict[str, float]] = {}
    with failures_in_one_line(), progress.status("making records") as status:
        records = records_of(n)
        with client_of(url, data, durability, workers) as db:
            if "put_many" not in names and names:
                status.update("loading")
                put_many(db, records)
            for name in names or WORKLOADS:
                status.update(f"measuring {name}")
                figures[name] = WORKLOADS[name](db, records)
            workers = len(db.stats()) - 1
        status.update("measuring the limits")
        limits = {"pyzmq echo": echo_limit(), "fdatasync": sync_limit(data)} | dict_limits(records)
    settings = {"records": n, "value_bytes": VALUE_BYTES, "durability": durability, "workers": workers, "url": url}
    report = {"machine": machine(), "settings": settings, "workloads": figures, "limits": limits}
    click.echo(json.dumps(report, indent=2) if as_json else "\n".join(_lines(report)))


def _lines(report: dict[str, dict[str, object]]) -> Iterator[str]:
    for part in ("machine", "settings"):
        yield ", ".join(f"{name} {value}" for name, value in report[part].items() if value is not None)
    for part in ("workloads", "limits"):
        yield part
        for name, measured in report[part].items():
            latency = (
                f"   p50 {measured['p50_us']:.0f} us, p99 {measured['p99_us']:.0f} us" if "p50_us" in measured else ""
            )
            yield f"  {name:12} {measured['per_second']:>12,.0f} /s{latency}"
