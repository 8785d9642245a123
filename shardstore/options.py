"""The options of processes as frozen data, passed to each process as one command-line argument."""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from shardstore.errors import InvalidRequest
from shardstore.identifiers import DirectoryIdentity
from shardstore.limits import GIB, KIB, MIB, WORKERS_MAX
from shardstore.memory_plan import MemoryPlan
from shardstore.segment_options import DEFAULTS, SegmentOptions
from shardstore.topology_options import TOPOLOGY_DEFAULTS, TopologyOptions

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(B|KiB|MiB|GiB|TiB)?", re.IGNORECASE)
_UNITS = {"b": 1, "kib": KIB, "mib": MIB, "gib": GIB, "tib": 1024 * GIB}


class Durability(StrEnum):
    """When writes are acknowledged."""

    ASYNC = "async"
    """Once the operating system has the write; synced every second. It survives the death of any process."""
    GROUP_SYNC = "group_sync"
    """Once the next shared sync has put the write on stable storage. It survives a power loss."""
    SYNC = "sync"
    """Once a sync of its own has put the write on stable storage."""


class ScanMode(StrEnum):
    """Which concurrent writes a scan shows. In every mode a scan returns every key in its bounds, or raises."""

    SNAPSHOT = "snapshot"
    """Shows each range as it was when the first page of the range was read."""
    FAIL_FAST = "fail_fast"
    """Raises ScanInvalidated if a range is written, or gets new files, before the scan has read it to its end."""
    FULL_ISOLATION = "full_isolation"
    """Writes to a range wait while the scan reads it, for at most 5 seconds."""
    LIVE = "live"
    """Shows each page as it was when the page was read. Nothing is held for the scan, and nothing invalidates it."""


@dataclass(frozen=True, slots=True)
class SocketAccess:
    """Who may use a socket outside a private directory: mode and group of its file; "" is the default group."""

    mode: int = 0o600
    group: str = ""


@dataclass(frozen=True, slots=True)
class RouterOptions:
    """The options of the router process.

    `workers` and `boundaries`: how many workers a new store has, and the hex keys at which it is split.
    `workers_asked`: how many workers the store has from now on; None leaves their number unchanged. `identity`: the
    identity of the directory `data`, which must be the same when the process starts. `remote`: where it listens over
    tcp for clients with keys; empty if it does not.
    """

    data: str
    store: str
    listen: str
    internal: str
    workers: int
    boundaries: tuple[str, ...]
    memory: MemoryPlan
    topology: TopologyOptions = TOPOLOGY_DEFAULTS
    workers_asked: int | None = None
    access: SocketAccess | None = None
    identity: DirectoryIdentity | None = None
    remote: str = ""
    status_fd: int = -1
    life_fd: int = -1


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """The options of a worker process. `board`: the path of its board; empty if clients read nothing themselves.

    `remote`: as in RouterOptions.
    """

    data: str
    store: str
    worker: int
    router: str
    listen: str
    durability: Durability
    memory: MemoryPlan
    segments: SegmentOptions = DEFAULTS
    access: SocketAccess | None = None
    identity: DirectoryIdentity | None = None
    board: str = ""
    remote: str = ""
    status_fd: int = -1
    life_fd: int = -1


@dataclass(frozen=True, slots=True)
class MaintenanceOptions:
    """The options of a maintenance process. `jobs_fd`: the socket over which it receives jobs."""

    data: str
    worker: int
    jobs_fd: int
    life_fd: int
    segments: SegmentOptions = DEFAULTS
    identity: DirectoryIdentity | None = None


@dataclass(frozen=True, slots=True)
class InspectionOptions:
    """Which file below `root` to show, and how. `entries`: the maximum number of table entries or log records."""

    root: str
    file: str
    entries: int
    in_hex: bool
    as_json: bool


ProcessOptions = TypeVar("ProcessOptions", RouterOptions, WorkerOptions, MaintenanceOptions, InspectionOptions)


def to_argument(options: RouterOptions | WorkerOptions | MaintenanceOptions | InspectionOptions) -> str:
    """The options as a single command-line argument."""
    return json.dumps(dataclasses.asdict(options))


def from_argument(kind: type[ProcessOptions], argument: str) -> ProcessOptions:
    """Inverse of to_argument. Raises InvalidRequest."""
    try:
        values = json.loads(argument)
        if "durability" in values:
            values["durability"] = Durability(values["durability"])
        if "boundaries" in values:
            values["boundaries"] = tuple(values["boundaries"])
        if "memory" in values:
            values["memory"] = MemoryPlan(**values["memory"])
        if "access" in values and values["access"] is not None:
            values["access"] = SocketAccess(**values["access"])
        if "identity" in values and values["identity"] is not None:
            values["identity"] = DirectoryIdentity(*values["identity"])
        if "segments" in values:
            values["segments"] = SegmentOptions.from_plain(values["segments"])
        if "topology" in values:
            values["topology"] = TopologyOptions.from_plain(values["topology"])
        return kind(**values)
    except (ValueError, TypeError) as error:
        raise InvalidRequest(f"no {kind.__name__}: {error}") from None


def parse_size(text: str | int) -> int:
    """The number of bytes in "64MiB", "1.5 GiB", "1048576" or an int. Raises InvalidRequest."""
    if type(text) is int:
        return text
    match = _SIZE.fullmatch(text.strip()) if isinstance(text, str) else None
    if not match:
        raise InvalidRequest(f"{text!r:.60} is no size; write it like 512MiB or 2GiB")
    return int(float(match[1]) * _UNITS[(match[2] or "B").lower()])


def check_workers(workers: int) -> int:
    """Return the number of workers if a store can have it. Raises InvalidRequest."""
    if type(workers) is not int or not 1 <= workers <= WORKERS_MAX:
        raise InvalidRequest(f"workers: a store has 1 to {WORKERS_MAX} workers, not {workers!r:.60}")
    return workers
