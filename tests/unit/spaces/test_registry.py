"""Making, finding and dropping spaces, with others who do the same between any two steps."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from shardstore import keys, values
from shardstore.errors import InvalidRequest, UndecodableValue
from shardstore.spaces.registry import check_current, drop_space, open_space
from shardstore.spaces.reserved import COUNTER_KEY, document_key, prefix_of_space
from shardstore.spaces.space_codec import SpaceCodec
from shardstore.spaces.space_types import WantedSpace
from shardstore.spaces.steps import run_steps
from tests.unit.spaces.sorted_client import SortedClient

NAMELESS = type("Nameless", (type(keys.Str()),), {"description": ""})()


@pytest.fixture
def db() -> SortedClient:
    return SortedClient()


def opened(db: SortedClient, name: str = "users", **types: Any) -> SpaceCodec[Any, Any]:
    wanted = WantedSpace(name, **{"key": None, "value": None, "compression": None, **types})
    return run_steps(db, open_space(wanted, None))


def dropped(db: SortedClient, name: str = "users") -> bool:
    return run_steps(db, drop_space(name, None))


def prefixes(db: SortedClient) -> set[bytes]:
    return {bytes(key) for key in db.data if key > COUNTER_KEY and not key.startswith(COUNTER_KEY)}


def test_a_new_space_has_the_wanted_types_or_bytes(db: SortedClient) -> None:
    plain = opened(db, "plain")
    assert (plain.prefix, plain.key_type.description, str(plain.values)) == (prefix_of_space(1), "Bytes()", "Raw/1")
    typed = opened(db, "typed", key=keys.Tuple(str, int), value=values.Json(), compression="zstd")
    assert (typed.prefix, typed.key_type.description) == (prefix_of_space(2), "Tuple(str, int)")
    assert str(typed.values) == "Json/1+zstd"


def test_a_space_is_opened_with_what_is_stored(db: SortedClient) -> None:
    made = opened(db, key=keys.Int(), value=values.Int(), compression="lz4")
    db.calls.clear()
    again = opened(db)
    assert db.calls == ["get"]
    assert (again.prefix, again.key_type.description, str(again.values)) == (made.prefix, "Int()", "Int/1+lz4")
    assert opened(db, value=values.Int(), compression="lz4").prefix == made.prefix


@pytest.mark.parametrize(
    ("types", "text"),
    [
        ({"key": keys.Str()}, "the space 'users' has keys of the type Int(), not Str()"),
        ({"value": values.Str()}, "the space 'users' has values of the type Json/1, not Str/1"),
        (
            {"value": values.Json(), "compression": "zstd"},
            "the space 'users' has values of the type Json/1, not Json/1+zstd",
        ),
        ({"compression": "lz4"}, "the space 'users' has values of the type Json/1, not Raw/1+lz4"),
    ],
)
def test_other_types_are_refused(db: SortedClient, types: dict[str, Any], text: str) -> None:
    opened(db, key=keys.Int(), value=values.Json())
    before = dict(db.data)
    with pytest.raises(InvalidRequest) as caught:
        opened(db, **types)
    assert str(caught.value) == text
    assert db.data == before


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"key": keys.Str}, "key is a type of keys, such as keys.Str(), not "),
        ({"key": str}, "key is a type of keys, such as keys.Str(), not "),
        ({"value": str}, "value, compression: a codec has name, version, encode and decode"),
        ({"compression": "gzip"}, "value, compression: compression is zstd, lz4 or None"),
        ({"compression": ["zstd"]}, "compression is text or None, not ['zstd']"),
        ({"key": NAMELESS}, "a type of keys has a description of 1 to 1024 characters"),
    ],
)
def test_what_is_no_type_is_refused(db: SortedClient, arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        opened(db, **arguments)
    assert text in str(caught.value)
    assert not db.calls


def test_a_codec_that_is_not_known_must_be_given(db: SortedClient) -> None:
    opened(db, value=values.Pickle())
    with pytest.raises(InvalidRequest, match="no codec is known that writes 'Pickle/1'"):
        opened(db)
    assert str(opened(db, value=values.Pickle()).values) == "Pickle/1"


@pytest.mark.parametrize("at", range(3))
def test_whoever_comes_first_makes_the_space(db: SortedClient, at: int) -> None:
    db.before = [lambda: None] * at + [partial(opened, db, key=keys.Str())]
    codec = opened(db, key=keys.Str())
    assert codec.prefix == prefix_of_space(2 if at == 2 else 1)
    assert opened(db).prefix == codec.prefix
    assert opened(db, "another").prefix == prefix_of_space(int(db.data[COUNTER_KEY]))


def test_a_lost_number_is_never_used(db: SortedClient) -> None:
    db.before = [lambda: None, partial(opened, db)]
    assert opened(db).prefix == prefix_of_space(1)
    assert opened(db, "another").prefix == prefix_of_space(3)


def test_whoever_comes_second_must_want_the_same_types(db: SortedClient) -> None:
    db.before = [lambda: None, lambda: None, partial(opened, db, key=keys.Str())]
    with pytest.raises(InvalidRequest, match=r"has keys of the type Str\(\), not Int\(\)"):
        opened(db, key=keys.Int())


def test_a_dropped_space_leaves_nothing_and_its_number_is_not_used_again(db: SortedClient) -> None:
    codec = opened(db)
    neighbours = [codec.prefix[:-1] + b"\x02", b"\xff\xfe", b"a"]
    for key in (codec.key(b""), codec.key(b"\xff" * 9), *neighbours):
        db.data[key] = b"value"
    assert dropped(db)
    assert set(db.data) == {COUNTER_KEY, *neighbours}
    assert not dropped(db)
    assert opened(db, key=keys.Int()).prefix == prefix_of_space(2)


@pytest.mark.parametrize("at", [2, 3])
@pytest.mark.parametrize("goes_on", [opened, dropped])
def test_an_interrupted_drop_is_completed(db: SortedClient, at: int, goes_on: Callable[[SortedClient], Any]) -> None:
    db.data[opened(db).key(b"k")] = b"value"

    def interrupt() -> None:
        raise KeyboardInterrupt

    db.before = [lambda: None] * at + [interrupt]
    with pytest.raises(KeyboardInterrupt):
        dropped(db)
    assert goes_on(db)
    assert not prefixes(db)
    if goes_on is dropped:
        assert document_key("users") not in db.data


@pytest.mark.parametrize("at", range(1, 4))
@pytest.mark.parametrize("other", [opened, dropped])
def test_others_open_or_drop_during_a_drop(db: SortedClient, at: int, other: Callable[[SortedClient], Any]) -> None:
    first = opened(db)
    db.data[first.key(b"k")] = b"value"
    db.before = [lambda: None] * at + [partial(other, db)]
    assert dropped(db) != (at == 1 and other is dropped), "who finds nothing left says so"
    assert first.key(b"k") not in db.data
    if at > 1 and other is opened:
        assert opened(db).prefix == prefix_of_space(2), "what was made during the drop stays"


def test_a_space_made_anew_during_a_drop_is_dropped_only_if_it_is_the_one_that_was_meant(db: SortedClient) -> None:
    opened(db)

    def make_anew() -> None:
        assert dropped(db)
        opened(db, key=keys.Str())

    db.before = [lambda: None, make_anew]
    assert dropped(db), "the name was dropped once more, as it had a space again"
    assert document_key("users") not in db.data


def test_a_space_is_kept_together_before_it_can_be_found_until_it_is_gone(db: SortedClient) -> None:
    codec = opened(db, together=True)
    assert db.calls == ["get", "increment", "_keep_together", "put_if_absent", "get"]
    assert db.together == {codec.prefix}
    assert opened(db).prefix == opened(db, together=True).prefix == codec.prefix
    db.calls.clear()
    assert dropped(db)
    assert db.calls == ["get", "compare_and_set", "delete_range", "_let_split", "compare_and_set"]
    assert not db.together


@pytest.mark.parametrize(
    ("made", "wanted", "text"),
    [
        (True, False, "the space 'users' was made with together=True, which does not change"),
        (None, True, "the space 'users' was made with together=False, which does not change"),
        (False, True, "the space 'users' was made with together=False, which does not change"),
        (True, 1, "together is True, False or None, not 1"),
    ],
)
def test_whether_a_space_is_kept_together_does_not_change(
    db: SortedClient, made: bool | None, wanted: Any, text: str
) -> None:
    opened(db, together=made)
    with pytest.raises(InvalidRequest) as caught:
        opened(db, together=wanted)
    assert str(caught.value) == text
    assert len(db.together) == bool(made)


def test_who_makes_a_space_too_late_keeps_nothing_together(db: SortedClient) -> None:
    db.before = [lambda: None] * 3 + [partial(opened, db, together=True)]
    assert opened(db, together=True).prefix == prefix_of_space(2)
    assert db.together == {prefix_of_space(2)}


def test_a_space_that_cannot_be_kept_together_is_not_made(db: SortedClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(prefix: bytes, timeout: float | None = None) -> None:
        raise InvalidRequest("a range begins there")

    monkeypatch.setattr(db, "_keep_together", refuse)
    with pytest.raises(InvalidRequest, match="a range begins there"):
        opened(db, together=True)
    assert document_key("users") not in db.data


@pytest.mark.parametrize("at", [2, 3, 4])
def test_an_interrupted_drop_of_what_is_kept_together_is_completed(db: SortedClient, at: int) -> None:
    opened(db, together=True)

    def interrupt() -> None:
        raise KeyboardInterrupt

    db.before = [lambda: None] * at + [interrupt]
    with pytest.raises(KeyboardInterrupt):
        dropped(db)
    assert dropped(db)
    assert not db.together


def test_a_space_knows_whether_it_was_dropped(db: SortedClient) -> None:
    codec = opened(db)
    run_steps(db, check_current(codec, None))
    dropped(db)
    for _ in range(2):
        with pytest.raises(InvalidRequest, match="the space 'users' was dropped: open it anew"):
            run_steps(db, check_current(codec, None))
        opened(db)


def test_damage_of_the_registry_is_told(db: SortedClient) -> None:
    db.data[COUNTER_KEY] = b"-7"
    with pytest.raises(InvalidRequest, match=r"the counter of spaces at .* was changed: it is -6"):
        opened(db)
    db.data[document_key("users")] = b"?"
    for action in (opened, dropped):
        with pytest.raises(UndecodableValue, match="the value of 'users' in the space 'the registry of spaces'"):
            action(db)
