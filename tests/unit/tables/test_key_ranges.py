"""Sets of key ranges against sets of keys."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardstore.key_range import KeyRange
from shardstore.tables.key_ranges import NO_KEYS, KeyRanges, key_ranges_of

KEYS = [bytes([number]) for number in range(10)]
BOUNDS = st.sampled_from([b"", *KEYS])
RANGES = (
    st.tuples(BOUNDS, BOUNDS).filter(lambda each: not each[1] or each[0] < each[1]).map(lambda each: KeyRange(*each))
)


def keys_in(ranges: list[KeyRange]) -> list[bytes]:
    """All keys of ranges that do not overlap."""
    return sorted(key for each in ranges for key in KEYS if key in each)


@given(st.lists(RANGES, max_size=5), st.lists(RANGES, max_size=3), RANGES)
def test_it_has_the_keys_of_its_ranges(ranges: list[KeyRange], more: list[KeyRange], wanted: KeyRange) -> None:
    found = NO_KEYS
    for each in ranges:
        found = found.with_range(each)
        found.check_invariants()
    model = {key for key in KEYS for each in ranges if key in each}
    assert found == key_ranges_of(ranges)
    assert {key for key in KEYS if key in found} == model
    assert keys_in([*found]) == sorted(model)
    assert keys_in([*found.within(wanted)]) == [key for key in KEYS if key in wanted and key in model]
    outside = [*found.outside(wanted)]
    assert outside == [*found.outside(wanted, reverse=True)][::-1]
    assert keys_in(outside) == [key for key in KEYS if key in wanted and key not in model]
    assert found.holds_all_of(wanted) == (not outside)
    assert found.union(key_ranges_of(more)) == key_ranges_of([*ranges, *more])


def test_adjacent_ranges_are_one() -> None:
    assert [*key_ranges_of([KeyRange(b"m", b""), KeyRange(b"a", b"c"), KeyRange(b"c", b"m")])] == [KeyRange(b"a", b"")]


@pytest.mark.parametrize(
    ("starts", "ends", "what"),
    [
        ([b"a"], [], "has no end"),
        ([b"a", b"c"], [b"", b"d"], "without an end"),
        ([b"a", b"c"], [b"c", b"d"], "overlap or are adjacent"),
        ([b"b"], [b"a"], "is empty"),
    ],
)
def test_what_is_broken_is_found(starts: list[bytes], ends: list[bytes], what: str) -> None:
    with pytest.raises(AssertionError, match=what):
        KeyRanges(starts, ends).check_invariants()
