"""The identity of a store, and the lock on its directory."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shardstore.cluster.data_directory import DataDirectory
from shardstore.cluster.settings import ClusterSettings, cluster_settings
from shardstore.cluster.store import read_store
from shardstore.errors import Corruption, InvalidRequest, Unavailable
from shardstore.system.posix_filesystem import PosixFilesystem
from shardstore.system.process_identity import own_identity
from shardstore.system.running_cluster import last_announced, running_on
from shardstore.system.system_entropy import SystemEntropy


def opened(settings: ClusterSettings) -> DataDirectory:
    return DataDirectory(PosixFilesystem(settings.data), SystemEntropy(), settings)


def test_a_store_keeps_its_identity(tmp_path: Path) -> None:
    directory = opened(cluster_settings(tmp_path, workers=3, ranges=[b"a", b"m"]))
    directory.close()
    again = opened(cluster_settings(tmp_path))
    assert again.store == directory.store
    assert (again.store.workers, again.store.boundaries) == (3, (b"a", b"m"))
    again.close()


def test_two_stores_are_two(tmp_path: Path) -> None:
    assert opened(cluster_settings(tmp_path / "a")).store.store != opened(cluster_settings(tmp_path / "b")).store.store


def test_a_new_store_is_one_range_unless_it_is_cut(tmp_path: Path) -> None:
    assert opened(cluster_settings(tmp_path / "a", workers=2)).store.boundaries == ()
    cut = opened(cluster_settings(tmp_path / "b", workers=2, ranges=8)).store.boundaries
    assert cut == tuple(bytes([32 * at, 0]) for at in range(1, 8))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"ranges": 2}, r"made with 3 ranges \(split at b'a', b'm'\), not the 2"),
        ({"ranges": [b"a", b"n"]}, r"split at b'a', b'm'"),
    ],
)
def test_other_settings_are_refused_and_the_lock_is_let_go(tmp_path: Path, changed: dict, message: str) -> None:
    opened(cluster_settings(tmp_path, workers=2, ranges=[b"a", b"m"])).close()
    with pytest.raises(InvalidRequest, match=message):
        opened(cluster_settings(tmp_path, **changed))
    opened(cluster_settings(tmp_path, workers=2, ranges=[b"a", b"m"])).close()


@pytest.mark.fault("N11", "W4")
def test_a_second_holder_is_refused_and_learns_of_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = opened(cluster_settings(tmp_path))
    first.announce("unix:///tmp/shardstore-x/clients", "/tmp/shardstore-x")
    with pytest.raises(InvalidRequest, match=rf"this process runs a cluster on {tmp_path} already, at unix:///tmp/"):
        opened(cluster_settings(tmp_path))
    someone = replace(own_identity(), pid=1)
    monkeypatch.setattr("shardstore.cluster.data_directory.own_identity", lambda: someone)
    with pytest.raises(InvalidRequest, match=rf"process {os.getpid()}, unix:///tmp/shardstore-x/clients"):
        opened(cluster_settings(tmp_path))
    assert last_announced(tmp_path) is not None, "the refused cluster must not change the announcement"
    first.close()


def test_the_announcement_is_private_and_goes_with_the_cluster(tmp_path: Path) -> None:
    directory = opened(cluster_settings(tmp_path))
    directory.announce("tcp://127.0.0.1:7700", "/tmp/shardstore-x")
    assert running_on(tmp_path).url == "tcp://127.0.0.1:7700"
    assert (tmp_path / "ENDPOINT").stat().st_mode & 0o777 == 0o600
    directory.close()
    with pytest.raises(Unavailable, match=r"no cluster is running on .*: start one with `shardstore serve --data"):
        running_on(tmp_path)


def test_a_copy_of_a_running_directory_announces_nothing_and_leaves_its_sockets_alone(tmp_path: Path) -> None:
    data, copy, sockets = tmp_path / "data", tmp_path / "copy", tmp_path / "shardstore-x"
    sockets.mkdir(0o700)
    original = opened(cluster_settings(data))
    original.announce("unix:///tmp/shardstore-x/clients", str(sockets))
    shutil.copytree(data, copy)
    with pytest.raises(Unavailable, match="no cluster is running on"):
        running_on(copy)
    opened(cluster_settings(copy)).close()
    assert sockets.is_dir()
    assert running_on(data).runtime_directory == str(sockets)
    original.close()
    assert not sockets.exists()


@pytest.mark.parametrize("changed", [{"pid": 4194305}, {"started": 1}, {"boot": "another"}])
def test_an_announcement_counts_only_while_its_very_process_runs(tmp_path: Path, changed: dict[str, Any]) -> None:
    directory = opened(cluster_settings(tmp_path))
    directory.announce("tcp://127.0.0.1:7700", "/tmp/shardstore-x")
    words = json.loads((tmp_path / "ENDPOINT").read_text())
    words["process"] |= changed
    (tmp_path / "ENDPOINT").write_text(json.dumps(words))
    with pytest.raises(Unavailable):
        running_on(tmp_path)
    directory.close()


def test_a_process_of_another_container_may_run(tmp_path: Path) -> None:
    directory = opened(cluster_settings(tmp_path))
    directory.announce("tcp://127.0.0.1:7700", "/tmp/shardstore-x")
    words = json.loads((tmp_path / "ENDPOINT").read_text())
    words["process"] |= {"namespace": 1, "pid": 4194305}
    (tmp_path / "ENDPOINT").write_text(json.dumps(words))
    assert running_on(tmp_path).url == "tcp://127.0.0.1:7700"
    directory.close()


@pytest.mark.parametrize(
    "content",
    ["", "{}", "[]", "\0" * 9000, '{"url": "unix:///tmp/shardstore-gone/clients", "pid": 1, "runtime_directory": ""}'],
)
def test_an_announcement_that_is_no_use_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "ENDPOINT").write_text(content)
    assert last_announced(tmp_path) is None


def test_an_announcement_with_a_field_of_another_type_is_none(tmp_path: Path) -> None:
    directory = opened(cluster_settings(tmp_path))
    directory.announce("tcp://127.0.0.1:7700", "/tmp/shardstore-x")
    words = json.loads((tmp_path / "ENDPOINT").read_text())
    for field, value in {"url": None, "runtime_directory": 1, "directory": ["1", 2], "process": {"pid": 1}}.items():
        (tmp_path / "ENDPOINT").write_text(json.dumps(words | {field: value}))
        assert last_announced(tmp_path) is None
    directory.close()


def test_what_is_no_directory_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="and there is no such directory"):
        running_on(tmp_path / "missing")


def test_a_lost_identity_is_damage_and_not_a_new_store(tmp_path: Path) -> None:
    (tmp_path / "segments").mkdir()
    with pytest.raises(Corruption, match="STORE at byte 0: is missing, though the directory holds"):
        opened(cluster_settings(tmp_path))


def test_a_damaged_identity_is_named(tmp_path: Path) -> None:
    opened(cluster_settings(tmp_path)).close()
    file = tmp_path / "STORE"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(Corruption, match="STORE at byte 16: checksum"):
        read_store(PosixFilesystem(str(tmp_path)))


@pytest.mark.fault("W4")
def test_a_fork_does_not_keep_the_lock(tmp_path: Path) -> None:
    directory = opened(cluster_settings(tmp_path))
    ready, go = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.write(ready[1], b".")
        os.read(go[0], 1)
        os._exit(0)
    os.read(ready[0], 1)
    try:
        directory.close()
        opened(cluster_settings(tmp_path)).close()
    finally:
        os.write(go[1], b".")
        os.waitpid(child, 0)
        for end in (*ready, *go):
            os.close(end)
