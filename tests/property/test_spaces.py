"""A space does what a SortedDict does, in any order of operations, with pages of a few entries."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sortedcontainers import SortedDict

from shardstore import Client, Space, connect, keys, values
from tests.unit.fake_cluster import FakeCluster
from tests.unit.fake_server import serving

NAMES = ["", "a", "a\0", "\U0010ffff"]
KEYS = st.tuples(st.sampled_from(NAMES), st.sampled_from([-1, 0, 1, 300]))
BOUNDS = st.none() | KEYS | st.tuples(st.sampled_from(NAMES))
VALUES = st.sampled_from([0, 1, None, [], ["x"], {"b": 1, "a": 2}])
PAIRS = st.lists(st.tuples(KEYS, VALUES), max_size=12)
Key = tuple[str, int]


class SpaceMachine(RuleBasedStateMachine):
    """A space beside a SortedDict."""

    db: Client
    spaces_made = 0

    def __init__(self) -> None:
        super().__init__()
        type(self).spaces_made += 1
        name = f"space {self.spaces_made}"
        self.space: Space[Key, Any] = self.db.space(name, key=keys.Tuple(str, int), value=values.Json())
        self.model: SortedDict = SortedDict()

    def between(self, start: Any, end: Any) -> list[Key]:
        """The keys of the model from a start on and before an end."""
        return list(self.model.irange(start, end, (True, False)))

    @rule(key=KEYS, value=VALUES)
    def put(self, key: Key, value: Any) -> None:
        self.space[key] = self.model[key] = value

    @rule(pairs=PAIRS, as_dict=st.booleans())
    def put_many(self, pairs: list[tuple[Key, Any]], as_dict: bool) -> None:
        self.space.update(dict(pairs) if as_dict else iter(pairs))
        self.model.update(pairs)

    @rule(key=KEYS, value=VALUES)
    def setdefault(self, key: Key, value: Any) -> None:
        assert self.space.setdefault(key, value) == self.model.setdefault(key, value)

    @rule(key=KEYS, value=VALUES)
    def put_if_absent(self, key: Key, value: Any) -> None:
        assert self.space.put_if_absent(key, value) == (key not in self.model)
        self.model.setdefault(key, value)

    @rule(key=KEYS, expected=VALUES, value=VALUES, is_right=st.booleans())
    def compare_and_set(self, key: Key, expected: Any, value: Any, is_right: bool) -> None:
        if is_right:
            expected = self.model.get(key)
        holds = key not in self.model if expected is None else self.model.get(key) == expected
        assert self.space.compare_and_set(key, expected, value) == holds
        if holds:
            self.model.pop(key, None)
            if value is not None:
                self.model[key] = value

    @rule(key=KEYS)
    def remove(self, key: Key) -> None:
        assert self.space.pop(key, "none") == self.model.pop(key, "none")
        with pytest.raises(KeyError):
            del self.space[key]
        with pytest.raises(KeyError):
            self.space[key]

    @rule(some=st.lists(KEYS, max_size=9))
    def delete_many(self, some: list[Key]) -> None:
        self.space.delete_many(some)
        for key in some:
            self.model.pop(key, None)

    @rule(start=BOUNDS, end=BOUNDS)
    def delete_range(self, start: Any, end: Any) -> None:
        del self.space[start:end]  # type: ignore[misc]
        for key in self.between(start, end):
            del self.model[key]

    @precondition(lambda self: self.model)
    @rule(last=st.booleans())
    def popitem(self, last: bool) -> None:
        assert self.space.popitem(last=last) == self.model.popitem(-1 if last else 0)

    @rule(start=BOUNDS, end=BOUNDS, last=st.booleans())
    def pop_an_end(self, start: Any, end: Any, last: bool) -> None:
        left = self.between(start, end)
        key = left[-1 if last else 0] if left else None
        found = (self.space.pop_last if last else self.space.pop_first)(start, end)
        assert found == (None if key is None else (key, self.model.pop(key)))

    @rule()
    def clear(self) -> None:
        self.space.clear()
        self.model.clear()

    @rule(key=KEYS, some=st.lists(KEYS, max_size=9))
    def read(self, key: Key, some: list[Key]) -> None:
        assert self.space.get(key, 7) == self.model.get(key, 7)
        assert (key in self.space) == self.space.contains(key) == (key in self.model)
        assert self.space.get_many([*some, *self.model], 7) == [
            self.model.get(each, 7) for each in (*some, *self.model)
        ]
        assert ((key, 3) in self.space.items()) == ((key, 3) in self.model.items())

    @rule(
        start=BOUNDS,
        end=BOUNDS,
        prefix=st.none() | st.tuples() | st.tuples(st.sampled_from(NAMES)),
        reverse=st.booleans(),
        limit=st.none() | st.integers(0, 9),
        keys_only=st.booleans(),
        stop=st.integers(0, 9),
    )
    def scan(
        self, start: Any, end: Any, prefix: Any, reverse: bool, limit: int | None, keys_only: bool, stop: int
    ) -> None:
        wanted: list[Any] = [key for key in self.between(start, end) if key[: len(prefix or ())] == (prefix or ())]
        assert self.space.count(start, end, prefix) == len(wanted)
        wanted = wanted[:: -1 if reverse else 1][:limit]
        if not keys_only:
            wanted = [(key, self.model[key]) for key in wanted]
        scan = self.space.scan(start, end, prefix, reverse, limit, keys_only)
        begun = [entry for entry, _ in zip(scan, range(stop), strict=False)]
        assert begun == wanted[:stop]
        assert list(self.space.scan(resume=scan.resume_token)) == wanted[len(begun) + (stop < len(wanted)) :]

    @rule(low=BOUNDS, high=BOUNDS, inclusive=st.tuples(st.booleans(), st.booleans()), reverse=st.booleans())
    def irange(self, low: Any, high: Any, inclusive: tuple[bool, bool], reverse: bool) -> None:
        wanted = (
            list(self.model.irange(low, high, inclusive, reverse)) if low is None or high is None or low <= high else []
        )
        assert list(self.space.irange(low, high, inclusive, reverse)) == wanted

    @rule(start=BOUNDS, end=BOUNDS)
    def slice(self, start: Any, end: Any) -> None:
        view = self.space[start:end]  # type: ignore[misc]
        wanted = [(key, self.model[key]) for key in self.between(start, end)]
        assert list(view) == wanted
        assert list(reversed(view)) == wanted[::-1]
        assert (len(view), bool(view)) == (len(wanted), bool(wanted))

    @rule(name=st.sampled_from(NAMES), start=st.none() | st.integers(-3, 301), end=st.none() | st.integers(-3, 301))
    def slice_of_a_prefix(self, name: str, start: int | None, end: int | None) -> None:
        wanted = [
            (key, value)
            for key, value in self.model.items()
            if key[0] == name and (start is None or start <= key[1]) and (end is None or key[1] < end)
        ]
        assert list(self.space[name, start:end]) == wanted

    @rule(key=BOUNDS.filter(bool))
    def neighbours(self, key: Any) -> None:
        assert self.space.next_key(key) == next(self.model.irange(key, None, (False, True)), None)
        assert self.space.previous_key(key) == next(self.model.irange(None, key, (True, False), True), None)

    @rule()
    def compare(self) -> None:
        assert self.space == self.model
        assert self.space.copy() == dict(self.model)
        assert self.space != {**self.model, ("z", 1): 1}
        assert self.space | {("z", 1): 1} == {**self.model, ("z", 1): 1}
        for index in (0, -1):
            if self.model:
                assert self.space.peekitem(index) == self.model.peekitem(index)
            else:
                with pytest.raises(IndexError):
                    self.space.peekitem(index)

    @invariant()
    def holds_the_same_in_the_same_order(self) -> None:
        assert list(self.space) == list(self.model)
        assert list(self.space.values()) == list(self.model.values())
        assert list(reversed(self.space)) == list(self.model)[::-1]
        assert (len(self.space), bool(self.space)) == (len(self.model), bool(self.model))


@pytest.fixture
def machine() -> Iterator[type[SpaceMachine]]:
    cluster = FakeCluster([b"\xff\xff\x01\x02b", b"\xff\xff\x03"])
    cluster.page_entries = 3
    with TemporaryDirectory() as directory, serving(Path(directory), cluster) as server, connect(server.url) as db:
        yield type("Machine", (SpaceMachine,), {"db": db})


def test_a_space_is_a_sorted_dict(machine: type[SpaceMachine]) -> None:
    run_state_machine_as_test(machine, settings=settings(max_examples=25, stateful_step_count=20))


@pytest.mark.slow
def test_a_space_is_a_sorted_dict_for_long(machine: type[SpaceMachine]) -> None:
    run_state_machine_as_test(machine, settings=settings(max_examples=60, stateful_step_count=30))
