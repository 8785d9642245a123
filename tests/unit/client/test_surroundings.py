"""The targets to which a client may connect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shardstore import InvalidRequest, Unavailable, connect


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHARDSTORE_URL", raising=False)
    monkeypatch.delenv("SHARDSTORE_DATA", raising=False)


@pytest.mark.parametrize("where", ["", "http://127.0.0.1:1", "ipc:///tmp/x", b"data", 7, ["data"]])
def test_what_names_no_store_is_refused(where: Any) -> None:
    with pytest.raises(InvalidRequest, match="data directory"):
        connect(where)


def test_nothing_at_all_is_refused_with_the_ways_to_say_it() -> None:
    with pytest.raises(InvalidRequest, match="SHARDSTORE_URL or SHARDSTORE_DATA"):
        connect()


@pytest.mark.parametrize("kind", [str, Path])
def test_a_directory_without_a_cluster_is_told_at_once(kind: type, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"no cluster is running on .*: start one with"):
        connect(kind(tmp_path))


def test_the_environment_says_where(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SHARDSTORE_DATA", str(tmp_path / "missing"))
    with pytest.raises(Unavailable, match="no such directory"):
        connect()
    monkeypatch.setenv("SHARDSTORE_URL", "http://x")
    with pytest.raises(InvalidRequest, match="http://x"):
        connect()
