"""Keys of usual values are encoded and decoded column by column: no function of an element runs for each key."""

from __future__ import annotations

import datetime
import random
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from shardstore import keys
from shardstore.keys.elements import element
from shardstore.keys.elements.batch import CHUNK_KEYS
from shardstore.keys.elements.tuple_columns import decode_columns, encode_columns
from shardstore.keys.elements.tuple_form import ANY_FORM

NOW = datetime.datetime(2024, 2, 29, 12, 30, 5, 7, tzinfo=datetime.UTC)
DRAW: dict[str, Callable[[random.Random], Any]] = {
    "str": lambda draw: "ä" * draw.randrange(3) + str(draw.randrange(1_000)),
    "bytes": lambda draw: b"\xff\x01" * draw.randrange(3) + b"%d" % draw.randrange(1_000),
    "int": lambda draw: draw.randrange(-(1 << 63), 1 << 63) >> draw.randrange(64),
    "float": lambda draw: draw.gauss(0, 1e9),
    "bool": lambda draw: draw.random() < 0.5,
    "UUID": lambda draw: uuid.UUID(int=draw.getrandbits(128)),
    "date": lambda draw: NOW.date() - datetime.timedelta(days=draw.randrange(700_000)),
    "datetime": lambda draw: NOW - datetime.timedelta(microseconds=draw.randrange(1 << 50)),
}


def drawn(name: str, count: int) -> list[Any]:
    draw = random.Random(name)
    return [DRAW[name](draw) for _ in range(count)]


@pytest.mark.parametrize("name", [name for name in DRAW if name != "bool"])
def test_no_function_runs_for_each_key(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [("key", value, "end") for value in drawn(name, 300)]
    one_by_one = [keys.AnyTuple().encode(key) for key in made]
    for each in (element.Element.encode_column, element.Element.decode_column):
        monkeypatch.setattr(element.Element, each.__name__, pytest.fail)
    encoded = encode_columns(ANY_FORM, made)
    assert encoded == one_by_one
    assert decode_columns(ANY_FORM, one_by_one) == made


@pytest.mark.parametrize("name", DRAW)
@pytest.mark.parametrize("rare", [None, "\0", b"\0\xff", "\1", b"\2", 1 << 63, -(1 << 63), 1 << 70, (1, "a"), ()])
def test_a_rare_value_among_many_changes_nothing(name: str, rare: object) -> None:
    made = [("key", value, 5) for value in drawn(name, 60)]
    made[40] = ("key", rare, 5)
    encoded = keys.AnyTuple().encode_many(made)
    assert encoded == encode_columns(ANY_FORM, made) == [keys.AnyTuple().encode(key) for key in made]
    assert keys.AnyTuple().decode_many(encoded) == decode_columns(ANY_FORM, encoded) == made


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, CHUNK_KEYS, CHUNK_KEYS + 1, 2 * CHUNK_KEYS + 20])
def test_any_number_of_keys(count: int) -> None:
    columns = [drawn(name, count) for name in DRAW]
    made = list(zip(*columns, strict=True))
    for key_type in (keys.AnyTuple(), keys.Tuple(*map(type, made[0])) if made else keys.Tuple(int)):
        encoded = key_type.encode_many(iter(made))
        assert encoded == [key_type.encode(key) for key in made]
        assert key_type.decode_many(iter(encoded)) == made


def test_keys_of_several_lengths_and_empty_ones() -> None:
    made = [(), (1,), (1, "a"), ((),), (None,)] * 10
    assert keys.AnyTuple().decode_many(keys.AnyTuple().encode_many(made)) == made
    assert keys.AnyTuple().decode_many(keys.AnyTuple().encode_many([()] * 50)) == [()] * 50
    cut = [b"\x14", b"\x14\x14"] * 10
    assert keys.AnyTuple().decode_many(cut) == [(0,), (0, 0)] * 10
