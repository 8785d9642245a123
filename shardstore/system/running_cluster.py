"""ENDPOINT: where the cluster of a data directory listens, while it runs. JSON, mode 0600.

    {"url": "ipc:///tmp/shardstore-5e0c7a91d24b8f36/clients",
     "store": "9f86d081884c7d65",                              identity of the store, as in STORE
     "runtime_directory": "/tmp/shardstore-5e0c7a91d24b8f36",
     "directory": [2049, 1317],                                device and inode of the data directory
     "process": {"pid": 4711, "started": 51234, "boot": "0f3b...", "namespace": 4026531836}}

It counts only in the directory for which it was written, so that a copy of the directory announces nothing, and only
while that very process runs, whoever has its process id by now.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
from dataclasses import dataclass
from typing import Any

from shardstore.errors import Unavailable
from shardstore.files.documents import publish
from shardstore.files.file_names import ENDPOINT
from shardstore.identifiers import DirectoryIdentity
from shardstore.limits import KIB
from shardstore.seams.filesystem import Filesystem
from shardstore.system.process_identity import ProcessIdentity, own_identity

URL_VARIABLE = "SHARDSTORE_URL"
DATA_VARIABLE = "SHARDSTORE_DATA"
_BYTES_MAX = 4 * KIB


@dataclass(frozen=True, slots=True)
class RunningCluster:
    """The url that clients connect to, the store's identity, the directory of the sockets, and whose all that is."""

    url: str
    store: str
    runtime_directory: str
    directory: DirectoryIdentity
    process: ProcessIdentity


def identity_of(data: str | os.PathLike[str]) -> DirectoryIdentity:
    """Device and inode of a data directory: no other has them, and no copy. Raises OSError."""
    found = os.stat(data)
    return DirectoryIdentity(found.st_dev, found.st_ino)


def owner_of(data: str | os.PathLike[str]) -> int | None:
    """The user whose directory it is; None when there is none."""
    try:
        return os.stat(data).st_uid
    except OSError:
        return None


def announce(
    filesystem: Filesystem, url: str, store: str, runtime_directory: str, directory: DirectoryIdentity
) -> None:
    """Write ENDPOINT, for a cluster whose supervisor is this process."""
    cluster = RunningCluster(url, store, runtime_directory, directory, own_identity())
    publish(filesystem, ENDPOINT, json.dumps(dataclasses.asdict(cluster)).encode())


def last_announced(data: str | os.PathLike[str]) -> RunningCluster | None:
    """What ENDPOINT says, whether or not that cluster still runs.

    None when there is no such file, when it is no use, and when it was written for another directory.
    """
    try:
        with open(os.path.join(data, ENDPOINT), "rb") as file:
            found = _from_json(json.loads(file.read(_BYTES_MAX)))
        return found if found.directory == identity_of(data) else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def running_on(data: str | os.PathLike[str]) -> RunningCluster:
    """The cluster that runs on this data directory. Raises Unavailable when none does."""
    cluster = last_announced(data)
    if cluster is None or cluster.process.has_ended:
        where = os.fspath(data)
        missing = "" if os.path.isdir(data) else ", and there is no such directory"
        if os.path.isfile(data):
            missing = ", which is a file and no directory"
        raise Unavailable(
            f"no cluster is running on {where}{missing}: start one with `shardstore serve --data {shlex.quote(where)}`"
        )
    return cluster


def named_by_environment() -> str | None:
    """The url in SHARDSTORE_URL, or else the data directory in SHARDSTORE_DATA; None when neither is set."""
    return os.environ.get(URL_VARIABLE) or os.environ.get(DATA_VARIABLE) or None


def _from_json(words: dict[str, Any]) -> RunningCluster:
    """Raises KeyError, TypeError or ValueError when it is not what the drawing shows."""
    device, inode = words["directory"]
    process = ProcessIdentity(**words["process"])
    texts = (words["url"], words["store"], words["runtime_directory"], process.boot)
    numbers = (device, inode, process.pid, process.started, process.namespace)
    if not all(type(text) is str for text in texts) or not all(type(number) is int for number in numbers):
        raise TypeError("a field of another type")
    return RunningCluster(*texts[:3], DirectoryIdentity(device, inode), process)
