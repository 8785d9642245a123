"""Derives from the result of `stats` whether a store serves: a word for programs, and a line for an operator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from enum import IntEnum
from typing import Any, NamedTuple

from shardstore.limits import SECOND_NS

PROCESSES_MANY = 3
"""A worker of which so many processes have registered, and that is not up, keeps dying."""


class Level(IntEnum):
    """How well a store serves. Also the exit code of `shardstore status`."""

    SERVES = 0
    """All of the store serves."""
    DEGRADED = 1
    """A part of the store refuses reads or writes."""
    DOWN = 2
    """No part of the store can be reached."""


class StoreHealth(NamedTuple):
    """The level of a store, and the reason in words."""

    level: Level
    why: str

    @property
    def line(self) -> str:
        """Level and reason in one line."""
        return f"{self.level.name.lower()}: {' '.join(self.why.split())}"


def health_of(stats: Mapping[Any, Any]) -> StoreHealth:
    """Return the health of a store from the result of `Client.stats`."""
    workers = {name: statistics for name, statistics in stats.items() if name != "router"}
    router = stats["router"]
    known = router.get("workers", {})
    troubles = [
        _of_worker(worker, what) + _tries(known.get(worker, {}))
        for worker, statistics in workers.items()
        for what in _troubles_of(statistics)
    ]
    without_ranges = {worker: each["state"] for worker, each in known.items() if worker not in workers}
    troubles += [
        f"worker {worker} is {state}{_tries(known[worker])}"
        for worker, state in without_ranges.items()
        if state != "up"
    ]
    if "unavailable" in router:
        troubles.append(f"router: {router['unavailable']}")
    if all("unavailable" in statistics for statistics in workers.values()):
        return StoreHealth(Level.DOWN, "; ".join(troubles) or "it has no worker")
    if troubles:
        return StoreHealth(Level.DEGRADED, "; ".join(troubles))
    counted = f"{_count(len(known), 'worker')}, {_count(router['ranges'], 'range')}"
    return StoreHealth(Level.SERVES, counted + _old_files(workers.values()))


def _old_files(workers: Iterable[Mapping[str, Any]]) -> str:
    """A note of files that an earlier release wrote; empty if there are none."""
    old = sum((Counter(statistics["old_files"]) for statistics in workers), Counter())
    counted = " and ".join(_count(old[kind], kind) for kind in sorted(old))
    return f"; {counted} in a former format, which compact rewrites" if old else ""


def _tries(member: Mapping[str, Any]) -> str:
    """How often a worker that is not up has come and gone, and for how long it is gone; empty if it never came back."""
    if member.get("state", "up") == "up" or member.get("processes", 1) < PROCESSES_MANY:
        return ""
    silent_s = member["heard_ago_ns"] // SECOND_NS
    return f" (it was started {member['processes']:,} times and is tried again for ever; last heard {silent_s} s ago)"


def _of_worker(worker: int, what: str) -> str:
    name = f"worker {worker}"
    return what if what.startswith(name) else f"{name}: {what}"


def _troubles_of(statistics: Mapping[str, Any]) -> Iterator[str]:
    if "unavailable" in statistics:
        yield statistics["unavailable"]
        return
    failures = [found["failure"] for found in statistics["ranges"] if found["failure"]]
    if failures:
        others = f" (and {_count(len(failures) - 1, 'range')} more)" if failures[1:] else ""
        yield f"a range is not served in full, {failures[0]}{others}"
    fails = next((found["last_failure"] for found in statistics["ranges"] if found["last_failure"]), "")
    if fails and not failures:
        yield f"its maintenance fails, {fails}"
    if statistics["stalls"]["now"]:
        causes = [event["cause"] for event in statistics["stalls"]["events"] if event["event"] == "start"]
        yield f"writers are kept waiting, {causes[-1]}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
