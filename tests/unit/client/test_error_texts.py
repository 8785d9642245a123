"""The errors that a user of the Python interface sees, with their texts. Each must be clear without context."""

from __future__ import annotations

import asyncio
import errno
import os
import pickle
import socket
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from shardstore import AsyncClient, Client, LocalCluster, ScanIterator, ShardstoreError, connect, connect_async
from shardstore.client.calls.outcome_token import OutcomeToken, PartInDoubt
from shardstore.client.calls.resume_token import ResumePoint, to_token
from shardstore.limits import MILLISECOND_NS
from shardstore.system.socket_transport import SocketTransport
from shardstore.wire.messages import Refusal
from shardstore.wire.wire_format import Status
from tests.unit.client.session_driver import SessionDriver, put
from tests.unit.fake_cluster import FakeCluster, Refuse
from tests.unit.fake_server import FakeServer

NO_TOKEN = b"\x02\xc1"
BAD_OUTCOME = "the token is damaged: hand over the bytes of OutcomeUnknown.token as they are"
BAD_RESUME = "the token is damaged: hand over the bytes of resume_token as they are"


def closed(scan: ScanIterator) -> ScanIterator:
    scan.close()
    return scan


CALLS: list[tuple[str, Callable[[Client], Any]]] = [
    (
        "InvalidRequest: a key is bytes, not str; encode it, for example with .encode(\"utf-8\"): 'k'",
        lambda db: db.get("k"),
    ),
    ("InvalidRequest: a key has 1 to 4,096 bytes, not 0", lambda db: db.get(b"")),
    ("InvalidRequest: a value is bytes, not NoneType", lambda db: db.put(b"k", None)),
    ("InvalidRequest: a value has 0 to 8,388,608 bytes, not 8,388,609", lambda db: db.put(b"k", bytes(8_388_609))),
    ("InvalidRequest: an expected value is bytes, not int", lambda db: db.compare_and_set(b"k", 1, b"")),
    (
        "InvalidRequest: the expected value and the new one have at most 16,772,096 bytes, not 16,777,216",
        lambda db: db.compare_and_set(b"k", bytes(8_388_608), bytes(8_388_608)),
    ),
    (
        "InvalidRequest: a value is bytes, not a memoryview of 'I': cast it with .cast('B')",
        lambda db: db.put(b"k", memoryview(array("I", [1]))),
    ),
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
    ("InvalidRequest: prefix is bytes; an empty one is that of all keys", lambda db: db.delete_prefix(None)),
    ("InvalidRequest: no key lies between start b'b' and end b'a'", lambda db: db.flush(b"b", b"a")),
    ("InvalidRequest: wait is True or False, not 0", lambda db: db.compact(wait=0)),
    ("InvalidRequest: what is asked for its outcome is the token of an OutcomeUnknown", lambda db: db.outcome(b"")),
    (f"InvalidRequest: {BAD_OUTCOME}", lambda db: db.outcome(NO_TOKEN)),
    (
        f"InvalidRequest: {BAD_OUTCOME}",
        lambda db: db.outcome(OutcomeToken([PartInDoubt(1, 1, b"")], 0, 0).encode()),
    ),
    (f"InvalidRequest: {BAD_RESUME}", lambda db: db.scan(resume=NO_TOKEN)),
    (
        f"InvalidRequest: {BAD_RESUME}",
        lambda db: db.scan(resume=to_token(ResumePoint(b"b", b"a", False, False, 1, "snapshot", b"", b""))),
    ),
    ("Closed: the scan was closed", lambda db: closed(db.scan()).seek(b"k")),
    ("InvalidRequest: a client is made by shardstore.connect(...)", lambda db: Client("data")),  # type: ignore[arg-type]
    ("InvalidRequest: a client is made by shardstore.connect_async(...)", lambda db: AsyncClient("data")),  # type: ignore[arg-type]
    ("InvalidRequest: a worker is named by its number, 0 to 255, not '1'", lambda db: db.admin.drain_worker("1")),
    ("InvalidRequest: dry_run is True or False, not None", lambda db: db.admin.rebalance(dry_run=None)),
]  # fmt: skip

REFUSALS: list[tuple[str, Refuse]] = [
    (
        "Busy: memory is full: 9 of 8 used; nothing was applied, retry after 5 ms (segment 1 at worker 0, all keys)",
        Refuse(Status.BUSY, 5, Refusal("memory is full", used=9, limit=8)),
    ),
    ("Corruption: t-1 at byte 7: no sum", Refuse(Status.FAILED, 0, Refusal("no sum", file="t-1", offset=7))),
    (
        "OutcomeUnknown: whether it was applied cannot be told any more: its client has written later, or was "
        "forgotten",
        Refuse(Status.TOO_OLD, 0, Refusal("its client has written later, or was forgotten")),
    ),
    ("StorageFailure: cannot read t-1", Refuse(Status.FAILED, 0, Refusal("cannot read t-1"))),
    ("InvalidRequest: no counter", Refuse(Status.INVALID, 0, Refusal("no counter"))),
]


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster([], workers=1)


def said(call: Callable[[], Any]) -> str:
    """The name and text of the error."""
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
        doubt = "OutcomeUnknown: the write, or a part of it, may have been applied; the latest error was: "
        assert said(lambda: client.put(b"k", b"v", timeout=0.05)) == doubt + "no answer within 0.05 s from worker 0"
        server.resume()


