"""Addresses and the directory of sockets."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from shardstore.cluster.endpoints import Endpoints, check_listen
from shardstore.cluster.runtime_directory import make_runtime_directory, remove_runtime_directory
from shardstore.errors import InvalidRequest


def test_ipc_endpoints_lie_in_the_directory() -> None:
    endpoints = Endpoints("/run/x")
    assert (endpoints.clients, endpoints.workers, endpoints.worker(3)) == (
        "ipc:///run/x/clients",
        "ipc:///run/x/workers",
        "unix:///run/x/worker-3",
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "[::1]"])
def test_over_tcp_comes_who_talks_to_the_router(host: str) -> None:
    endpoints = Endpoints("/run/x", check_listen(f"tcp://{host}:7700"))
    assert (endpoints.clients, endpoints.worker(3)) == (f"tcp://{host}:7700", "unix:///run/x/worker-3")
    assert endpoints.workers == "ipc:///run/x/workers", "the internal link never leaves the host"


@pytest.mark.parametrize(
    "listen", ["", "127.0.0.1:7700", "tcp://localhost:7700", "tcp://127.0.0.1", "tcp://[::1]:x", "tcp://::1:70000",
               "ipc:///tmp/x", "tcp://127.0.0.1:7700/x"],
)  # fmt: skip
def test_what_is_no_address_is_refused(listen: str) -> None:
    with pytest.raises(InvalidRequest, match="write it like tcp"):
        check_listen(listen)


@pytest.mark.parametrize("listen", ["tcp://0.0.0.0:7700", "tcp://[::]:7700", "tcp://192.168.1.4:7700"])
def test_addresses_that_others_reach_are_refused(listen: str) -> None:
    with pytest.raises(InvalidRequest, match="no encryption or authentication"):
        check_listen(listen)


def test_a_runtime_directory_is_private_and_short(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))
    directory = Path(make_runtime_directory())
    assert directory.stat().st_mode & 0o777 == 0o700
    assert len(Endpoints(str(directory)).worker(255).removeprefix("ipc://")) <= 107
    remove_runtime_directory(str(directory))
    assert not directory.exists()


def test_the_users_runtime_directory_is_taken_when_it_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    base = make_runtime_directory()
    monkeypatch.setenv("XDG_RUNTIME_DIR", base)
    directory = make_runtime_directory()
    assert Path(directory).parent == Path(base)
    remove_runtime_directory(directory)
    remove_runtime_directory(base)


def test_only_sockets_in_directories_of_ours_are_removed(tmp_path: Path) -> None:
    ours = Path(make_runtime_directory())
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
