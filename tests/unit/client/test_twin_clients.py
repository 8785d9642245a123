"""The blocking and the asyncio client have the same methods, parameters, defaults, types and docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any, get_overloads

import pytest

from shardstore import (
    Admin,
    AsyncAdmin,
    AsyncBatch,
    AsyncClient,
    AsyncScanIterator,
    AsyncSpace,
    AsyncSpaceBatch,
    Batch,
    Client,
    LocalCluster,
    ScanIterator,
    Space,
    SpaceBatch,
    connect,
    connect_async,
)

TWINS = [
    (Client, AsyncClient),
    (Admin, AsyncAdmin),
    (ScanIterator, AsyncScanIterator),
    (Batch, AsyncBatch),
    (Space, AsyncSpace),
    (SpaceBatch, AsyncSpaceBatch),
]
IN_OTHER_WORDS = {
    "AsyncAdmin": "Admin",
    "AsyncBatch": "Batch",
    "AsyncScanIterator": "ScanIterator",
    "AsyncSpace": "Space",
    "AsyncSpaceBatch": "SpaceBatch",
    "tasks": "threads",
}
"""Replacements in the docstrings of the asyncio twin."""
VIEWS = {"keys", "values", "items"}
"""Methods of a space that return views, of which the asyncio twin has iterators."""


def methods(kind: type) -> dict[str, Any]:
    """Public methods and properties, including those of its bases in this project."""
    return {
        name: member
        for each in kind.__mro__
        if each.__module__.startswith("shardstore.")
        for name, member in vars(each).items()
        if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, property))
    }


def functions(kind: type) -> dict[str, Callable[..., Any]]:
    return {name: member.fget if isinstance(member, property) else member for name, member in methods(kind).items()}


def in_words_of_the_other(text: str) -> str:
    return re.sub(r"\w+", lambda word: IN_OTHER_WORDS.get(word[0], word[0]), text)


def parameters(function: Callable[..., Any]) -> list[tuple[str, object, object, object]]:
    """Names, kinds, defaults and types, without `self`."""
    found = inspect.signature(function).parameters.values()
    return [(each.name, each.kind, each.default, each.annotation) for each in found if each.name != "self"]


def shape(function: Callable[..., Any]) -> tuple[object, str]:
    """Parameters and return type; for an `async def`, the type that `await` gives."""
    return parameters(function), in_words_of_the_other(str(inspect.signature(function).return_annotation))


@pytest.mark.parametrize(
    ("blocking", "asynchronous"), TWINS, ids=["client", "admin", "scan", "batch", "space", "space batch"]
)
def test_the_twins_agree(blocking: type, asynchronous: type) -> None:
    ours, theirs = functions(blocking), functions(asynchronous)
    assert list(ours) == list(theirs)
    for name, method in ours.items():
        if blocking is Space and name in VIEWS:
            continue
        assert inspect.getdoc(method) == in_words_of_the_other(inspect.getdoc(theirs[name]) or ""), name
        assert shape(method) == shape(theirs[name]), name
        assert list(map(shape, get_overloads(method))) == list(map(shape, get_overloads(theirs[name]))), name


def test_results_that_depend_on_arguments_have_overloads() -> None:
    for kind in (Client, AsyncClient):
        overloaded = {name for name, function in functions(kind).items() if get_overloads(function)}
        assert overloaded == {"get", "scan", "space"}
    for kind in (Space, AsyncSpace):
        overloaded = {name for name, function in functions(kind).items() if get_overloads(function)}
        assert overloaded == {"get", "get_many", "pop", "scan"}


@pytest.mark.parametrize(
    ("kind", "at_once"),
    [
        (AsyncClient, {"admin", "scan", "batch", "mapping"}),
        (AsyncAdmin, set()),
        (AsyncScanIterator, {"seek", "resume_token"}),
        (AsyncBatch, {"put", "delete", "require", "applied", "discard"}),
        (AsyncSpace, {"name", "key_type", "value_type", "scan", "batch", "irange", *VIEWS}),
        (AsyncSpaceBatch, {"put", "delete", "require", "applied", "discard"}),
    ],
)
def test_what_waits_is_awaited(kind: type, at_once: set[str]) -> None:
    assert {name for name, method in functions(kind).items() if not inspect.iscoroutinefunction(method)} == at_once


def test_both_are_made_with_the_same_arguments() -> None:
    assert parameters(connect) == parameters(connect_async)
    of_a_cluster = parameters(LocalCluster.connect)
    assert of_a_cluster == parameters(LocalCluster.connect_async)
    only_of_connect = ("where", "key")  # a cluster on this host is found, and needs no key
    assert [(name, default, of) for name, _, default, of in of_a_cluster] == [
        (name, default, of) for name, _, default, of in parameters(connect) if name not in only_of_connect
    ]


DOCUMENTED = [
    *(member for twins in TWINS for kind in twins for member in methods(kind).values()),
    *methods(LocalCluster).values(),
    *(connect, connect_async, LocalCluster),
]
RAISE_NOTHING = {
    *("close", "stop", "processes", "admin", "resume_token", "applied", "discard"),
    *("mapping", "name", "key_type", "value_type"),
}


@pytest.mark.parametrize("member", DOCUMENTED, ids=lambda member: getattr(member, "__qualname__", "property"))
def test_arguments_results_and_errors_are_documented(member: Any) -> None:
    function = member.fget if isinstance(member, property) else member
    text = inspect.getdoc(function) or ""
    listed = re.findall(r"^    (\w+): ", text.partition("Args:")[2].partition("\n\n")[0], re.MULTILINE)
    assert listed == [name for name, *_ in parameters(function)]
    assert ("Raises:" in text) == (function.__name__ not in RAISE_NOTHING | VIEWS)
    if inspect.isfunction(member):
        assert ("Returns:" in text) == (inspect.signature(function).return_annotation != "None")
