"""Every option of the public functions and methods refuses values of a wrong type, and names the option."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shardstore import (
    AsyncClient,
    Client,
    InvalidRequest,
    LocalCluster,
    SegmentOptions,
    ShardstoreError,
    TopologyOptions,
    Unavailable,
    connect,
    connect_async,
)
from shardstore.client.blocking.admin import Admin
from shardstore.client.calls.outcome_token import UNKNOWABLE
from tests.unit.fake_cluster import FakeCluster
from tests.unit.fake_server import FakeServer

WRONG = [object(), "text", -1, 1.5, b"x", [1], {}, True, float("nan"), "\udcff", 10**30, "a\0b"]
METHODS: dict[str, dict[str, Any]] = {
    "increment": {"key": b"n"},
    "get": {"key": b"k"},
    "contains": {"key": b"k"},
    "expire": {"key": b"k", "ttl": 1},
    "persist": {"key": b"k"},
    "ttl": {"key": b"k"},
    "put": {"key": b"k", "value": b"v"},
    "delete": {"key": b"k"},
    "put_if_absent": {"key": b"k", "value": b"v"},
    "compare_and_set": {"key": b"k", "expected": None, "value": b"v"},
    "outcome": {"token": UNKNOWABLE.encode()},
    "get_many": {"keys": []},
    "put_many": {"pairs": []},
    "delete_many": {"keys": []},
    "batch": {},
    "pop_first": {},
    "pop_last": {},
    "scan": {},
    "space": {"name": "space"},
    "spaces": {},
    "drop_space": {"name": "space"},
    "delete_range": {},
    "delete_prefix": {"prefix": b"k"},
    "count": {},
    "estimate": {},
    "flush": {},
    "compact": {},
    "stats": {},
}
ADMIN: dict[str, dict[str, Any]] = {
    "split": {"key": b"k"},
    "merge": {"key": b"k"},
    "move": {"key": b"k", "to": 0},
    "rebalance": {},
    "ranges": {},
    "add_worker": {},
    "drain_worker": {"worker": 0},
    "changes": {},
    "resolve_change": {"change": 1, "how": "cancel"},
}


def options(function: Callable[..., Any]) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name not in ("self", "default")]


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster([], workers=1)


def refused(call: Callable[[Any], Any], option: str) -> int:
    """The number of refused values; each must raise an error of this library that names the option."""
    count = 0
    for wrong in WRONG:
        said = ""
        try:
            call(wrong)
        except InvalidRequest as error:
            said = str(error)
            count += 1
        except Unavailable:
            said = f"{option} is allowed, nobody is there"
        assert option in said or said.startswith("entry ") or not said, f"{wrong!r}: {said}"
    return count


def test_methods_of_a_client(server: FakeServer) -> None:
    with connect(server.url) as client:
        assert {name for name in dir(Client) if not name.startswith("_")} == {*METHODS, "admin", "close", "mapping"}
        for name, needed in METHODS.items():
            for option in options(getattr(client, name)):
                call = lambda wrong, name=name, needed=needed, option=option: getattr(client, name)(  # noqa: E731
                    **{**needed, option: wrong}
                )
                assert refused(call, option) >= 5, f"{name}({option}=)"
        assert refused(client.scan().seek, "key") >= 5
        assert refused(lambda wrong: client.batch().commit(timeout=wrong), "timeout") >= 5


def test_methods_of_an_operator(server: FakeServer) -> None:
    with connect(server.url) as client:
        assert {name for name in dir(Admin) if not name.startswith("_")} == {*ADMIN}
        for name, needed in ADMIN.items():
            for option in options(getattr(client.admin, name)):
                call = lambda wrong, name=name, needed=needed, option=option: getattr(client.admin, name)(  # noqa: E731
                    **{**needed, option: wrong}
                )
                assert refused(call, option) >= 5, f"admin.{name}({option}=)"


def test_connect(server: FakeServer, tmp_path: Path) -> None:
    assert (
        options(connect)
        == options(connect_async)
        == [*("where", "direct", "timeout", "fork", "direct_reads", "memory", "key")]
    )
    for option in ("direct", "timeout", "fork", "direct_reads", "memory", "key"):
        assert refused(lambda wrong, option=option: connect(server.url, **{option: wrong}).close(), option) >= 7
    assert refused(lambda wrong: connect(wrong, timeout=0.05).close(), "where") >= 7
    assert refused(lambda wrong: connect("tcp://127.0.0.1:1", key=wrong).close(), "key") >= 7


def test_a_cluster_and_its_options(tmp_path: Path) -> None:
    for option in options(LocalCluster):
        needed = {
            "data": tmp_path / "store",
            **({"socket": str(tmp_path / "s")} if option.startswith("socket_") else {}),
        }
        assert (
            refused(lambda wrong, option=option, needed=needed: LocalCluster(**{**needed, option: wrong}), option) >= 5
        )
    for kind in (SegmentOptions, TopologyOptions):
        for option in options(kind):
            assert refused(lambda wrong, option=option, kind=kind: kind(**{option: wrong}), option) >= 5


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ([(b"a", b"1"), (b"b", "2")], "entry 1: a value is bytes, not str; encode it"),
        ([(b"a", b"1"), b"b"], "entry 1: a pair of key and value is wanted, both bytes, not b'b'; nothing was applied"),
        ([(b"a", b"1"), (b"", b"2")], "entry 1: a key has 1 to 4,096 bytes, not 0; nothing was applied"),
        ([(b"a",)], "entry 0: a pair of key and value is wanted"),
        ({b"a": b"1", 7: b"2"}, "entry 1: a key is bytes, not int; nothing was applied"),
    ],
)
def test_a_bad_pair_is_named_by_its_number(server: FakeServer, pairs: Any, said: str) -> None:
    with connect(server.url) as client:
        with pytest.raises(InvalidRequest) as caught:
            client.put_many(pairs)
        assert said in str(caught.value)
        assert server.cluster.data == {}


def test_a_bad_pair_far_behind_tells_what_was_applied(server: FakeServer) -> None:
    def pairs() -> Iterator[tuple[bytes, Any]]:
        for at in range(100_000):
            yield at.to_bytes(4, "big"), b"v" if at != 70_000 else None

    with connect(server.url) as client:
        with pytest.raises(
            InvalidRequest, match="entry 70,000: a value is bytes, not NoneType; entries 0 to"
        ) as caught:
            client.put_many(pairs())
        applied = len(server.cluster.data)
        assert 50_000 < applied <= 70_000
        assert str(caught.value).endswith(f"entries 0 to {applied - 1:,} were applied, no other")
        with pytest.raises(InvalidRequest, match=r"^entry 1: a key is bytes, not int$"):
            client.get_many([b"a", 7])  # type: ignore[list-item]
        with pytest.raises(InvalidRequest, match="entry 2: a key has 1 to 4,096 bytes, not 0; nothing was applied"):
            client.delete_many([b"a", b"b", b""])


def test_what_things_say_of_themselves(server: FakeServer, tmp_path: Path) -> None:
    client = connect(server.url)
    assert repr(client) == f"<shardstore.Client of {server.url!r}>"
    assert (
        repr(client.scan(reverse=True))
        == "<shardstore.ScanIterator of mode snapshot, in reverse, before its first entry>"
    )
    client.close()
    assert repr(client) == f"<shardstore.Client of {server.url!r}, closed>"
    cluster = LocalCluster(tmp_path / "store")
    assert repr(cluster) == f"<shardstore.LocalCluster on {str(tmp_path / 'store')!r}, not started>"
    with pytest.raises(
        ShardstoreError, match=r"cannot be pickled: another process makes its own, with shardstore\.connect"
    ):
        client.__reduce__()
    for shown in (client.scan(), cluster):
        for copied in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(InvalidRequest, match="cannot be copied or pickled"):
                copied(shown)


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_a_client_is_not_made_by_its_class(kind: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"is made by shardstore\.connect"):
        kind("data")
