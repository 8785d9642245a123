"""The blocking and the asyncio client have the same methods, parameters, defaults and texts."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from shardstore import Admin, AsyncAdmin, AsyncClient, AsyncScanIterator, Client, ScanIterator, connect, connect_async

TWINS = [(Client, AsyncClient), (Admin, AsyncAdmin), (ScanIterator, AsyncScanIterator)]


def methods(kind: type) -> dict[str, Any]:
    return {
        name: member
        for name, member in vars(kind).items()
        if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, property))
    }


def parameters(function: Any) -> list[tuple[str, object, object]]:
    return [(each.name, each.kind, each.default) for each in inspect.signature(function).parameters.values()]


@pytest.mark.parametrize(("blocking", "asynchronous"), TWINS, ids=["client", "admin", "scan"])
def test_the_twins_agree(blocking: type, asynchronous: type) -> None:
    ours, theirs = methods(blocking), methods(asynchronous)
    assert list(ours) == list(theirs)
    for name, method in ours.items():
        assert inspect.getdoc(method) == inspect.getdoc(theirs[name]).replace("other tasks", "other threads"), name
        if inspect.isfunction(method):
            assert parameters(method) == parameters(theirs[name]), name


def test_both_are_made_with_the_same_arguments() -> None:
    assert parameters(connect) == parameters(connect_async)


@pytest.mark.parametrize("kind", [Client, Admin])
def test_every_method_tells_arguments_and_errors(kind: type) -> None:
    for name, method in methods(kind).items():
        if not inspect.isfunction(method) or name == "close":
            continue
        text = inspect.getdoc(method) or ""
        listed = text.partition("Args:")[2].partition("\n\n")[0]
        for parameter in list(inspect.signature(method).parameters)[1:]:
            assert f"    {parameter}: " in listed, f"{name}: {parameter}"
        assert "Raises:" in text, name
