"""Who may connect to a Unix socket, and how keys on a tcp socket are asked for and revoked while it listens."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import pytest

from shardstore.access.client_keys import read_client_key
from shardstore.access.doorkeeper import Doorkeeper
from shardstore.access.key_store import KeyStore
from shardstore.client_role import ADMIN, ClientRole
from shardstore.limits import SECOND_NS
from shardstore.options import SocketAccess
from shardstore.seams.effects import LinkDenied, LinkDown, LinkUp, PeerGone, Received
from shardstore.system.door import Visitor, are_welcome, visitor_at
from shardstore.system.posix_filesystem import PosixFilesystem
from shardstore.system.socket_transport import SocketTransport
from tests.process.deadlines import wait_until

NOBODY = 65_534


@pytest.fixture
def server() -> Iterator[SocketTransport]:
    transport = SocketTransport()
    yield transport
    transport.close()


def test_the_system_tells_who_connects() -> None:
    one, other = socket.socketpair()
    with one, other:
        visitor = visitor_at(one)
    assert visitor.user == os.geteuid()
    assert {os.getegid(), *os.getgroups()} <= visitor.groups


@pytest.mark.parametrize(
    ("mode", "groups", "welcome"),
    [
        (0o600, {5}, False),
        (0o660, {5}, True),
        (0o660, {6, 5}, True),
        (0o660, {6}, False),
        (0o640, {5}, False),
        (0o666, {6}, True),
        (0o606, {6}, True),
    ],
)
def test_others_are_welcome_as_the_mode_says(mode: int, groups: set[int], welcome: bool) -> None:
    assert are_welcome(Visitor(1234, frozenset(groups)), mode, 5) is welcome


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
@pytest.mark.parametrize(
    ("access", "let_in"), [(None, False), (SocketAccess(0o660), False), (SocketAccess(0o666), True)]
)
def test_another_user_is_refused_even_if_the_socket_was_opened_to_all(
    server: SocketTransport, access: SocketAccess | None, let_in: bool
) -> None:
    with TemporaryDirectory(dir="/tmp") as base:
        inside = Path(base) / "run"
        inside.mkdir(0o700)
        path = inside / "clients"
        server.bind("clients", f"unix://{path}", access=access)
        for each in (base, inside, path):
            os.chmod(each, 0o777)  # a mistake of the operator, which must not matter
        with knocking_as_nobody(str(path)) as said:
            listener = server._listeners["clients"]
            wait_until(lambda: not server.receive(0) and bool(listener._refusals._count or listener._connections), "it")
            assert bool(listener._connections) is let_in
            if not let_in:
                assert said.read(9) == b"b''", "the connection was closed"


@contextmanager
def knocking_as_nobody(path: str) -> Iterator[BinaryIO]:
    """A process of another user that connects. Gives what it was told, once the connection is closed."""
    reads, writes = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            with socket.socket(socket.AF_UNIX) as knocking:
                knocking.connect(path)
                os.write(writes, repr(knocking.recv(1)).encode())
        finally:
            os._exit(0)
    os.close(writes)
    try:
        with open(reads, "rb") as said:
            yield said
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


class Keyed:
    """A server that asks for keys, and clients with keys."""

    def __init__(self, server: SocketTransport, place: Path) -> None:
        self.server = server
        self.place = place
        self.store = KeyStore(PosixFilesystem(str(place / "data")), str(place / "data"), os.urandom)
        self.clients: list[SocketTransport] = []
        self.came: dict[SocketTransport, list[object]] = {}
        self.add("admin", ClientRole.ADMIN)
        server.bind("clients", f"unix://{place}/clients")
        self.url = server.bind_also("clients", "tcp://127.0.0.1:0", Doorkeeper(str(place / "data")))

    def add(self, name: str, role: ClientRole) -> None:
        self.store.add(name, role, str(self.place / f"{name}.key"))

    def connect(self, name: str) -> SocketTransport:
        transport = SocketTransport(read_client_key(str(self.place / f"{name}.key")))
        transport.connect("router", self.url)
        self.clients.append(transport)
        return transport

    def events(self, transport: SocketTransport) -> list[object]:
        """What comes next at a transport; all are served meanwhile."""

        def look() -> bool:
            for each in (self.server, *self.clients):
                self.came.setdefault(each, []).extend(each.receive(SECOND_NS // 200))
            return bool(self.came[transport])

        wait_until(look, "an event")
        return self.came.pop(transport)


@pytest.fixture
def keyed(server: SocketTransport) -> Iterator[Keyed]:
    with TemporaryDirectory(dir="/tmp") as place:
        keyed = Keyed(server, Path(place))
        yield keyed
        for client in keyed.clients:
            client.close()


def test_messages_have_the_role_of_the_key(keyed: Keyed) -> None:
    keyed.add("reader", ClientRole.READ)
    for name, role in (("reader", ClientRole.READ), ("admin", ClientRole.ADMIN)):
        client = keyed.connect(name)
        assert keyed.events(client) == [LinkUp("router")]
        assert client.send("router", b"", [b"question"])
        [message] = keyed.events(keyed.server)
        assert isinstance(message, Received)
        assert (message.frames, message.role) == ([b"question"], role)
        assert keyed.server.send("clients", message.peer, [b"answer", b""])
        assert keyed.events(client) == [Received("router", b"", [b"answer", b""])]


def test_who_comes_over_the_unix_socket_is_an_admin(keyed: Keyed) -> None:
    local = SocketTransport()
    keyed.clients.append(local)
    local.connect("router", f"unix://{keyed.place}/clients")
    assert local.send("router", b"", [b"question"])
    [message] = keyed.events(keyed.server)
    assert isinstance(message, Received)
    assert message.role == ADMIN


def test_a_revoked_key_ends_the_connection_and_is_not_let_in_again(keyed: Keyed) -> None:
    keyed.add("leaver", ClientRole.WRITE)
    client, other = keyed.connect("leaver"), keyed.connect("admin")
    assert keyed.events(client) == [LinkUp("router")]
    assert keyed.events(other) == [LinkUp("router")]
    for each in (client, other):
        each.send("router", b"", [b"question"])
    assert len(keyed.events(keyed.server)) >= 1
    keyed.store.revoke("leaver")
    found: list[object] = []
    while not any(isinstance(event, LinkDenied) for event in found):
        found += keyed.events(client)
    assert found[0] == LinkDown("router")
    [refused] = [event for event in found if isinstance(event, LinkDenied)]
    assert "does not let in the key leaver: it was revoked" in refused.why
    assert other.send("router", b"", [b"again"])
    assert any(isinstance(event, Received) and event.frames == [b"again"] for event in keyed.events(keyed.server))


def test_a_key_with_another_role_must_be_proved_again(keyed: Keyed) -> None:
    client = keyed.connect("admin")
    assert keyed.events(client) == [LinkUp("router")]
    client.send("router", b"", [b"question"])
    [message] = keyed.events(keyed.server)
    assert isinstance(message, Received)
    text = (keyed.place / "data" / "KEYS").read_text().replace(" admin ", " read ")
    (keyed.place / "data" / "KEYS").write_text(text)
    assert PeerGone("clients", message.peer) in keyed.events(keyed.server)
    found: list[object] = []
    while LinkUp("router") not in found:
        found += keyed.events(client)
    client.send("router", b"", [b"question"])
    [message] = keyed.events(keyed.server)
    assert isinstance(message, Received)
    assert message.role == ClientRole.READ
