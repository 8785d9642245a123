"""What only ZeroMQ links do; the rest is in test_transport_contract.py."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from shardstore import limits, zmq_links
from shardstore.effects import PeerGone, Received
from shardstore.errors import InvalidRequest
from shardstore.limits import MILLISECOND_NS, SECOND_NS
from shardstore.socket_transport import SocketTransport
from shardstore.wire_format import Header, Op

PATIENCE_NS = 20 * SECOND_NS


@pytest.fixture
def directory() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="ss", dir="/tmp"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def server(directory: Path) -> Iterator[SocketTransport]:
    transport = SocketTransport()
    transport.bind("clients", f"ipc://{directory}/server")
    yield transport
    transport.close()


@pytest.fixture
def client(directory: Path) -> Iterator[SocketTransport]:
    transport = SocketTransport()
    transport.connect("router", f"ipc://{directory}/server")
    yield transport
    transport.close()


def next_message(transport: SocketTransport) -> Received:
    for _ in range(1000):
        received = transport.receive(PATIENCE_NS)
        if received:
            [message] = received
            assert isinstance(message, Received)
            return message
    raise AssertionError("no message")


def test_the_socket_file_is_for_its_user_only(server: SocketTransport, directory: Path) -> None:
    assert stat.S_IMODE(os.stat(directory / "server").st_mode) == 0o600


def test_a_path_too_long_for_a_socket_is_refused_by_name() -> None:
    transport = SocketTransport()
    with pytest.raises(InvalidRequest, match=f"108 bytes, allowed are {limits.IPC_PATH_BYTES_MAX}"):
        transport.bind("clients", "ipc://" + "x" * 108)
    with pytest.raises(InvalidRequest, match="108 bytes"):
        transport.connect("router", "ipc://" + "x" * 108)
    transport.close()


def test_an_endpoint_that_cannot_be_used_is_refused_by_name() -> None:
    transport = SocketTransport()
    with pytest.raises(InvalidRequest, match="cannot listen on ipc:///no/such"):
        transport.bind("clients", "ipc:///no/such/directory/socket")
    with pytest.raises(InvalidRequest, match="cannot connect to carrier"):
        transport.connect("router", "carrier://pigeon")
    transport.close()


def test_a_free_tcp_port_is_chosen_and_told(client: SocketTransport) -> None:
    server = SocketTransport()
    endpoint = server.bind("clients", "tcp://127.0.0.1:0")
    assert not endpoint.endswith(":0")
    client.connect("router", endpoint)
    assert client.send("router", b"", [b"hello"])
    assert next_message(server).frames == [b"hello"]
    server.close()


def test_a_message_with_too_many_frames_ends_the_connection_and_the_next_one_comes(
    server: SocketTransport, client: SocketTransport
) -> None:
    assert client.send("router", b"", [b"hello"])
    peer = next_message(server).peer
    assert client.send("router", b"", [b"x"] * (limits.FRAMES_MAX + 1))
    while not (received := server.receive(PATIENCE_NS)):
        pass
    assert received == [PeerGone("clients", peer)]
    for _ in range(60):  # libzmq loses what it sends before it notices that the connection has ended
        assert client.send("router", b"", [b"y"] * limits.FRAMES_MAX)
        if received := server.receive(SECOND_NS):
            break
    assert isinstance(received[0], Received)
    assert received[0].frames == [b"y"] * limits.FRAMES_MAX


def test_large_frames_arrive_whole_and_as_bytes(server: SocketTransport, client: SocketTransport) -> None:
    large = os.urandom(3_000_000)
    put = Header(Op.PUT).encode()
    assert client.send("router", b"", [put, large])
    message = next_message(server)
    assert message.frames == [put, large]
    assert all(type(frame) is bytes for frame in message.frames)


def test_one_receive_takes_a_bounded_number_of_messages(server: SocketTransport, client: SocketTransport) -> None:
    sent = [b"%d" % number for number in range(700)]
    for frame in sent:
        assert client.send("router", b"", [frame])
    received: list[bytes] = []
    while len(received) < len(sent):
        messages = server.receive(PATIENCE_NS)
        assert len(messages) <= 512
        received += [message.frames[0] for message in messages]
    assert received == sent


def test_every_link_gets_its_turn(directory: Path, server: SocketTransport, client: SocketTransport) -> None:
    server.bind("workers", f"ipc://{directory}/workers")
    client.connect("other", f"ipc://{directory}/workers")
    for _ in range(600):
        client.send("router", b"", [b"many"])
    client.send("other", b"", [b"one"])
    seen: list[str] = []
    while "workers" not in seen:
        seen += [message.link for message in server.receive(PATIENCE_NS)]
    while len(seen) < 601:
        seen += [message.link for message in server.receive(PATIENCE_NS)]
    assert seen.count("workers") == 1


class TestAbsentServer:
    """A server that is not up: libzmq takes some messages, the outbox the rest up to its bound."""

    MESSAGE = (b"m" * 1000,)
    BOUND = 100_000

    @pytest.fixture(autouse=True)
    def small_outbox(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(zmq_links, "OUTBOX_BYTES_MAX", self.BOUND)

    def test_a_server_that_is_not_up_fills_the_outbox_then_send_says_no(self, directory: Path) -> None:
        client = SocketTransport()
        client.connect("router", f"ipc://{directory}/nobody")
        handed_over = next(count for count in range(100_000) if not client.send("router", b"", self.MESSAGE))
        assert handed_over >= self.BOUND // 1000
        client.close()

    def test_what_waits_for_a_server_is_delivered_when_it_comes_up(
        self, directory: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(zmq_links, "OUTBOX_BYTES_MAX", limits.OUTBOX_BYTES_MAX)
        client = SocketTransport()
        client.connect("router", f"ipc://{directory}/late")
        sent = [b"%d" % number for number in range(4_000)]
        assert all(client.send("router", b"", [frame]) for frame in sent)
        server = SocketTransport()
        server.bind("clients", f"ipc://{directory}/late")
        received: list[bytes] = []
        while len(received) < len(sent):
            client.receive(0)
            received += [message.frames[0] for message in server.receive(MILLISECOND_NS)]
        assert received == sent
        client.close()
        server.close()


def test_a_wake_from_a_thread_ends_a_wait(server: SocketTransport) -> None:
    waker = threading.Thread(target=server.wake)
    waker.start()
    assert server.receive(None) == []
    waker.join()


def test_a_wake_after_close_does_nothing() -> None:
    transport = SocketTransport()
    transport.close()
    transport.wake()


def test_the_descriptor_becomes_readable_when_a_message_comes(server: SocketTransport, client: SocketTransport) -> None:
    assert server.receive(0) == []
    poller = zmq.Poller()
    poller.register(server.descriptor(), zmq.POLLIN)
    client.send("router", b"", [b"hello"])
    received: list[Received] = []
    while not received:
        assert poller.poll(PATIENCE_NS // MILLISECOND_NS)
        received = server.receive(0)
    assert received[0].frames == [b"hello"]
    server.wake()
    assert poller.poll(PATIENCE_NS // MILLISECOND_NS)


FORGETFUL = """
import gc, os
from shardstore.socket_transport import SocketTransport
transport = SocketTransport()
transport.connect("router", "ipc://{directory}/nobody")
transport.send("router", b"", [b"unsent"])
transport.cycle = transport
"""


@pytest.mark.parametrize("end", ["", "del transport; gc.collect()", "if not os.fork(): del transport; gc.collect()"])
def test_a_transport_that_was_forgotten_does_not_hang_its_process(directory: Path, end: str) -> None:
    program = FORGETFUL.format(directory=directory) + end
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
