"""Which process of a store limits it: CPU seconds of workers and maintenance, while clients write all they can.

Where each process has a core, a store does as much as the busiest of them can. A worker cannot put anything off, so
the one that is busiest counts in each window by itself. Maintenance can, as far as buffers reach: of it the sums over
the whole time count.
"""

from __future__ import annotations

from benchmarks.processes import cpu_seconds_of, kind_of
from benchmarks.timing import Figures
from shardstore import LocalCluster

CPU_TICK_SECONDS = 0.01


class Bottleneck:
    """Measured from here on, a window at a time."""

    def __init__(self, cluster: LocalCluster) -> None:
        self._processes = {
            kind: {pid: cpu_seconds_of(pid) for name, pid in cluster.processes().items() if kind_of(name) == kind}
            for kind in ("worker", "maintenance")
        }
        self._busiest_worker = 0.0
        self._workers = 0.0
        self._maintenance = dict.fromkeys(self._processes["maintenance"], 0.0)

    def end_window(self) -> None:
        """Add what was used since the last window ended."""
        used = {kind: _used_since(before) for kind, before in self._processes.items()}
        self._busiest_worker += max(used["worker"].values())
        self._workers += sum(used["worker"].values())
        for pid, seconds in used["maintenance"].items():
            self._maintenance[pid] += seconds

    def figures(self, keys: int) -> Figures:
        """What the windows so far say, in which the clients wrote so many keys."""
        busiest_worker = max(self._busiest_worker, CPU_TICK_SECONDS)
        busiest = max(busiest_worker, *self._maintenance.values())
        return {
            "per_busy_second": keys / busiest,
            "per_busy_worker_second": keys / busiest_worker,
            "worker_cpu_s_per_million": self._workers / max(1, keys) * 1e6,
            "maintenance_cpu_s_per_million": sum(self._maintenance.values()) / max(1, keys) * 1e6,
            "workers_at_work": self._workers / busiest_worker,
        }


def _used_since(before: dict[int, float]) -> dict[int, float]:
    """CPU seconds of each process since then, which becomes now."""
    used = {pid: cpu_seconds_of(pid) - seconds for pid, seconds in before.items()}
    for pid, seconds in used.items():
        before[pid] += seconds
    return used
