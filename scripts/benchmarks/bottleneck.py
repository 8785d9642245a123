"""Finds the process that limits a store, by CPU seconds of workers and maintenance while clients write at full speed.

If each process has a core, the busiest process limits the store. A worker cannot postpone its work, so the CPU
seconds of the busiest worker of each window are added up. A maintenance process can postpone work as long as buffers
have room, so its CPU seconds are summed over the whole time.
"""

from __future__ import annotations

from benchmarks.processes import cpu_seconds_of, kind_of
from benchmarks.timing import Figures
from shardstore import LocalCluster

CPU_TICK_SECONDS = 0.01


class Bottleneck:
    """Measures CPU seconds from its creation on, window by window."""

    def __init__(self, cluster: LocalCluster) -> None:
        self._processes = {
            kind: {pid: cpu_seconds_of(pid) for name, pid in cluster.processes().items() if kind_of(name) == kind}
            for kind in ("worker", "maintenance")
        }
        self._busiest_worker = 0.0
        self._workers = 0.0
        self._maintenance = dict.fromkeys(self._processes["maintenance"], 0.0)

    def end_window(self) -> None:
        """Add the CPU seconds used since the last window ended."""
        used = {kind: _used_since(before) for kind, before in self._processes.items()}
        self._busiest_worker += max(used["worker"].values())
        self._workers += sum(used["worker"].values())
        for pid, seconds in used["maintenance"].items():
            self._maintenance[pid] += seconds

    def figures(self, keys: int) -> Figures:
        """The figures of all windows so far, in which the clients wrote `keys` keys."""
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
    """CPU seconds of each process since the state in `before`, which is updated."""
    used = {pid: cpu_seconds_of(pid) - seconds for pid, seconds in before.items()}
    for pid, seconds in used.items():
        before[pid] += seconds
    return used
