"""The table of `shardstore memory`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from shardstore.cli.memory_table import ROWS, lines
from shardstore.limits import MIB
from tests.unit.worker_driver import WorkerDriver


def statistics(tmp_path: Path, number: int) -> dict[str, Any]:
    root = tmp_path / str(number)
    root.mkdir()
    worker = WorkerDriver(root).serve()
    worker.put({b"key": bytes(MIB)})
    worker.sync()
    return worker.core._statistics(worker.now_ns)


def test_every_worker_and_the_sum_are_shown(tmp_path: Path) -> None:
    budget = {"bytes": 80 * MIB, "used": 2 * MIB, "free": 10 * MIB}
    stats = {"router": {"budget": budget}, 0: statistics(tmp_path, 0), 1: statistics(tmp_path, 1)}
    table = list(lines(stats))
    assert len(table) == 2 + 3 * len(ROWS)
    assert table[1].split() == ["store", "buffers", "(granted)", "80.0", "2.0", "10.0", "free"]
    assert table[2].split() == ["worker", "0", "buffers", "(leased)", "40.0", "1.0"]
    assert table[2 + 2 * len(ROWS)].split() == ["sum", "buffers", "(leased)", "80.0", "2.0"]


def test_who_gave_no_figures_is_named(tmp_path: Path) -> None:
    stats = {"router": {"unavailable": "down"}, 0: {"unavailable": "worker 0 is down"}}
    table = list(lines(stats))
    assert "worker 0" in table[1]
    assert "is down" in table[1]
