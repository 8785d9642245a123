"""Every order in which the steps of several clients can follow each other in the registry of spaces."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from operator import methodcaller
from typing import Any

import pytest

from shardstore.key_range import range_of_prefix
from shardstore.spaces import registry
from shardstore.spaces.document import SpaceDocument
from shardstore.spaces.registry import drop_space, open_space
from shardstore.spaces.reserved import COUNTER_KEY, document_key, prefix_of_space
from shardstore.spaces.space_types import WantedSpace
from shardstore.spaces.steps import Steps
from tests.unit.spaces.sorted_client import SortedClient

Program = Callable[[], Generator[Any, Any, Any]]
STEPS_MAX = 40
ENTRY = b"an entry"


def opened(name: str, together: bool = False) -> Program:
    return lambda: open_space(WantedSpace(name, None, None, None, None, together or None), None)


def dropped(name: str) -> Program:
    return lambda: drop_space(name, None)


def run_in_order(programs: list[Program], order: list[int]) -> tuple[SortedClient, list[Any], list[int]]:
    """Run steps in this order of programs, then each program to its end.

    Returns the store, the result of each program, and how many programs could go on at each step.
    """
    db, running = SortedClient(), {at: program() for at, program in enumerate(programs)}
    answers: dict[int, Any] = dict.fromkeys(running)
    results: list[Any] = [None] * len(programs)
    choices = []
    while running:
        place = order[len(choices)] if len(choices) < len(order) else 0
        choices.append(len(running))
        at = list(running)[place]
        try:
            answers[at] = running[at].send(answers[at])(db)
        except StopIteration as end:
            results[at] = end.value
            del running[at]
        assert len(choices) < STEPS_MAX, "these steps have no end"
    return db, results, choices


def every_order(programs: list[Program]) -> Iterator[tuple[SortedClient, list[Any]]]:
    """Run programs in every order of their steps."""
    order: list[int] = []
    while True:
        db, results, choices = run_in_order(programs, order)
        yield db, results
        order += [0] * (len(choices) - len(order))
        while order and order[-1] + 1 >= choices[len(order) - 1]:
            order.pop()
        if not order:
            return
        order[-1] += 1


def check_one_space(together: bool = False) -> int:
    """Two clients open one space. Returns the number of orders."""
    orders = 0
    for db, (one, other) in every_order([opened("users", together), opened("users", together)]):
        assert one.prefix == other.prefix, "one name has two spaces"
        assert db.together == ({one.prefix} if together else set())
        orders += 1
    return orders


def check_two_spaces() -> None:
    for _, (one, other) in every_order([opened("users"), opened("orders")]):
        assert one.prefix != other.prefix, "two spaces have one prefix"


def check_a_drop() -> None:
    """One client fills and drops a space, beside one that opens it. Nothing is left of what was in it."""

    def filled_and_dropped() -> Generator[Any, Any, Any]:
        codec = yield from opened("users")()
        yield methodcaller("put_if_absent", codec.prefix + b"k", ENTRY)
        return (yield from dropped("users")())

    for db, (was_there, _) in every_order([filled_and_dropped, opened("users")]):
        assert was_there
        assert ENTRY not in db.data.values(), "a space that is dropped leaves entries"


def test_two_who_open_a_space_have_the_same() -> None:
    assert check_one_space() > 10
    assert check_one_space(together=True) > 20


def test_two_spaces_have_two_prefixes() -> None:
    check_two_spaces()


def test_a_space_is_dropped_whole() -> None:
    check_a_drop()


def _make_over_others(wanted: WantedSpace, timeout: float | None) -> Steps[None]:
    """A mistake: the document replaces that of another who was faster."""
    number = yield methodcaller("increment", COUNTER_KEY, timeout=timeout)
    former = yield methodcaller("get", wanted.document_key, timeout=timeout)
    yield methodcaller("compare_and_set", wanted.document_key, former, wanted.new(number).encode(), timeout=timeout)


def _make_with_a_number_that_is_read(wanted: WantedSpace, timeout: float | None) -> Steps[None]:
    """A mistake: two makers may draw the same number."""
    number = int((yield methodcaller("get", COUNTER_KEY, timeout=timeout)) or 0) + 1
    document = wanted.new(number).encode()
    if (yield methodcaller("put_if_absent", wanted.document_key, document, timeout=timeout)):
        yield methodcaller("increment", COUNTER_KEY, timeout=timeout)


def _remove_the_document_first(name: str, document: SpaceDocument, timeout: float | None) -> Steps[None]:
    """A mistake: whoever finds no document makes a new space, while the keys of the former are still there."""
    yield methodcaller("compare_and_set", document_key(name), document.encoded_as_dropped, None, timeout=timeout)
    left = yield methodcaller("get", document_key(name), timeout=timeout)
    if left is None:
        data = range_of_prefix(prefix_of_space(document.number))
        yield methodcaller("delete_range", data.start, data.end, timeout=timeout)


@pytest.mark.parametrize(
    ("mistake", "check"), [(_make_over_others, check_one_space), (_make_with_a_number_that_is_read, check_two_spaces)]
)
def test_a_race_of_makers_is_found(
    mistake: Callable[..., Steps[None]], check: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_make", mistake)
    with pytest.raises(AssertionError, match=r"two spaces"):
        check()


def test_a_race_of_a_drop_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_remove", _remove_the_document_first)
    with pytest.raises(AssertionError, match="leaves entries"):
        check_a_drop()
