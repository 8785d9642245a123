"""A status line for a running cluster: updated every second on a terminal, elsewhere printed every 10 seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Event, Thread
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from shardstore import Client, ShardstoreError, Unavailable, connect

SECONDS_ON_TERMINAL = 1.0
SECONDS_ELSEWHERE = 10.0
ANSWER_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Sums over the workers that replied."""

    operations: Mapping[int, int]
    """Keys read and written since the start of each worker, by its number."""
    buffered_bytes: int
    wal_bytes: int
    ranges: int
    workers: int
    workers_up: int

    @classmethod
    def of(cls, stats: Mapping[Any, Any]) -> Snapshot:
        """The sums of a result of `Client.stats`. Raises Unavailable if the router did not reply."""
        if "unavailable" in stats["router"]:
            raise Unavailable(stats["router"]["unavailable"])
        workers = {name: figures for name, figures in stats.items() if name != "router"}
        up = {worker: figures for worker, figures in workers.items() if "unavailable" not in figures}
        return cls(
            {worker: sum(figures["keys"].values()) for worker, figures in up.items()},
            sum(figures["buffered_bytes"] for figures in up.values()),
            sum(figures["wal"]["retained_bytes"] for figures in up.values()),
            stats["router"]["ranges"],
            len(stats["router"]["workers"]),
            sum(each["state"] == "up" for each in stats["router"]["workers"].values()),
        )

    def line(self, earlier: Snapshot | None, seconds: float) -> str:
        """The status line, with the operations per second since an earlier snapshot."""
        # The counters of a restarted worker began at 0, so they are what it did since the earlier snapshot.
        before = earlier.operations if earlier else self.operations
        done = sum(
            count - before[worker] if before.get(worker, count + 1) <= count else count
            for worker, count in self.operations.items()
        )
        ranges = "1 range" if self.ranges == 1 else f"{self.ranges} ranges"
        return (
            f"{done / seconds:>11,.0f} ops/s   buffered {in_units(self.buffered_bytes)}"
            f"   WAL {in_units(self.wal_bytes)}   {ranges}   {self.workers_up} of {self.workers} workers up"
        )


def in_units(size: float) -> str:
    """A number of bytes with a readable unit."""
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


class StatusLine:
    """Polls the cluster in a thread and shows the line, from `start` to `stop`."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._stopped = Event()
        self._thread: Thread | None = None

    def start(self, url: str) -> None:
        """Start to show the line."""
        self._thread = Thread(target=self._show, args=(url,), name="status line", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop showing the line."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(2 * ANSWER_SECONDS)

    def _show(self, url: str) -> None:
        if not self._console.is_terminal:
            self._renew(url, SECONDS_ELSEWHERE, lambda line: self._console.print(line, soft_wrap=True))
            return
        with Live(console=self._console, auto_refresh=False, transient=True) as live:
            self._renew(url, SECONDS_ON_TERMINAL, lambda line: live.update(Text(line), refresh=True))

    def _renew(self, url: str, interval_seconds: float, show: Callable[[str], None]) -> None:
        earlier, earlier_seconds = None, time.monotonic()
        db: Client | None = None
        while not self._stopped.wait(interval_seconds):
            try:
                db = db or connect(url, timeout=ANSWER_SECONDS)
                snapshot = Snapshot.of(db.stats(timeout=ANSWER_SECONDS))
            except ShardstoreError as error:
                show(f"no statistics: {error}")
                continue
            now_seconds = time.monotonic()
            show(snapshot.line(earlier, now_seconds - earlier_seconds))
            earlier, earlier_seconds = snapshot, now_seconds
        if db is not None:
            db.close()
