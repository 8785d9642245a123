"""Which calls of a blocking client go past the workers, and when none does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from shardstore.client.blocking.client import Client
from shardstore.client.calls import operations
from shardstore.client.calls.arguments import checked_keys
from shardstore.client.calls.calls import Call, Many
from shardstore.client.calls.some_read import SomeRead
from shardstore.client.direct.ask import ASK, Ask
from shardstore.errors import Closed, InvalidRequest
from tests.unit.fake_server import FakeServer, await_request, forget_requests, in_thread

pytestmark = pytest.mark.parametrize("server", ["local"], indirect=True)  # only there are files to read


class FakeReads:
    """Files that hold b"file" for every key of `held`, and know nothing of the others."""

    def __init__(self, held: dict[bytes, bytes | None]) -> None:
        self.held = held

    def get(self, key: Any) -> bytes | Ask | None:
        return self.held.get(key, ASK) if type(key) is bytes else ASK  # type: ignore[arg-type]

    def get_many(self, call: Many) -> Many | list[bytes | None]:
        keys = call.keys.items
        values = np.fromiter(map(self.held.get, keys), object, len(keys))
        found = SomeRead(values, np.array([key in self.held for key in keys]))
        if not found.read.any():
            return call
        if found.read.all():
            return values.tolist()  # type: ignore[no-any-return]
        rest = Many(call.timeout_ns, call.op, checked_keys(found.rest(keys)))
        rest.rest_of = found
        return rest

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def reads(client: Client) -> FakeReads:
    """The reads of the client. Files have a and b; the worker has other values."""
    client.put_many({b"a": b"worker", b"c": b"worker"})
    reads = FakeReads({b"a": b"file", b"b": None})
    client._calls._reads = client._reads = reads  # type: ignore[assignment]
    return reads


def requests(server: FakeServer) -> int:
    """How many messages came since the last look."""
    count = 0
    while server.received.acquire(blocking=False):
        count += 1
    return count


def leave(client: Client, server: FakeServer, call: Call) -> None:
    """Send a call, and wait for it no more once the server has it, as after an interrupt. The server is paused."""
    server.pause()
    forget_requests(server)
    client._pump.submit(call)
    client._pump.send()
    await_request(server)
    client._pump.abandon(call)


def test_what_the_files_know_is_asked_of_nobody(client: Client, reads: FakeReads, server: FakeServer) -> None:
    requests(server)
    assert client.get(b"a") == b"file"
    assert client.get(b"b", b"default") == b"default"
    assert [client.contains(key) for key in (b"a", b"b")] == [True, False]
    assert client.get_many([b"a", b"b", b"a"]) == [b"file", None, b"file"]
    assert requests(server) == 0


def test_the_rest_is_asked_of_workers(client: Client, reads: FakeReads) -> None:
    assert [client.get(key) for key in (b"c", b"d")] == [b"worker", None]
    assert [client.contains(key) for key in (b"c", b"d")] == [True, False]
    assert client.get_many([b"c", b"d"]) == [b"worker", None]


def test_a_batch_of_both_keeps_its_order(client: Client, reads: FakeReads, server: FakeServer) -> None:
    requests(server)
    assert client.get_many([b"c", b"a", b"d", b"b", b"c"]) == [b"worker", b"file", None, None, b"worker"]
    assert requests(server) == 1


def test_a_long_batch_is_read_in_several_calls(client: Client, reads: FakeReads) -> None:
    reads.held.update({b"%06d" % number: b"%d" % number for number in range(150_000)})
    keys = [b"%06d" % number for number in range(150_000)]
    assert client.get_many(iter(keys)) == [b"%d" % number for number in range(150_000)]


@pytest.mark.parametrize("method", ["get", "contains", "get_many"])
def test_arguments_are_checked_all_the_same(client: Client, reads: FakeReads, method: str) -> None:
    call = getattr(client, method)
    good = [b"a"] if method == "get_many" else b"a"
    bad = [b""] if method == "get_many" else b""
    for timeout in (-1, "soon", float("nan")):
        with pytest.raises(InvalidRequest):
            call(good, timeout=timeout)
    with pytest.raises(InvalidRequest):
        call(bad)
    assert call(good, timeout=1)


@pytest.mark.parametrize("method", ["get", "contains", "get_many"])
def test_a_closed_client_reads_no_file(client: Client, reads: FakeReads, method: str) -> None:
    client.close()
    with pytest.raises(Closed):
        getattr(client, method)([b"a"] if method == "get_many" else b"a")


@pytest.mark.parametrize("method", ["get", "contains", "get_many"])
def test_a_read_follows_a_write_for_which_nobody_waits_any_more(
    client: Client, reads: FakeReads, server: FakeServer, method: str
) -> None:
    leave(client, server, operations.put(b"a", b"new", None))
    assert not client._pump.may_read()
    argument: Any = [b"a"] if method == "get_many" else b"a"
    reader, found = in_thread(getattr(client, method), argument)
    await_request(server)
    server.resume()
    reader.join(10)
    assert found == [{"get": b"new", "contains": True, "get_many": [b"new"]}[method]]
    assert client._pump.may_read(), "the write has ended"
    assert client.get(b"a") == b"file"


def test_an_abandoned_read_holds_up_no_other_read(client: Client, reads: FakeReads, server: FakeServer) -> None:
    leave(client, server, operations.get(b"c", None))
    assert client.get(b"a") == b"file"
    server.resume()
