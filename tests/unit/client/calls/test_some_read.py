"""A batch that was read in part: the rest is asked, and every value gets to its place."""

from __future__ import annotations

from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shardstore.client.calls.some_read import SomeRead

ROWS = st.lists(st.tuples(st.binary(min_size=1, max_size=3), st.none() | st.binary(max_size=3), st.booleans()))


def test_the_rest_keeps_its_order() -> None:
    some = SomeRead(np.array([None, b"2", None, None], object), np.array([False, True, False, True]))
    assert some.rest([b"a", b"b", b"c", b"d"]) == [b"a", b"c"]
    assert some.with_rest([b"1", b"3"]) == [b"1", b"2", b"3", None]


@given(ROWS)
def test_what_was_read_and_the_rest_are_all(rows: list[tuple[bytes, bytes | None, bool]]) -> None:
    keys, values = [row[0] for row in rows], [row[1] for row in rows]
    read = np.array([row[2] for row in rows], dtype=np.bool_)
    known = [value if is_read else None for value, is_read in zip(values, read, strict=True)]
    some = SomeRead(np.fromiter(known, object, len(known)), read)
    assert some.rest(keys) == [key for key, is_read in zip(keys, read, strict=True) if not is_read]
    assert some.with_rest([value for value, is_read in zip(values, read, strict=True) if not is_read]) == values


@given(ROWS, st.randoms())
def test_what_is_read_in_parts_and_in_another_order_gets_to_its_positions(
    rows: list[tuple[bytes, bytes | None, bool]], random: Random
) -> None:
    values, read = [row[1] for row in rows], [row[2] for row in rows]
    order = np.array(random.sample(range(len(rows)), len(rows)), np.intp)
    some = SomeRead(np.empty(len(rows), object), np.zeros(len(rows), np.bool_))
    for part in (order[::2], order[1::2]):
        positions = part[[read[at] for at in part]]
        some.put(positions, np.fromiter(map(values.__getitem__, positions), object, len(positions)))
    assert some.read.tolist() == read
    assert some.values.tolist() == [value if is_read else None for value, is_read in zip(values, read, strict=True)]
