"""Sockets at a path that the operator chooses."""

from __future__ import annotations

import grp
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from shardstore.cluster.endpoints import Endpoints
from shardstore.cluster.settings import cluster_settings
from shardstore.cluster.socket_place import SocketPlace, socket_place
from shardstore.errors import InvalidRequest
from shardstore.options import SocketAccess

GROUP = grp.getgrgid(os.getegid()).gr_name


@pytest.fixture
def base() -> Iterator[Path]:
    with TemporaryDirectory(dir="/tmp") as base:
        yield Path(base)


def place_at(path: Path, mode: Any = None, group: Any = None) -> SocketPlace:
    place = socket_place(path, mode, group, None)
    assert place is not None
    return place


def test_clients_come_there_and_workers_to_the_private_directory(base: Path) -> None:
    endpoints = Endpoints("/run/x", None, place_at(base / "store", 0o660, GROUP))
    assert (endpoints.clients, endpoints.worker(3)) == (f"unix://{base}/store", f"unix://{base}/store.worker-3")
    assert endpoints.workers == "unix:///run/x/workers"
    assert endpoints.access == SocketAccess(0o660, GROUP)
    assert Endpoints("/run/x").access is None


@pytest.mark.parametrize(
    ("mode", "is_"), [(None, 0o600), (0o666, 0o666), ("660", 0o660), ("0660", 0o660), ("0o600", 0o600)]
)
def test_modes(base: Path, mode: Any, is_: int) -> None:
    assert place_at(base / "store", mode).access == SocketAccess(is_, "")


@pytest.mark.parametrize("mode", ["", "rw", "888", 0o060, 0o777, 0o4660, -1, True, 6.0, b"660"])
def test_what_is_no_mode_of_a_socket_is_refused(base: Path, mode: Any) -> None:
    with pytest.raises(InvalidRequest, match="socket_mode is a mode like 0o660"):
        place_at(base / "store", mode)


@pytest.mark.parametrize("group", ["no such group", 7, b"x"])
def test_an_unknown_group_is_refused(base: Path, group: Any) -> None:
    with pytest.raises(InvalidRequest, match="this host has no group"):
        place_at(base / "store", None, group)


@pytest.mark.fault("N10")
def test_a_path_that_no_socket_can_have_is_refused(base: Path) -> None:
    with pytest.raises(InvalidRequest, match="is too long for a socket by 1 bytes"):
        place_at(Path("/tmp/" + "x" * (108 - len("/tmp/.worker-255"))))
    with pytest.raises(InvalidRequest, match=r"there is no directory .*: make it first"):
        place_at(base / "missing" / "store")
    with pytest.raises(InvalidRequest, match="is the path of a socket"):
        socket_place(b"store", None, None, None)  # type: ignore[arg-type]


def test_settings_that_go_not_together_are_refused(base: Path) -> None:
    with pytest.raises(InvalidRequest, match="choose one"):
        cluster_settings(base, socket=base / "store", listen="tcp://127.0.0.1:0")
    for alone in ({"socket_mode": 0o660}, {"socket_group": GROUP}):
        with pytest.raises(InvalidRequest, match="at a socket=PATH: name one"):
            cluster_settings(base, **alone)  # type: ignore[arg-type]


def test_only_a_socket_where_nobody_listens_is_taken(base: Path) -> None:
    place = place_at(base / "store")
    place.refuse_if_taken()
    (base / "store").touch()
    with pytest.raises(InvalidRequest, match="is no socket"):
        place.refuse_if_taken()
    (base / "store").unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(base / "store"))
        place.refuse_if_taken()
        other.listen()
        with pytest.raises(InvalidRequest, match="another process listens at"):
            place.refuse_if_taken()


def test_sockets_that_were_left_are_removed_and_nothing_else(base: Path) -> None:
    place = place_at(base / "store")
    for name in ("store", "store.worker-0", "store.worker-12", "store-of-another"):
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(base / name))
    (base / "store.worker-notes").touch()
    place.clear()
    assert sorted(os.listdir(base)) == ["store-of-another", "store.worker-notes"]
