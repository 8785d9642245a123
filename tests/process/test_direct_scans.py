"""Scans of a cluster whose entries are all in tables: clients read them without the workers, and see the same."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from itertools import islice

import pytest

from shardstore import Client, Closed, LocalCluster, ScanMode, TopologyOptions
from shardstore.limits import SCAN_PAGE_ENTRIES
from tests.process.clusters import kill
from tests.unit.client.test_forks import in_child

pytestmark = pytest.mark.slow

ENTRIES = {b"%07d" % number: b"value of %d" % number for number in range(5 * SCAN_PAGE_ENTRIES)}
KEYS = list(ENTRIES)
PAIRS = list(ENTRIES.items())


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """Two ranges, compacted."""
    root, by_hand = tmp_path_factory.mktemp("direct-scans"), TopologyOptions(auto_topology=False)
    with LocalCluster(root, workers=2, ranges=1, memory="192MiB", topology=by_hand) as cluster:
        with cluster.connect() as db:
            db.put_many(PAIRS)
            db.admin.split(KEYS[len(KEYS) // 2])
            db.compact()
        yield cluster


@pytest.fixture
def db(cluster: LocalCluster) -> Iterator[Client]:
    with cluster.connect() as db:
        yield db


def read_directly(db: Client) -> int:
    """How many keys the client has read from files."""
    return db._reads._reads.direct


@pytest.mark.parametrize("mode", [ScanMode.SNAPSHOT, ScanMode.LIVE])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_scan_asks_no_worker_and_shows_the_same(
    cluster: LocalCluster, db: Client, mode: ScanMode, reverse: bool
) -> None:
    pairs = PAIRS[::-1] if reverse else PAIRS
    assert list(db.scan(mode=mode, reverse=reverse)) == pairs
    assert db._reads._reads.asked == 0
    with cluster.connect(direct_reads=False) as asking:
        assert list(asking.scan(mode=mode, reverse=reverse)) == pairs
        assert read_directly(asking) == 0
    assert (
        list(db.scan(KEYS[10], KEYS[-10], reverse=reverse, limit=70_000, keys_only=True))
        == [key for key, _ in pairs if KEYS[10] <= key < KEYS[-10]][:70_000]
    )


def test_tokens_and_seeks_name_the_same_places(cluster: LocalCluster, db: Client) -> None:
    scan = db.scan()
    assert list(islice(scan, 20_000)) == PAIRS[:20_000]
    assert list(db.scan(resume=scan.resume_token)) == PAIRS[20_000:]
    scan.seek(KEYS[60_000])
    assert list(islice(scan, 20)) == PAIRS[60_000:60_020]
    scan.seek(KEYS[5])
    assert list(scan) == PAIRS[5:]


def test_a_scan_of_a_closed_client_ends_with_the_page_at_hand(db: Client) -> None:
    scan = db.scan()
    shown = [next(scan)]
    db.close()
    with pytest.raises(Closed):
        shown.extend(scan)
    assert shown == PAIRS[: len(shown)]
    assert len(shown) <= SCAN_PAGE_ENTRIES


def test_threads_scan_and_get_at_the_same_time(db: Client) -> None:
    wrong: list[str] = []

    def scan(reverse: bool) -> None:
        if list(db.scan(reverse=reverse)) != (PAIRS[::-1] if reverse else PAIRS):
            wrong.append("scan")

    def get() -> None:
        wrong.extend("get" for key in KEYS[::20] if db.get(key) != ENTRIES[key])

    threads = [threading.Thread(target=scan, args=(reverse,)) for reverse in (False, True, False)]
    threads += [threading.Thread(target=get) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_the_child_of_a_fork_goes_on_with_a_scan_that_no_worker_knows(db: Client) -> None:
    scan = db.scan()
    next(scan)
    assert in_child(lambda: list(scan) == PAIRS[1:]) == "True"
    assert list(scan) == PAIRS[1:]


def test_other_tasks_have_their_turns_between_pages(cluster: LocalCluster) -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def use() -> None:
        async with await cluster.connect_async() as db:
            counting = asyncio.create_task(count())
            assert [entry async for entry in db.scan()] == PAIRS
            counting.cancel()

    asyncio.run(asyncio.wait_for(use(), 60))
    assert turns >= len(PAIRS) // SCAN_PAGE_ENTRIES


def test_a_snapshot_goes_on_over_writes_compactions_and_the_death_of_its_worker(
    cluster: LocalCluster, db: Client
) -> None:
    """The last test, as it changes what is stored."""
    half = len(KEYS) // 2
    scan = db.scan(KEYS[0], KEYS[half])
    shown = [next(scan)]
    with cluster.connect() as writing:
        writing.put_many((key, b"new") for key in KEYS[:half])
        writing.compact()
    for name, pid in cluster.processes().items():
        if name.startswith("worker"):
            kill(pid)
    assert [*shown, *scan] == PAIRS[:half]
    assert list(db.scan(KEYS[0], KEYS[half], timeout=60)) == [(key, b"new") for key in KEYS[:half]]
