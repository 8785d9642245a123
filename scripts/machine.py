"""Facts that measurements depend on: the machine, its disk, and versions."""

from __future__ import annotations

import datetime
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path

import zmq

SYNCS = 200
SYNCED_BYTES = 100


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


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.machine())
