"""A space of the asyncio client does what one of the blocking client does."""

from __future__ import annotations

import asyncio

import pytest

from shardstore import AsyncClient, InvalidRequest, SpaceInfo, UndecodableValue, keys, values
from tests.unit.client.aio.test_client import use
from tests.unit.fake_server import FakeServer


def test_every_method(server: FakeServer) -> None:
    async def program(db: AsyncClient) -> None:
        space = await db.space("visits", key=keys.Tuple(str, int), value=values.Int())
        assert repr(space) == "<shardstore.AsyncSpace 'visits', Tuple(str, int) to Int/1>"
        assert (space.name, space.key_type, space.value_type) == ("visits", "Tuple(str, int)", "Int/1")
        await space.put(("ada", 1), 7)
        assert await space.get(("ada", 1)) == 7
        assert await space.get(("ada", 2), "none") == "none"
        assert await space.contains(("ada", 1))
        assert await space.put_if_absent(("ada", 2), 8)
        assert not await space.put_if_absent(("ada", 2), 9)
        assert await space.compare_and_set(("ada", 2), 8, 9)
        assert not await space.compare_and_set(("ada", 2), 8, 10)
        assert await space.increment(("ada", 3), 3) == 3
        await space.put_many({("bob", day): day for day in range(3)})
        assert await space.get_many([("bob", 2), ("eve", 1)], 0) == [2, 0]
        days = [("ada", 1), ("ada", 2), ("ada", 3), ("bob", 0), ("bob", 1), ("bob", 2)]
        assert [key async for key in space] == days
        assert [key async for key, _ in space.items()] == days
        assert [value async for value in space.values()] == [7, 9, 3, 0, 1, 2]
        assert [pair async for pair in space.scan(prefix=("ada",), reverse=True, limit=1)] == [(("ada", 3), 3)]
        assert [key async for key in space.irange(("ada", 2), ("bob", 0), (False, True))] == [("ada", 3), ("bob", 0)]
        assert await space.count() == 6
        assert await space.count(prefix=("bob",)) == 3
        assert await space.count(("b",), ("a",)) == 0
        assert await space.next_key(("ada", 3)) == ("bob", 0)
        assert await space.previous_key(("bob", 0)) == ("ada", 3)
        assert await space.previous_key(("ada", 1)) is None
        assert (await space.peekitem(0), await space.peekitem()) == ((("ada", 1), 7), (("bob", 2), 2))
        assert await space.pop_first() == (("ada", 1), 7)
        assert await space.pop_last(end=("b",)) == (("ada", 3), 3)
        assert await space.popitem() == (("bob", 2), 2)
        assert await space.popitem(last=False) == (("ada", 2), 9)
        assert await space.pop(("bob", 1)) == 1
        assert await space.pop(("bob", 1), None) is None
        assert await space.setdefault(("bob", 1), 5) == 5
        await space.update([(("eve", 1), 1)])
        assert await space.copy() == {("bob", 0): 0, ("bob", 1): 5, ("eve", 1): 1}
        await space.delete(("bob", 0))
        await space.delete_many([("bob", 1)])
        assert (await space.stats()).entries == 1
        async with space.batch() as batch:
            batch.require(("eve", 1), 1)
            batch.put(("eve", 2), 2)
        assert batch.applied
        assert not await (refused := space.batch()).commit() or refused.applied
        with pytest.raises(KeyError):
            async with space.batch() as dropped:
                dropped.put(("eve", 3), await space.pop(("eve", 4)))
        assert await space.count() == 2
        await space.delete_range(("eve",))
        await space.delete_range(("b",), ("b",))
        with pytest.raises(InvalidRequest, match=r"start \('b',\) is behind end \('a',\)"):
            await space.delete_range(("b",), ("a",))
        await space.clear()
        assert await space.pop_first() is None
        with pytest.raises(IndexError):
            await space.peekitem()
        for empty in (space.popitem(), space.pop(("bob", 1))):
            with pytest.raises(KeyError):
                await empty

    use(server, program)


def test_spaces_are_made_once_and_dropped(server: FakeServer) -> None:
    async def program(db: AsyncClient) -> None:
        made = await asyncio.gather(*(db.space("users", key=keys.Str(), value=values.Json()) for _ in range(5)))
        await made[0].put("ada", [1])
        assert await made[4].get("ada") == [1]
        [info] = (await db.spaces()).values()
        assert info == SpaceInfo("users", "Str()", "Json/1", info.number, False, False)
        with pytest.raises(InvalidRequest, match=r"has keys of the type Str\(\), not Int\(\)"):
            await db.space("users", key=keys.Int())
        await db.mapping().put(b"a", b"1")
        assert [key async for key in db.mapping()] == [b"a"]
        await db.put(b"\xff\xff" + bytes([info.number]) + b"bob", b"?")
        scan = made[1].scan()
        assert await anext(scan) == ("ada", [1])
        with pytest.raises(UndecodableValue, match="'bob' in the space 'users'"):
            await anext(scan)
        scan.seek("a")
        assert await anext(scan) == ("ada", [1])
        assert await db.drop_space("users")
        assert not await db.drop_space("users")
        with pytest.raises(InvalidRequest, match="the space 'users' was dropped"):
            await made[0].stats()

    use(server, program)
