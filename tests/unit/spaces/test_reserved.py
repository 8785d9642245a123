"""The keys that are reserved for spaces."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardstore.errors import InvalidRequest
from shardstore.key_range import range_of_prefix
from shardstore.spaces.reserved import (
    COUNTER_KEY,
    DOCUMENTS_END,
    DOCUMENTS_START,
    NUMBER_MAX,
    document_key,
    name_from,
    prefix_of_space,
)

NUMBERS = st.integers(1, NUMBER_MAX) | st.integers(1, 2**15)


@pytest.mark.parametrize(
    ("number", "prefix"),
    [
        (1, "ffff01"),
        (127, "ffff7f"),
        (128, "ffff8080"),
        (16_383, "ffffbfff"),
        (16_384, "ffffc04000"),
        (2**21 - 1, "ffffdfffff"),
        (NUMBER_MAX, "fffffeffffffffffffff"),
    ],
)
def test_a_number_has_its_shortest_form(number: int, prefix: str) -> None:
    assert prefix_of_space(number).hex() == prefix


@given(NUMBERS, NUMBERS)
def test_the_ranges_of_spaces_lie_in_the_order_of_numbers_and_do_not_overlap(one: int, other: int) -> None:
    low, high = sorted((one, other))
    if low < high:
        assert prefix_of_space(low) >= DOCUMENTS_END
        assert range_of_prefix(prefix_of_space(low)).end <= prefix_of_space(high)
        assert range_of_prefix(prefix_of_space(high)).end


@given(st.text(min_size=1, max_size=200).filter(lambda text: text.isprintable()))
def test_documents_lie_between_the_counter_and_the_first_space(name: str) -> None:
    assert COUNTER_KEY < DOCUMENTS_START <= document_key(name) < DOCUMENTS_END <= prefix_of_space(1)
    assert name_from(document_key(name)) == name


def test_a_name_may_begin_with_a_zero_character() -> None:
    assert DOCUMENTS_START <= document_key("\0") < document_key("\0\0") < document_key("a")


@pytest.mark.parametrize("name", ["", "n" * 201, "\udc80", b"name", None, 7])
def test_what_is_no_name_is_refused(name: Any) -> None:
    with pytest.raises(InvalidRequest, match="the name of a space is text of 1 to 200 characters, not "):
        document_key(name)
