"""Finding the slot of a range: boards are opened once, looked for seldom, and read again when slots moved."""

from __future__ import annotations

import pytest

from shardstore.client.direct import slots as module
from shardstore.client.direct.slots import Slots
from shardstore.wire.board_format import SEGMENT
from tests.unit.client.direct.direct_store import STORE, DirectStore


@pytest.fixture
def store() -> DirectStore:
    return DirectStore([b"", b"m", b"t"], [0, 0, 1])


def test_the_slot_of_each_segment_is_found_on_the_board_of_its_worker(store: DirectStore) -> None:
    slots = Slots(store.boards, STORE)
    for segment, worker in ((1, 0), (2, 0), (3, 1)):
        found = slots.find(worker, segment)
        assert found == store.at(segment)
        board, at = found
        assert board is store.boards.current[worker]
        assert board.memory.words[at + SEGMENT] == segment
    assert store.boards.looks == 2, "one for each worker"


def test_what_is_not_on_the_board_is_not_found(store: DirectStore) -> None:
    slots = Slots(store.boards, STORE)
    assert slots.find(0, 3) is None
    assert slots.find(0, 99) is None
    assert slots.find(0, 0) is None, "the number in slots that were never used"


def test_the_board_of_another_store_is_not_found(store: DirectStore) -> None:
    assert Slots(store.boards, "another").find(0, 1) is None


def test_a_segment_that_gets_a_slot_later_is_found(store: DirectStore) -> None:
    slots = Slots(store.boards, STORE)
    assert slots.find(0, 7) is None
    store.board_of[0].slot_of(7)
    assert slots.find(0, 7) is not None
    assert store.boards.looks == 1


def test_a_slot_that_was_given_away_is_that_of_the_other_segment(store: DirectStore) -> None:
    slots = Slots(store.boards, STORE)
    before = slots.find(0, 1)
    store.board_of[0].free(1)
    store.board_of[0].slot_of(7)
    assert slots.find(0, 7) == before
    assert slots.find(0, 1) is None


def test_the_board_of_the_next_process_is_looked_for_at_once(store: DirectStore) -> None:
    slots = Slots(store.boards, STORE)
    former = slots.find(0, 1)
    assert former is not None
    store.start(0)
    found = slots.find(0, 1)
    assert store.boards.looks == 2
    assert found is not None
    assert found[0].is_current()
    assert not former[0].is_current()


def test_a_worker_without_a_board_is_looked_for_once_in_many_reads(
    store: DirectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOKS_BETWEEN", 4)
    slots = Slots(store.boards, STORE)
    assert [slots.find(9, 1) for _ in range(11)] == [None] * 11
    assert store.boards.looks == 3
    assert slots.find(0, 1) is not None, "each worker has its own count"
