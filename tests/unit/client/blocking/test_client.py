"""The blocking client over real sockets: its methods, many threads and close."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import shardstore
from shardstore.client.blocking.client import Client
from shardstore.client.blocking.connect import connect
from shardstore.client.calls.operations import CHUNK_ENTRIES
from shardstore.errors import Busy, Closed, InvalidRequest, OutcomeUnknown, Unavailable
from shardstore.outcome import Ending, Outcome
from shardstore.wire.messages import Refusal
from shardstore.wire.wire_format import Op, Status
from tests.unit.fake_cluster import FakeCluster, Lose, Refuse
from tests.unit.fake_server import FakeServer, await_request, forget_requests, in_thread, serving


@pytest.mark.parametrize("direct", [True, False])
def test_every_method(server: FakeServer, direct: bool) -> None:
    pairs = {bytes([at, at]): str(at).encode() for at in range(250)}
    with connect(server.url, direct=direct) as client:
        assert client.get(b"k") is None
        assert client.get(b"k", 7) == 7
        assert client.get(b"k", default=b"") == b""
        client.put(b"k", b"v")
        assert client.get(b"k") == b"v"
        assert client.contains(b"k")
        assert not client.contains(b"x")
        client.delete(b"k")
        assert not client.contains(b"k")
        client.put_many(pairs)
        client.put_many(iter([(b"a", b"1"), (b"a", b"2")]))
        assert client.get_many([*pairs, b"a", b"absent"]) == [*pairs.values(), b"2", None]
        client.delete_many([b"a", b"b"])
        assert list(client.scan()) == sorted(pairs.items())
        assert list(client.scan(b"\x10", b"\x20", reverse=True)) == sorted(pairs.items())[31:15:-1]
        assert list(client.scan(prefix=b"\x10", keys_only=True)) == [b"\x10\x10"]
        assert list(client.scan(limit=3)) == sorted(pairs.items())[:3]
        client.flush()
        client.compact()
        assert client.stats(timeout=5)["router"]["role"] == "router"
        assert client.get_many([]) == []
        assert client.put_many({}) is None


def test_an_empty_value_is_a_value(client: Client) -> None:
    client.put(b"k", b"")
    assert client.get(b"k", b"default") == b""
    assert client.contains(b"k")


def test_large_batches_are_cut_and_put_together_again(client: Client, server: FakeServer) -> None:
    pairs = {at.to_bytes(3, "big") * 3: at.to_bytes(4, "big") for at in range(0, 1 << 24, 83)}
    client.put_many(pairs)
    assert server.cluster.data == pairs
    assert client.get_many(pairs) == list(pairs.values())
    assert len([header for header in server.cluster.requests if header.op == Op.PUT]) < 40
    assert sum(1 for _ in client.scan()) == len(pairs)


def test_a_scan_may_be_left_in_the_middle(client: Client) -> None:
    client.put_many({at.to_bytes(2, "big"): b"v" for at in range(5_000)})
    scan = client.scan()
    assert next(scan) == (b"\0\0", b"v")
    del scan
    assert client.get(b"\0\0") == b"v"


def test_errors_reach_the_caller(client: Client, server: FakeServer) -> None:
    server.cluster.script.append(Refuse(Status.INVALID, 0, Refusal("no such thing")))
    with pytest.raises(InvalidRequest, match="no such thing"):
        client.put(b"k", b"v")
    server.cluster.script.append(Refuse(Status.BUSY, 60_000, Refusal("range bytes", 2, 1)))
    with pytest.raises(Busy, match="range bytes"):  # not retried before the deadline, so nothing is in doubt
        client.put(b"k", b"v", timeout=1)
    assert client.get(b"k") is None


def test_a_batch_of_several_calls_that_fails_may_be_applied_in_part(client: Client, server: FakeServer) -> None:
    server.cluster.script.extend([None, *[Refuse(Status.BUSY, 60_000)] * 2])
    pairs = ((at.to_bytes(3, "big"), b"v") for at in range(3 * CHUNK_ENTRIES))
    with pytest.raises(OutcomeUnknown) as caught:
        client.put_many(pairs, timeout=2)
    assert isinstance(caught.value.__cause__, Busy)


def test_conditional_operations(client: Client) -> None:
    assert client.put_if_absent(b"a", b"1")
    assert not client.put_if_absent(b"a", b"2")
    assert client.compare_and_set(b"a", b"1", b"3")
    assert not client.compare_and_set(b"a", b"1", None)
    assert (client.increment(b"n"), client.increment(b"n", 41), client.get(b"n")) == (1, 42, b"42")


def test_the_outcome_of_a_write_in_doubt(client: Client, server: FakeServer) -> None:
    server.cluster.script.extend([Lose.REPLY, *[Lose.REQUEST] * 1_000])
    with pytest.raises(OutcomeUnknown) as caught:
        client.increment(b"n", timeout=0.1)
    server.cluster.script.clear()
    with connect(server.url) as other:
        assert other.outcome(caught.value.token) == Outcome(Ending.APPLIED, ((b"n", Ending.APPLIED),))
        with pytest.raises(InvalidRequest, match="token"):
            other.outcome(b"token")


def test_when_a_batch_of_several_calls_fails_all_of_them_have_ended(client: Client, server: FakeServer) -> None:
    keys = [at.to_bytes(3, "big") for at in range(5 * CHUNK_ENTRIES)]
    server.cluster.script.extend([None, *[Refuse(Status.BUSY, 10)] * 10_000])
    with pytest.raises(OutcomeUnknown) as caught:
        client.put_many(((key, b"v") for key in keys), timeout=0.5)
    server.catch_up()  # else a retry that is still in the socket would be applied
    server.cluster.script.clear()
    assert client.outcome(caught.value.token).state is Ending.PARTLY
    assert len(server.cluster.data) == CHUNK_ENTRIES
    client.put(b"\0", b"later")
    assert len(server.cluster.data) == CHUNK_ENTRIES + 1


def test_timeouts(client: Client, server: FakeServer) -> None:
    server.pause()
    with pytest.raises(Unavailable):
        client.get(b"k", timeout=0.05)
    with pytest.raises(OutcomeUnknown):
        client.put(b"k", b"v", timeout=0.05)
    server.resume()
    assert client.get(b"k") in (None, b"v")


def test_no_router(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(Unavailable, match=r"no answer within 0\.05 s: there is no socket"):
        connect(f"unix://{tmp_path}/nobody", timeout=0.05)
    assert time.monotonic() - began < 0.8, "it waited for the unsent HELLO to leave"


@pytest.mark.fault("C9")
def test_sixteen_threads(client: Client, server: FakeServer) -> None:
    def work(number: int) -> int:
        for at in range(100):
            key = bytes([number * 16 + at % 16, at % 5])
            client.put(key, str(at).encode())
            assert client.get(key) == str(at).encode()
            assert client.get_many([key, b"absent"]) == [str(at).encode(), None]
        return number

    threads = [in_thread(work, number) for number in range(16)]
    for thread, _ in threads:
        thread.join(60)
    assert [ended for _, ended in threads] == [[number] for number in range(16)]
    assert sum(len(keys) for _, keys, _ in server.cluster.log) == 1_600


def test_calls_of_threads_are_gathered_while_one_is_under_way(client: Client, server: FakeServer) -> None:
    client.get(b"a")
    server.cluster.requests.clear()
    server.pause()
    forget_requests(server)
    first = in_thread(client.put, b"a", b"first")
    await_request(server)
    others = [in_thread(client.put, bytes([at]), b"v") for at in range(20)]
    while len(client._pump._under_way) < 21:
        pass
    server.resume()
    for thread, ended in [first, *others]:
        thread.join(10)
        assert ended == [None]
    assert sum(header.entries for header in server.cluster.requests) == 21
    assert len(server.cluster.requests) < 21


def test_the_lead_is_handed_over(client: Client, server: FakeServer) -> None:
    """The leader's call ends first; the reply for the other thread comes only after that."""
    server.pause()
    forget_requests(server)
    leader, leader_ended = in_thread(client.get, b"a")
    await_request(server)
    follower, follower_ended = in_thread(lambda: client.get(b"b", timeout=0.3))
    await_request(server)
    server.cluster.data[b"a"] = b"1"
    server.cluster.script.extend([None, None])
    server.resume()
    leader.join(10)
    follower.join(10)
    assert (leader_ended, follower_ended) == ([b"1"], [None])


