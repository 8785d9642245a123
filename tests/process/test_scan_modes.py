"""Scans of each mode over real processes, with concurrent writers, and with clients and workers that die."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shardstore import Client, LocalCluster, ScanInvalidated, ScanMode
from shardstore.limits import ISOLATION_NS_MAX, SCAN_PAGE_ENTRIES, SECOND_NS
from tests.process.clusters import cluster_on, kill

pytestmark = pytest.mark.slow

KEYS = [b"%07d" % number for number in range(3 * SCAN_PAGE_ENTRIES)]
OLD = [(key, b"old") for key in KEYS]


@pytest.fixture
def cluster(tmp_path: Path, reached: str) -> Iterator[LocalCluster]:
    with cluster_on(tmp_path, ranges=1, workers=1) as cluster:
        yield cluster


@pytest.fixture
def db(cluster: LocalCluster) -> Iterator[Client]:
    with cluster.connect() as db:
        db.put_many(OLD)
        yield db


def test_the_overlay_over_the_main(cluster: LocalCluster) -> None:
    with cluster.connect() as db:
        db.put_many({b"a": b"20", b"b": b"30", b"c": b"40"})
        db.compact()
        db.put_many({b"a": b"25", b"e": b"28"})
        db.delete(b"b")
        expected = [(b"a", b"25"), (b"c", b"40"), (b"e", b"28")]
        for mode in ScanMode:
            assert list(db.scan(mode=mode)) == expected
            assert list(db.scan(mode=mode, reverse=True)) == expected[::-1]
        scan = db.scan(mode="fail_fast")
        assert next(scan) == (b"a", b"25")
        db.put(b"d", b"50")
        with pytest.raises(ScanInvalidated) as caught:
            list(scan)
        assert list(db.scan(resume=caught.value.token)) == []
        assert caught.value.last_key == b"e"


@pytest.mark.fault("H8")
@pytest.mark.parametrize("reverse", [False, True])
def test_a_snapshot_stands_still_while_everything_else_moves(db: Client, reverse: bool) -> None:
    scan = db.scan(reverse=reverse)
    shown = [next(scan)]
    for value in (b"1", b"2"):
        db.put_many((key, value) for key in KEYS)
        db.compact()
    db.delete_many(KEYS[::2])
    shown += scan
    assert shown == (OLD[::-1] if reverse else OLD)
    assert list(db.scan()) == [(key, b"2") for key in KEYS[1::2]]


def test_fail_fast_ends_at_the_end_of_the_page_in_which_it_was_overtaken(db: Client) -> None:
    scan = db.scan(mode="fail_fast", keys_only=True)
    next(scan)
    db.put(KEYS[-1], b"new")
    with pytest.raises(ScanInvalidated) as caught:
        list(scan)
    taken = KEYS.index(caught.value.last_key) + 1
    assert 1 < taken <= SCAN_PAGE_ENTRIES, "the page is read to its end"
    assert list(db.scan(resume=caught.value.token)) == KEYS[taken:]


def test_live_goes_on_over_the_death_of_its_worker(cluster: LocalCluster, db: Client) -> None:
    scan = db.scan(mode="live", timeout=60)
    shown = [next(scan)]
    kill(cluster.processes()["worker-0"])
    shown += scan
    assert shown == OLD


@pytest.mark.parametrize("mode", ["snapshot", "full_isolation"])
def test_after_the_death_of_its_worker_a_scan_goes_on_from_its_token(
    cluster: LocalCluster, db: Client, mode: str
) -> None:
    scan = db.scan(mode=mode, timeout=60)
    shown = [next(scan)]
    kill(cluster.processes()["worker-0"])
    with pytest.raises(ScanInvalidated) as caught:
        shown.extend(scan)
    shown += db.scan(resume=caught.value.token, timeout=60)
    assert shown == OLD


def seconds_of_a_put(db: Client) -> float:
    begun = time.monotonic()
    db.put(KEYS[-1], b"new")
    return time.monotonic() - begun


def test_writers_wait_for_an_isolation_and_not_longer(cluster: LocalCluster, db: Client) -> None:
    seconds: list[float] = []
    scan = db.scan(mode="full_isolation")
    shown = [next(scan)]
    writer = threading.Thread(target=lambda: seconds.append(seconds_of_a_put(db)))
    writer.start()
    shown += [next(scan) for _ in range(SCAN_PAGE_ENTRIES // 2)]
    assert not seconds
    shown += scan
    assert shown == OLD
    writer.join(timeout=ISOLATION_NS_MAX / SECOND_NS / 2)
    assert seconds


@pytest.mark.fault("C1")
@pytest.mark.parametrize("reached", ["local"], indirect=True)  # its first scan over tcp goes through the router
def test_a_client_that_dies_keeps_nobody_waiting(cluster: LocalCluster, db: Client) -> None:
    program = (
        "import os, signal, sys, shardstore\n"
        "scan = shardstore.connect(sys.argv[1]).scan(mode='full_isolation')\n"
        "next(scan)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    dead = subprocess.run([sys.executable, "-c", program, cluster.url], check=False, timeout=60)
    assert dead.returncode == -9
    assert seconds_of_a_put(db) < ISOLATION_NS_MAX / SECOND_NS / 2
    assert db.stats()[0]["scans"]["open"] == 0
