"""CPU time and memory of the processes of a cluster, summed by kind of process."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

import psutil

from benchmarks.timing import Figures
from shardstore import LocalCluster

KINDS = ("client", "router", "worker", "maintenance")
"""The kinds of processes of a cluster and of its clients."""
SERVER = "server"
"""The kind of a process that serves a peer."""


def kind_of(name: str) -> str:
    """The kind of a process named by `LocalCluster.processes`: "worker-0 maintenance" is maintenance."""
    return name.rpartition(" ")[2].partition("-")[0]


def cpu_seconds(cluster: LocalCluster) -> dict[str, float]:
    """CPU seconds since the start of each kind of process; the client is this process."""
    sums = dict.fromkeys(KINDS, 0.0)
    for name, pid in [("client", os.getpid()), *cluster.processes().items()]:
        sums[kind_of(name)] += cpu_seconds_of(pid)
    return sums


def cpu_seconds_of(pid: int) -> float:
    """CPU seconds of a process since its start."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def cpu_seconds_of_server(pid: int) -> float:
    """CPU seconds of a peer's server since its start, with those of its ended children."""
    return sum(psutil.Process(pid).cpu_times()[:4])


def cpu_per_million(before: Mapping[str, float], after: Mapping[str, float], keys: int) -> Figures:
    """CPU seconds that each kind of process spent per million keys."""
    return {cpu_figure(kind): (after[kind] - before[kind]) / keys * 1e6 for kind in before}


def cpu_figure(kind: str) -> str:
    """The name of the figure: CPU seconds per million keys of a kind of process."""
    return f"{kind}_cpu_s_per_million"


def resident_bytes(pids: Iterable[int]) -> int:
    """The sum of the resident memory of the processes."""
    return sum(psutil.Process(pid).memory_info().rss for pid in pids)


def keep_on(pid: int, core: int) -> None:
    """Make all threads of a process, and those they start, run only on this processor."""
    for thread in psutil.Process(pid).threads():
        os.sched_setaffinity(thread.id, {core})


def workers_of(cluster: LocalCluster) -> list[int]:
    """The process ids of the workers."""
    return [pid for name, pid in cluster.processes().items() if kind_of(name) == "worker"]
