"""Values that expire in a running store, with both clients: in memory, in files, in scans, after a restart."""

from __future__ import annotations

import asyncio
import math
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shardstore import LocalCluster, keys, values
from shardstore.client.blocking.client import Client
from shardstore.client.calls import operations
from shardstore.errors import InvalidRequest

KEYS = [b"key-%04d" % number for number in range(400)]
SHORT = KEYS[::2]
LONG = KEYS[1::2]
SOME_SECONDS = 8
"""How long a test may take between a put and the question for what is left."""
MODES = ("snapshot", "live", "full_isolation", "fail_fast")


def about(seconds: float) -> object:
    """What is left of so many seconds; clocks may be some milliseconds apart."""
    return pytest.approx(seconds - SOME_SECONDS / 2, abs=SOME_SECONDS)


def wait_until_expired(db: Client, key: bytes) -> None:
    """Wait until the key is absent; it must be so soon."""
    for _ in range(200):
        if db.get(key) is None:
            return
        time.sleep(0.05)
    pytest.fail("a value has not expired")


def assert_only_long(db: Client) -> None:
    """Only LONG is there, however it is read."""
    assert db.get_many(KEYS) == [None if key in set(SHORT) else b"long" for key in KEYS]
    assert list(db.scan(mode="snapshot")) == [(key, b"long") for key in LONG]
    for mode in MODES:
        assert list(db.scan(mode=mode, keys_only=True)) == LONG
        assert list(db.scan(mode=mode, keys_only=True, reverse=True, limit=3)) == LONG[:-4:-1]
    assert db.count() == len(LONG)
    assert db.ttl(SHORT[0]) is None
    assert not db.contains(SHORT[0])


@pytest.mark.parametrize("in_files", [False, True])
@pytest.mark.parametrize("direct_reads", [False, True])
def test_what_has_expired_is_shown_nowhere(tmp_path: Path, in_files: bool, direct_reads: bool) -> None:
    with LocalCluster(tmp_path / "data", workers=2, ranges=3) as cluster:
        with cluster.connect(direct_reads=direct_reads) as db:
            db.put_many([(key, b"old") for key in SHORT[:50]])
            db.flush()
            db.put_many([(key, b"short") for key in SHORT], ttl=1.5)
            db.put_many([(key, b"long") for key in LONG], expires_at=time.time() + 1_000)
            if in_files:
                db.flush()
            assert db.get(SHORT[3]) in (b"short", None)
            wait_until_expired(db, SHORT[0])
            assert_only_long(db)
            assert db.estimate().entries <= len(KEYS)
            if in_files:
                db.compact()
                assert_only_long(db)
                held = [each for worker in db.stats().items() if worker[0] != "router" for each in worker[1]["ranges"]]
                assert held
            assert db.pop_first() == (LONG[0], b"long")
            db.put(LONG[0], b"long", ttl=1_000)
        cluster.stop()
        with LocalCluster(tmp_path / "data") as again, again.connect(direct_reads=direct_reads) as db:
            assert_only_long(db)


def test_the_methods(tmp_path: Path) -> None:
    with LocalCluster(tmp_path / "data", workers=1) as cluster, cluster.connect() as db:
        assert db.ttl(b"key") is None
        assert not db.expire(b"key", 5)
        assert not db.persist(b"key")
        db.put(b"key", b"value", ttl=100)
        assert db.ttl(b"key") == about(100)
        assert db.expire(b"key", 50)
        assert db.ttl(b"key") == about(50)
        assert db.persist(b"key")
        assert not db.persist(b"key")
        assert db.ttl(b"key") == math.inf
        assert db.get(b"key") == b"value"
        assert db.expire(b"key", expires_at=datetime.now(UTC) + timedelta(seconds=80))
        assert db.ttl(b"key") == about(80)
        db.put(b"key", b"plain")
        assert db.ttl(b"key") == math.inf
        assert db.put_if_absent(b"new", b"value", ttl=60)
        assert not db.put_if_absent(b"new", b"value", ttl=60)
        assert db.ttl(b"new") == about(60)
        assert db.compare_and_set(b"new", b"value", b"other")
        assert db.ttl(b"new") == math.inf
        assert db.compare_and_set(b"new", b"other", b"third", ttl=30)
        assert (db.get(b"new"), round((db.ttl(b"new") or 0) / 10)) == (b"third", 3)
        db.put(b"counter", b"5", ttl=70)
        assert db.increment(b"counter", 2) == 7
        assert db.ttl(b"counter") == about(70)
        with db.batch() as batch:
            batch.require(b"counter", b"7")
            batch.put(b"one", b"1", ttl=20)
            batch.put(b"two", b"2")
            batch.delete(b"new")
        assert batch.applied
        assert db.get_many([b"one", b"two", b"new"]) == [b"1", b"2", None]
        assert db.ttl(b"one") == about(20)
        db.put(b"gone", b"1", expires_at=1)
        assert db.get(b"gone") is None
        assert db.put_if_absent(b"gone", b"2")
        db.put(b"counter", b"5", expires_at=0)
        assert db.increment(b"counter") == 1
        assert db.ttl(b"counter") == math.inf
        db.put(b"large", bytes(8 << 20), ttl=100)
        assert db.get(b"large") == bytes(8 << 20)
        asyncio.run(_from_a_loop(cluster))


