"""Half-open key intervals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardstore.key_range import EVERYTHING, KeyRange, range_of_prefix

KEYS = st.binary(max_size=3)


@st.composite
def key_ranges(draw: st.DrawFn) -> KeyRange:
    start, end = sorted((draw(KEYS), draw(KEYS)))
    return KeyRange(start, b"" if start == end else end)


@given(key_ranges(), KEYS)
def test_start_is_inside_and_end_is_outside(key_range: KeyRange, key: bytes) -> None:
    assert key_range.start in key_range
    if key_range.end:
        assert key_range.end not in key_range
    assert (key in key_range) == (key >= key_range.start and (key_range.end == b"" or key < key_range.end))


@given(key_ranges(), key_ranges(), KEYS)
def test_intersection_holds_the_keys_of_both(left: KeyRange, right: KeyRange, key: bytes) -> None:
    common = left.intersection(right)
    assert (key in left and key in right) == (common is not None and key in common)
    assert common == right.intersection(left)


@given(st.binary(max_size=3), st.binary(max_size=4))
def test_range_of_a_prefix_holds_the_keys_that_begin_with_it(prefix: bytes, key: bytes) -> None:
    assert (key in range_of_prefix(prefix)) == key.startswith(prefix)


def test_range_of_a_prefix_of_highest_bytes_has_no_end() -> None:
    assert range_of_prefix(b"a\xff\xff") == KeyRange(b"a\xff\xff", b"b")
    assert range_of_prefix(b"\xff\xff") == KeyRange(b"\xff\xff", b"")
    assert range_of_prefix(b"") == EVERYTHING


@pytest.mark.parametrize(("start", "end"), [(b"b", b"a"), (b"a", b"a")])
def test_a_range_that_can_hold_no_key_is_refused(start: bytes, end: bytes) -> None:
    with pytest.raises(ValueError, match="must end after its start"):
        KeyRange(start, end)
