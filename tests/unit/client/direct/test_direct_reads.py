"""What a client asks first: when the reader is made, which keys go to workers, and the counts."""

from __future__ import annotations

from typing import Any

import pytest

from shardstore.client.calls.arguments import checked_keys
from shardstore.client.calls.batch_pieces import Boundaries
from shardstore.client.calls.calls import Many
from shardstore.client.direct.ask import ASK, IN_MEMORY
from shardstore.client.direct.direct_reads import FIRST_READS, DirectReads
from shardstore.client.direct.reader import Reader
from shardstore.identifiers import Stored
from shardstore.limits import KEY_BYTES_MAX
from shardstore.wire.wire_format import Op
from tests.unit.client.direct.direct_store import MEMORY, STORE, TABLES, DirectStore
from tests.unit.set_wall import SetWall

VALUES: dict[bytes, Stored] = {b"a": b"1", b"b": b"2", b"p": b"3"}


class Reads:
    """The direct reads of a client that follows the routes of a store with two ranges."""

    def __init__(self, follows: bool = True) -> None:
        self.store = DirectStore([b"", b"m"])
        self.store.drain({b"a": b"1", b"b": b"2"}, 1)
        self.store.drain({b"p": b"3"}, 2)
        self.opened: list[str] = []
        self.refuses = False
        self.reads = DirectReads(self.open_reader)
        if follows:
            self.follow()

    def open_reader(self, store: str) -> Reader | None:
        self.opened.append(store)
        return (
            None if self.refuses else Reader(self.store.filesystem, self.store.boards, SetWall(), store, MEMORY, TABLES)
        )

    def follow(self, store: str = STORE) -> None:
        self.reads.follow(store, self.store.routes, Boundaries(self.store.routes.starts))

    def warm(self) -> DirectReads:
        """Read as often as goes to workers anyway."""
        for _ in range(FIRST_READS):
            assert self.reads.get(b"a") is ASK
        return self.reads


@pytest.fixture
def made() -> Reads:
    return Reads()


def many(*keys: bytes) -> Many:
    return Many(10**9, Op.GET, checked_keys(keys))


# ---------------------------------------------------------------- single reads


def test_the_first_reads_go_to_workers_and_make_no_reader(made: Reads) -> None:
    made.warm()
    assert made.opened == []
    assert made.reads.get(b"a") == b"1"
    assert made.opened == [STORE]
    assert made.reads.get(b"absent") is None
    assert (made.reads.direct, made.reads.asked) == (2, FIRST_READS)


def test_what_the_worker_must_be_asked_is_counted(made: Reads) -> None:
    reads = made.warm()
    made.store.slot(1).note([b"a"])
    assert (reads.get(b"a"), reads.get(b"b"), reads.get(b"p")) == (IN_MEMORY, b"2", b"3")
    assert (reads.direct, reads.asked) == (2, FIRST_READS + 1)


@pytest.mark.parametrize("key", [b"", b"k" * (KEY_BYTES_MAX + 1), "a", bytearray(b"a"), memoryview(b"a"), None, 7])
def test_a_key_that_is_not_plain_bytes_or_not_allowed_is_left_to_the_call(made: Reads, key: Any) -> None:
    reads = made.warm()
    assert reads.get(key) is ASK
    assert reads.get(b"k" * KEY_BYTES_MAX) is None


def test_before_routes_come_everything_is_asked() -> None:
    made = Reads(follows=False)
    call = many(b"a")
    assert made.warm().get(b"a") is ASK
    assert made.reads.get_many(call) is call
    assert made.opened == []


def test_a_client_that_cannot_have_a_reader_asks_for_one_again_only_with_new_routes(made: Reads) -> None:
    made.refuses = True
    reads = made.warm()
    for _ in range(5):
        assert reads.get(b"a") is ASK
    call = many(b"a", b"p")
    assert reads.get_many(call) is call
    assert made.opened == [STORE]
    made.refuses = False
    assert reads.get(b"a") is ASK
    made.follow()
    assert reads.get(b"a") == b"1"
    assert made.opened == [STORE, STORE]
    assert (reads.direct, reads.asked) == (1, FIRST_READS + 8)


def test_a_client_that_follows_to_another_store_reads_that_one(made: Reads) -> None:
    reads = made.warm()
    assert reads.get(b"a") == b"1"
    made.follow("another")
    assert reads.get(b"a") is ASK, "the boards here are not those of that store"
    assert made.opened == [STORE, "another"]
    made.follow()
    assert reads.get(b"a") == b"1"


# ---------------------------------------------------------------- many keys


def test_a_batch_is_worth_a_reader_at_once(made: Reads) -> None:
    assert made.reads.get_many(many(b"a", b"p", b"absent", b"b")) == [b"1", b"3", None, b"2"]
    assert (made.opened, made.reads.direct, made.reads.asked) == ([STORE], 4, 0)


def test_a_call_is_left_for_the_keys_that_were_not_read(made: Reads) -> None:
    made.store.slot(1).note([b"a"])
    call = many(b"a", b"b", b"p", b"a")
    rest = made.reads.get_many(call)
    assert isinstance(rest, Many)
    assert (rest.op, rest.timeout_ns, [*rest.keys.items]) == (call.op, call.timeout_ns, [b"a", b"a"])
    rest.collect(None, [b"new", b"newer"])
    assert rest.settled_with(None) == [b"new", b"2", b"3", b"newer"]
    assert (made.reads.direct, made.reads.asked) == (2, 2)


def test_parts_of_the_rest_go_to_their_places(made: Reads) -> None:
    made.store.slot(1).note([b"a"])
    made.store.slot(2).note([b"q"])
    rest = made.reads.get_many(many(b"q", b"b", b"a"))
    assert isinstance(rest, Many)
    rest.collect(rest.all_positions()[:1], [b"of q"])
    rest.collect(rest.all_positions()[1:], [None])
    assert rest.settled_with(None) == [b"of q", b"2", None]


def test_a_batch_of_which_nothing_can_be_read_is_the_same_call(made: Reads) -> None:
    for segment in (1, 2):
        made.store.slot(segment).close()
    call = many(b"a", b"p")
    assert made.reads.get_many(call) is call
    assert call.rest_of is None
    assert (made.reads.direct, made.reads.asked) == (0, 2)


# ---------------------------------------------------------------- begin anew, close


def test_after_an_interrupted_read_another_reader_is_made(made: Reads) -> None:
    reads = made.warm()
    reads.get(b"a")
    reads.begin_anew()
    assert reads.get(b"a") == b"1"
    assert made.opened == [STORE, STORE]


def test_a_closed_client_reads_nothing(made: Reads) -> None:
    reads = made.warm()
    assert reads.get(b"a") == b"1"
    reads.close()
    call = many(b"a")
    assert reads.get(b"a") is ASK
    assert reads.get_many(call) is call
    assert made.opened == [STORE]
