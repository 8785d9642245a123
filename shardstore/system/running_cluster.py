"""ENDPOINT: the file that says where the running cluster of a data directory listens. JSON, mode 0600.

    {"url": "unix:///tmp/shardstore-5e0c7a91d24b8f36/clients",
     "store": "9f86d081884c7d65",                              identity of the store, as in STORE
     "runtime_directory": "/tmp/shardstore-5e0c7a91d24b8f36",
     "directory": [2049, 1317],                                device and inode of the data directory
     "process": {"pid": 4711, "started": 51234, "boot": "0f3b...", "namespace": 4026531836}}

It is valid only in the directory for which it was written, so a copy of the directory announces nothing, and only while
the process runs that is identified there, not another with the same process id.
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
KEY_VARIABLE = "SHARDSTORE_KEY"
_BYTES_MAX = 4 * KIB


@dataclass(frozen=True, slots=True)
class RunningCluster:
    """The content of ENDPOINT: how to reach a cluster, and the data directory and process to which it belongs."""

    url: str
    store: str
    runtime_directory: str
    directory: DirectoryIdentity
    process: ProcessIdentity


def identity_of(data: str | os.PathLike[str]) -> DirectoryIdentity:
    """Return device and inode of a data directory, which no other directory or copy has. Raises OSError."""
    found = os.stat(data)
    return DirectoryIdentity(found.st_dev, found.st_ino)


def owner_of(data: str | os.PathLike[str]) -> int | None:
    """Return the user id of the directory's owner; None if there is no such directory."""
    try:
        return os.stat(data).st_uid
    except OSError:
        return None


def announce(
    filesystem: Filesystem, url: str, store: str, runtime_directory: str, directory: DirectoryIdentity
) -> None:
    """Write ENDPOINT for a cluster whose supervisor is this process."""
    cluster = RunningCluster(url, store, runtime_directory, directory, own_identity())
    publish(filesystem, ENDPOINT, json.dumps(dataclasses.asdict(cluster)).encode())


def last_announced(data: str | os.PathLike[str]) -> RunningCluster | None:
    """Return the content of ENDPOINT, whether or not that cluster still runs.

    None if there is no such file, if it is not readable as ENDPOINT, or if it was written for another directory.
    """
    try:
        with open(os.path.join(data, ENDPOINT), "rb") as file:
            found = _from_json(json.loads(file.read(_BYTES_MAX)))
        return found if found.directory == identity_of(data) else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def running_on(data: str | os.PathLike[str]) -> RunningCluster:
    """Return the cluster that runs on this data directory. Raises Unavailable if there is none."""
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
    """Return the url in SHARDSTORE_URL, else the data directory in SHARDSTORE_DATA; None if neither is set."""
    return os.environ.get(URL_VARIABLE) or os.environ.get(DATA_VARIABLE) or None


def _from_json(words: dict[str, Any]) -> RunningCluster:
    """Convert decoded JSON. Raises KeyError, TypeError or ValueError if it is not as drawn above."""
    device, inode = words["directory"]
    process = ProcessIdentity(**words["process"])
    texts = (words["url"], words["store"], words["runtime_directory"], process.boot)
    numbers = (device, inode, process.pid, process.started, process.namespace)
    if not all(type(text) is str for text in texts) or not all(type(number) is int for number in numbers):
        raise TypeError("a field of another type")
    return RunningCluster(*texts[:3], DirectoryIdentity(device, inode), process)
