"""Public errors keep their fields and texts through a process pool."""

from __future__ import annotations

import copy
import pickle

import pytest

from shardstore.errors import Busy, Corruption, Place, ShardstoreError, Unavailable, UndecodableKey, UndecodableValue

BUSY = "range bytes: 1,200 of 1,000 used; nothing was applied, retry after 50 ms"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (Busy("range bytes", 1_200, 1_000, 50_000_000), BUSY),
        (Corruption("segments/1/table", 7, "checksum"), "segments/1/table at byte 7: checksum"),
        (Unavailable("worker 0 is down"), "worker 0 is down"),
        (UndecodableKey("Int()", b"a" * 50, "no int"), f"b'{'a' * 40}' is no key of the type Int(): no int"),
        (
            UndecodableValue("users", ("ada", 7), "no JSON"),
            "the value of ('ada', 7) in the space 'users' cannot be decoded: no JSON",
        ),
    ],
)
def test_errors_can_be_pickled_and_copied(error: ShardstoreError, text: str) -> None:
    for twin in (error, pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is type(error)
        assert str(twin) == text
        assert vars(twin) == vars(error)


@pytest.mark.parametrize(
    ("start", "end", "keys"),
    [
        (b"", b"", "all keys"),
        (b"a", b"", "keys from b'a' on"),
        (b"", b"b", "keys before b'b'"),
        (b"a", b"b" * 100, f"keys from b'a' on before b'{'b' * 40}'"),
    ],
)
def test_a_refusal_names_the_range_and_counts_nothing_where_there_is_nothing_to_count(
    start: bytes, end: bytes, keys: str
) -> None:
    busy = Busy("a flush runs", 1, 1, 10_000_000, Place(5, start, end, 1))
    assert str(busy) == f"a flush runs; nothing was applied, retry after 10 ms (segment 5 at worker 1, {keys})"


def test_a_refusal_tells_in_seconds_when_to_retry() -> None:
    assert pickle.loads(pickle.dumps(Busy("range bytes", 1, 1, 50_000_000))).retry_after == 0.05
    assert Busy("too many open scans", 1, 1, 0).retry_after == 0.0
