"""The errors that a user of the Python interface meets, each with its text: read them as if nothing else was known."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shardstore import Client, LocalCluster, ShardstoreError, connect
from shardstore.messages import Refusal
from shardstore.wire_format import Status
from tests.unit.fake_cluster import FakeCluster, Refuse
from tests.unit.fake_server import FakeServer, serving

CALLS: list[tuple[str, Callable[[Client], Any]]] = [
    (
        "InvalidRequest: a key is bytes, not str; encode it, for example with .encode(\"utf-8\"): 'k'",
        lambda db: db.get("k"),
    ),
    ("InvalidRequest: a key has 1 to 4,096 bytes, not 0", lambda db: db.get(b"")),
    ("InvalidRequest: a value is bytes, not NoneType", lambda db: db.put(b"k", None)),
    ("InvalidRequest: a value has 0 to 8,388,608 bytes, not 8,388,609", lambda db: db.put(b"k", bytes(8_388_609))),
    ("InvalidRequest: an expected value is bytes, not int", lambda db: db.compare_and_set(b"k", 1, b"")),
    ("InvalidRequest: on_busy is 'wait' or 'fail', not 'no'", lambda db: db.put(b"k", b"", on_busy="no")),
    ("InvalidRequest: timeout is 0 to 3600 seconds or None, not -1", lambda db: db.get(b"k", timeout=-1)),
    (
        "InvalidRequest: by, which is added to a counter, is an int from -9223372036854775808 to 9223372036854775807, "
        "not 1.5",
        lambda db: db.increment(b"k", 1.5),  # type: ignore[arg-type]
    ),
    ("InvalidRequest: keys is an iterable of keys, not bytes", lambda db: db.get_many(b"k")),
    ("InvalidRequest: entry 1: a key is bytes, not int", lambda db: db.get_many([b"k", 7])),
    (
        "InvalidRequest: pairs is a mapping, or an iterable of pairs of key and value, not int",
        lambda db: db.put_many(7),
    ),
    (
        "InvalidRequest: entry 0: a pair of key and value is wanted, both bytes, not 7; nothing was applied",
        lambda db: db.put_many([7]),
    ),
    (
        "InvalidRequest: entry 1: a pair of key and value is wanted, both bytes, not (97, 98), which is also how b'ab' "
        "is read; nothing was applied",
        lambda db: db.put_many([(b"k", b"v"), b"ab"]),
    ),
    ("InvalidRequest: entry 0: a key is bytes, not int", lambda db: db.get_many([7])),
    ("InvalidRequest: limit is None or a number of entries, 0 to 2**64 - 2, not '9'", lambda db: db.scan(limit="9")),
    ("InvalidRequest: reverse is True or False, not 1", lambda db: db.scan(reverse=1)),
    ("InvalidRequest: a start is bytes, not int", lambda db: db.scan(start=7)),
    ("InvalidRequest: a prefix has 0 to 4,097 bytes, not 5,000", lambda db: db.scan(prefix=bytes(5_000))),
    (
        "InvalidRequest: mode is one of snapshot, fail_fast, full_isolation, live, not 'dirty'",
        lambda db: db.scan(mode="dirty"),
    ),
    ("InvalidRequest: what a scan resumes from is the resume_token of a scan", lambda db: db.scan(resume=b"")),
    (
        "InvalidRequest: a scan that resumes has the bounds, direction, limit and mode of its token",
        lambda db: db.scan(b"a", resume=db.scan().resume_token),
    ),
    ("InvalidRequest: no key lies between start b'b' and end b'a'", lambda db: db.flush(b"b", b"a")),
    ("InvalidRequest: wait is True or False, not 0", lambda db: db.compact(wait=0)),
    ("InvalidRequest: what is asked for its outcome is the token of an OutcomeUnknown", lambda db: db.outcome(b"")),
    ("InvalidRequest: a worker is named by its number, 0 to 255, not '1'", lambda db: db.admin.drain_worker("1")),
    ("InvalidRequest: dry_run is True or False, not None", lambda db: db.admin.rebalance(dry_run=None)),
]  # fmt: skip

REFUSALS: list[tuple[str, Refuse]] = [
    (
        "Busy: memory is full: 9 of 8 used; nothing was applied, retry after 5 ms (segment 1 at worker 0, all keys)",
        Refuse(Status.BUSY, 5, Refusal("memory is full", used=9, limit=8)),
    ),
    ("Corruption: t-1 at byte 7: no sum", Refuse(Status.FAILED, 0, Refusal("no sum", file="t-1", offset=7))),
    ("StorageFailure: cannot read t-1", Refuse(Status.FAILED, 0, Refusal("cannot read t-1"))),
    ("InvalidRequest: no counter", Refuse(Status.INVALID, 0, Refusal("no counter"))),
]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FakeServer]:
    with serving(tmp_path, FakeCluster([], workers=1)) as server:
        yield server


def said(call: Callable[[], Any]) -> str:
    """Name and text of the error."""
    with pytest.raises(ShardstoreError) as caught:
        call()
    return f"{type(caught.value).__name__}: {caught.value}"


def test_calls_that_are_not_allowed(server: FakeServer) -> None:
    with connect(server.url) as client:
        for text, call in CALLS:
            assert said(lambda call=call: call(client)) == text  # type: ignore[misc]
    assert said(lambda: client.get(b"k")) == "Closed: the client was closed"


def test_calls_that_are_refused(server: FakeServer) -> None:
    with connect(server.url) as client:
        for text, refusal in REFUSALS:
            server.cluster.script.append(refusal)
            assert said(lambda: client.put(b"k", b"v", on_busy="fail")) == text


def test_a_call_without_an_answer(server: FakeServer) -> None:
    with connect(server.url) as client:
        client.put(b"k", b"v")
        server.pause()
        assert said(lambda: client.get(b"k", timeout=0.05)) == "Unavailable: no answer within 0.05 s from worker 0"
        doubt = "OutcomeUnknown: the write, or a part of it, may have been applied; the last word was: "
        assert said(lambda: client.put(b"k", b"v", timeout=0.05)) == doubt + "no answer within 0.05 s from worker 0"
        server.resume()


def test_stores_that_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("SHARDSTORE_URL", "SHARDSTORE_DATA"):
        monkeypatch.delenv(variable, raising=False)
    assert said(connect) == (
        "InvalidRequest: connect to what? Name a data directory or a url, or set SHARDSTORE_URL or SHARDSTORE_DATA"
    )
    assert said(lambda: connect(7)) == "InvalidRequest: where is the path of a data directory or a cluster's url, not 7"  # type: ignore[arg-type]
    assert said(lambda: connect("ipc:///nowhere")) == "Unavailable: there is no socket /nowhere"
    printed = "as `shardstore serve` prints it"
    for url, flaw in {
        "tcp://127.0.0.1": "has no port",
        "tcp://127.0.0.1:x": "has no port",
        "tcp://:7700": "has no host",
        "tcp://127.0.0.1:0": "has a port that is not 1 to 65535",
        "tcp://127.0.0.1:65536": "has a port that is not 1 to 65535",
    }.items():
        refused = f"InvalidRequest: {url!r} {flaw}: write it like tcp://127.0.0.1:7700, {printed}"
        assert said(lambda url=url: connect(url)) == refused  # type: ignore[misc]
    no_path = f"InvalidRequest: 'ipc://' has no path: write it like ipc:///run/app/store, {printed}"
    assert said(lambda: connect("ipc://")) == no_path
    assert said(lambda: connect("ipc:///n", fork="no")) == "InvalidRequest: fork is 'reopen' or 'refuse', not 'no'"
    assert "and there is no such directory: start one with" in said(lambda: connect(tmp_path / "none"))
    os.mkdir(tmp_path / "empty")
    assert said(lambda: connect(tmp_path / "empty")).startswith("Unavailable: no cluster is running on ")


def test_clusters_that_cannot_be_made(tmp_path: Path) -> None:
    data = tmp_path / "store"
    assert said(lambda: LocalCluster(7)) == "InvalidRequest: data is the path of a directory, not 7"  # type: ignore[arg-type]
    assert said(lambda: LocalCluster(data, workers=0)) == "InvalidRequest: workers: a store has 1 to 256 workers, not 0"
    assert said(lambda: LocalCluster(data, memory="many")) == (
        "InvalidRequest: memory: 'many' is no size; write it like 512MiB or 2GiB"
    )
    assert said(lambda: LocalCluster(data, durability="never")) == (
        "InvalidRequest: durability is one of async, group_sync, sync, not 'never'"
    )
    assert said(lambda: LocalCluster(data).url) == (
        "Closed: the cluster is not started: use it in a `with` block, or call start()"
    )