def test_a_follower_leads_when_the_leader_is_gone(client: Client, server: FakeServer) -> None:
    server.pause()
    forget_requests(server)
    leader, leader_ended = in_thread(lambda: client.get(b"a", timeout=0.2))
    await_request(server)
    follower, follower_ended = in_thread(lambda: client.get(b"b", timeout=10))
    await_request(server)
    leader.join(10)
    assert isinstance(leader_ended[0], Unavailable)
    server.resume()
    follower.join(5)
    assert follower_ended == [None]


def test_the_lead_passes_by_who_was_settled_meanwhile(client: Client, server: FakeServer) -> None:
    """The calls of two of three threads end at once; the third must not be left without a leader."""
    server.pause()
    forget_requests(server)
    threads = []
    for key, timeout in ((b"a", 20), (b"b", 0.3), (b"\xf0", 20)):
        threads.append(in_thread(lambda key=key, timeout=timeout: client.get(key, timeout=timeout)))
        await_request(server)
    server.cluster.script.extend([None, None, Lose.REPLY])
    server.resume()
    for thread, ended in threads:
        thread.join(10)
        assert ended == [None]


def test_close_wakes_who_waits(client: Client, server: FakeServer) -> None:
    server.pause()
    forget_requests(server)
    waiting = [in_thread(client.get, b"a")]
    await_request(server)
    waiting += [in_thread(client.put, b"b", b"v") for _ in range(3)]
    await_request(server)
    client.close()
    for thread, ended in waiting:
        thread.join(5)
        assert isinstance(ended[0], Closed)
    for call in (lambda: client.get(b"a"), lambda: client.put_many({b"a": b"b"}), lambda: list(client.scan())):
        with pytest.raises(Closed, match="was closed"):
            call()
    client.close()


def test_public_names() -> None:
    names = "Client AsyncClient connect connect_async Busy Closed Corruption InvalidRequest OutcomeUnknown Unavailable"
    assert set(names.split()) < set(shardstore.__all__)
    assert all(getattr(shardstore, name) is not None for name in shardstore.__all__)


def test_two_clients_do_not_disturb_each_other(server: FakeServer) -> None:
    with connect(server.url) as one, connect(server.url) as other:
        one.put(b"a", b"1")
        other.put(b"a", b"2")
        assert one.get(b"a") == b"2"


def test_a_cluster_with_one_range(tmp_path: Path) -> None:
    with serving(tmp_path, FakeCluster([], workers=1)) as server, connect(server.url) as client:
        client.put_many({b"a": b"1", b"b": b"2"})
        assert list(client.scan(reverse=True)) == [(b"b", b"2"), (b"a", b"1")]
