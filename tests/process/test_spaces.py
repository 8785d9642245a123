"""Spaces of a real cluster, used by several processes at once."""

from __future__ import annotations

import ast
import asyncio
import multiprocessing
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest

from shardstore import Client, InvalidRequest, connect, connect_async, keys, values
from shardstore.key_range import range_of_prefix
from shardstore.spaces.reserved import COUNTER_KEY, prefix_of_space
from tests.process.clusters import cluster_on


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, reached: str) -> Iterator[str]:
    with cluster_on(tmp_path_factory.mktemp("spaces"), ranges=1) as cluster:
        yield cluster.url


@pytest.fixture
def db(url: str) -> Iterator[Client]:
    with connect(url) as client:
        yield client


def opened_by(url: str, name: str) -> tuple[str, str, bytes]:
    """What a process of its own gets when it opens a space, in which it leaves its number."""
    with connect(url) as client:
        space = client.space(name, key=keys.Tuple(str, int), value=values.Json())
        space["process", os.getpid()] = name
        return space.key_type, space.value_type, space._codec.prefix


@pytest.fixture(scope="module")
def processes(url: str) -> Iterator[ProcessPoolExecutor]:
    """Processes with the environment of this test process, which may name a key for this url."""
    del url
    with ProcessPoolExecutor(4, multiprocessing.get_context("spawn")) as pool:
        yield pool


def boundaries_in(db: Client, prefix: bytes) -> list[bytes]:
    return [row.start for row in db.admin.ranges() if row.start.startswith(prefix) and row.start != prefix]


def test_a_space_kept_together_is_never_split(db: Client) -> None:
    space = db.space("together", key=keys.Int(), value=values.Int(), together=True)
    assert db.spaces()["together"].together
    space.put_many({number: number for number in range(2_000)})
    prefix = space._codec.prefix
    with pytest.raises(InvalidRequest, match="a space that is kept together: all keys that begin with"):
        db.admin.split(space._codec.key(1_000))
    with pytest.raises(InvalidRequest, match="kept together"):
        db.admin.split(space._codec.key(1_000), dry_run=True)
    db.admin.split(prefix)
    db.admin.split(range_of_prefix(prefix).end)
    assert boundaries_in(db, prefix) == []
    with space.batch() as batch:
        for number in range(0, 2_000, 7):
            batch.put(number, -number)
    assert batch.applied
    assert space.get_many([0, 7, 1_400, 1]) == [0, -7, -1_400, 1]
    with pytest.raises(InvalidRequest, match="was made with together=True, which does not change"):
        db.space("together", together=False)
    assert db.drop_space("together")
    db.admin.split(space._codec.key(1_000))
    assert len(boundaries_in(db, prefix)) == 1


def test_a_space_kept_together_by_the_asyncio_client(url: str, db: Client) -> None:
    async def program() -> bytes:
        async with await connect_async(url) as client:
            space = await client.space("together by a loop", key=keys.Int(), together=True)
            with pytest.raises(InvalidRequest, match="kept together"):
                await client.admin.split(space._codec.key(7))
            assert (await client.spaces())["together by a loop"].together
            assert await client.drop_space("together by a loop")
            return space._codec.key(7)

    db.admin.split(asyncio.run(program()))


def test_a_space_kept_together_is_not_made_where_a_range_begins(db: Client) -> None:
    following = prefix_of_space(int(db.get(COUNTER_KEY, b"0")) + 1)
    db.admin.split(following + b"k")
    with pytest.raises(InvalidRequest, match=r"a range begins at .*: merge the ranges there first, with `admin.merge`"):
        db.space("too late", together=True)
    assert "too late" not in db.spaces()
    db.admin.merge(following)
    assert db.space("too late", together=True).name == "too late", "each try has a prefix of its own"


def test_a_batch_over_ranges_tells_of_spaces_kept_together(db: Client) -> None:
    space = db.space("apart", key=keys.Int())
    db.admin.split(space._codec.key(5))
    batch = space.batch()
    batch.put(1, b"")
    batch.put(9, b"")
    with pytest.raises(InvalidRequest, match="a space that is made with together=True stays in one range"):
        batch.commit()


