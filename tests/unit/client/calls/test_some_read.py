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
def test_what_was_read_in_another_order_gets_back_to_its_places(
    rows: list[tuple[bytes, bytes | None, bool]], random: Random
) -> None:
    values, read = [row[1] for row in rows], [row[2] for row in rows]
    order = random.sample(range(len(rows)), len(rows))
    some = SomeRead(np.empty(len(rows), object), np.zeros(len(rows), np.bool_), 3)
    for at, place in enumerate(order):
        part = some.span(at, at + 1)
        part.values[:], part.read[:] = [values[place]], read[place]
    back = some.back_at(np.array(order, np.intp))
    assert (back.values.tolist(), back.read.tolist(), back.flags) == (values, read, 3)
