"""Reads of many ranges: what can be read is read, and the rest is left for the workers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardstore.client.calls.arguments import checked_keys
from shardstore.client.calls.batch_pieces import Boundaries
from shardstore.client.direct import reader as module
from shardstore.client.direct.ask import Ask
from shardstore.client.direct.reader import Reader
from shardstore.errors import StorageFailure
from shardstore.files.file_names import manifest, table_file
from shardstore.identifiers import TOMBSTONE, Stored
from shardstore.tables.not_ready import NOT_READY
from shardstore.wire.route_map import RouteMap
from tests.unit.client.direct.direct_store import EPOCH, MEMORY, STORE, TABLES, DirectStore
from tests.unit.set_wall import SetWall

STARTS = [b"", b"g", b"n", b"t"]
KEYS = [b"%c%d" % (first, number) for first in b"aghntz" for number in range(8)]
VALUES: dict[bytes, Stored] = {key: b"value of " + key for key in KEYS[::2]}


class Read:
    """Four ranges of two workers with VALUES in their tables, and a reader."""

    def __init__(self, tables_max: int = TABLES) -> None:
        self.store = DirectStore(STARTS, [0, 1, 0, 1])
        for segment in range(1, 5):
            self.store.drain({key: value for key, value in VALUES.items() if self.segment(key) == segment}, segment)
        self.routes = self.store.routes
        self.reader = Reader(self.store.filesystem, self.store.boards, SetWall(), STORE, MEMORY, tables_max)

    def segment(self, key: bytes) -> int:
        return self.store.routes.route_of(key).segment

    def get(self, key: bytes) -> object:
        """What the reader finds, in the order in which clients ask it."""
        found = self.reader.get_ready(key, self.routes)
        return self.reader.get(key, self.routes) if found is NOT_READY else found

    def get_many(self, keys: list[bytes]) -> dict[bytes, bytes | None]:
        found = self.reader.get_many(checked_keys(keys), self.routes, Boundaries(self.routes.starts))
        assert len(found.values) == len(found.read) == len(keys)
        assert all(value is None for value, read in zip(found.values, found.read, strict=True) if not read)
        return {key: value for key, value, read in zip(keys, found.values, found.read, strict=True) if read}

    def of_segments(self, *segments: int) -> dict[bytes, Stored | None]:
        """What is to be read of these segments."""
        return {key: VALUES.get(key) for key in KEYS if self.segment(key) in segments}


@pytest.fixture
def read() -> Read:
    return Read()


def test_keys_of_all_ranges_are_read(read: Read) -> None:
    assert [read.get(key) for key in KEYS] == list(map(VALUES.get, KEYS))
    assert read.get_many(KEYS) == read.of_segments(1, 2, 3, 4)
    assert read.get_many(KEYS[::-1]) == read.of_segments(1, 2, 3, 4)
    assert read.get_many(KEYS[:1]) == {KEYS[0]: VALUES[KEYS[0]]}


def test_a_deleted_key_has_no_value(read: Read) -> None:
    read.store.drain({KEYS[0]: TOMBSTONE})
    assert read.get(KEYS[0]) is None
    assert read.get_many(KEYS[:3])[KEYS[0]] is None


def test_keys_asked_for_twice_are_read_twice(read: Read) -> None:
    asked = [KEYS[0], KEYS[-1], KEYS[0]]
    found = read.reader.get_many(checked_keys(asked), read.routes, Boundaries(read.routes.starts))
    assert found.values.tolist() == list(map(VALUES.get, asked))


def test_only_what_is_in_memory_is_left(read: Read) -> None:
    read.store.slot(2).note([KEYS[8]])
    expected = read.of_segments(1, 2, 3, 4)
    del expected[KEYS[8]]
    assert read.get_many(KEYS) == expected
    assert isinstance(read.get(KEYS[8]), Ask)


REFUSALS: dict[str, Callable[[Read], object]] = {
    "its slot is closed": lambda read: read.store.slot(3).close(),
    "it has no slot": lambda read: read.store.board_of[0].free(3),
    "any of its keys may be in memory": lambda read: read.store.slot(3).note([b"%d" % number for number in range(99)]),
    "it has a later epoch": lambda read: read.store.slot(3).take_epoch(EPOCH + 1),
    "its manifest is damaged": lambda read: read.store.filesystem.place(manifest(3), b"damaged"),
    "its manifest is gone": lambda read: read.store.filesystem.erase(manifest(3)),
    "its table is damaged": lambda read: read.store.filesystem.place(table_file(3, 1), b"damaged"),
    "its table is gone": lambda read: read.store.filesystem.erase(table_file(3, 1)),
}


@pytest.mark.parametrize("why", REFUSALS)
def test_a_range_is_left_to_its_worker_when(read: Read, why: str) -> None:
    REFUSALS[why](read)
    assert read.get_many(KEYS) == read.of_segments(1, 2, 4)
    key = next(key for key in VALUES if read.segment(key) == 3)
    assert isinstance(read.get(key), Ask)
    assert read.get(KEYS[0]) == VALUES[KEYS[0]]


def test_the_disk_that_fails_leaves_everything_to_the_workers(read: Read) -> None:
    def fail(_number: int, operation: str, path: str) -> None:
        raise StorageFailure(f"cannot {operation} {path}")

    read.store.filesystem.fault = fail
    assert read.get_many(KEYS) == {}
    assert isinstance(read.get(KEYS[0]), Ask)
    read.store.filesystem.healthy()
    assert read.get_many(KEYS) == read.of_segments(1, 2, 3, 4), "nothing damaged was kept"


def test_ranges_of_a_worker_that_began_anew_are_read_from_its_next_board(
    read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shardstore.client.direct.slots.LOOKS_BETWEEN", 0)
    assert read.get(KEYS[0]) == VALUES[KEYS[0]]
    former = read.store.slot(1)
    read.store.start(0)
    former.note([KEYS[0]])
    assert isinstance(read.get(KEYS[0]), Ask), "the former board is let go of"
    assert read.get(KEYS[0]) == VALUES[KEYS[0]], "the former board says nothing any more"
    read.store.slot(1).note([KEYS[0]])
    assert isinstance(read.get(KEYS[0]), Ask)


def test_new_routes_are_followed(read: Read) -> None:
    assert read.get(KEYS[0]) == VALUES[KEYS[0]]
    for segment in range(1, 5):
        read.store.slot(segment).take_epoch(EPOCH + 1)
    assert isinstance(read.get(KEYS[0]), Ask)
    read.routes = read.store.routes_of(EPOCH + 1, 2)
    assert read.get(KEYS[0]) == VALUES[KEYS[0]]
    assert read.get_many(KEYS) == read.of_segments(1, 2, 3, 4)


def test_the_parts_of_a_range_after_its_split_are_not_read_from_its_files(read: Read) -> None:
    read.get_many(KEYS)
    former = read.routes
    read.store.starts, read.store.workers = [b""], [0]
    read.store.slot(1).take_version(read.store.manifest(1).version)
    read.routes = RouteMap(2, (former.routes[0],))
    assert read.get(b"z0") is None, "it is in the map as a key of segment 1, which does not have it"


def test_few_tables_are_open_and_every_key_is_read() -> None:
    read = Read(tables_max=1)
    assert [read.get(key) for key in KEYS * 2] == list(map(VALUES.get, KEYS * 2))
    assert len([*read.reader._files]) == 1


def test_files_that_no_version_names_any_more_are_let_go(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_AFTER", 8)
    read.get_many(KEYS)
    assert sorted(read.reader._files) == [1, 2, 3, 4]
    read.store.drain({KEYS[0]: b"new"})
    read.store.slot(2).close()
    read.store.board_of[0].free(3)
    last = next(key for key in VALUES if read.segment(key) == 4)
    for _ in range(8):
        assert read.get(last) == VALUES[last]
    assert [*read.reader._files] == [4]
    assert read.get(KEYS[0]) == b"new", "and opened again when they are read"


def test_ranges_that_are_gone_are_forgotten(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that lives long meets many segments, whose boards are mapped as long as it keeps them."""
    monkeypatch.setattr(module, "LOOK_AFTER", 8)
    read.get_many(KEYS)
    for segment in (1, 2, 3):
        read.store.board_of[read.store.workers[segment - 1]].free(segment)
    last = next(key for key in VALUES if read.segment(key) == 4)
    for _ in range(8):
        read.get(last)
    assert [*read.reader._ranges] == [4]


@given(
    st.lists(st.sampled_from(KEYS), min_size=1, max_size=60),
    st.sets(st.integers(1, 4)),
    st.lists(st.sampled_from(KEYS), max_size=10),
)
def test_each_key_is_read_unless_its_range_or_the_key_is_left(
    asked: list[bytes], closed: set[int], noted: list[bytes]
) -> None:
    read = Read()
    for key in noted:
        read.store.slot(read.segment(key)).note([key])
    for segment in closed:
        read.store.slot(segment).close()
    left = {key for key in KEYS if read.segment(key) in closed or key in noted}
    assert read.get_many(asked) == {key: VALUES.get(key) for key in asked if key not in left}
    assert {key for key in KEYS if isinstance(read.get(key), Ask)} == left
