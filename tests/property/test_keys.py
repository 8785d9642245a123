"""What every type of keys promises: the order, the way back, one encoding for each key, and the same for many keys."""

from __future__ import annotations

import datetime
import uuid
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shardstore import UndecodableKey, keys
from tests.property.python_keys import ANY_TUPLES, INTS, MOMENTS, OF_TYPE, TEXT, key_types, tuple_types

UTC = datetime.UTC


def typed(key: Any) -> Any:
    """The key with all types in it, so that True is not 1; datetimes without their zones."""
    if isinstance(key, tuple):
        return tuple(map(typed, key))
    return type(key), key.astimezone(UTC) if isinstance(key, datetime.datetime) else key


def sortable(key: Any) -> Any:
    """A form that Python sorts in the documented order, for tuples with None and of several types too."""
    if isinstance(key, tuple):
        return (3, tuple(map(sortable, key)))
    order = [type(None), bytes, str, tuple, int, float, bool, uuid.UUID, datetime.date, datetime.datetime]
    return (order.index(type(key)), 0 if key is None else key)


@given(key_types().flatmap(lambda each: st.tuples(st.just(each[0]), each[1], each[1])))
def test_encodings_sort_as_keys_do_and_equal_keys_are_one(case: tuple[keys.KeyType[Any], Any, Any]) -> None:
    key_type, one, other = case
    low, high = key_type.encode(one), key_type.encode(other)
    assert (low < high) == (sortable(one) < sortable(other))
    assert (low == high) == (typed(one) == typed(other))


@given(key_types().flatmap(lambda each: st.tuples(st.just(each[0]), each[1])))
def test_a_key_is_read_back(case: tuple[keys.KeyType[Any], Any]) -> None:
    key_type, key = case
    assert typed(key_type.decode(key_type.encode(key))) == typed(key)


@given(st.lists(OF_TYPE[float], min_size=2) | st.lists(MOMENTS, min_size=2) | st.lists(INTS) | st.lists(TEXT))
def test_tuples_of_one_type_sort_as_python_sorts_them(values: list[Any]) -> None:
    made = [(value, number % 3) for number, value in enumerate(values)]
    assert list(map(keys.AnyTuple().encode, sorted(made))) == sorted(map(keys.AnyTuple().encode, made))


@given(
    key_types().flatmap(lambda each: st.tuples(st.just(each[0]), st.lists(each[1], max_size=6))),
    st.integers(1, 20),
)
def test_many_keys_are_encoded_and_decoded_as_each_is(case: tuple[keys.KeyType[Any], list[Any]], times: int) -> None:
    key_type, some = case
    many = some * times
    encoded = key_type.encode_many(many)
    assert encoded == [key_type.encode(key) for key in many]
    assert list(map(typed, key_type.decode_many(encoded))) == list(map(typed, many))


@given(st.data())
def test_columns_of_one_type_are_encoded_and_decoded_as_each_key_is(data: st.DataObject) -> None:
    """Lengths at which columns are taken at once, with values that make the fast way decline among others."""
    columns = [data.draw(st.lists(OF_TYPE[kind], min_size=40, max_size=40)) for kind in data.draw(kinds())]
    many = list(zip(*columns, strict=True))
    for key_type in (keys.AnyTuple(), keys.Tuple(*(type(value) for value in many[0]))):
        encoded = key_type.encode_many(many)
        assert encoded == [key_type.encode(key) for key in many]
        assert list(map(typed, key_type.decode_many(encoded))) == list(map(typed, many))


def kinds() -> st.SearchStrategy[list[Any]]:
    return st.lists(st.sampled_from(list(OF_TYPE)), min_size=1, max_size=3)


@given(st.binary(max_size=30), key_types())
def test_what_is_decoded_is_encoded_again(data: bytes, case: tuple[keys.KeyType[Any], Any]) -> None:
    key_type, _ = case
    try:
        key = key_type.decode(data)
    except UndecodableKey:
        return
    assert key_type.encode(key) == data


@given(ANY_TUPLES, st.integers(0, 60), st.integers(0, 255))
def test_a_damaged_key_is_refused_or_another_key(key: tuple[Any, ...], place: int, octet: int) -> None:
    encoded = bytearray(keys.AnyTuple().encode(key) or b"\x14")
    encoded[place % len(encoded)] = octet
    damaged = bytes(encoded)
    outcomes = [outcome(lambda: keys.AnyTuple().decode(damaged))]
    outcomes += [outcome(lambda: keys.AnyTuple().decode_many([damaged] * 20)[-1])]
    assert outcomes[0] == outcomes[1]
    if outcomes[0] is not None:
        assert keys.AnyTuple().encode(keys.AnyTuple().decode(damaged)) == damaged


@given(ANY_TUPLES, ANY_TUPLES, st.integers(0, 4))
def test_the_range_of_a_prefix_holds_exactly_the_keys_that_begin_so(
    key: tuple[Any, ...], other: tuple[Any, ...], length: int
) -> None:
    any_tuple = keys.AnyTuple()
    for prefix in (key[:length], other[:length]):
        start, end = any_tuple.range_of(prefix)
        assert (start <= any_tuple.encode(key) < end) == (typed(key[: len(prefix)]) == typed(prefix))


@given(tuple_types().flatmap(lambda each: st.tuples(st.just(each[0]), each[1], each[1])), st.integers(0, 4))
def test_the_range_of_a_prefix_of_fixed_types(case: tuple[keys.Tuple[Any], Any, Any], length: int) -> None:
    key_type, key, other = case
    start, end = key_type.range_of(other[:length])
    assert (start <= key_type.encode(key) < end) == (typed(key[:length]) == typed(other[:length]))


@given(key_types())
def test_a_description_makes_the_type_again(case: tuple[keys.KeyType[Any], Any]) -> None:
    key_type, _ = case
    again = keys.from_description(key_type.description)
    assert type(again) is type(key_type)
    assert again.description == key_type.description == repr(again)


def outcome(decode: Any) -> Any:
    """What comes of decoding; None if it is refused."""
    try:
        return repr(decode())
    except UndecodableKey:
        return None
