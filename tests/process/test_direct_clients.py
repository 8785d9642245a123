"""Clients of every kind that read the files of a store themselves: what they read is right, and takes bounded means."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import resource
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

import pytest

from shardstore import (
    AsyncClient,
    Busy,
    Client,
    InvalidRequest,
    LocalCluster,
    OutcomeUnknown,
    TopologyOptions,
    connect,
    connect_async,
)
from shardstore.limits import KEY_BYTES_MAX, VALUE_BYTES_MAX
from tests.process.drained_store import ENTRIES, KEYS, check_asked, check_read_directly, fill, keys_read_by, warm_up

pytestmark = pytest.mark.slow

MEMORY = "384MiB"
RANGES = [b"%02x" % first for first in range(1, 100)]
"""So many ranges that a client with few descriptors cannot have the files of all of them open."""
DESCRIPTORS = 150
THREADS = 16
ROUNDS = 400
WRITES = 60


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    data = tmp_path_factory.mktemp("direct") / "data"
    by_hand = TopologyOptions(auto_topology=False)
    with LocalCluster(data, workers=1, memory=MEMORY, ranges=RANGES, topology=by_hand) as cluster:
        with cluster.connect() as db:
            fill(db)
        yield data


@pytest.fixture
def db(data: Path) -> Iterator[Client]:
    """A client that reads directly, of a store with the entries of drained_store.py and no others, all in tables."""
    with connect(data) as db:
        others = [key for key, _ in db.scan() if key not in ENTRIES]
        db.delete_many(others)
        db.put_many(ENTRIES)
        db.flush()
        warm_up(db)
        yield db


def test_workers_answer_all_reads_of_a_client_that_wants_it_so(db: Client, data: Path) -> None:
    with connect(data, direct_reads=False) as asking:
        before = db.stats()[0]["keys"].get("GET", 0)
        check_asked(asking)
        assert db.stats()[0]["keys"]["GET"] == before + 2 * len(KEYS)


def test_keys_at_the_ends_of_ranges_large_values_and_deletes(db: Client) -> None:
    values = {b"01": b"the first key of a range", b"01\x00": b"", b"00\xff\xff": b"x", b"\xff" * KEY_BYTES_MAX: b"y"}
    values |= {b"large-%d" % at: bytes([at]) * VALUE_BYTES_MAX for at in range(3)}
    for key, value in values.items():
        db.put(key, value)
    db.flush()
    db.delete(KEYS[0])
    db.flush()
    direct, asked = keys_read_by(db)
    assert [db.get(key) for key in values] == db.get_many(values) == list(values.values())
    assert all(map(db.contains, values))
    assert db.get(KEYS[0], b"default") == b"default"
    assert not db.contains(KEYS[0])
    assert db.get_many([KEYS[0], KEYS[1], KEYS[0], KEYS[1]]) == [None, ENTRIES[KEYS[1]]] * 2
    assert keys_read_by(db) == (direct + 3 * len(values) + 6, asked)


def test_a_client_reads_what_it_has_written_whatever_is_drained_meanwhile(db: Client, data: Path) -> None:
    stopped, known = Event(), dict[bytes, bytes | None](ENTRIES)
    flusher = Thread(target=_flush_until, args=(data, stopped))
    flusher.start()
    try:
        for number in range(WRITES):
            chosen = random.sample(KEYS, random.choice((1, 1, 1, 5, 40)))
            if number % 7:
                db.put_many(dict.fromkeys(chosen, b"%d" % number))
            else:
                db.delete_many(chosen)
            known.update(dict.fromkeys(chosen, b"%d" % number if number % 7 else None))
            for key in (*chosen, *random.sample(KEYS, 20)):
                assert db.get(key) == known[key]
            assert db.get_many(KEYS[:100]) == list(known.values())[:100]
    finally:
        stopped.set()
        flusher.join()
    assert keys_read_by(db)[0] > WRITES


def test_threads_and_signal_handlers_read_with_one_client(db: Client) -> None:
    handled: list[bytes | None] = []

    def handle(*_: object) -> None:
        handled.append(db.get(KEYS[0]))
        signal.setitimer(signal.ITIMER_REAL, 0.005)

    def read(seed: int) -> None:
        for key in random.Random(seed).choices(KEYS, k=ROUNDS):
            assert db.get(key) == ENTRIES[key]
        assert db.get_many(KEYS) == list(ENTRIES.values())

    former = signal.signal(signal.SIGALRM, handle)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.005)
        with ThreadPoolExecutor(THREADS) as pool:
            readers = [pool.submit(read, seed) for seed in range(THREADS)]
            while not handled or not all(reader.done() for reader in readers):
                read(THREADS)
            for reader in readers:
                reader.result()
    finally:
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
    assert set(handled) == {ENTRIES[KEYS[0]]}
    check_read_directly(db)


def test_the_child_of_a_fork_reads_with_the_client_of_its_parent_whose_threads_read(db: Client) -> None:
    stopped = Event()
    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(_read_until, db, stopped)
        try:
            for _ in range(4):
                child = multiprocessing.get_context("fork").Process(target=_read_and_write, args=(db,))
                child.start()
                child.join(60)
                assert child.exitcode == 0
        finally:
            stopped.set()
        reader.result()
    assert db.get(b"of a child") == b"v"


@pytest.mark.fault("G7")
def test_few_descriptors_bound_the_open_files(db: Client, data: Path) -> None:
    child = multiprocessing.get_context("spawn").Process(target=_read_with_few_descriptors, args=(data,))
    child.start()
    child.join(120)
    assert child.exitcode == 0


def test_an_asyncio_client_reads_its_cancelled_writes_or_never(db: Client, data: Path) -> None:
    async def program() -> None:
        async with connect_async(data) as client:
            known = dict[bytes, bytes | None](ENTRIES)
            for number in range(ROUNDS):
                key, value = random.choice(KEYS[:50]), b"%d" % number
                put = asyncio.create_task(client.put(key, value))
                await asyncio.sleep(random.choice((0, 0, 0.0005, 0.002)))
                put.cancel()
                allowed = {value}
                try:
                    await put
                except (asyncio.CancelledError, OutcomeUnknown):
                    allowed.add(known[key])
                known[key] = await client.get(key)
                assert known[key] in allowed
                await asyncio.sleep(random.choice((0, 0.003)))
                assert await client.get(key) == known[key]
                if number % 50 == 0:
                    await client.flush()
            assert client._reads.direct > ROUNDS / 4

    asyncio.run(program())


def test_an_asyncio_client_reads_in_its_own_loop_only(db: Client, data: Path) -> None:
    async def get(client: AsyncClient) -> bytes | None:
        return await client.get(KEYS[0])

    async def program() -> None:
        async with connect_async(data) as client:
            for _ in range(100):
                assert await get(client) == ENTRIES[KEYS[0]]
            assert client._reads.direct
            with pytest.raises(InvalidRequest, match="event loop in which it was made"):
                await asyncio.to_thread(lambda: asyncio.run(get(client)))

    asyncio.run(program())


def _flush_until(data: Path, stopped: Event) -> None:
    with connect(data) as db:
        while not stopped.is_set():
            with suppress(Busy):
                random.choice((db.flush, db.compact))()


def _read_until(db: Client, stopped: Event) -> None:
    while not stopped.is_set():
        key = random.choice(KEYS)
        assert db.get(key) == ENTRIES[key]


def _read_and_write(db: Client) -> None:
    """Runs in the child of a fork."""
    check_read_directly(db)
    db.put(b"of a child", b"v")
    assert db.get(b"of a child") == b"v"


def _read_with_few_descriptors(data: Path) -> None:
    """Runs in a process of its own, so that the limit is not that of the tests."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
    with connect(data) as db:
        for _ in range(2):
            warm_up(db)
            most = 0
            for key in KEYS:
                assert db.get(key) == ENTRIES[key]
                most = max(most, len(os.listdir("/proc/self/fd")))
            assert db.get_many(KEYS) == list(ENTRIES.values())
            assert most < DESCRIPTORS * 2 // 3
        assert keys_read_by(db)[0] > 2 * len(KEYS)
