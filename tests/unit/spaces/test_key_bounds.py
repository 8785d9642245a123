"""Where keys lie: starts, ends, prefixes, slices, and bounds that are included or not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardstore import keys, values
from shardstore.errors import InvalidRequest
from shardstore.keys import KeyType
from shardstore.spaces.key_bounds import (
    Bounds,
    bounds_behind,
    bounds_between,
    bounds_of,
    bounds_of_slice,
    is_slice,
    whole,
)
from shardstore.spaces.space_codec import SpaceCodec, raw_codec
from shardstore.values import Values


def codec_of(key_type: KeyType[Any]) -> SpaceCodec[Any, Any]:
    return SpaceCodec("space", b"\xff\xff\x07", key_type, Values(values.Raw()))


STR, INT = codec_of(keys.Str()), codec_of(keys.Int())
PAIR = codec_of(keys.Tuple(str, int | None))
RAW = raw_codec()


def within(codec: SpaceCodec[Any, Any], bounds: Bounds, all_keys: list[Any]) -> list[Any]:
    start, end = bounds
    return [key for key in all_keys if start <= codec.key(key) < end]


NAMES = ["", "a", "ab", "ab\0", "b", "b\0", "c", "\uffff", "\U0010ffff"]
PAIRS = [(name, number) for name in NAMES for number in (None, -7, 0, 300)]
small_pairs = st.tuples(st.sampled_from(NAMES), st.sampled_from([-8, -7, 0, 299, 300, 301]))
beginnings = st.just(()) | st.tuples(st.sampled_from(NAMES)) | small_pairs


def as_python(pair: Any) -> Any:
    """A pair that Python can compare: None sorts first."""
    return tuple(-1_000 if each is None else each for each in pair)


@given(st.none() | st.sampled_from(NAMES), st.none() | st.sampled_from(NAMES), st.none() | st.sampled_from(NAMES))
def test_strings_between_bounds_with_a_prefix(start: str | None, end: str | None, prefix: str | None) -> None:
    wanted = [
        name
        for name in NAMES
        if (start is None or start <= name) and (end is None or name < end) and name.startswith(prefix or "")
    ]
    assert within(STR, bounds_of(STR, start, end, prefix), NAMES) == wanted


@given(st.none() | beginnings, st.none() | beginnings, st.tuples(st.booleans(), st.booleans()))
def test_tuples_between_bounds_that_are_included_or_not(low: Any, high: Any, inclusive: tuple[bool, bool]) -> None:
    pairs = [pair for pair in PAIRS if pair[1] is not None]
    wanted = [
        pair
        for pair in pairs
        if (low is None or low < pair or (inclusive[0] and low == pair))
        and (high is None or pair < high or (inclusive[1] and pair == high))
    ]
    assert within(PAIR, bounds_between(PAIR, low, high, inclusive), pairs) == wanted


@given(beginnings)
def test_behind_a_key(key: Any) -> None:
    assert within(PAIR, bounds_behind(PAIR, key), PAIRS) == [pair for pair in PAIRS if as_python(pair) > key]


def test_slices() -> None:
    def found(codec: SpaceCodec[Any, Any], index: Any, all_keys: list[Any]) -> list[Any]:
        assert is_slice(index)
        return within(codec, bounds_of_slice(codec, index), all_keys)

    class Index:
        def __getitem__(self, index: Any) -> Any:
            return index

    of = Index()
    assert found(STR, of["ab":"c"], NAMES) == ["ab", "ab\0", "b", "b\0"]  # type: ignore[misc]
    assert found(STR, of[:], NAMES) == NAMES
    assert found(STR, of["b":"a"], NAMES) == []  # type: ignore[misc]
    assert found(PAIR, of["ab", :], PAIRS) == [pair for pair in PAIRS if pair[0] == "ab"]
    assert found(PAIR, of["ab", -7:300], PAIRS) == [("ab", -7), ("ab", 0)]
    assert found(PAIR, of["ab", 0:], PAIRS) == [("ab", 0), ("ab", 300)]
    assert found(PAIR, of["ab", :0], PAIRS) == [("ab", None), ("ab", -7)]
    assert found(PAIR, of[("b",) : ("c",)], PAIRS) == [pair for pair in PAIRS if pair[0][:1] == "b"]  # type: ignore[misc]
    assert not is_slice(())
    assert not is_slice(("ab", 7))
    with pytest.raises(InvalidRequest, match="a slice of keys has no step, such as 2"):
        bounds_of_slice(STR, of["a":"b":2])  # type: ignore[misc]
    with pytest.raises(InvalidRequest, match="have no prefix"):
        bounds_of_slice(INT, of[7, :])


def test_a_prefix_is_for_keys_that_have_one() -> None:
    with pytest.raises(InvalidRequest, match=r"keys of the type Int\(\) have no prefix, such as 7"):
        bounds_of(INT, prefix=7)
    with pytest.raises(InvalidRequest, match=r"Tuple\(str, int \| None\) takes beginning of a key, not str: 'a'"):
        bounds_of(PAIR, prefix="a")


def test_bounds_stay_within_the_space() -> None:
    for codec, key in ((STR, "\U0010ffff"), (INT, 2**99), (PAIR, ("\U0010ffff",)), (RAW, b"\xff\xfe\xff")):
        assert whole(codec) == (codec.prefix, codec.key_range.end)
        for bounds in (bounds_of(codec, key), bounds_of(codec, end=key), bounds_behind(codec, key)):
            assert codec.key_range.start <= bounds[0]
            assert bounds[1] <= codec.key_range.end


@pytest.mark.parametrize("prefix", [b"\xff", b"\xff\xff", b"\xff\xff\x01", b""])
def test_raw_bytes_end_where_spaces_begin(prefix: bytes) -> None:
    start, end = bounds_of(RAW, prefix=prefix)
    assert end == b"\xff\xff"
    assert (start < end) == (prefix < b"\xff\xff")
