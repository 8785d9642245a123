"""What a cluster is started with."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from shardstore.access.key_store import has_keys
from shardstore.cluster.endpoints import check_listen
from shardstore.cluster.socket_place import SocketPlace, socket_place
from shardstore.errors import InvalidRequest
from shardstore.limits import GIB, MIB
from shardstore.memory_plan import DEFAULT_MEMORY, WORKER_MEMORY_MIN
from shardstore.options import Durability, check_workers, parse_size
from shardstore.segment_options import SegmentOptions
from shardstore.topology_options import TopologyOptions
from shardstore.wire.route_map import InvalidRouteMap, even_boundaries, presplit

DEFAULT_WORKERS_MAX = 8
_MEMORY_EVERYWHERE = GIB
"""The default may be asked for on every host."""


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """Checked settings. None means: as stored, or the default for a new store."""

    data: str
    workers: int | None
    memory: int
    durability: Durability
    boundaries: tuple[bytes, ...] | None
    listen: str | None
    segments: SegmentOptions
    topology: TopologyOptions
    place: SocketPlace | None = None
    has_keys: bool = False


def cluster_settings(
    data: str | os.PathLike[str],
    workers: int | None = None,
    memory: str | int = DEFAULT_MEMORY,
    durability: str | Durability = Durability.GROUP_SYNC,
    ranges: int | Sequence[bytes] | None = None,
    listen: str | None = None,
    segments: SegmentOptions | None = None,
    topology: TopologyOptions | None = None,
    socket: str | os.PathLike[str] | None = None,
    socket_mode: int | str | None = None,
    socket_group: str | None = None,
) -> ClusterSettings:
    """The settings in a caller's words, checked. Raises InvalidRequest."""
    if not isinstance(data, str | os.PathLike) or not isinstance(os.fspath(data), str) or "\0" in os.fspath(data):
        raise InvalidRequest(f"data is the path of a directory, not {data!r:.60}")
    if not os.fspath(data):
        raise InvalidRequest("the data directory has an empty name: name one, or a place where one can be made")
    if not isinstance(segments, SegmentOptions | None):
        raise InvalidRequest(f"segments is a SegmentOptions, not {segments!r:.60}")
    if not isinstance(topology, TopologyOptions | None):
        raise InvalidRequest(f"topology is a TopologyOptions, not {topology!r:.60}")
    if Path(data).exists() and not Path(data).is_dir():
        raise InvalidRequest(f"{data} is no directory: name one, or a place where one can be made")
    size = _memory(memory)
    memory_share(size, 1 if workers is None else check_workers(workers))
    if not isinstance(durability, str) or durability not in set(Durability):
        raise InvalidRequest(f"durability is one of {', '.join(d.value for d in Durability)}, not {durability!r:.60}")
    return ClusterSettings(
        str(Path(data).absolute()),
        workers,
        size,
        Durability(durability),
        None if ranges is None else _boundaries(ranges),
        None if listen is None else check_listen(listen, os.fspath(data)),
        segments or SegmentOptions(),
        topology or TopologyOptions(),
        socket_place(socket, socket_mode, socket_group, listen),
        has_keys(os.fspath(data)),
    )


def _memory(memory: str | int) -> int:
    try:
        size = parse_size(memory)
    except InvalidRequest as error:
        raise InvalidRequest(f"memory: {error}") from None
    most = max(psutil.virtual_memory().total, _MEMORY_EVERYWHERE)
    if size > most:
        raise InvalidRequest(
            f"memory={size // MIB:,} MiB is more than the {most // MIB:,} MiB of this host: give it less"
        )
    return size


def memory_share(memory: int, workers: int) -> int:
    """Each worker's share, in bytes. Raises InvalidRequest when it would be too small."""
    if memory < workers * WORKER_MEMORY_MIN:
        least = f"{WORKER_MEMORY_MIN // MIB} MiB for each worker"
        here = f"at least {workers * WORKER_MEMORY_MIN // MIB}MiB for the {workers} here, or fewer workers"
        if workers == 1:
            here = "give it that"
        asked = f"{memory // MIB}MiB" if memory >= MIB else f"{memory:,} bytes"
        raise InvalidRequest(f"memory={asked} is too little: a store needs {least}; {here}")
    return memory // workers


def default_workers() -> int:
    """Two, or as many as leave two cores for the router and the clients."""
    return min(DEFAULT_WORKERS_MAX, max(2, len(usable_cores()) - 2))


def usable_cores() -> list[int]:
    """Numbers of the cores this process may run on, as far as the system tells."""
    process = psutil.Process()
    if hasattr(process, "cpu_affinity"):
        return list(process.cpu_affinity())
    return list(range(os.cpu_count() or 1))


def _boundaries(ranges: int | Sequence[bytes]) -> tuple[bytes, ...]:
    what = "ranges"
    try:
        if type(ranges) is int:
            return tuple(even_boundaries(ranges))
        what = "ranges: the keys at which ranges begin ascend, and none is empty"
        boundaries = _keys(ranges)
        presplit(boundaries, 1)
    except InvalidRouteMap as error:
        raise InvalidRequest(f"{what}: {error}") from None
    return boundaries


def _keys(ranges: Any) -> tuple[bytes, ...]:
    is_list = isinstance(ranges, Iterable) and not isinstance(ranges, str | bytes)
    keys = tuple(ranges) if is_list else (ranges,)
    wrong = [ranges] if not is_list else [key for key in keys if type(key) is not bytes]
    if wrong:
        raise InvalidRequest(
            f"ranges is a number, or a list of keys in bytes at which ranges begin, not {wrong[0]!r:.60}"
        )
    return keys
