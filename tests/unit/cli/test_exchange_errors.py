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
from shardstore.exchange.content import ExportEntries, ExportSection
from shardstore.exchange.forms import BUNDLE, writer_of


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


def test_without_a_router_nothing_is_imported() -> None:
    with pytest.raises(Unavailable, match="the router does not answer: it is down"):
        _identity_of(OTHER, 1.0)
