"""Reads from the files of a range, with real processes: what is read is never old, whatever is killed or changed.

The long form of the first test: `python -m tests.measuring.direct_reads --seconds 300`.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from shardstore import Client, LocalCluster, TopologyOptions, Unavailable
from shardstore.client.direct.slots import LOOKS_BETWEEN
from shardstore.files.file_names import board_place, worker_lock
from shardstore.system.posix_filesystem import PosixFilesystem
from shardstore.system.running_cluster import running_on
from tests.process.clusters import kill
from tests.process.deadlines import wait_until
from tests.process.direct_chaos import KILLS_MIN, WRITES_BETWEEN, run
from tests.process.drained_store import ENTRIES, KEYS, check_asked, check_read_directly, fill, keys_read_by, warm_up

pytestmark = pytest.mark.slow

SECONDS = 8
MEMORY = "288MiB"
BY_HAND = TopologyOptions(auto_topology=False)


def test_reads_under_kills_and_changes_are_never_old(tmp_path: Path) -> None:
    counts = run(tmp_path, seed=1, seconds=SECONDS)
    assert counts["kills"] >= KILLS_MIN
    assert counts["keys written"] >= WRITES_BETWEEN
    assert counts["direct"]


def test_drained_keys_are_read_while_their_worker_is_dead_but_no_written_ones(tmp_path: Path) -> None:
    with one_worker_on(tmp_path) as cluster, cluster.connect() as db:
        fill(db)
        warm_up(db)
        db.put(KEYS[7], b"new")
        with worker_stays_dead(cluster, tmp_path):
            asked = keys_read_by(db)[1]
            others = KEYS[:7] + KEYS[8:]
            assert [db.get(key) for key in others] == [ENTRIES[key] for key in others]
            assert db.get(b"%02x-absent" % 7) is None
            assert keys_read_by(db)[1] == asked
            with pytest.raises(Unavailable):
                db.get(KEYS[7], timeout=0.5)
            with pytest.raises(Unavailable):
                db.get_many(KEYS, timeout=0.5)
        assert db.get(KEYS[7], timeout=60) == b"new"
        db.put(KEYS[8], b"newer")
        assert db.get(KEYS[8]) == b"newer"


def test_a_client_that_reads_files_sees_what_others_write_during_a_change(tmp_path: Path) -> None:
    """Each key is written once: so nothing but the change itself makes the client ask a worker for the next one."""
    cluster = LocalCluster(tmp_path, workers=2, memory=MEMORY, ranges=[b"80"], topology=BY_HAND)
    with cluster, cluster.connect() as db, cluster.connect() as other, ThreadPoolExecutor(1) as pool:
        changes: list[Callable[[], object]] = [
            lambda: kill(cluster.processes()["worker-0"]),
            lambda: other.admin.move(b"0", 1),
            lambda: other.admin.split(b"40"),
            lambda: other.admin.merge(b"0"),
        ]
        for change in changes:
            fill(other)
            wait_until(lambda: _reads_all_itself(db), "that all files can be read", 60)
            end = pool.submit(change)
            for number, key in enumerate(KEYS):
                other.put(key, b"new", timeout=60)
                assert db.get(key, timeout=60) == b"new"
                if end.done() and number > 100:
                    break
            end.result()
            wait_until(lambda: not other.stats()["router"]["changes"]["under_way"], "the end of the change", 60)


def test_a_client_reads_nothing_old_after_a_restart_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with TemporaryDirectory(dir="/tmp") as runtime:
        with one_worker_on(tmp_path) as cluster:
            before, db = running_on(tmp_path).runtime_directory, cluster.connect()
            fill(db)
            warm_up(db)
            check_read_directly(db)
        with pytest.raises(Unavailable):
            db.get(KEYS[0], timeout=0.5)
        monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
        with one_worker_on(tmp_path) as cluster, cluster.connect() as other:
            assert running_on(tmp_path).runtime_directory != before
            other.put(KEYS[0], b"new")
            assert db.get(KEYS[0]) == b"new"
            other.put(KEYS[0], ENTRIES[KEYS[0]])
            other.flush()
            for _ in range(LOOKS_BETWEEN):
                db.get(KEYS[0])
            check_read_directly(db)
            db.close()


def test_a_client_goes_on_reading_when_the_data_directory_is_moved(tmp_path: Path) -> None:
    data, moved = tmp_path / "data", tmp_path / "moved"
    with one_worker_on(data) as cluster, cluster.connect() as db:
        fill(db)
        warm_up(db)
        data.rename(moved)
        check_read_directly(db)
        db.put(KEYS[0], b"new")
        assert db.get(KEYS[0]) == b"new"
    with one_worker_on(moved) as cluster, cluster.connect() as db:
        assert db.get(KEYS[0]) == b"new"
        db.put(KEYS[0], ENTRIES[KEYS[0]])
        db.flush()
        warm_up(db)
        check_read_directly(db)


def test_the_runtime_directory_may_vanish(tmp_path: Path) -> None:
    with one_worker_on(tmp_path) as cluster, cluster.connect() as db, cluster.connect() as late:
        fill(db)
        warm_up(db)
        shutil.rmtree(running_on(tmp_path).runtime_directory)
        check_read_directly(db)
        warm_up(late)
        check_asked(late)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_files_of_another_user_are_not_trusted(tmp_path: Path) -> None:
    with one_worker_on(tmp_path) as cluster, cluster.connect() as db:
        fill(db)
        (board,) = Path(running_on(tmp_path).runtime_directory).glob("board-*")
        for file in (tmp_path / board_place(0), board):
            os.chown(file, 12345, -1)
            with cluster.connect() as distrustful:
                warm_up(distrustful)
                check_asked(distrustful)
            os.chown(file, os.geteuid(), -1)
        warm_up(db)
        check_read_directly(db)


def one_worker_on(data: Path) -> LocalCluster:
    """A cluster with one worker and one range, which is not changed."""
    return LocalCluster(data, workers=1, memory=MEMORY, topology=BY_HAND)


def _reads_all_itself(db: Client) -> bool:
    asked = keys_read_by(db)[1]
    db.get_many(KEYS)
    return keys_read_by(db)[1] == asked


@contextmanager
def worker_stays_dead(cluster: LocalCluster, data: Path) -> Iterator[None]:
    """Kill worker 0, and hold its lock, for which its next process waits before it does anything."""
    filesystem = PosixFilesystem(str(data))
    kill(cluster.processes()["worker-0"])
    while (lock := filesystem.lock(worker_lock(0))) is None:
        time.sleep(0.001)
    try:
        yield
    finally:
        lock.release()
        filesystem.close()
