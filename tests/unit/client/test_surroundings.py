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
    monkeypatch.delenv("SHARDSTORE_KEY", raising=False)


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


def test_what_is_no_path_of_a_key_is_refused_and_not_repeated() -> None:
    with pytest.raises(InvalidRequest, match=r"^key is the path of a key file, not bytes$"):
        connect("tcp://127.0.0.1:1", key=b"secret")  # type: ignore[arg-type]


def test_a_key_is_for_tcp_only(tmp_path: Path) -> None:
    said = f"a key is for a url that begins with tcp://; {tmp_path} needs none"
    with pytest.raises(InvalidRequest, match=f"^{said}$"):
        connect(tmp_path, key=tmp_path / "my.key")


def test_the_environment_says_which_key_but_for_tcp_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SHARDSTORE_KEY", str(tmp_path / "missing.key"))
    with pytest.raises(InvalidRequest, match=r"missing\.key' cannot be read: No such file or directory"):
        connect("tcp://127.0.0.1:1")
    with pytest.raises(Unavailable, match="no cluster is running on"):
        connect(tmp_path)
