"""The four steps of a direct read: each of them refuses on its own, and a change in between is noticed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardstore.client.direct.ask import ASK, IN_MEMORY, Ask
from shardstore.client.direct.open_files import OpenFiles
from shardstore.client.direct.readable_range import TRIES, LeftToWorkers, ReadableRange
from shardstore.errors import Corruption
from shardstore.files.file_names import manifest, table_file
from shardstore.identifiers import TOMBSTONE, Epoch, Expiring, SegmentId, Stored
from shardstore.key_range import EVERYTHING
from shardstore.tables.digests import digest_of
from shardstore.tables.not_ready import NOT_READY
from shardstore.tables.segment import Segment
from shardstore.tables.wanted import Wanted
from shardstore.wire.board_format import CLOCK_AT, SEQUENCE
from shardstore.workers.board.range_slot import FILTERED_KEYS_MAX
from tests.unit.client.direct.direct_store import EPOCH, MEMORY, STORE, TABLES, DirectStore
from tests.unit.set_wall import WALL_MS, SetWall

KEYS = [b"key %d" % number for number in range(40)]
VALUES: dict[bytes, Stored] = {key: b"value of " + key for key in KEYS[::2]}
ABSENT = b"absent"
MANY = [b"%d" % number for number in range(FILTERED_KEYS_MAX + 1)]


class Interrupted(OpenFiles):
    """Files between whose opening and reading something happens."""

    happens: Callable[[], object] = staticmethod(lambda: None)

    def segment(self, segment: int, version: int) -> Segment:
        """The segment as it was before that."""
        found = super().segment(segment, version)
        self.happens()
        return found


class Read:
    """A store whose only range has VALUES in a table, and a reader of that range."""

    def __init__(self) -> None:
        self.store = DirectStore()
        self.store.drain(VALUES)
        self.slot = self.store.slot(1)
        self.wall = SetWall()
        self.refused = LeftToWorkers()
        self.files = Interrupted(self.store.filesystem, STORE, MEMORY, TABLES)
        self.range = self.of(EPOCH)

    def of(self, epoch: int, segment: int = 1) -> ReadableRange:
        """The range by a route with this epoch and segment."""
        route = replace(self.store.routes.routes[0], epoch=Epoch(epoch), segment=SegmentId(segment))
        return ReadableRange(route, *self.store.at(1), self.files, self.wall, self.refused)

    def get(self, key: bytes) -> Stored | Ask | None:
        """What was read, in the order in which clients ask."""
        found = self.range.get_ready(key)
        return self.range.get(key, digest_of(key)) if found is NOT_READY else found

    def get_many(self, keys: Sequence[bytes]) -> dict[bytes, bytes | None] | Ask:
        """What was read, by key."""
        found = self.range.get_many(Wanted.of(keys))
        if isinstance(found, Ask):
            return found
        values, read = found
        if read is None:
            read = np.ones(len(keys), np.bool_)
        assert len(read) == len(keys)
        assert len(values) == read.sum()
        return dict(zip([key for key, is_read in zip(keys, read, strict=True) if is_read], values, strict=True))


@pytest.fixture
def read() -> Read:
    return Read()


def test_a_key_is_read_from_the_tables(read: Read) -> None:
    assert [read.get(key) for key in KEYS] == list(map(VALUES.get, KEYS))
    assert read.get_many(KEYS) == {key: VALUES.get(key) for key in KEYS}


def test_when_all_is_open_nothing_is_changed_to_read(read: Read) -> None:
    assert read.range.get_ready(KEYS[0]) is NOT_READY, "the slot was not looked at"
    read.get(KEYS[0])
    assert [read.range.get_ready(key) for key in KEYS] == list(map(VALUES.get, KEYS))
    read.slot.note([KEYS[0]])
    assert read.range.get_ready(KEYS[2]) is NOT_READY, "the slot has changed"
    assert read.get(KEYS[2]) == read.range.get_ready(KEYS[2]) == VALUES[KEYS[2]]
    assert read.range.get_ready(KEYS[0]) is IN_MEMORY
    read.slot.note([KEYS[4]])
    assert read.range.get_ready(KEYS[4]) is IN_MEMORY, "a bit is no change of the slot"
    read.files.close(1)
    assert read.range.get_ready(KEYS[2]) is NOT_READY, "the tables are closed"


def test_a_deleted_key_has_no_value(read: Read) -> None:
    read.store.drain({KEYS[0]: TOMBSTONE})
    assert read.get(KEYS[0]) is None
    found = read.get_many(KEYS[:3])
    assert found is not None
    assert found == {key: VALUES.get(key) if key != KEYS[0] else None for key in KEYS[:3]}


def test_a_key_in_memory_is_asked_of_the_worker_and_others_are_read(read: Read) -> None:
    read.slot.note([KEYS[0], ABSENT])
    assert isinstance(read.get(KEYS[0]), Ask)
    assert isinstance(read.get(ABSENT), Ask)
    assert read.get(KEYS[2]) == VALUES[KEYS[2]]
    found = read.get_many([*KEYS, ABSENT])
    assert found == {key: VALUES.get(key) for key in KEYS[1:]}


@pytest.mark.parametrize("sealed", [False, True])
def test_both_filters_count(read: Read, sealed: bool) -> None:
    read.slot.note([KEYS[0]])
    if sealed:
        read.slot.seal()
    read.slot.note([KEYS[2]])
    assert (read.get(KEYS[0]), read.get(KEYS[2])) == (IN_MEMORY, IN_MEMORY)
    found = read.get_many(KEYS[:5])
    assert found is not None
    assert [*found] == [KEYS[1], KEYS[3], KEYS[4]]


def test_all_keys_of_a_batch_in_memory_are_none_that_is_read(read: Read) -> None:
    read.slot.note(KEYS[:3])
    assert read.get_many(KEYS[:3]) == {}


@pytest.mark.parametrize("sealed", [False, True])
def test_while_any_key_may_be_in_memory_nothing_is_read(read: Read, sealed: bool) -> None:
    read.slot.note(MANY)
    if sealed:
        read.slot.seal()
    assert isinstance(read.get(KEYS[0]), Ask)
    assert isinstance(read.get_many(KEYS), Ask)


def test_what_is_drained_is_read_from_the_new_version(read: Read) -> None:
    assert read.get(KEYS[0]) == VALUES[KEYS[0]]
    read.slot.note([KEYS[0], KEYS[1]])
    read.slot.seal()
    read.store.drain({KEYS[0]: b"new", KEYS[1]: b"new too"})
    assert (read.get(KEYS[0]), read.get(KEYS[1])) == (b"new", b"new too")
    assert read.get_many(KEYS[:2]) == {KEYS[0]: b"new", KEYS[1]: b"new too"}


REFUSALS: dict[str, Callable[[Read], object]] = {
    "the slot is closed": lambda read: read.slot.close(),
    "the route has another epoch": lambda read: setattr(read, "range", read.of(EPOCH - 1)),
    "the slot has a later epoch": lambda read: read.slot.take_epoch(EPOCH + 1),
    "the slot was given to another segment": lambda read: (
        read.store.board_of[0].free(1),
        read.store.board_of[0].slot_of(2).open(EPOCH, 1, False, False),  # type: ignore[union-attr]
    ),
    "the next process of the worker has begun": lambda read: read.store.start(0),
    "the slot is in the middle of a change": lambda read: read.store.at(1)[0].memory.words.__setitem__(
        read.store.at(1)[1] + SEQUENCE, 1001
    ),
}


@pytest.mark.parametrize("why", REFUSALS)
def test_a_range_is_not_read_when(read: Read, why: str) -> None:
    assert read.get(KEYS[0]) == VALUES[KEYS[0]]
    assert not read.range.is_outdated
    REFUSALS[why](read)
    assert read.range.get_ready(KEYS[0]) is NOT_READY
    assert isinstance(read.get(KEYS[0]), Ask)
    assert isinstance(read.get_many(KEYS), Ask)
    assert read.range.is_outdated


def test_files_are_outdated_when_the_slot_names_a_later_version(read: Read) -> None:
    assert read.range.is_outdated, "they are not open"
    read.get(KEYS[0])
    assert not read.range.is_outdated
    read.store.drain({KEYS[0]: b"new"})
    assert read.range.is_outdated
    read.get(KEYS[0])
    assert not read.range.is_outdated


# ---------------------------------------------------------------- changes in the middle


def test_a_read_in_whose_middle_the_slot_changes_is_tried_again(read: Read) -> None:
    """The key was written, sealed and drained after its files were opened: its old value must not be returned."""
    for get in (lambda: read.get(KEYS[0]), lambda: (read.get_many(KEYS[:2]) or {}).get(KEYS[0])):
        new = b"%d" % read.store.manifest(1).version

        def drained(new: bytes = new) -> None:
            read.files.happens = lambda: None
            read.slot.note([KEYS[0]])
            read.slot.seal()
            read.store.drain({KEYS[0]: new})

        read.files.happens = drained
        assert get() == new


def test_a_write_that_begins_in_the_middle_is_seen_in_the_next_try(read: Read) -> None:
    read.files.happens = lambda: read.slot.note([KEYS[0]])
    assert isinstance(read.get(KEYS[0]), Ask)


def test_a_slot_that_changes_in_every_try_sends_the_reader_to_the_worker(read: Read) -> None:
    epochs = [0]

    def changed() -> None:
        epochs[0] += 1
        read.slot.take_version(read.store.manifest(1).version)

    read.files.happens = changed
    assert isinstance(read.get(KEYS[0]), Ask)
    assert epochs == [TRIES]
    assert isinstance(read.get_many(KEYS), Ask)
    assert epochs == [2 * TRIES]


@pytest.mark.parametrize("what", ["fenced", "given away"])
def test_a_range_that_is_lost_in_the_middle_is_not_read(read: Read, what: str) -> None:
    if what == "fenced":
        read.files.happens = read.slot.close
    else:
        read.files.happens = lambda: (read.store.board_of[0].free(1), read.store.board_of[0].slot_of(2))
    assert isinstance(read.get(KEYS[0]), Ask)


def test_damage_is_left_to_the_caller(read: Read) -> None:
    read.store.filesystem.erase(table_file(1, 1))
    with pytest.raises(Corruption):
        read.get(KEYS[0])
    read.files.close(1)
    read.store.filesystem.erase(manifest(1))
    with pytest.raises(FileNotFoundError):
        read.get_many(KEYS)


# ---------------------------------------------------------------- whatever happens

STEPS = st.one_of(
    st.tuples(st.just("write"), st.sampled_from(KEYS), st.sampled_from([b"1", b"2", TOMBSTONE])),
    st.tuples(st.sampled_from(["seal", "drain", "large write", "read"]), st.sampled_from(KEYS), st.just(b"3")),
)


@given(st.lists(STEPS, max_size=25))
def test_a_direct_read_is_never_stale(steps: list[tuple[str, bytes, Stored]]) -> None:
    """A model of the worker writes, seals and drains; each read is what the worker would answer, or ASK."""
    read = Read()
    now: dict[bytes, Stored] = dict(VALUES)
    active: dict[bytes, Stored] = {}
    sealed: dict[bytes, Stored] = {}
    for step, key, value in steps:
        if step in ("write", "large write"):
            written = {key: value} if step == "write" else dict.fromkeys(KEYS[: FILTERED_KEYS_MAX + 1], value)
            read.slot.note([*written])
            active |= written
            now |= written
        elif step == "seal":
            read.slot.seal()
            sealed |= active
            active = {}
        elif step == "drain" and sealed:
            read.slot.take_version(read.store.publish(sealed).version)
            read.slot.drop(bool(active), False)
            sealed = {}
        found = {one: read.get(one) for one in KEYS}
        assert {one: value for one, value in found.items() if not isinstance(value, Ask)} == {
            one: _shown(now.get(one)) for one, value in found.items() if not isinstance(value, Ask)
        }
        assert all(isinstance(found[one], Ask) for one in (*active, *sealed))
        batch = read.get_many(KEYS)
        together = {} if isinstance(batch, Ask) else batch
        values = {one: _shown(now.get(one)) for one in together}
        assert together == values
        if not active and not sealed:
            assert not {ASK, IN_MEMORY} & {*found.values()}, "nothing is in memory"


def _shown(stored: Stored | None) -> Stored | None:
    """What a reader gets of a stored value or tombstone."""
    return None if stored is TOMBSTONE else stored


@pytest.mark.parametrize(
    ("board_ms", "wall_ms", "shown"),
    [
        (0, WALL_MS - 1, b"value"),
        (WALL_MS - 1, WALL_MS - 1, b"value"),
        (WALL_MS - 1, WALL_MS, ASK),
        (WALL_MS, WALL_MS - 10_000, None),
        (WALL_MS + 1, WALL_MS + 1, None),
    ],
)
def test_a_value_is_shown_before_its_moment_by_both_clocks_and_absent_by_that_of_the_worker(
    read: Read, board_ms: int, wall_ms: int, shown: bytes | Ask | None
) -> None:
    read.store.drain(
        {KEYS[0]: Expiring(WALL_MS, b"value"), KEYS[2]: TOMBSTONE, KEYS[4]: Expiring(2 * WALL_MS, b"long")}
    )
    read.range._words[CLOCK_AT] = board_ms
    read.wall.ms = wall_ms
    for _ in range(2):  # the second time, nothing has to be opened
        assert read.get(KEYS[0]) == shown
        assert read.get(KEYS[4]) == b"long"
    expected = {key: VALUES.get(key) for key in KEYS} | {KEYS[2]: None, KEYS[4]: b"long"}
    expected |= {KEYS[0]: shown} if shown is not ASK else {}  # type: ignore[dict-item]  # then it is no Ask
    if shown is ASK:
        del expected[KEYS[0]]
    assert read.get_many(KEYS) == expected
    assert read.range.view(EVERYTHING) is None, "the worker makes pages of what expires"


def test_beside_keys_in_memory_only_the_others_are_judged(read: Read) -> None:
    read.store.drain({KEYS[0]: Expiring(WALL_MS, b"value"), KEYS[4]: Expiring(2 * WALL_MS, b"long")})
    read.slot.note([KEYS[2]])
    read.wall.ms = WALL_MS
    expected = {key: VALUES.get(key) for key in KEYS if key not in (KEYS[0], KEYS[2])}
    assert read.get_many(KEYS) == expected | {KEYS[4]: b"long"}


def test_keys_are_counted_that_are_left_to_the_worker_since_any_key_may_be_in_memory(read: Read) -> None:
    read.slot.note([KEYS[0]])
    assert read.get(KEYS[0]) is IN_MEMORY
    assert read.refused.any_key == 0, "its bit is set"
    read.slot.note_clear()
    assert read.get(KEYS[1]) is IN_MEMORY
    assert read.get(KEYS[1]) is IN_MEMORY
    assert read.get_many(KEYS) is IN_MEMORY
    assert read.refused.any_key == 2 + len(KEYS)
