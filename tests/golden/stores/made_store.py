"""Makes a store with a bit of everything that a release writes, and packs its directory into one file.

`python -m tests.golden.stores.made_store FILE.tar.xz`, once for each release. The cluster is killed, so that its logs
have records that no table holds.
"""

from __future__ import annotations

import os
import signal
import sys
import tarfile
import tempfile
from pathlib import Path

from shardstore import Client, LocalCluster
from shardstore.cluster.runtime_directory import remove_runtime_directory
from shardstore.files.file_names import ENDPOINT
from shardstore.system.running_cluster import last_announced

WORKERS = 2
BOUNDARIES = [b"k/3", b"k/6"]
NUMBERS = range(1_000)
UPDATED = range(0, 1_000, 7)
DELETED = range(5, 1_000, 11)
BUFFERED = range(3, 1_000, 13)
"""Written last: they are only in the log."""
COUNTER = b"k/counter"
COUNTED = 5
CONDITIONAL = b"k/conditional"


def key(number: int) -> bytes:
    """Keys of three lengths with a common prefix."""
    return b"k/%d" % number


def contents() -> dict[bytes, bytes]:
    """What the store holds."""
    held = {key(number): b"%04d" % number for number in NUMBERS}
    held |= {key(number): b"updated %d" % number for number in UPDATED}
    for number in DELETED:
        held.pop(key(number))
    held |= {key(number): b"buffered" * (number % 5) for number in BUFFERED}
    return held | {COUNTER: b"%d" % COUNTED, CONDITIONAL: b"second"}


def fill(db: Client) -> None:
    """Write the contents: a main, deltas with deletions over it, and a log with every kind of record."""
    db.put_many({key(number): b"%04d" % number for number in NUMBERS})
    db.flush()
    db.compact()
    db.put_many({key(number): b"updated %d" % number for number in UPDATED})
    db.flush()
    db.delete_many(key(number) for number in DELETED)
    db.flush()
    db.put_many({key(number): b"buffered" * (number % 5) for number in BUFFERED})
    db.put(b"k/deleted", b"soon")
    db.delete(b"k/deleted")
    assert db.increment(COUNTER, COUNTED) == COUNTED
    assert db.put_if_absent(CONDITIONAL, b"first")
    assert db.compare_and_set(CONDITIONAL, b"first", b"second")


def without_traces(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Leave out where the cluster ran, and who ran it."""
    member.uname = member.gname = ""
    return None if Path(member.name).name == ENDPOINT else member


def main(file: Path) -> None:
    """Make the store, kill its processes, and pack its directory."""
    with tempfile.TemporaryDirectory() as directory:
        cluster = LocalCluster(directory, workers=WORKERS, ranges=BOUNDARIES)
        cluster.start()
        with cluster.connect() as db:
            fill(db)
            assert dict(db.scan()) == contents()
        for pid in cluster.processes().values():
            os.kill(pid, signal.SIGKILL)
        left = last_announced(directory)
        with tarfile.open(file, "w:xz") as packed:
            packed.add(directory, arcname=".", filter=without_traces)
        cluster.stop()
        if left is not None:
            remove_runtime_directory(left.runtime_directory)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
