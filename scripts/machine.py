"""Facts that measurements depend on: the machine, its disk, and versions."""

from __future__ import annotations

import datetime
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import zmq

SYNCS = 200
SYNCED_BYTES = 100
MB = 1_000_000
WRITTEN_MB = 64
COPIED_MB = 64
COPIES = 10


def machine() -> dict[str, str | int]:
    """Facts about the machine, by name. `sync_p50_us` measures the disk, since its speed may change during a run."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "pyzmq": zmq.pyzmq_version(),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def sync_p50_us(directory: str | None) -> int:
    """The median time of an append and its sync, on the disk of the directory."""
    times_ns = []
    with tempfile.TemporaryFile(dir=directory, buffering=0) as file:
        for _ in range(SYNCS):
            started = time.perf_counter_ns()
            file.write(bytes(SYNCED_BYTES))
            os.fdatasync(file.fileno())
            times_ns.append(time.perf_counter_ns() - started)
    return round(statistics.median(times_ns) / 1_000)


def written_mb_per_s(directory: str | None) -> int:
    """The rate at which a file is written and synced once at its end, on the disk of the directory."""
    block = os.urandom(MB)
    with tempfile.TemporaryFile(dir=directory, buffering=0) as file:
        started = time.perf_counter()
        for _ in range(WRITTEN_MB):
            file.write(block)
        os.fdatasync(file.fileno())
        return round(WRITTEN_MB / (time.perf_counter() - started))


def copied_mb_per_s() -> int:
    """The rate at which one core copies memory that is in no cache; each byte is read once and written once."""
    source = np.ones(COPIED_MB * MB, np.uint8)
    target = np.empty_like(source)
    target[:] = source  # the pages are there from now on
    started = time.perf_counter()
    for _ in range(COPIES):
        target[:] = source
    return round(COPIES * COPIED_MB / (time.perf_counter() - started))


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.machine())
