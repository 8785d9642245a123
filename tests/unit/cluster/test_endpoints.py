"""Addresses, and the directory of the sockets."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from shardstore.cluster.endpoints import Endpoints, check_listen
from shardstore.cluster.runtime_directory import make_runtime_directory, remove_runtime_directory
from shardstore.errors import InvalidRequest
from shardstore.system.running_cluster import identity_of


def test_endpoints_lie_in_the_directory() -> None:
    endpoints = Endpoints("/run/x")
    assert (endpoints.clients, endpoints.workers, endpoints.worker(3)) == (
        "unix:///run/x/clients",
        "unix:///run/x/workers",
        "unix:///run/x/worker-3",
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "[::1]"])
def test_over_tcp_comes_who_talks_to_the_router(host: str) -> None:
    endpoints = Endpoints("/run/x", check_listen(f"tcp://{host}:7700", "/nowhere"))
    assert (endpoints.clients, endpoints.worker(3)) == (f"tcp://{host}:7700", "unix:///run/x/worker-3")
    assert endpoints.workers == "unix:///run/x/workers", "the internal link never leaves the host"
    assert endpoints.remote == endpoints.remote_worker(3) == "", "without keys, only the router listens over tcp"


@pytest.mark.parametrize(
    ("listen", "worker"),
    [
        ("tcp://127.0.0.1:7700", "tcp://127.0.0.1:7704"),
        ("tcp://[::1]:7700", "tcp://[::1]:7704"),
        ("tcp://0.0.0.0:0", "tcp://0.0.0.0:0"),
    ],
)
def test_with_keys_all_listen_over_tcp_too(tmp_path: Path, listen: str, worker: str) -> None:
    (tmp_path / "SERVER.KEY").touch()
    endpoints = Endpoints("/run/x", check_listen(listen, str(tmp_path)), has_keys=True)
    assert (endpoints.clients, endpoints.worker(3)) == ("unix:///run/x/clients", "unix:///run/x/worker-3")
    assert (endpoints.remote, endpoints.remote_worker(3)) == (listen, worker)
    assert Endpoints("/run/x", None, has_keys=True).remote == ""


@pytest.mark.parametrize(
    "listen", ["", "127.0.0.1:7700", "tcp://localhost:7700", "tcp://127.0.0.1", "tcp://[::1]:x", "tcp://::1:70000",
               "unix:///tmp/x", "tcp://127.0.0.1:7700/x"],
)  # fmt: skip
def test_what_is_no_address_is_refused(listen: str) -> None:
    with pytest.raises(InvalidRequest, match="write it like tcp"):
        check_listen(listen, "/nowhere")


@pytest.mark.parametrize("listen", ["tcp://0.0.0.0:7700", "tcp://[::]:7700", "tcp://192.168.1.4:7700"])
def test_addresses_that_others_reach_need_keys(listen: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="make the first one with `shardstore keys new NAME --role admin --data"):
        check_listen(listen, str(tmp_path))
    (tmp_path / "SERVER.KEY").touch()
    assert check_listen(listen, str(tmp_path)) == listen


def sockets_of(data: Path, store: str = "0123456789abcdef") -> str:
    return make_runtime_directory(store, identity_of(data))


@pytest.fixture
def base(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The user's runtime directory, which is short."""
    with TemporaryDirectory(dir="/tmp") as base:
        monkeypatch.setenv("XDG_RUNTIME_DIR", base)
        yield Path(base)


@pytest.mark.fault("N10")
def test_a_runtime_directory_is_private_and_short(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))
    directory = Path(sockets_of(tmp_path))
    assert directory.stat().st_mode & 0o777 == 0o700
    assert len(Endpoints(str(directory)).worker(255).removeprefix("unix://")) <= 107
    remove_runtime_directory(str(directory))
    assert not directory.exists()


def test_it_lies_in_the_users_runtime_directory_and_is_the_same_after_a_restart(base: Path, tmp_path: Path) -> None:
    directory = sockets_of(tmp_path)
    assert Path(directory).parent == base
    assert sockets_of(tmp_path) == directory, "left by one that was killed"
    remove_runtime_directory(directory)
    assert sockets_of(tmp_path) == directory


def test_copies_and_other_stores_have_others(base: Path, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    made = {sockets_of(tmp_path), sockets_of(tmp_path / "copy"), sockets_of(tmp_path, "another")}
    assert len(made) == 3


@pytest.mark.parametrize("kind", ["open to others", "a link", "a file"])
def test_a_place_that_somebody_else_may_have_taken_is_left_alone(base: Path, tmp_path: Path, kind: str) -> None:
    wanted = Path(sockets_of(tmp_path))
    wanted.rmdir()
    trap = tmp_path / "trap"
    trap.mkdir(0o700)
    if kind == "a link":
        wanted.symlink_to(trap)
    elif kind == "a file":
        wanted.touch()
    else:
        wanted.mkdir()
        wanted.chmod(0o770)
    directory = Path(sockets_of(tmp_path))
    assert directory != wanted
    assert directory.lstat().st_mode & 0o777 == 0o700
    remove_runtime_directory(str(wanted))
    assert wanted.exists(), "not ours to remove"
    remove_runtime_directory(str(directory))


def test_only_sockets_in_directories_of_ours_are_removed(base: Path, tmp_path: Path) -> None:
    ours = Path(sockets_of(tmp_path))
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(ours / "clients"))
    (ours / "precious").write_text("x")
    remove_runtime_directory(str(ours))
    assert os.listdir(ours) == ["precious"]
    (ours / "precious").unlink()
    remove_runtime_directory(str(ours))
    assert not ours.exists()
    remove_runtime_directory(str(tmp_path))
    assert tmp_path.exists()
