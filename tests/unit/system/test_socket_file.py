"""Sockets in the file system: whom they let in, and that they come back when their files vanish."""

from __future__ import annotations

import grp
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from shardstore.errors import InvalidRequest
from shardstore.limits import SECOND_NS
from shardstore.options import SocketAccess
from shardstore.seams.effects import Received
from shardstore.system.socket_file import renew_private_directory
from shardstore.system.socket_transport import SocketTransport

PATIENCE_NS = 20 * SECOND_NS
OTHERS = next(entry.gr_name for entry in grp.getgrall() if entry.gr_gid in {*os.getgroups(), os.getegid()})
"""A group of this user."""


@pytest.fixture
def base() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="ss", dir="/tmp"))
    yield path
    shutil.rmtree(path)


@pytest.fixture(params=["ipc", "unix"])
def url(base: Path, request: pytest.FixtureRequest) -> str:
    assert renew_private_directory(str(base / "run"))
    return f"{request.param}://{base}/run/clients"


@pytest.fixture
def server() -> Iterator[SocketTransport]:
    transport = SocketTransport()
    yield transport
    transport.close()


def next_message(transport: SocketTransport) -> Received:
    for _ in range(1_000):
        if received := transport.receive(PATIENCE_NS):
            [message] = received
            return message
    raise AssertionError("no message")


def asks(server: SocketTransport, client: SocketTransport) -> None:
    assert client.send("router", b"", [b"question"])
    question = next_message(server)
    assert server.send("clients", question.peer, [b"answer"])
    assert next_message(client).frames == [b"answer"]


@pytest.mark.parametrize("lost", ["clients", ".", ".."])
def test_a_vanished_file_or_directory_comes_back_and_connections_stay(
    base: Path, server: SocketTransport, url: str, lost: str
) -> None:
    base = base / "deeper"
    assert renew_private_directory(str(base / "run"))
    url = url.replace("/run/", "/deeper/run/")
    server.bind("clients", url)
    old, new = SocketTransport(), SocketTransport()
    old.connect("router", url)
    asks(server, old)
    path = (base / "run" / lost).resolve()
    path.unlink() if lost == "clients" else shutil.rmtree(path)
    server.renew()
    asks(server, old)
    new.connect("router", url)
    asks(server, new)
    socket = os.lstat(base / "run" / "clients")
    assert (stat.S_IMODE(socket.st_mode), stat.S_IMODE(os.stat(base / "run").st_mode)) == (0o600, 0o700)
    server.renew()
    assert os.lstat(base / "run" / "clients").st_ino == socket.st_ino, "nothing was to be done"
    old.close()
    new.close()


def test_what_cannot_come_back_now_does_later(base: Path, server: SocketTransport, url: str) -> None:
    server.bind("clients", url)
    shutil.rmtree(base / "run")
    (base / "run").touch()
    server.renew()
    assert (base / "run").is_file()
    (base / "run").unlink()
    (base / "run").mkdir(0o755)
    server.renew()
    assert os.listdir(base / "run") == [], "others may have put that there"
    (base / "run").rmdir()
    server.renew()
    assert os.listdir(base / "run") == ["clients"]


def test_others_are_let_in_by_mode_and_group(base: Path, server: SocketTransport, url: str) -> None:
    (base / "run").chmod(0o755)
    server.bind("clients", url, access=SocketAccess(0o660, OTHERS))
    for _ in range(2):
        found = os.stat(base / "run" / "clients")
        assert (stat.S_IMODE(found.st_mode), grp.getgrgid(found.st_gid).gr_name) == (0o660, OTHERS)
        (base / "run" / "clients").unlink()
        server.renew()
    shutil.rmtree(base / "run")
    server.renew()
    assert not (base / "run").exists(), "the directory is for its owner to make"


def test_who_starts_makes_a_missing_directory_and_takes_none_that_others_may_enter(
    base: Path, server: SocketTransport, url: str
) -> None:
    shutil.rmtree(base / "run")
    server.bind("clients", url)
    (base / "run").chmod(0o711)
    with pytest.raises(InvalidRequest, match="is no directory that is this user's alone"):
        server.bind("workers", url.replace("clients", "workers"))
