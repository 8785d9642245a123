"""Ranges known to be empty are empty, whatever is put, and they are remembered until something is put."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from shardstore.key_range import EVERYTHING, KeyRange
from shardstore.tables.empty_ranges import EMPTY_RANGES_MAX, EmptyRanges
from tests.unit.tables.test_deleted_keys import key

RANGES = st.tuples(st.integers(0, 50), st.integers(1, 20)).map(lambda empty: KeyRange(key(empty[0]), key(sum(empty))))


class Model(RuleBasedStateMachine):
    """The ranges, and the numbers below 100 known to have no value."""

    def __init__(self) -> None:
        super().__init__()
        self.ranges = EmptyRanges()
        self.empty: set[int] = set()

    @rule(found=st.one_of(RANGES, st.just(KeyRange(key(70)))))
    def note(self, found: KeyRange) -> None:
        self.ranges.note(found)
        self.empty |= {number for number in range(100) if key(number) in found}

    @rule(numbers=st.lists(st.integers(0, 99), max_size=3))
    def put(self, numbers: list[int]) -> None:
        self.ranges.note_put([key(number) for number in numbers])
        self.empty -= set(numbers)

    @rule(wanted=st.one_of(RANGES, st.just(EVERYTHING)), reverse=st.booleans())
    def ask(self, wanted: KeyRange, reverse: bool) -> None:
        left = self.ranges.left_of(wanted, reverse)
        passed = {
            number for number in range(100) if key(number) in wanted and (left is None or key(number) not in left)
        }
        assert passed <= self.empty
        if left is not None:
            assert left.start == wanted.start if reverse else left.end == wanted.end

    @invariant()
    def promises_are_kept(self) -> None:
        self.ranges.check_invariants()


TestModel = Model.TestCase


@given(RANGES, st.booleans())
def test_a_range_is_left_out_from_either_end(empty: KeyRange, reverse: bool) -> None:
    ranges = EmptyRanges()
    ranges.note(empty)
    assert ranges.left_of(EVERYTHING, reverse) == EVERYTHING, "it is in the middle"
    assert ranges.left_of(empty, reverse) is None
    wider = KeyRange(b"", empty.end) if reverse else KeyRange(empty.start, b"")
    left = KeyRange(b"", empty.start) if reverse else KeyRange(empty.end, b"")
    assert ranges.left_of(wider, reverse) == left


def test_ranges_that_touch_are_one() -> None:
    ranges = EmptyRanges()
    for first in (20, 0, 10):
        ranges.note(KeyRange(key(first), key(first + 10)))
    assert ranges.left_of(KeyRange(key(0)), reverse=False) == KeyRange(key(30))


def test_a_put_takes_only_its_own_place_out() -> None:
    ranges = EmptyRanges()
    ranges.note(EVERYTHING)
    ranges.note_put([key(50)])
    assert ranges.left_of(EVERYTHING, reverse=False) == KeyRange(key(50))
    assert ranges.left_of(EVERYTHING, reverse=True) == KeyRange(b"", key(50) + b"\0")


def test_many_puts_into_one_range_leave_few_ranges() -> None:
    ranges = EmptyRanges()
    ranges.note(EVERYTHING)
    for number in range(10 * EMPTY_RANGES_MAX):
        ranges.note_put([key(number)])
        ranges.check_invariants()
    assert ranges.left_of(KeyRange(key(number) + b"\0"), reverse=False) is None


def test_the_latest_are_kept() -> None:
    ranges = EmptyRanges()
    found = [KeyRange(key(3 * at), key(3 * at + 1)) for at in range(EMPTY_RANGES_MAX + 1)]
    for empty in found:
        ranges.note(empty)
    assert [ranges.left_of(empty, reverse=False) for empty in found] == [found[0]] + [None] * EMPTY_RANGES_MAX