@pytest.mark.slow
def test_several_processes_make_the_same_space(url: str, db: Client, processes: ProcessPoolExecutor) -> None:
    before = int(db.get(COUNTER_KEY, b"0"))
    for name in (f"race {at}" for at in range(10)):
        ends = list(processes.map(opened_by, [url] * 8, [name] * 8))
        assert len(set(ends)) == 1, "one number wins, with equal types"
        info = db.spaces()[name]
        assert (info.key, info.value, info.dropped) == ("Tuple(str, int)", "Json/1", False)
        assert before < info.number <= int(db.get(COUNTER_KEY, b""))
        assert set(db.space(name).values()) == {name}
    numbers = [info.number for info in db.spaces().values()]
    assert len(set(numbers)) == len(numbers)


def test_spaces_are_made_and_dropped_at_the_same_time(url: str, db: Client) -> None:
    def make_and_drop(turn: int) -> None:
        with connect(url) as client:
            for _ in range(20):
                space = client.space("flicker", key=keys.Int(), value=values.Int())
                space[turn] = turn
                client.drop_space("flicker")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(make_and_drop, range(4)))
    assert "flicker" not in db.spaces()
    assert len(db.space("flicker")) == 0


def test_what_is_dropped_is_gone_and_its_neighbours_stay(db: Client) -> None:
    space = db.space("large", key=keys.Int())
    neighbour = db.space("neighbour", key=keys.Int())
    space.put_many((number, b"") for number in range(100_000))
    neighbour[1] = b"stays"
    assert len(space) == 100_000
    assert space.count(500, 1_500) == 1_000
    assert db.drop_space("large")
    assert len(space) == 0
    assert dict(neighbour) == {1: b"stays"}
    again = db.space("large", key=keys.Str())
    assert list(again) == []
    with pytest.raises(InvalidRequest, match=r"the space 'large' has keys of the type Str\(\), not Int\(\)"):
        db.space("large", key=keys.Int())


@pytest.mark.slow
def test_a_space_works_in_threads_and_after_a_fork(db: Client) -> None:
    space = db.space("shared", key=keys.Tuple(str, int), value=values.Int())

    def count_up(thread: int) -> None:
        for number in range(50):
            space["thread", thread] = number
            space.increment(("all", 0))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count_up, range(4)))
    assert space["all", 0] == 200
    child = os.fork()
    if not child:
        try:
            space.increment(("all", 0))
            os._exit(0 if len(space) == 5 else 1)
        except BaseException:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    assert space["all", 0] == 201


@pytest.mark.slow
def test_one_of_many_gets_each_entry_of_a_queue(url: str, db: Client) -> None:
    queue = db.space("queue", key=keys.Int(), value=values.Str())
    queue.update({number: f"task {number}" for number in range(300)})

    def take(_: int) -> list[int]:
        with connect(url) as client:
            mine = client.space("queue")
            taken = []
            while (entry := mine.pop_first()) is not None:
                taken.append(entry[0])
            return taken

    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(take, range(4)))
    assert sorted(number for some in taken for number in some) == list(range(300))
    assert all(some == sorted(some) for some in taken)


def checked(line: str) -> str:
    """A line of a program that checks what its comment promises, if that is the value of an expression."""
    expression, _, comment = line.partition("  # ")
    try:
        promised = ast.literal_eval(comment.partition(";")[0])
        ast.parse(expression, mode="eval")
    except (SyntaxError, ValueError):
        return line
    return f"assert ({expression}) == {promised!r}, {expression!r}"


PRINTED = ("the space 'users' has values of the type Json/1, not Str/1", "ada 28 196\nada 29 203\nada 30 210\n")


@pytest.mark.parametrize(
    ("page", "promises", "printed"),
    [("spaces", 13, PRINTED), ("expiry", 3, ()), ("queues", 6, ()), ("indexes", 7, ())],
)
def test_a_page_is_a_program(page: str, promises: int, printed: tuple[str, ...], tmp_path: Path) -> None:
    """It runs as it is, and what its comments promise holds."""
    text = (Path(__file__).parent.parent.parent / "docs" / f"{page}.md").read_text()
    lines = "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL)).splitlines()
    program = "\n".join(map(checked, lines))
    assert program.count("assert (") == promises
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert not done.returncode, done.stderr
    assert all(each in done.stdout for each in printed)
