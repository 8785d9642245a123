"""Every codec reads back what it has written, alone or among many, with any compression."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shardstore import values

LEAVES = st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats(allow_nan=False) | st.text()
JSON = st.recursive(
    LEAVES.filter(lambda leaf: leaf not in (float("inf"), -float("inf"))),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
MSGPACK = st.recursive(
    LEAVES | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(LEAVES | st.binary(), inner, max_size=4),
    max_leaves=10,
)
LONG = st.binary(max_size=12).map(lambda piece: piece * 40)
CODECS: list[tuple[values.ValueCodec[Any], st.SearchStrategy[Any]]] = [
    (values.Raw(), st.binary() | LONG),
    (values.Str(), st.text() | st.text(max_size=8).map(lambda piece: piece * 40)),
    (values.Int(), st.integers()),
    (values.Float(), st.floats(allow_nan=False)),
    (values.Json(), JSON),
    (values.MsgPack(), MSGPACK),
    (values.Pickle(), MSGPACK | st.tuples(st.integers())),
]


@given(
    st.sampled_from(CODECS).flatmap(lambda each: st.tuples(st.just(each[0]), st.lists(each[1], max_size=5))),
    st.sampled_from([None, "zstd", "lz4"]),
)
def test_values_are_read_back(case: tuple[values.ValueCodec[Any], list[Any]], compression: str | None) -> None:
    codec, many = case
    stored = values.Values(codec, compression)
    datas = stored.encode_many(many)
    assert repr(stored.decode_many(datas)) == repr(many)
    assert datas == list(map(stored.encode, many))
    assert repr(list(map(stored.decode, datas))) == repr(many)


@given(st.sampled_from(CODECS[:-1]), st.sampled_from([None, "zstd", "lz4"]), st.binary(max_size=40))
def test_any_bytes_are_a_value_or_refused(
    case: tuple[values.ValueCodec[Any], Any], compression: str | None, data: bytes
) -> None:
    stored = values.Values(case[0], compression)
    try:
        value = stored.decode(data)
    except ValueError:
        return
    assert repr(stored.decode_many([data, data])[1]) == repr(value)
