"""A space of the blocking client: what is not in the property test, and what it refuses."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from shardstore import (
    Client,
    Closed,
    InvalidRequest,
    Space,
    SpaceInfo,
    UndecodableKey,
    UndecodableValue,
    connect,
    keys,
    values,
)
from shardstore.spaces.reserved import document_key
from tests.unit.fake_cluster import FakeCluster
from tests.unit.fake_server import FakeServer


@pytest.fixture
def space(client: Client) -> Space[str, Any]:
    return client.space("users", key=keys.Str(), value=values.Json())


@pytest.fixture
def visits(client: Client) -> Space[tuple[str, int], int]:
    return client.space("visits", key=keys.Tuple(str, int), value=values.Int())


def test_two_clients_see_the_same_spaces(client: Client, server: FakeServer) -> None:
    ours = client.space("users", key=keys.Str(), value=values.Json(), compression="lz4")
    with connect(server.url) as other:
        theirs = other.space("users")
        theirs["ada"] = {"born": 1815}
        assert ours["ada"] == {"born": 1815}
        assert other.spaces() == {"users": SpaceInfo("users", "Str()", "Json/1+lz4", 1, False, False)}
        assert other.drop_space("users")
        assert not client.drop_space("users")
        assert client.spaces() == {}
        with pytest.raises(InvalidRequest, match="the space 'users' was dropped: open it anew"):
            ours.stats()
        ours["ada"] = "lost"
        assert "ada" not in client.space("users", key=keys.Str())


def test_what_it_is(client: Client, space: Space[str, Any], visits: Space[tuple[str, int], int]) -> None:
    assert repr(space) == "<shardstore.Space 'users', Str() to Json/1>"
    assert repr(client.mapping()) == "<shardstore.Space of raw bytes, Bytes() to Raw/1>"
    assert (visits.name, visits.key_type, visits.value_type) == ("visits", "Tuple(str, int)", "Int/1")
    assert repr(visits["a", :]) == "<SpaceItems of <shardstore.Space 'visits', Tuple(str, int) to Int/1>>"
    wide = client.space("n" * 200, key=keys.Tuple(*[str] * 100))
    assert len(repr(wide)) < 200
    with pytest.raises(TypeError, match="unhashable"):
        hash(space)


def test_keys_of_another_type_are_in_no_space(space: Space[Any, Any], visits: Space[Any, int]) -> None:
    names = space.keys()
    for wrong in (7, b"ada", None, ("ada", 1), "\udc80"):
        assert wrong not in space
        assert wrong not in names
        assert (wrong, 1) not in space.items()
        for refused in (space.__getitem__, space.get, space.pop, space.contains, space.delete, space.setdefault):
            with pytest.raises(InvalidRequest, match="Str"):
                refused(wrong)
    assert 7 not in space.items()
    assert ("ada", 1, 2) not in visits
    with pytest.raises(InvalidRequest, match=r"Tuple\(str, int\) takes int as key\[1\], not str: '1'"):
        visits["ada", "1"]
    with pytest.raises(InvalidRequest, match="Int takes int, not str: '1'"):
        visits["ada", 1] = "1"  # type: ignore[assignment]


def test_slices_are_read_and_deleted_and_not_assigned(visits: Space[tuple[str, int], int]) -> None:
    visits.update({(name, day): day for name in ("ada", "bob") for day in range(3)})
    assert dict(visits["ada", :]) == {("ada", day): day for day in range(3)}
    assert list(visits["ada", 1:].__reversed__()) == [(("ada", 2), 2), (("ada", 1), 1)]
    assert (("ada", 1), 1) in visits["ada", :]
    assert (("bob", 1), 1) not in visits["ada", :]
    del visits["ada", 1:]
    assert list(visits) == [("ada", 0), ("bob", 0), ("bob", 1), ("bob", 2)]
    del visits[("b",) :]  # type: ignore[misc]
    assert list(visits) == [("ada", 0)]
    with pytest.raises(InvalidRequest, match="a slice of a space cannot be assigned: use update, or put_many"):
        visits["ada", :] = 7  # type: ignore[index]
    with pytest.raises(InvalidRequest, match="a slice of keys has no step"):
        visits["ada", ::2]
    with pytest.raises(KeyError):
        del visits["ada", 7]


def test_views_are_sets_and_stay_up_to_date(space: Space[str, Any]) -> None:
    names, items, ages = space.keys(), space.items(), space.values()
    assert (list(names), len(items), bool(ages)) == ([], 0, False)
    space.update(ada=36, bob=7)
    assert names & {"ada", 7} == {"ada"}
    assert names | {"eve"} == {"ada", "bob", "eve"}
    assert names == {"ada", "bob"}
    assert items >= {("ada", 36)}
    assert items.isdisjoint({("ada", 7), ("eve", 36)})
    assert list(reversed(items)) == [("bob", 7), ("ada", 36)]
    assert list(reversed(ages)) == [7, 36]
    assert 36 in ages
    assert 37 not in ages


def test_what_a_dict_has_too(client: Client, space: Space[str, Any]) -> None:
    space |= {"ada": 36}
    space.update([("bob", 7)], eve=None)
    assert space == {"eve": None, "bob": 7, "ada": 36}
    assert space != {"bob": 7, "ada": 36}
    assert space != {"eve": 1, "bob": 7, "ada": 36}
    assert space != {"eva": None, "bob": 7, "ada": 36}
    assert space != ["eve", "bob", "ada"]
    assert space | {"ada": 1} == {"ada": 1, "bob": 7, "eve": None}
    assert {"ada": 1} | space == {"ada": 36, "bob": 7, "eve": None}
    assert ChainMap({}, space)["bob"] == 7
    assert [*space] == ["ada", "bob", "eve"]
    assert {**space} == space
    same, other = client.space("same", key=keys.Str(), value=values.MsgPack()), client.space("other")
    assert space != same
    same.update(space)
    assert space == same, "values are compared, not bytes"
    assert space != other
    for operation in (lambda: space | 7, lambda: 7 | space):
        with pytest.raises(TypeError):
            operation()
    with pytest.raises(TypeError):
        space.update(7)


def test_the_first_and_the_last(space: Space[str, Any]) -> None:
    with pytest.raises(IndexError, match="the space is empty"):
        space.peekitem()
    with pytest.raises(KeyError, match="the space is empty"):
        space.popitem()
    space.update(ada=36, bob=7)
    assert (space.peekitem(), space.peekitem(0)) == (("bob", 7), ("ada", 36))
    with pytest.raises(InvalidRequest, match="the index is 0 for the first key, or -1 for the last, not 1"):
        space.peekitem(1)


def test_a_batch_is_applied_whole_or_not_at_all(visits: Space[tuple[str, int], int]) -> None:
    visits["ada", 1] = 1
    with visits.batch() as batch:
        batch.require(("ada", 1), 1)
        batch.require(("ada", 2), None)
        batch.put(("ada", 2), 2)
        batch.delete(("ada", 1))
        assert batch.applied is None
    assert batch.applied
    assert visits == {("ada", 2): 2}
    again = visits.batch()
    again.require(("ada", 2), 1)
    again.put(("ada", 3), 3)
    assert not again.commit()
    assert again.applied is False
    with pytest.raises(KeyError), visits.batch() as dropped:
        dropped.put(("ada", 3), visits["ada", 4])
    for wrong in (("ada", "3", 3), ("ada", 3, "3")):
        with pytest.raises(InvalidRequest, match="takes int"):
            visits.batch().put(wrong[:2], wrong[2])  # type: ignore[arg-type]
    discarded = visits.batch(timeout=1)
    discarded.discard()
    with pytest.raises(InvalidRequest, match="the batch was committed or left already"):
        discarded.delete(("ada", 2))
    assert visits == {("ada", 2): 2}


def test_counters(visits: Space[tuple[str, int], int], space: Space[str, Any]) -> None:
    assert visits.increment(("ada", 1)) == 1
    assert visits.increment(("ada", 1), 41) == visits["ada", 1] == 42
    with pytest.raises(InvalidRequest, match="increment needs values of the type Int/1, not Json/1"):
        space.increment("ada")


def test_raw_bytes_are_a_mapping_of_what_is_in_no_space(client: Client, space: Space[str, Any]) -> None:
    space["ada"] = 36
    everything = client.mapping()
    everything.update({b"a": b"1", b"\xff\xfe": b"2"})
    client.put(b"\xff\xff\xff", b"out of sight")
    assert dict(everything) == {b"a": b"1", b"\xff\xfe": b"2"}
    assert everything[b"a":b"b"].__len__() == 1  # type: ignore[misc]
    for impossible in (b"\xff\xff\xff", b"", b"x" * 5_000, "a"):
        assert impossible not in everything
    with pytest.raises(InvalidRequest, match="are reserved for spaces, such as"):
        everything[b"\xff\xff\x01"] = b"v"
    assert everything.stats().entries == 2
    everything.clear()
    assert (len(everything), space["ada"]) == (0, 36)


def test_a_scan_of_a_space_seeks_and_resumes_by_its_keys(client: Client, visits: Space[tuple[str, int], int]) -> None:
    visits.update({(name, day): day for name in ("ada", "bob", "eve") for day in range(3)})
    with visits.scan(keys_only=True) as scan:
        assert next(scan) == ("ada", 0)
        scan.seek(("bob",))
        assert next(scan) == ("bob", 0)
        scan.seek(("bob", 2))
        assert next(scan) == ("bob", 2)
        token = scan.resume_token
        with pytest.raises(InvalidRequest, match=r"Tuple\(str, int\) takes beginning of a key"):
            scan.seek("bob")
    assert list(visits.scan(resume=token)) == [("eve", 0), ("eve", 1), ("eve", 2)]
    assert list(client.scan(resume=token)) == list(client.scan(prefix=b"\xff\xff\x01\x02eve", keys_only=True))
    for other in (client.space("other"), client.mapping()):
        with pytest.raises(InvalidRequest, match="the token is of a scan of other keys than those of this space"):
            other.scan(resume=token)
    with pytest.raises(InvalidRequest, match="the token is of a scan of other keys"):
        visits.scan(resume=client.scan().resume_token)
    nothing = visits.scan(("b",), ("a",))
    assert list(visits.scan(resume=nothing.resume_token)) == []


def test_entries_that_others_wrote_are_named_and_can_be_passed(
    client: Client, space: Space[str, Any], cluster: FakeCluster
) -> None:
    space.update(ada=36, bob=7, eve=5)
    client.put(b"\xff\xff\x01bob", b"?")
    client.put(b"\xff\xff\x01d\xff", b"1")
    for read in (lambda: space["bob"], lambda: space.get_many(["ada", "bob"]), lambda: space.pop("bob")):
        with pytest.raises(UndecodableValue, match="the value of 'bob' in the space 'users' cannot be decoded: "):
            read()
    scan = space.scan()
    assert next(scan) == ("ada", 36)
    with pytest.raises(UndecodableValue):
        next(scan)
    token = scan.resume_token
    with pytest.raises(UndecodableKey, match=r"is no key of the type Str\(\)"):
        next(scan)
    assert list(scan) == [("eve", 5)]
    again = space.scan(resume=token)
    with pytest.raises(UndecodableKey):
        next(again)
    assert list(again) == [("eve", 5)]
    assert len(space) == 4
    with pytest.raises(UndecodableKey):
        list(space)
    del space["bob"]
    with pytest.raises(KeyError):
        del space["bob"]


def test_uuids_and_odd_arguments(client: Client) -> None:
    by_id = client.space("by id", key=keys.Uuid(), value=values.Str())
    by_id[UUID(int=7)] = "seven"
    assert list(by_id.scan(UUID(int=7), UUID(int=8))) == [(UUID(int=7), "seven")]
    with pytest.raises(InvalidRequest, match=r"keys of the type Uuid\(\) have no prefix"):
        by_id.scan(prefix=UUID(int=7))
    with pytest.raises(InvalidRequest, match="a scan that resumes has the bounds"):
        by_id.scan(UUID(int=7), resume=by_id.scan().resume_token)
    for wrong in ({"limit": -1}, {"reverse": 1}, {"mode": "no"}, {"timeout": "1"}):
        with pytest.raises(InvalidRequest, match=next(iter(wrong))):
            by_id.scan(**wrong)  # type: ignore[call-overload]


def test_a_space_is_closed_with_its_client(client: Client, space: Space[str, Any]) -> None:
    client.close()
    for use in (lambda: space["ada"], lambda: list(space), lambda: client.space("users"), client.spaces):
        with pytest.raises(Closed):
            use()


def test_damage_of_a_document_is_told(client: Client, space: Space[str, Any]) -> None:
    client.put(document_key("users"), b"?")
    for use in (lambda: client.space("users"), client.spaces, lambda: client.drop_space("users"), space.stats):
        with pytest.raises(UndecodableValue, match="the value of 'users' in the space 'the registry of spaces'"):
            use()


def test_an_update_that_fails_in_the_middle_says_so(space: Space[str, Any]) -> None:
    def pairs() -> Iterator[tuple[Any, int]]:
        yield from ((f"{at:04}", at) for at in range(1_000))
        yield 7, 7

    with pytest.raises(InvalidRequest, match=r"entry 1,000: Str\(\) takes str, not int: 7; entries before it may have"):
        space.update(pairs())
    assert set(space) <= {f"{at:04}" for at in range(1_000)}
