"""Changes that depend on what is there, with others who write between any two steps."""

from __future__ import annotations

from typing import Any

import pytest

from shardstore import keys, values
from shardstore.errors import InvalidRequest, UndecodableKey, UndecodableValue
from shardstore.spaces.conditions import (
    NO_DEFAULT,
    check_counts,
    compare_and_set_value,
    pop_end,
    pop_value,
    remove_value,
    set_default,
)
from shardstore.spaces.key_bounds import whole
from shardstore.spaces.space_codec import SpaceCodec
from shardstore.spaces.steps import run_steps
from shardstore.values import Values
from tests.unit.spaces.sorted_client import SortedClient

CODEC: SpaceCodec[str, Any] = SpaceCodec("users", b"\xff\xff\x01", keys.Str(), Values(values.Json()))
ADA = CODEC.key("ada")


@pytest.fixture
def db() -> SortedClient:
    return SortedClient()


def changed(db: SortedClient, expected: Any, value: Any) -> bool:
    return run_steps(db, compare_and_set_value(CODEC, "ada", expected, value, None))


def test_values_are_compared_as_values(db: SortedClient) -> None:
    db.data[ADA] = b'{"b": 1,  "a": 2.0}'
    assert not changed(db, {"a": 2}, 7)
    assert changed(db, {"a": 2, "b": True}, {"c": 3}), "equal in Python"
    assert db.data[ADA] == b'{"c":3}'
    db.calls.clear()
    assert changed(db, {"c": 3}, None)
    assert db.calls == ["compare_and_set"], "no second request for the same bytes"
    assert ADA not in db.data
    assert not changed(db, {"c": 3}, 1)
    assert changed(db, None, 1)
    assert not changed(db, None, 2)


@pytest.mark.parametrize(("seen", "done"), [(b"[1 ]", True), (b"[1  ]", True), (b"2", False), (None, False)])
def test_a_value_that_others_write_meanwhile_is_compared_too(db: SortedClient, seen: Any, done: bool) -> None:
    db.data[ADA] = b"[ 1]"

    def write() -> None:
        db.data.pop(ADA)
        if seen is not None:
            db.data[ADA] = seen

    db.before = [lambda: None, lambda: None, write]
    assert changed(db, [1], 7) == done
    assert db.data.get(ADA) == (b"7" if done else seen)


def test_of_two_who_pop_one_gets_the_value(db: SortedClient) -> None:
    db.data[ADA] = b"1"
    db.before = [lambda: None, lambda: db.data.pop(ADA)]
    with pytest.raises(KeyError, match="ada"):
        run_steps(db, pop_value(CODEC, "ada", NO_DEFAULT, None))
    assert run_steps(db, pop_value(CODEC, "ada", None, None)) is None
    db.data[ADA] = b"1"
    db.before = [lambda: None, lambda: db.data.update({ADA: b"2"})]
    assert run_steps(db, pop_value(CODEC, "ada", None, None)) == 2
    assert not db.data


def test_of_two_who_remove_one_does(db: SortedClient) -> None:
    db.data[ADA] = b"?"
    db.before = [lambda: None, lambda: db.data.update({ADA: b"2"})]
    run_steps(db, remove_value(CODEC, "ada"))
    assert db.calls == ["get", "compare_and_set"] * 2
    db.data[ADA] = b"3"
    db.before = [lambda: None, db.data.clear]
    with pytest.raises(KeyError, match="ada"):
        run_steps(db, remove_value(CODEC, "ada"))


def test_of_two_who_set_a_default_one_does(db: SortedClient) -> None:
    db.before = [lambda: None, lambda: db.data.update({ADA: b"1"})]
    assert run_steps(db, set_default(CODEC, "ada", 2, None)) == 1
    db.before = [lambda: None, lambda: db.data.update({ADA: b"1"}), db.data.clear]
    db.data.clear()
    assert run_steps(db, set_default(CODEC, "ada", 2, None)) == 2


def test_what_cannot_be_decoded_is_not_removed(db: SortedClient) -> None:
    db.data[ADA] = b"?"
    with pytest.raises(UndecodableValue, match="the value of 'ada' in the space 'users' cannot be decoded: "):
        run_steps(db, pop_value(CODEC, "ada", None, None))
    with pytest.raises(UndecodableValue):
        run_steps(db, pop_end("pop_first", CODEC, whole(CODEC), None))
    assert dict(db.data) == {ADA: b"?"}, "it was put back"
    db.data[CODEC.prefix + b"\xff"] = db.data.pop(ADA)
    with pytest.raises(UndecodableKey):
        run_steps(db, pop_end("pop_first", CODEC, whole(CODEC), None))
    assert list(db.data) == [CODEC.prefix + b"\xff"]


def test_the_first_of_no_keys_is_none(db: SortedClient) -> None:
    assert run_steps(db, pop_end("pop_first", CODEC, whole(CODEC), None)) is None
    assert run_steps(db, pop_end("pop_first", CODEC, (b"b", b"a"), None)) is None
    assert db.calls == ["pop_first"]


@pytest.mark.parametrize("compression", [None, "zstd"])
def test_only_plain_ints_are_counted(compression: str | None) -> None:
    stored = Values(values.Int(), compression)
    counters: SpaceCodec[str, int] = SpaceCodec("counters", b"\xff\xff\x01", keys.Str(), stored)
    if compression is None:
        check_counts(counters)
    else:
        with pytest.raises(InvalidRequest, match=r"increment needs values of the type Int/1, not Int/1\+zstd"):
            check_counts(counters)
