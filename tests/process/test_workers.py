"""Real clusters whose workers are added and leave while clients write, and across restarts."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from shutil import rmtree
from threading import Thread

import pytest

from shardstore import Client, InvalidRequest, LocalCluster, ShardstoreError, TopologyOptions
from shardstore.files.file_names import worker_directory
from tests.process.clusters import RANGES, Writer, kill
from tests.process.deadlines import wait_until

pytestmark = pytest.mark.slow

MEMORY = "192MiB"
BY_HAND = TopologyOptions(auto_topology=False)


def cluster_with(data: Path, workers: int | None) -> LocalCluster:
    return LocalCluster(data, workers=workers, memory=MEMORY, ranges=RANGES, topology=BY_HAND)


def workers_in(cluster: LocalCluster) -> list[str]:
    return sorted(name for name in cluster.processes() if name.startswith("worker") and "maint" not in name)


def test_another_worker_takes_over_under_a_writer_that_notices_nothing(tmp_path: Path) -> None:
    with cluster_with(tmp_path, 1) as cluster, cluster.connect() as db:
        writer = Writer(db)
        writer.wait_for_more()
        assert db.admin.add_worker() == 1
        [moved] = db.admin.move(b"0", 1, timeout=60)
        assert (moved.kind, moved.worker) == ("move", 1)
        assert workers_in(cluster) == ["worker-0", "worker-1"]
        writer.wait_for_more()
        changes = db.admin.drain_worker(0, timeout=60)
        assert {(change.kind, change.worker) for change in changes} == {("move", 1)}
        assert {row.worker for row in db.admin.ranges()} == {1}
        wait_until(lambda: workers_in(cluster) == ["worker-1"], "the end of worker 0")
        writer.wait_for_more()
        writer.stop()
        writer.check(db)
        assert writer.unserved == 0
    with cluster_with(tmp_path, None) as cluster, cluster.connect() as db:
        assert workers_in(cluster) == ["worker-1"]
        writer.check(db)
    with cluster_with(tmp_path, 1) as cluster, cluster.connect() as db:
        assert workers_in(cluster) == ["worker-0", "worker-1"], "asked for, and in need"
        db.admin.drain_worker(1, timeout=60)
        writer.check(db)
        wait_until(lambda: workers_in(cluster) == ["worker-0"], "the end of worker 1")
        writer.check(db)


def test_a_worker_goes_on_leaving_when_router_and_worker_are_killed_meanwhile(tmp_path: Path) -> None:
    with cluster_with(tmp_path, 2) as cluster, cluster.connect() as db:
        writer = Writer(db)
        writer.wait_for_more()
        drain = Thread(target=drain_in_vain, args=(db,))
        drain.start()
        wait_until(lambda: db.stats()["router"]["workers"][0]["leaving"], "the decision")
        kill(cluster.processes()["router"])
        kill(cluster.processes()["worker-0"])
        wait_until(lambda: is_no_worker(db, 0), "the departure of worker 0", 60)
        wait_until(lambda: workers_in(cluster) == ["worker-1"], "the end of worker 0", 60)
        drain.join()
        writer.wait_for_more()
        rmtree(tmp_path / worker_directory(0))  # nobody needs it
        assert db.admin.add_worker() == 0
        db.admin.move(b"0", 0, timeout=60)
        writer.wait_for_more()
        writer.stop()
        writer.check(db)
    with cluster_with(tmp_path, None) as cluster, cluster.connect() as db:
        assert workers_in(cluster) == ["worker-0", "worker-1"]
        writer.check(db)


def drain_in_vain(db: Client) -> None:
    """A caller that waits for the departure gets no reply, since the router ends meanwhile."""
    with suppress(ShardstoreError):
        db.admin.drain_worker(0, timeout=5)


def is_no_worker(db: Client, worker: int) -> bool:
    try:
        db.admin.drain_worker(worker, dry_run=True)
    except InvalidRequest as error:
        return str(error) == f"there is no worker {worker}"
    return False
