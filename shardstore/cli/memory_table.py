"""A table of the memory that a store uses, made from the result of `stats`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from shardstore.limits import MIB

ROWS = {
    "lease": "buffers (leased)",
    "overlays": "  overlays",
    "logged": "  logged, not yet applied",
    "segments": "segment cache",
    "windows": "dedup windows",
    "scans": "open scans",
    "unread_replies": "unread replies",
}


def lines(stats: Mapping[Any, Mapping[str, Any]]) -> Iterator[str]:
    """Return the lines of the table: allowed and used MiB for each process and use.

    A worker without statistics has a line that says why.
    """
    budget = stats["router"].get("budget")
    yield f"{'':10}{'':28}{'allowed MiB':>14}{'used MiB':>14}"
    if budget:
        yield _line("store", "buffers (granted)", budget["bytes"], budget["used"], f"  {_mib(budget['free'])} free")
    sums = {name: [0, 0] for name in ROWS}
    for who, statistics in stats.items():
        memory = statistics.get("memory")
        if who == "router" or memory is None:
            if who != "router":
                yield f"{f'worker {who}':10}{statistics.get('unavailable', 'no statistics')}"
            continue
        for name, what in ROWS.items():
            allowed, used = memory[name].get("allowed"), memory[name]["used"]
            sums[name][0] += allowed or 0
            sums[name][1] += used
            yield _line(f"worker {who}" if name == "lease" else "", what, allowed, used)
    for name, what in ROWS.items():
        yield _line("sum" if name == "lease" else "", what, sums[name][0] or None, sums[name][1])


def _line(who: str, what: str, allowed: int | None, used: int, note: str = "") -> str:
    return f"{who:10}{what:28}{'' if allowed is None else _mib(allowed):>14}{_mib(used):>14}{note}"


def _mib(size: int) -> str:
    return f"{size / MIB:,.1f}"
