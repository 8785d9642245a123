"""The board of a worker: which range has which slot."""

from __future__ import annotations

import pytest

from shardstore.identifiers import tag_of_store
from shardstore.limits import BOARD_SLOTS
from shardstore.wire.board_format import (
    ACTIVE,
    ANY_KEY,
    CLOSED,
    MOVES_AT,
    SEGMENT,
    SEQUENCE,
    SERVING,
    SLOT_WORDS,
    STATE,
    slot_at,
)
from shardstore.workers.board import worker_board
from shardstore.workers.board.worker_board import WorkerBoard
from tests.simulation.sim_boards import SimBoards

SLOTS = 3


class Made:
    """A board of three slots, and its words."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        memory = SimBoards().renew(0, tag_of_store("store"))
        self.words = memory.words
        monkeypatch.setattr(worker_board, "BOARD_SLOTS", SLOTS)
        self.board = WorkerBoard(memory)

    def fields(self, field: int) -> list[int]:
        return self.words[slot_at(0) + field : slot_at(SLOTS) : SLOT_WORDS].tolist()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Made:
    return Made(monkeypatch)


def test_without_memory_no_range_has_a_slot() -> None:
    board = WorkerBoard(None)
    assert board.slot_of(1) is None
    board.free(1)
    board.close()
    board.check_invariants()


def test_a_segment_keeps_its_slot(made: Made) -> None:
    slot = made.board.slot_of(5)
    assert slot is not None
    assert made.board.slot_of(5) is slot
    assert made.board.slot_of(6) is not slot
    assert sorted(made.fields(SEGMENT)) == [0, 5, 6]


def test_moves_are_counted_after_the_slot_has_its_segment(made: Made) -> None:
    assert made.words[MOVES_AT] == 0
    made.board.slot_of(5)
    made.board.slot_of(5)
    assert made.words[MOVES_AT] == 1
    made.board.free(5)
    made.board.free(5)
    assert made.words[MOVES_AT] == 2


def test_slots_run_out_and_are_given_again(made: Made) -> None:
    assert all(made.board.slot_of(segment) for segment in (1, 2, 3))
    assert made.board.slot_of(4) is None
    assert made.board.slot_of(2) is not None, "who has one keeps it"
    made.board.free(2)
    assert made.board.slot_of(4) is not None
    assert sorted(made.fields(SEGMENT)) == [1, 3, 4]
    assert made.board.slot_of(2) is None


def test_a_freed_slot_is_closed_and_its_former_owner_cannot_open_it_by_a_write(made: Made) -> None:
    slot = made.board.slot_of(1)
    assert slot is not None
    slot.open(1, 1, has_active=False, has_runs=False)
    slot.note([b"a"])
    made.board.free(1)
    assert not slot.is_open
    other = made.board.slot_of(2)
    assert other is not None
    assert SERVING not in made.fields(STATE)
    other.open(1, 1, has_active=True, has_runs=False)
    slot.note([b"a"])
    slot.take_version(77)
    slot.drop(has_active=False, has_runs=False)
    slot.close()
    assert made.fields(ACTIVE).count(ANY_KEY) == 1
    made.board.check_invariants()


def test_a_slot_that_is_given_again_has_another_sequence(made: Made) -> None:
    """A read that began with the former segment must not end as if nothing had happened."""
    slot = made.board.slot_of(1)
    assert slot is not None
    slot.open(1, 1, has_active=False, has_runs=False)
    before = max(made.fields(SEQUENCE))
    made.board.free(1)
    again = made.board.slot_of(2)
    assert again is not None
    again.open(1, 1, has_active=False, has_runs=False)
    assert max(made.fields(SEQUENCE)) > before


def test_a_closed_board_serves_no_range(made: Made) -> None:
    for segment in (1, 2):
        slot = made.board.slot_of(segment)
        assert slot is not None
        slot.open(1, 1, has_active=False, has_runs=False)
    made.board.close()
    assert set(made.fields(STATE)) == {CLOSED}


def test_there_are_as_many_slots_as_the_format_says() -> None:
    board = WorkerBoard(SimBoards().renew(0, 1))
    assert all(board.slot_of(segment) for segment in range(1, BOARD_SLOTS + 1))
    assert board.slot_of(BOARD_SLOTS + 1) is None


def test_a_broken_slot_is_found(made: Made) -> None:
    made.board.slot_of(1)
    made.board.check_invariants()
    at = next(at for at in map(slot_at, range(SLOTS)) if made.words[at + SEGMENT] == 1)
    made.words[at + STATE] = SERVING
    with pytest.raises(AssertionError, match="another state"):
        made.board.check_invariants()


def test_a_filter_that_nobody_gives_back_is_found(made: Made) -> None:
    slot = made.board.slot_of(1)
    assert slot is not None
    slot.open(1, 1, has_active=False, has_runs=False)
    slot.note([b"a"])
    made.board.check_invariants()
    slot._release = lambda named: None  # type: ignore[method-assign]
    slot.close()
    with pytest.raises(AssertionError, match="a filter is lost"):
        made.board.check_invariants()
