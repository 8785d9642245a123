"""Sockets in the file system: their permissions, and that they are made again if their files vanish."""

from __future__ import annotations

import grp
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from shardstore.errors import InvalidRequest
from shardstore.options import SocketAccess
from shardstore.system.socket_file import renew_private_directory
from shardstore.system.socket_transport import SocketTransport
from tests.unit.system.transports import next_message

OTHERS = next(entry.gr_name for entry in grp.getgrall() if entry.gr_gid in {*os.getgroups(), os.getegid()})
"""A group of this user."""


@pytest.fixture
def url(directory: Path) -> str:
    assert renew_private_directory(str(directory / "run"))
    return f"unix://{directory}/run/clients"


@pytest.fixture
def server() -> Iterator[SocketTransport]:
    transport = SocketTransport()
    yield transport
    transport.close()


def asks(server: SocketTransport, client: SocketTransport) -> None:
    assert client.send("router", b"", [b"question"])
    question = next_message(server)
    assert server.send("clients", question.peer, [b"answer"])
    assert next_message(client).frames == [b"answer"]


@pytest.mark.parametrize("lost", ["clients", ".", ".."])
def test_a_vanished_file_or_directory_comes_back_and_connections_stay(
    directory: Path, server: SocketTransport, url: str, lost: str
) -> None:
    directory = directory / "deeper"
    assert renew_private_directory(str(directory / "run"))
    url = url.replace("/run/", "/deeper/run/")
    server.bind("clients", url)
    old, new = SocketTransport(), SocketTransport()
    old.connect("router", url)
    asks(server, old)
    path = (directory / "run" / lost).resolve()
    path.unlink() if lost == "clients" else shutil.rmtree(path)
    server.renew()
    asks(server, old)
    new.connect("router", url)
    asks(server, new)
    socket = os.lstat(directory / "run" / "clients")
    assert (stat.S_IMODE(socket.st_mode), stat.S_IMODE(os.stat(directory / "run").st_mode)) == (0o600, 0o700)
    server.renew()
    assert os.lstat(directory / "run" / "clients").st_ino == socket.st_ino, "there was nothing to do"
    old.close()
    new.close()


def test_what_cannot_come_back_now_does_later(directory: Path, server: SocketTransport, url: str) -> None:
    server.bind("clients", url)
    shutil.rmtree(directory / "run")
    (directory / "run").touch()
    server.renew()
    assert (directory / "run").is_file()
    (directory / "run").unlink()
    (directory / "run").mkdir(0o755)
    server.renew()
    assert os.listdir(directory / "run") == [], "another user may have put it there"
    (directory / "run").rmdir()
    server.renew()
    assert os.listdir(directory / "run") == ["clients"]


def test_others_are_let_in_by_mode_and_group(directory: Path, server: SocketTransport, url: str) -> None:
    (directory / "run").chmod(0o755)
    server.bind("clients", url, access=SocketAccess(0o660, OTHERS))
    for _ in range(2):
        found = os.stat(directory / "run" / "clients")
        assert (stat.S_IMODE(found.st_mode), grp.getgrgid(found.st_gid).gr_name) == (0o660, OTHERS)
        (directory / "run" / "clients").unlink()
        server.renew()
    shutil.rmtree(directory / "run")
    server.renew()
    assert not (directory / "run").exists(), "only the owner makes the directory"


def test_who_starts_makes_a_missing_directory_and_takes_none_that_others_may_enter(
    directory: Path, server: SocketTransport, url: str
) -> None:
    shutil.rmtree(directory / "run")
    server.bind("clients", url)
    (directory / "run").chmod(0o711)
    with pytest.raises(InvalidRequest, match="is no directory that is this user's alone"):
        server.bind("workers", url.replace("clients", "workers"))
