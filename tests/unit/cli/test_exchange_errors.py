"""What export and import say when the store is not as it should be."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from shardstore.cli.connection import Form
from shardstore.cli.exchange import _identity_of, _verify
from shardstore.cli.failures import Failed
from shardstore.errors import Unavailable
from shardstore.exchange import importing
from shardstore.exchange.content import ExportEntries, ExportSection, Placed
from shardstore.exchange.forms import BUNDLE, writer_of
from shardstore.identifiers import Expiring


class OtherStore:
    """A store that another program has written, and whose router is down."""

    def get_many(self, keys: Sequence[bytes], timeout: float) -> list[bytes | None]:
        return [b"other"] * len(keys)

    def stats(self, timeout: float) -> dict[str, Any]:
        return {"router": {"unavailable": "it is down"}}


OTHER: Any = OtherStore()


def test_a_store_that_differs_from_the_file_is_noticed(tmp_path: Path) -> None:
    with open(tmp_path / "file", "w+b") as file:
        writer = writer_of(BUNDLE, file)
        writer.section(ExportSection())
        writer.entries(ExportEntries([b"a", b"b", b"c"], [b"1", b"other", b"3"]))
        writer.end(3)
        with pytest.raises(Failed) as error:
            _verify(OTHER, Form(hex=False, json=False), "file", file, 3, 1.0)
    assert error.value.message == (
        "2 entries of the store differ from the file, the first in keys outside of spaces at a: "
        "did another program write to the store meanwhile?"
    )


def test_what_expired_meanwhile_does_not_take_the_place_of_what_is_there() -> None:
    put: list[tuple[bytes, object]] = []

    class Store:
        def put_many(self, pairs: Sequence[tuple[bytes, bytes]], timeout: float) -> None:
            put.extend(pairs)

        def _put_until(self, pairs: Sequence[tuple[bytes, Expiring]], timeout: float) -> None:
            put.extend(pairs)

    later = Expiring(1 << 45, b"later")
    entries = ExportEntries([b"a", b"b", b"c"], [b"1", Expiring(1, b"gone"), later])
    store: Any = Store()
    ends = importing.put_all(store, iter([Placed(ExportSection(), 1), Placed(entries, 2)]), 0, 1.0, lambda _: None)
    assert list(ends) == [2]
    assert put == [(b"a", b"1"), (b"c", later)]


def test_without_a_router_nothing_is_imported() -> None:
    with pytest.raises(Unavailable, match="the router does not answer: it is down"):
        _identity_of(OTHER, 1.0)
