"""A full disk: writes are refused with a reason, nothing acknowledged is lost, and freeing space ends the trouble."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

from shardstore import Busy, Client, OutcomeUnknown, StorageFailure, Unavailable
from tests.process.clusters import cluster_on, kill
from tests.process.deadlines import wait_until

pytestmark = pytest.mark.slow

SIZE = "24m"
BALLAST = bytes(17_000_000)
"""Size of a file whose removal leaves enough space for recovery to rewrite the live part of the log."""
VALUE = bytes(200_000)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"a tmpfs cannot be mounted here: {mounted.stderr.strip()}")
    yield tmp_path
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True, timeout=20)


@pytest.mark.fault("L8")
def test_a_full_disk_refuses_writes_and_heals(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(BALLAST)
    with cluster_on(small_disk / "data") as cluster, cluster.connect() as db:
        acknowledged = fill(db)
        assert acknowledged, "there was room for some"
        check(db, acknowledged)
        ballast.unlink()
        wait_until(lambda: accepts_writes(db), "writes are accepted again", 60)
        check(db, acknowledged)
    with cluster_on(small_disk / "data") as cluster, cluster.connect() as db:
        check(db, acknowledged)


@pytest.mark.fault("L8")
def test_workers_that_die_on_a_full_disk_serve_reads_until_there_is_room(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(BALLAST)
    with cluster_on(small_disk / "data", ranges=1) as cluster, cluster.connect() as db:
        acknowledged = fill(db)
        with open(small_disk / "rest", "wb", buffering=0) as rest, suppress(OSError):
            while True:
                rest.write(bytes(4096))
        before = cluster.processes()
        for worker in ("worker-0", "worker-1"):
            kill(before[worker])
        check(db, acknowledged)
        with pytest.raises(Busy, match="disk full"):
            db.put(b"key", b"x", timeout=1)
        assert "No space left" in db.stats()["router"]["workers"][0]["failure"]
        (small_disk / "rest").unlink()
        ballast.unlink()
        wait_until(lambda: accepts_writes(db), "writes are accepted again", 60)
        check(db, acknowledged)


@pytest.mark.fault("L9")
def test_a_store_on_a_read_only_disk_is_read_and_refuses_writes(small_disk: Path) -> None:
    with cluster_on(small_disk / "data") as cluster, cluster.connect() as db:
        db.put(b"key", b"value")
    remount(small_disk, "ro")
    with cluster_on(small_disk / "data") as cluster, cluster.connect() as db:
        assert db.get(b"key") == b"value"
        with pytest.raises(StorageFailure, match="Read-only file system"):
            db.put(b"key", b"x")
        with pytest.raises(StorageFailure, match="Read-only file system"):
            db.flush()
        remount(small_disk, "rw")
        wait_until(lambda: accepts_writes(db), "writes are accepted again", 60)
        assert db.get(b"key") == b"value"


def remount(mounted: Path, mode: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{mode}", str(mounted)], check=True, timeout=20)


def fill(db: Client) -> list[bytes]:
    """Write until a write is refused; returns the acknowledged keys."""
    acknowledged = []
    for number in count():
        key = b"%08x" % (number * 0x9E3779B1 % 2**32)
        try:
            db.put(key, VALUE + key, timeout=1)
        except (Busy, StorageFailure):
            return acknowledged
        acknowledged.append(key)
        assert number < 1_000, "the disk never filled up"
    raise AssertionError


def check(db: Client, acknowledged: list[bytes]) -> None:
    values = db.get_many(acknowledged, timeout=60)
    assert [value == VALUE + key for key, value in zip(acknowledged, values, strict=True)] == [True] * len(acknowledged)


def accepts_writes(db: Client) -> bool:
    try:
        db.put(b"after", b"x", timeout=2)
        db.put(b"\xf0after", b"x", timeout=2)
    except (Busy, StorageFailure, Unavailable, OutcomeUnknown):
        return False
    return True
