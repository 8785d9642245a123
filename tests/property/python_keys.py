"""Keys for property tests: random Python values of every type that a key may have."""

from __future__ import annotations

import datetime
import uuid
from typing import Any

from hypothesis import strategies as st

from shardstore import keys
from shardstore.limits import KEY_NESTING_MAX

ZONES = st.timezones() | st.integers(-23, 23).map(lambda hours: datetime.timezone(datetime.timedelta(hours=hours)))
EDGES = [
    *(sign * (1 << 8 * size) - more for size in (1, 4, 7, 8, 9, 255, 256, 300) for sign in (1, -1) for more in (0, 1)),
    *(1 << 63, (1 << 63) - 1, -(1 << 63), -(1 << 63) - 1),
]
TEXT = st.text(max_size=8) | st.text("\0\1\2\xffab", max_size=6)
BYTES = st.binary(max_size=8) | st.lists(st.sampled_from(b"\0\1\2\xffa"), max_size=6).map(bytes)
INTS = st.integers(-300, 300) | st.integers(-(1 << 64), 1 << 64) | st.sampled_from(EDGES)
FLOATS = st.floats(allow_nan=False) | st.sampled_from([0.0, -0.0, float("inf"), -float("inf"), 5e-324])
MOMENTS = st.datetimes(
    datetime.datetime(2, 1, 1), datetime.datetime(9998, 12, 31), timezones=ZONES, allow_imaginary=False
)
OF_TYPE: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXT,
    bytes: BYTES,
    int: INTS,
    float: FLOATS,
    bool: st.booleans(),
    uuid.UUID: st.uuids(),
    datetime.date: st.dates(),
    datetime.datetime: MOMENTS,
}
NESTED = (keys.Tuple(str, int), keys.Tuple(int, keys.Tuple(bytes)))
OF_NESTED = (st.tuples(TEXT, INTS), st.tuples(INTS, st.tuples(BYTES)))
ANY_TUPLES = st.recursive(
    st.tuples(),
    lambda inner: st.lists(st.none() | st.one_of(*OF_TYPE.values()) | inner, max_size=4).map(tuple),
    max_leaves=8,
)
assert KEY_NESTING_MAX > 8


@st.composite
def positions(draw: st.DrawFn) -> tuple[Any, st.SearchStrategy[Any]]:
    """A type for a position of a Tuple, and the values that it takes."""
    kind, values = draw(st.sampled_from([*OF_TYPE.items(), *zip(NESTED, OF_NESTED, strict=True)]))
    return (kind | None, st.none() | values) if draw(st.booleans()) else (kind, values)


@st.composite
def tuple_types(draw: st.DrawFn) -> tuple[keys.Tuple[Any], st.SearchStrategy[tuple[Any, ...]]]:
    """A Tuple type, and the keys that it takes."""
    drawn = draw(st.lists(positions(), min_size=1, max_size=4))
    return keys.Tuple(*(kind for kind, _ in drawn)), st.tuples(*(values for _, values in drawn))


PLAIN = (
    (keys.Bytes(), BYTES),
    (keys.Str(), TEXT),
    (keys.Int(), INTS),
    (keys.Uuid(), OF_TYPE[uuid.UUID]),
)


def key_types() -> st.SearchStrategy[tuple[keys.KeyType[Any], st.SearchStrategy[Any]]]:
    """A type of keys, and the keys that it takes."""
    return st.sampled_from(PLAIN) | tuple_types() | st.just((keys.AnyTuple(), ANY_TUPLES))
