"""The filters of a board: who takes one has it alone, and without bits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardstore.wire.board_format import FILTER_BYTES
from shardstore.workers.board.filter_pool import FilterPool

FILTERS = 3


def pool_of(filters: int = FILTERS) -> FilterPool:
    return FilterPool(memoryview(bytearray(filters * FILTER_BYTES)))


def test_each_filter_is_taken_once() -> None:
    pool = pool_of()
    assert {pool.take() for _ in range(FILTERS)} == {0, 1, 2}
    assert pool.take() is None


def test_without_memory_there_is_no_filter() -> None:
    assert pool_of(0).take() is None


def test_a_filter_that_was_given_back_is_taken_again_without_its_bits() -> None:
    pool = pool_of(1)
    number = pool.take()
    assert number == 0
    pool.bits(number)[:] = b"\xff" * FILTER_BYTES
    pool.give_back(number)
    assert pool.take() == number
    assert not any(pool.bits(number))


def test_the_bits_of_filters_lie_apart() -> None:
    pool = pool_of()
    pool.bits(1)[:] = b"\xff" * FILTER_BYTES
    assert not any(pool.bits(0))
    assert not any(pool.bits(2))
    assert len(pool.bits(2)) == FILTER_BYTES


def test_a_filter_is_not_given_back_twice() -> None:
    pool = pool_of()
    number = pool.take()
    assert number is not None
    pool.give_back(number)
    with pytest.raises(AssertionError, match="twice"):
        pool.give_back(number)


PLACES = st.dictionaries(st.integers(0, FILTER_BYTES - 1), st.integers(1, 255), max_size=20)


@given(PLACES, PLACES)
def test_adding_sets_the_bits_of_both_and_changes_only_one(one: dict[int, int], other: dict[int, int]) -> None:
    pool = pool_of(2)
    for number, places in enumerate((one, other)):
        for at, byte in places.items():
            pool.bits(number)[at] = byte
    pool.add(0, 1)
    expected = {at: one.get(at, 0) | other.get(at, 0) for at in one.keys() | other}
    assert {at: pool.bits(0)[at] for at in expected} == expected
    assert sum(map(bool, pool.bits(0))) == len(expected)
    assert sum(map(bool, pool.bits(1))) == len(other)


@pytest.mark.parametrize("named", [[], [0], [0, 1, 1], [0, 1, 2], [2, 1]])
def test_filters_that_are_lost_or_have_two_owners_are_found(named: list[int]) -> None:
    pool = pool_of()
    taken = [pool.take(), pool.take()]
    assert taken == [2, 1]
    if named == [2, 1]:
        pool.check_invariants(named)
        return
    with pytest.raises(AssertionError, match="a filter is lost"):
        pool.check_invariants(named)