def test_a_client_stays_in_its_process_and_its_loop(server: FakeServer) -> None:
    with connect(server.url) as client:
        assert said(lambda: pickle.dumps(client)) == (
            "InvalidRequest: a client cannot be pickled: another process makes its own, with "
            f"shardstore.connect({server.url!r})"
        )

    async def opened() -> AsyncClient:
        return await connect_async(server.url)

    loop = asyncio.new_event_loop()
    client = loop.run_until_complete(opened())
    assert said(lambda: pickle.dumps(client)) == (
        "InvalidRequest: a client cannot be pickled: another process makes its own, with "
        f"shardstore.connect_async({server.url!r})"
    )
    assert said(lambda: asyncio.run(client.get(b"k"))) == (
        "InvalidRequest: an asyncio client is used in the event loop in which it was made: make another one in this "
        "loop"
    )
    loop.run_until_complete(client.close())
    loop.close()


def test_a_bad_pair_behind_a_chunk_that_failed(server: FakeServer) -> None:
    with connect(server.url) as client:
        server.cluster.script.append(Refuse(Status.FAILED, 0, Refusal("cannot write t-1")))
        pairs = [*((b"%06d" % number, b"") for number in range(20_000)), (b"k", None)]
        assert said(lambda: client.put_many(pairs)) == (
            "InvalidRequest: entry 20,000: a value is bytes, not NoneType; some of the 16,384 before its chunk may not "
            "be applied: cannot write t-1"
        )


def test_a_store_that_was_replaced(server: FakeServer) -> None:
    with connect(server.url) as client:
        server.cluster.store = "another"
        assert said(lambda: client.get(b"k")) == (
            f"Unavailable: another store is served at {server.url} now: this is another; open a new client if that one "
            "is meant"
        )


def test_a_router_that_says_nothing(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{tmp_path}/s")
        listening.listen()
        url = f"unix://{tmp_path}/s"
        assert said(lambda: connect(url, timeout=0.05)) == (
            f"Unavailable: no answer within 0.05 s: no router answered at {url}"
        )


@pytest.mark.parametrize("server", ["local"], indirect=True)
def test_a_client_without_descriptors(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> NoReturn:
        raise OSError(errno.EMFILE, "Too many open files")

    remedy = "cannot open a socket: Too many open files; close some of what is open, or raise `ulimit -n`"
    with monkeypatch.context() as patched:
        patched.setattr(socket, "socket", refuse)
        assert said(lambda: connect(server.url, timeout=0.05)) == f"Unavailable: no answer within 0.05 s: {remedy}"
    with monkeypatch.context() as patched:
        patched.setattr("shardstore.system.zmq_links._make_sure_of_room", refuse)
        assert said(lambda: connect("tcp://127.0.0.1:1")) == f"Unavailable: {remedy}"
    monkeypatch.setattr(os, "eventfd", refuse)
    assert said(lambda: connect(server.url)) == (
        "Unavailable: the client has no room for its sockets: Too many open files; close some of what is open, or "
        "raise `ulimit -n`"
    )


def test_writes_that_are_slowed_down_until_their_end() -> None:
    driver = SessionDriver(FakeCluster())
    driver.cluster.pressure = 255
    driver.call(put(b"k", bytes(8_000_000)))
    late = put(b"k", timeout_ns=MILLISECOND_NS)
    driver.submit(late)
    driver.advance(200)
    assert str(driver.ended[late]) == (
        "writes are slowed down: 255 of 255 used; nothing was applied (segment 2 at worker 0, keys from b'@' on before "
        "b'\\x80')"
    )


def test_stores_that_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("SHARDSTORE_URL", "SHARDSTORE_DATA"):
        monkeypatch.delenv(variable, raising=False)
    assert said(connect) == (
        "InvalidRequest: connect to what? Name a data directory or a url, or set SHARDSTORE_URL or SHARDSTORE_DATA"
    )
    assert said(lambda: connect(7)) == "InvalidRequest: where is the path of a data directory or a cluster's url, not 7"  # type: ignore[arg-type]
    assert said(lambda: connect("unix:///nowhere")) == "Unavailable: there is no socket /nowhere"
    printed = "as `shardstore serve` prints it"
    for url, flaw in {
        "tcp://127.0.0.1": "has no port",
        "tcp://127.0.0.1:x": "has no port",
        "tcp://:7700": "has no host",
        "tcp://a b:7700": "has a space in its host",
        "tcp://127.0.0.1:0": "has a port that is not 1 to 65535",
        "tcp://127.0.0.1:65536": "has a port that is not 1 to 65535",
    }.items():
        refused = f"InvalidRequest: {url!r} {flaw}: write it like tcp://127.0.0.1:7700, {printed}"
        assert said(lambda url=url: connect(url)) == refused  # type: ignore[misc]
    assert said(lambda: connect("http://x")) == (
        "InvalidRequest: 'http://x' is no cluster's url, which begins with unix:// or tcp://, and no data directory"
    )
    transport = SocketTransport()
    assert said(lambda: transport.connect("router", "tcp://a b:7700")) == (
        "InvalidRequest: cannot connect to tcp://a b:7700: Invalid argument; write it as `shardstore serve` prints it"
    )
    transport.close()
    no_path = f"InvalidRequest: 'unix://' has no path: write it like unix:///run/app/store, {printed}"
    assert said(lambda: connect("unix://")) == no_path
    assert said(lambda: connect("unix:///n", fork="no")) == "InvalidRequest: fork is 'reopen' or 'refuse', not 'no'"
    assert said(lambda: connect("unix:///n", memory=-1)) == "InvalidRequest: memory is a number of bytes, not -1"
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
