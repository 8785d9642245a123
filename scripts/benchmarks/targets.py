"""The targets of the store, and the comparison of a row with its limits and peers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

from benchmarks.timing import Figures

DEFAULT_OPTIONS = ""
ASYNC = "durability=async"
FITTED = "ranges fitted to the keys"
BUFFERING = f"{FITTED}, memory for all records"
"""These name what differs from the defaults of a store (Row.options)."""
ONE_CALL = "one call"
CALLS_OF_1000 = "calls of 1000"
ONE_CLIENT = "1 process"
DIRECT_PATH = "direct path"
ROUTER_PATH = "router path"
BEST_PEER = "best peer"
ECHO = "pyzmq echo"
SYNCED_ECHO = "pyzmq echo + fdatasync"
ONE_WAY = "pyzmq one way"
SYNCED_WRITE = "write + fdatasync"
DICT_UPDATE = "dict update"
DICT_GET = "dict get"
ONE_THREAD = "one thread"
ONE_PROCESS = "one process"
A_MILLION = "a million a second"
ENTRY_AND_100 = "key + value + 100"
PRESENT = "keys that are there"
FORWARD = "forward"
SIX_MICROSECONDS = "6 us"
IDLE = "nothing else to do"
WHOLE_MAINS = "whole mains rewritten"
FIVE_MILLISECONDS = "5 ms"
TWENTY_MILLISECONDS = "20 ms"
ONE_SECOND = "a second"
ONE_WORKER = "one worker"
ONE_WORKER_CPU = "one worker's CPU"
SPLIT_BEFOREHAND = "split beforehand"
BUSY_ELSEWHERE = "busy elsewhere"
RAW_BATCHES = "raw bytes"
BY_SCANS = "a scan of the keys"
DELETE_MANY = "delete_many"
FRESH = "a fresh store"

COMPARED = ("bytes_per_entry", "bytes_per_byte", "p50_us", "p99_us", "max_us", "per_busy_second", "per_second")
"""Two sides are compared by the first of these figures that both have."""
VARIABLE_SHARE = 0.8
"""The share of a target against a peer that is required for the shapes of variable length."""


@dataclass(frozen=True, slots=True)
class Target:
    """The ratio that a workload is to reach, at least or `at_most`, compared with `against`."""

    workload: str
    against: str
    ratio: float
    at_most: bool = False


TARGETS = (
    Target("put_many", BEST_PEER, 2.0),
    Target("put_many_synced", BEST_PEER, 2.0),
    Target("get_many", BEST_PEER, 2.0),
    Target("get_many_tables", BEST_PEER, 1.5),
    Target("scan", "leveldb", 1.0),
    Target("get", ECHO, 1.25, at_most=True),
    Target("put", ECHO, 1.25, at_most=True),
    Target("get_beside_scan", IDLE, 5.0, at_most=True),
    Target("get_tasks", ONE_THREAD, 5.0),
    Target("get_threads", ONE_THREAD, 2.0),
    Target("ycsb_a", "redis", 1.0),
    Target("ycsb_c", "redis", 1.0),
    Target("replay", A_MILLION, 1.0),
    Target("memory", ENTRY_AND_100, 2.5, at_most=True),
    Target("get_cold", "lmdb", 1.5),
    Target("get_absent", PRESENT, 3.0),
    Target("get_inside", SIX_MICROSECONDS, 1.0, at_most=True),
    Target("scan_reverse", FORWARD, 0.9),
    Target("disk", "rocksdb", 1.0, at_most=True),
    Target("jobs", A_MILLION, 1.0),
    Target("queue", FRESH, 2.0, at_most=True),
    Target("put_busy", IDLE, 3.0, at_most=True),
    Target("write_amplification", WHOLE_MAINS, 0.5, at_most=True),
    Target("split_stall", IDLE, 2.0, at_most=True),
    Target("change_wait", FIVE_MILLISECONDS, 1.0, at_most=True),
    Target("change_wait", TWENTY_MILLISECONDS, 1.0, at_most=True),
    Target("move_1gib", ONE_SECOND, 1.0, at_most=True),
    Target("two_workers", ONE_WORKER_CPU, 1.6),
    Target("self_split", SPLIT_BEFOREHAND, 0.9),
    Target("cold_p99", IDLE, 1.5, at_most=True),
)
COPY_TARGET = Target("", ONE_WAY, 0.5)
"""The target of all batches with values of 4 KiB."""


@dataclass(frozen=True, slots=True)
class Row:
    """One measured line: a workload, the way it was done, its figures, and limits and peers measured in the same run.

    `shape` names the form of the records. `options` names what differs from the defaults of a store, if anything.
    """

    workload: str
    shape: str
    way: str
    figures: Figures
    limits: Mapping[str, Figures]
    peers: Mapping[str, Figures]
    options: str = DEFAULT_OPTIONS


def beside_the_same_peers(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """The rows of each workload and shape; apart, if their peers were measured for each row anew."""
    for _, group in groupby(rows, lambda row: (row.workload, row.shape, row.peers)):
        yield list(group)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A figure of a row compared with the same figure of a limit or a peer."""

    against: str
    figure: str
    theirs: float
    ratio: float
    target: float | None = None
    at_most: bool = False

    @property
    def reached(self) -> bool | None:
        """Whether the target is reached; None without a target."""
        if self.target is None:
            return None
        return self.ratio <= self.target if self.at_most else self.ratio >= self.target


def comparisons(row: Row) -> Iterator[Comparison]:
    """The comparisons of a row with its limits, then with the peers, best first."""
    ranked = sorted(row.peers.items(), key=lambda peer: _badness(row.figures, peer[1]))
    for place, (name, theirs) in enumerate([*row.limits.items(), *ranked]):
        is_best_peer = place == len(row.limits)
        figure = compared_figure(row.figures, theirs)
        target = target_of(row, name, is_best_peer)
        ratio = row.figures[figure] / theirs[figure]
        against = f"{name} ({BEST_PEER})" if is_best_peer else name
        if target is None:
            yield Comparison(against, figure, theirs[figure], ratio)
        else:
            yield Comparison(against, figure, theirs[figure], ratio, target.ratio, target.at_most)


def compared_figure(ours: Figures, theirs: Figures) -> str:
    """The name of the figure by which the two are compared."""
    return next(name for name in COMPARED if name in ours and name in theirs)


def target_of(row: Row, against: str, is_best_peer: bool) -> Target | None:
    """The target of a row against a limit or peer, or None. Calls of 1000 keys and single clients have no targets."""
    if row.way in (CALLS_OF_1000, ONE_CLIENT):
        return None
    if row.shape == "variable-4k" and against == ONE_WAY:
        return COPY_TARGET
    names = [against.partition("-")[0], *([BEST_PEER] if is_best_peer else [])]  # "leveldb-tuned" is a LevelDB
    for target in TARGETS:
        if target.workload == row.workload and target.against in names:
            share = VARIABLE_SHARE if against in row.peers and row.shape.startswith("variable") else 1.0
            return Target(target.workload, against, target.ratio * share, target.at_most)
    return None


def _badness(ours: Figures, theirs: Figures) -> float:
    figure = compared_figure(ours, theirs)
    return -theirs[figure] if figure == "per_second" else theirs[figure]
