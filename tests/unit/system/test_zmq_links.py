"""ZeroMQ links, except what test_transport_contract.py tests."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading

import pytest
import zmq

from shardstore import limits
from shardstore.access.key_files import ClientKey
from shardstore.errors import InvalidRequest
from shardstore.limits import MILLISECOND_NS, SECOND_NS
from shardstore.seams.effects import PeerGone, Received
from shardstore.system import zmq_links
from shardstore.system.socket_transport import SocketTransport
from shardstore.wire.wire_format import Header, Op
from tests.unit.system.transports import PATIENCE_NS, next_message


@pytest.fixture
def url() -> str:
    return free_endpoint()


def free_endpoint() -> str:
    """A tcp endpoint at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{free.getsockname()[1]}"


def test_an_endpoint_that_cannot_be_used_is_refused_by_name() -> None:
    transport = SocketTransport()
    with pytest.raises(InvalidRequest, match="cannot listen on tcp:"):
        transport.bind("clients", "tcp://127.0.0.1")
    with pytest.raises(InvalidRequest, match="cannot connect to carrier"):
        transport.connect("server", "carrier://pigeon")
    transport.close()


def test_a_free_tcp_port_is_chosen_and_told(client: SocketTransport) -> None:
    server = SocketTransport()
    endpoint = server.bind("clients", "tcp://127.0.0.1:0")
    assert not endpoint.endswith(":0")
    client.connect("server", endpoint)
    assert client.send("server", b"", [b"hello"])
    assert next_message(server).frames == [b"hello"]
    server.close()


@pytest.mark.fault("N4")
def test_a_message_with_too_many_frames_ends_the_connection_and_the_next_one_comes(
    server: SocketTransport, client: SocketTransport
) -> None:
    assert client.send("server", b"", [b"hello"])
    peer = next_message(server).peer
    assert client.send("server", b"", [b"x"] * (limits.FRAMES_MAX + 1))
    while not (received := server.receive(PATIENCE_NS)):
        pass
    assert received == [PeerGone("clients", peer)]
    received = []
    for _ in range(60):  # ZeroMQ loses what it writes to a connection before it notices its end
        assert client.send("server", b"", [b"y"] * limits.FRAMES_MAX)
        if received := server.receive(SECOND_NS):
            break
    assert isinstance(received[0], Received)
    assert received[0].frames == [b"y"] * limits.FRAMES_MAX


def test_large_frames_arrive_whole_and_as_bytes(server: SocketTransport, client: SocketTransport) -> None:
    large = os.urandom(3_000_000)
    put = Header(Op.PUT).encode()
    assert client.send("server", b"", [put, large])
    message = next_message(server)
    assert message.frames == [put, large]
    assert all(type(frame) is bytes for frame in message.frames)


def test_one_receive_takes_a_bounded_number_of_messages(server: SocketTransport, client: SocketTransport) -> None:
    sent = [b"%d" % number for number in range(700)]
    for frame in sent:
        assert client.send("server", b"", [frame])
    received: list[bytes] = []
    while len(received) < len(sent):
        messages = server.receive(PATIENCE_NS)
        assert len(messages) <= 512
        received += [message.frames[0] for message in messages]
    assert received == sent


def test_every_link_gets_its_turn(server: SocketTransport, client: SocketTransport) -> None:
    client.connect("other", server.bind("workers", "tcp://127.0.0.1:0"))
    for _ in range(600):
        client.send("server", b"", [b"many"])
    client.send("other", b"", [b"one"])
    seen: list[str] = []
    while "workers" not in seen:
        seen += [message.link for message in server.receive(PATIENCE_NS)]
    while len(seen) < 601:
        seen += [message.link for message in server.receive(PATIENCE_NS)]
    assert seen.count("workers") == 1


class TestAbsentServer:
    """If the server is down, libzmq takes some messages, and the outbox the rest up to its bound."""

    MESSAGE = (b"m" * 1000,)
    BOUND = 100_000

    @pytest.fixture(autouse=True)
    def small_outbox(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(zmq_links, "OUTBOX_BYTES_MAX", self.BOUND)

    def test_a_server_that_is_not_up_fills_the_outbox_then_send_says_no(self) -> None:
        client = SocketTransport()
        client.connect("server", free_endpoint())
        handed_over = next(count for count in range(100_000) if not client.send("server", b"", self.MESSAGE))
        assert handed_over >= self.BOUND // 1000
        client.close()

    def test_what_waits_for_a_server_is_delivered_when_it_comes_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(zmq_links, "OUTBOX_BYTES_MAX", limits.OUTBOX_BYTES_MAX)
        client = SocketTransport()
        late = free_endpoint()
        client.connect("server", late)
        sent = [b"%d" % number for number in range(4_000)]
        assert all(client.send("server", b"", [frame]) for frame in sent)
        server = SocketTransport()
        server.bind("clients", late)
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
    client.send("server", b"", [b"hello"])
    received: list[Received] = []
    while not received:
        assert poller.poll(PATIENCE_NS // MILLISECOND_NS)
        received = server.receive(0)
    assert received[0].frames == [b"hello"]
    server.wake()
    assert poller.poll(PATIENCE_NS // MILLISECOND_NS)


FORGETFUL = """
import gc, os
from shardstore.system.socket_transport import SocketTransport
transport = SocketTransport()
transport.connect("server", "{url}")
transport.send("server", b"", [b"unsent"])
transport.cycle = transport
"""


@pytest.mark.fault("N12")
@pytest.mark.parametrize("end", ["", "del transport; gc.collect()", "if not os.fork(): del transport; gc.collect()"])
def test_a_transport_that_was_forgotten_does_not_hang_its_process(url: str, end: str) -> None:
    program = FORGETFUL.format(url=url) + end
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


@pytest.mark.parametrize(("version", "has"), [((4, 3, 2), True), ((4, 3, 5), False)])
def test_a_libzmq_that_is_not_fit_for_keys_is_refused(
    url: str, monkeypatch: pytest.MonkeyPatch, version: tuple[int, int, int], has: bool
) -> None:
    monkeypatch.setattr(zmq_links.zmq, "zmq_version_info", lambda: version)
    monkeypatch.setattr(zmq_links.zmq, "zmq_version", lambda: "1.2.3")
    monkeypatch.setattr(zmq_links.zmq, "has", lambda what: has)
    said = "this libzmq (1.2.3) does not encrypt, or is too old to be trusted: install pyzmq from its wheels"
    transport = SocketTransport(ClientKey("name", "read", bytes(32), bytes(32), bytes(32)))
    with pytest.raises(InvalidRequest) as refused:
        transport.connect("server", url)
    assert str(refused.value) == said
    transport.close()
    plain = SocketTransport()
    plain.connect("server", url)
    plain.close()
