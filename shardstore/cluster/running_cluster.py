"""ENDPOINT: where the cluster of a data directory listens, while it runs. JSON, mode 0600.

{"url": "ipc:///tmp/shardstore-x/clients", "pid": 4711, "runtime_directory": "/tmp/shardstore-x"}
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import psutil

from shardstore.documents import publish
from shardstore.errors import Unavailable
from shardstore.file_names import ENDPOINT
from shardstore.filesystem import Filesystem


@dataclass(frozen=True, slots=True)
class RunningCluster:
    """The url that clients connect to, the supervisor's process id, and the directory of the sockets."""

    url: str
    pid: int
    runtime_directory: str


def announce(filesystem: Filesystem, cluster: RunningCluster) -> None:
    """Write ENDPOINT."""
    publish(filesystem, ENDPOINT, json.dumps(dataclasses.asdict(cluster)).encode())


def last_announced(data: str | Path) -> RunningCluster | None:
    """What ENDPOINT says, whether or not that cluster still runs; None when there is no such file or it is no use."""
    try:
        return RunningCluster(**json.loads(Path(data, ENDPOINT).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def url_of(data: str | Path) -> str:
    """The url of the cluster that runs on this data directory. Raises Unavailable when none does."""
    cluster = last_announced(data)
    if cluster is None or not psutil.pid_exists(cluster.pid):
        raise Unavailable(f"no cluster is running on {data}: start one with `shardstore serve --data {data}`")
    return cluster.url
