"""Ranges of a real cluster are split, merged and moved while clients use them without errors."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import psutil
import pytest

from shardstore import Client, InvalidRequest, LocalCluster, OutcomeUnknown, TopologyOptions, connect
from shardstore.system.running_cluster import running_on
from shardstore.wire.admin_messages import RangeRow
from tests.process.clusters import descendants, kill, kill_all, served
from tests.process.deadlines import wait_until
from tests.process.recording import RecordingClient

pytestmark = pytest.mark.slow

BY_HAND = TopologyOptions(auto_topology=False)
OWNERS = dict[bytes, int]
"""The worker of the range that starts with the key."""


def cluster_on(data: Path, workers: int | None = 2) -> LocalCluster:
    return LocalCluster(data, workers=workers, memory="288MiB", ranges=[b"80"], topology=BY_HAND)


@contextmanager
def unnoticing(cluster: LocalCluster, db: Client) -> Iterator[list[RecordingClient]]:
    """Run clients that write, count, read and scan. None of their calls may fail, and all data is right at the end."""
    clients = [RecordingClient(cluster.connect(), number, seed=1) for number in range(2)]
    yield clients
    for client in clients:
        client.wait_for_more()
        client.stop()
        client.check(db)
        assert not client.unserved


def owners(db: Client) -> OWNERS:
    return {row.start: row.worker for row in db.admin.ranges()}


def ranges_held(db: Client) -> dict[object, int]:
    """The number of ranges of each worker, including parents of changes."""
    return {worker: len(figures["ranges"]) for worker, figures in db.stats().items() if worker != "router"}


def range_of(db: Client, key: bytes) -> RangeRow:
    return max((row for row in db.admin.ranges() if row.start <= key), key=lambda row: row.start)


@pytest.mark.fault("H4")
def test_ranges_change_under_clients_that_notice_nothing(tmp_path: Path) -> None:
    with cluster_on(tmp_path) as cluster, cluster.connect() as db:
        with unnoticing(cluster, db) as clients:
            clients[0].wait_for_more(5_000)
            db.flush()
            [planned] = db.admin.split(b"40", dry_run=True)
            assert (planned.kind, planned.at, planned.number) == ("split", b"40", 0)
            assert owners(db) == {b"": 0, b"80": 1}, "nothing was done"
            [split] = db.admin.split(b"40")
            assert (split.kind, split.at, split.parents) == ("split", b"40", planned.parents)
            clients[0].wait_for_more()
            [move] = db.admin.move(b"40", 1)
            assert (move.kind, move.worker, move.parents) == ("move", 1, split.children[1:])
            assert owners(db) == {b"": 0, b"40": 1, b"80": 1}
            clients[1].wait_for_more()
            db.admin.merge(b"40")
            assert owners(db) == {b"": 0, b"40": 1}
            clients[1].wait_for_more()
            db.admin.merge(b"33")  # the children of two workers
            [row] = db.admin.ranges()
            assert (row.start, row.end, row.worker, row.stage) == (b"", b"", 0, "active")
            figures = db.stats()
            assert figures["router"]["changes"] == {"done": 4, "under_way": []}
            assert figures["router"]["ranges"] == 1
            wait_until(lambda: ranges_held(db) == {0: 1, 1: 0}, "the workers to hear that the changes are done")
        assert not any(client.cut_scans for client in clients), "a scan survives all of it"
    with cluster_on(tmp_path, None) as again, again.connect() as db:
        assert owners(db) == {b"": 0}
        for client in clients:
            client.check(db)


def test_another_worker_comes_and_the_first_one_goes(tmp_path: Path) -> None:
    with cluster_on(tmp_path, 1) as cluster, cluster.connect() as db, unnoticing(cluster, db):
        new = db.admin.add_worker()
        db.admin.move(b"80", new, timeout=60)
        moves = db.admin.drain_worker(0, timeout=60)
        assert [(each.kind, each.worker, each.reason) for each in moves] == [("move", new, "worker 0 leaves")]
        assert owners(db) == {b"": new, b"80": new}
        wait_until(lambda: "worker-0" not in cluster.processes(), "the end of worker 0")


def test_a_scan_goes_on_while_its_worker_leaves(tmp_path: Path) -> None:
    keys = [b"%05x" % number for number in range(60_000)]
    with (
        cluster_on(tmp_path, 2) as cluster,
        cluster.connect() as db,
        cluster.connect(direct_reads=False) as asking,
        ThreadPoolExecutor(1) as other,
    ):
        db.put_many(dict.fromkeys(keys, b"before"))
        db.flush()
        scan = asking.scan()
        found = [next(scan)]
        drained = other.submit(db.admin.drain_worker, 0, timeout=60)
        wait_until(lambda: db.stats()["router"]["changes"]["done"] == 1, "the move of its range")
        beats = db.stats()["router"]["requests"]["heartbeat"]
        wait_until(lambda: db.stats()["router"]["requests"]["heartbeat"] > beats + 6, "some heartbeats")
        assert not drained.done(), "it waits for the scan"
        db.put_many(dict.fromkeys(keys, b"after"))
        found += scan
        assert [key for key, _ in found] == keys
        assert {value for _, value in found} == {b"before"}, "the view of the first page"
        drained.result()
        wait_until(lambda: "worker-0" not in cluster.processes(), "the end of worker 0")
        assert set(db.get_many(keys)) == {b"after"}


def test_the_asyncio_client_changes_ranges(tmp_path: Path) -> None:
    async def use(cluster: LocalCluster) -> None:
        async with await cluster.connect_async() as db:
            await db.put_many({b"%04x" % number: b"value" for number in range(1 << 12)})
            split, move = asyncio.create_task(db.admin.split(b"04")), asyncio.create_task(db.admin.move(b"80", 0))
            [first], [second] = await split, await move
            assert (first.kind, second.kind) == ("split", "move")
            await db.admin.move(b"04", 1)
            assert [(row.start, row.worker) for row in await db.admin.ranges()] == [(b"", 0), (b"04", 1), (b"80", 0)]
            assert await db.admin.rebalance() == [], "there is nothing to even out"
            assert len([key async for key, _ in db.scan()]) == 1 << 12
            with pytest.raises(InvalidRequest, match="worker 1 already owns this range"):
                await db.admin.move(b"04", 1)

    with cluster_on(tmp_path) as cluster:
        asyncio.run(asyncio.wait_for(use(cluster), 60))


def test_what_cannot_be_done_is_told_in_words(tmp_path: Path) -> None:
    with cluster_on(tmp_path) as cluster, cluster.connect() as db:
        before = db.admin.ranges()
        for ask, what in (
            (lambda: db.admin.split(b"80"), "a range already starts at this key"),
            (lambda: db.admin.move(b"80", 9), "there is no worker 9"),
            (lambda: db.admin.move(b"80", 1, dry_run=True), "worker 1 already owns this range"),
            (lambda: db.admin.merge(b"80"), "the last range has no right neighbour"),
            (lambda: db.admin.drain_worker(9), "there is no worker 9"),
        ):
            with pytest.raises(InvalidRequest, match=what):
                ask()
        db.admin.drain_worker(1, timeout=60)
        with pytest.raises(InvalidRequest, match="worker 0 is the last one that stays"):
            db.admin.drain_worker(0)
        assert len(db.admin.ranges()) == len(before)


@pytest.mark.fault("R1")
def test_an_action_is_not_begun_twice_when_the_router_is_killed_in_it(tmp_path: Path) -> None:
    with cluster_on(tmp_path) as cluster, cluster.connect() as db:
        for key in (b"20", b"40", b"60"):
            db.admin.split(key)
        paused = cluster.processes()["worker-0"]
        os.kill(paused, signal.SIGSTOP)
        asked: list[object] = []
        merge = Thread(target=lambda: asked.append(end_of_merge(db)))
        try:
            merge.start()
            wait_until(lambda: range_of(db, b"20").end == b"60", "the merge")
            kill(cluster.processes()["router"])
            wait_until(lambda: range_of(db, b"20").end == b"60", "the next router")
        finally:
            os.kill(paused, signal.SIGCONT)
        merge.join(60)
        [error] = asked
        assert isinstance(error, OutcomeUnknown)
        assert "look at the ranges and workers to see what was done" in str(error)
        wait_until(lambda: range_of(db, b"20").stage == "active", "the end of the merge")
        assert list(owners(db)) == [b"", b"20", b"60", b"80"], "one merge, not two"


def end_of_merge(db: Client) -> object:
    try:
        return db.admin.merge(b"20", timeout=60)
    except OutcomeUnknown as error:
        return error


def write_something(db: Client) -> RecordingClient:
    """Let a recording client work on `db` for a while; it closes `db`."""
    client = RecordingClient(db, 0, seed=1)
    client.wait_for_more(2_000)
    client.stop()
    return client


def begin_a_move_that_cannot_end(db: Client, workers: Iterable[int]) -> None:
    """Suspend these processes, so that the change stays under way. Both workers must be up to receive requests."""
    db.admin.move(b"00", 1, dry_run=True)
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    with pytest.raises(OutcomeUnknown, match="the change may go on"):
        db.admin.move(b"00", 1, timeout=0.5)
    first = range_of(db, b"00")
    assert (first.worker, first.stage) == (1, "pending")


def finish(db: Client, client: RecordingClient) -> None:
    wait_until(lambda: not db.stats(timeout=60)["router"]["changes"]["under_way"], "the end of the change", 60)
    assert owners(db) == {b"": 1, b"80": 1}
    client.check(db)


def test_a_change_goes_on_after_an_orderly_stop_with_more_workers(tmp_path: Path) -> None:
    with cluster_on(tmp_path) as cluster, cluster.connect() as db:
        client = write_something(cluster.connect())
        source = cluster.processes()["worker-0"]
        begin_a_move_that_cannot_end(db, [source])
        stop = Thread(target=cluster.stop)
        stop.start()
        os.kill(source, signal.SIGCONT)
        stop.join()
    with cluster_on(tmp_path, 3) as cluster, cluster.connect() as db:
        finish(db, client)
        workers = db.stats()["router"]["workers"]
        assert {worker: figures["state"] for worker, figures in workers.items()} == {0: "up", 1: "up", 2: "up"}


@pytest.mark.fault("H1")
def test_a_change_goes_on_after_the_death_of_everything_with_fewer_workers(tmp_path: Path) -> None:
    with cluster_on(tmp_path) as cluster:
        client = write_something(cluster.connect())
    with served(tmp_path, "--no-auto-topology") as supervisor, connect(running_on(tmp_path).url) as db:
        processes = descendants(supervisor.pid)
        begin_a_move_that_cannot_end(
            db, [each.pid for each in processes if any("shardstore.workers" in word for word in each.cmdline())]
        )
        kill_all([supervisor.pid, *(process.pid for process in processes)])
        psutil.wait_procs(processes, timeout=10)
    with cluster_on(tmp_path, 1) as cluster, cluster.connect() as db:
        finish(db, client)
        assert {"worker-0", "worker-1"} <= cluster.processes().keys()