async def _from_a_loop(cluster: LocalCluster) -> None:
    async with cluster.connect_async() as db:
        await db.put(b"async", b"value", ttl=100)
        assert await db.ttl(b"async") == about(100)
        assert await db.expire(b"async", 10)
        assert await db.persist(b"async")
        assert await db.ttl(b"async") == math.inf
        await db.put_many({b"a1": b"1", b"a2": b"22"}, ttl=0.001)
        assert await db.put_if_absent(b"a3", b"3", expires_at=time.time() + 9)
        assert not await db.compare_and_set(b"a3", b"4", b"5", ttl=9)
        await asyncio.sleep(0.1)
        assert await db.get_many([b"a1", b"a2", b"a3"]) == [None, None, b"3"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"ttl": 0}, "ttl is a number of seconds above 0, up to 253,402,300,800, not 0"),
        ({"ttl": math.nan}, "ttl is a number of seconds above 0, up to 253,402,300,800, not nan"),
        ({"ttl": "1"}, "ttl is a number of seconds above 0, up to 253,402,300,800, not '1'"),
        ({"ttl": 1, "expires_at": 1}, "a value has a ttl or an expires_at, not both"),
        ({"expires_at": -1}, "expires_at is a datetime, or seconds since the epoch up to the year 9999, not -1"),
        (
            {"expires_at": datetime(2030, 1, 1)},
            "expires_at is a datetime with a time zone, not datetime.datetime(2030, 1, 1, 0, 0)",
        ),
    ],
)
def test_ends_that_are_not_allowed(arguments: dict[str, float], why: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        operations.put(b"key", b"value", None, **arguments)
    assert str(caught.value) == why


def test_spaces(tmp_path: Path) -> None:
    with LocalCluster(tmp_path / "data", workers=1) as cluster, cluster.connect() as db:
        sessions = db.space("sessions", key=keys.Str(), value=values.Json(), ttl=100)
        sessions["a"] = 1
        assert sessions.ttl("a") == about(100)
        sessions.put("b", 2, ttl=math.inf)
        sessions.put("c", 3, ttl=50)
        sessions.put_many({"d": 4, "e": 5})
        sessions.setdefault("f", 6)
        assert sessions.put_if_absent("g", 7, expires_at=time.time() + 20)
        assert sessions.compare_and_set("b", 2, 8)
        with sessions.batch() as batch:
            batch.put("h", 9)
        lifetimes = {key: round((sessions.ttl(key) or 0) / 10) for key in "abcdefgh"}
        assert lifetimes == {"a": 10, "b": 10, "c": 5, "d": 10, "e": 10, "f": 10, "g": 2, "h": 10}
        assert sessions.persist("a")
        assert sessions.ttl("a") == math.inf
        assert sessions.expire("a", 0.001)
        time.sleep(0.1)
        assert "a" not in sessions
        assert db.space("sessions").ttl("c") is not None
        assert db.spaces()["sessions"].ttl == 100
        why = "the space 'sessions' has values of the type ttl 100, not ttl 5"
        with pytest.raises(InvalidRequest, match=why):
            db.space("sessions", ttl=5)
        with pytest.raises(InvalidRequest, match="ttl of a space is a number of seconds above 0 or None, not 0"):
            db.space("other", ttl=0)


def test_what_has_no_value_has_no_end() -> None:
    with pytest.raises(InvalidRequest, match="a key that is removed has neither ttl nor expires_at"):
        operations.compare_and_set(b"key", b"value", None, None, ttl=1)
    with pytest.raises(
        InvalidRequest, match="expire needs a ttl or an expires_at; persist lets a value expire no more"
    ):
        operations.expire(b"key", None, None, None)
