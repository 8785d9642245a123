"""Real ZeroMQ clients talk to the server's side of CURVE; what is no client costs little and is cut off."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st
from nacl.public import PrivateKey

from shardstore.access.curve import CurveServer, key_pair
from shardstore.access.key_files import ServerKey
from shardstore.access.key_list import ListedKey
from shardstore.client_role import ClientRole
from shardstore.limits import KIB, MESSAGE_BYTES_MAX, MIB
from shardstore.system.curve_stream import CurveStream
from shardstore.system.stream import Gone
from shardstore.wire.wire_format import Header, Op, request_bytes_max
from tests.unit.access.curve_client import CurveClient
from tests.unit.system.raw_peer import RawPeer

SERVER = ServerKey(*key_pair(os.urandom))
OWN = PrivateKey.generate()
KEY = ListedKey("alice", ClientRole.WRITE, bytes(OWN.public_key))
SCAN, PUT = Header(Op.SCAN).encode(), Header(Op.PUT).encode()
GREETING = b"\xff" + bytes(7) + b"\x01\x7f\x03\x01" + b"CURVE".ljust(20, b"\0") + bytes(32)
PATIENCE_MS = 10_000


def connection(metadata: bytes) -> CurveServer:
    return CurveServer(SERVER, {KEY.public: KEY}.get, os.urandom, metadata)


def of_socket(accepted: socket.socket) -> CurveStream:
    return CurveStream(accepted, request_bytes_max, connection)


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(PATIENCE_MS / 1000)
        yield listening


@pytest.fixture
def dealer() -> Iterator[zmq.Socket[bytes]]:
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.linger = 0
        dealer.rcvtimeo = dealer.sndtimeo = PATIENCE_MS
        yield dealer


def connect(dealer: zmq.Socket[bytes], to: socket.socket, secret: bytes, server: bytes = SERVER.public) -> CurveStream:
    dealer.curve_secretkey, dealer.curve_serverkey = secret, server
    dealer.curve_publickey = bytes(PrivateKey(secret).public_key)
    dealer.connect("tcp://{}:{}".format(*to.getsockname()))
    return of_socket(to.accept()[0])


def take(stream: CurveStream, count: int = 1) -> list[list[bytes]]:
    """Wait until so many messages have come. Raises Gone."""
    messages: list[list[bytes]] = []
    stream.socket.setblocking(False)
    poller = zmq.Poller()
    poller.register(stream.socket, zmq.POLLIN)
    while len(messages) < count:
        assert poller.poll(PATIENCE_MS), "nothing comes"
        messages += stream.take()
    return messages


def test_a_zeromq_client_with_a_listed_key_talks(dealer: zmq.Socket[bytes], listening: socket.socket) -> None:
    stream = connect(dealer, listening, bytes(OWN))
    said = [[PUT, b"key", b"value"], [SCAN, b""], [PUT, b"key", bytes(5 * MIB)], [b"x" * 300]]
    for frames in said:
        dealer.send_multipart(frames)
    assert take(stream, len(said)) == said
    assert stream.key == KEY
    assert stream.shows_life
    assert stream.is_quiet()
    for frames in said:
        stream.send(frames)
        while stream.waiting:
            stream.send_waiting()
        assert dealer.recv_multipart() == frames
    stream.close()


def test_heartbeats_of_zeromq_are_answered(dealer: zmq.Socket[bytes], listening: socket.socket) -> None:
    dealer.heartbeat_ivl, dealer.heartbeat_timeout = 50, 300
    with dealer.get_monitor_socket(zmq.EVENT_DISCONNECTED) as monitor:
        stream = connect(dealer, listening, bytes(OWN))
        stream.socket.settimeout(None)
        dealer.send(b"hello")
        assert take(stream) == [[b"hello"]]
        poller = zmq.Poller()
        poller.register(stream.socket, zmq.POLLIN)
        for _ in range(12):  # pings, for twice as long as the client waits for an answer
            assert poller.poll(PATIENCE_MS)
            assert stream.take() == []
        assert not monitor.poll(0), "the client got no answer"
        dealer.disable_monitor()
        stream.close()


def failure_of(dealer: zmq.Socket[bytes], listening: socket.socket, secret: bytes, server: bytes) -> tuple[int, int]:
    """The event and the reason that a client sees which is not let in."""
    from zmq.utils.monitor import recv_monitor_message  # noqa: PLC0415

    failures = zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    with dealer.get_monitor_socket(failures) as monitor:
        stream = connect(dealer, listening, secret, server)
        with pytest.raises(Gone):
            take(stream)
        assert stream.key is None
        stream.close()
        assert monitor.poll(PATIENCE_MS)
        event = recv_monitor_message(monitor)
        dealer.disable_monitor()
    return event["event"], event["value"]


def test_a_zeromq_client_without_a_listed_key_is_told(dealer: zmq.Socket[bytes], listening: socket.socket) -> None:
    other = bytes(PrivateKey.generate())
    assert failure_of(dealer, listening, other, SERVER.public) == (zmq.EVENT_HANDSHAKE_FAILED_AUTH, 400)


def test_a_zeromq_client_of_another_server_is_told(dealer: zmq.Socket[bytes], listening: socket.socket) -> None:
    other = bytes(PrivateKey.generate().public_key)
    assert failure_of(dealer, listening, bytes(OWN), other) == (zmq.EVENT_HANDSHAKE_FAILED_AUTH, 500)


def test_a_zeromq_client_without_a_key_is_not_served(dealer: zmq.Socket[bytes], listening: socket.socket) -> None:
    dealer.connect("tcp://{}:{}".format(*listening.getsockname()))
    dealer.send(b"hello")
    stream = of_socket(listening.accept()[0])
    with pytest.raises(Gone):  # by whichever side is first to see that they differ
        take(stream)
    stream.close()


def test_a_greeting_without_encryption_is_refused() -> None:
    with Peer() as peer, pytest.raises(Gone, match="no ZMTP 3 with the mechanism CURVE"):
        peer.say(GREETING.replace(b"CURVE", b"NULL\0"))


class Peer(RawPeer[CurveStream]):
    """A peer that speaks CURVE."""

    def __init__(self) -> None:
        super().__init__(of_socket)
        self.client = CurveClient(SERVER.public, OWN)
        self.hear()

    def let_in(self) -> Peer:
        self.say(GREETING + command(self.client.hello()))
        self.client.take_welcome(self.hear()[2:])
        self.say(command(self.client.initiate()))
        assert b"ROUTER" in self.client.take_ready(self.hear()[2:])
        return self

    def frame(self, flags: int, content: bytes) -> bytes:
        return wire_frame(0, self.client.seal(flags, content))

    def message(self, *frames: bytes) -> bytes:
        return b"".join(self.frame(at < len(frames) - 1, each) for at, each in enumerate(frames))


def wire_frame(flags: int, data: bytes) -> bytes:
    return struct.pack(">BQ", flags | 2, len(data)) + data


def command(data: bytes) -> bytes:
    return wire_frame(4, data)


def test_a_message_arrives_whole_wherever_the_bytes_are_cut() -> None:
    with Peer().let_in() as peer:
        encoded = peer.message(PUT, b"key", bytes(1000)) + peer.frame(2, b"\x04PING\x00\x64context") + peer.message(b"")
        for at in range(0, len(encoded), 7):
            peer.say(encoded[at : at + 7])
        assert peer.messages == [[PUT, b"key", bytes(1000)], [b""]]
        assert peer.client.open(peer.hear()[2:]) == (2, b"\x04PONGcontext")


@pytest.mark.fault("N3")
def test_of_a_message_that_is_too_long_for_its_kind_only_the_first_frame_is_kept() -> None:
    with Peer().let_in() as peer:
        peer.say(peer.message(SCAN, bytes(20 * MIB)) + peer.message(SCAN, b"next"))
        assert peer.messages == [[SCAN], [SCAN, b"next"]]
        assert peer.stream.is_quiet()


ENDLESS: dict[str, Callable[[Peer], bytes]] = {
    "long frames": lambda peer: peer.frame(1, bytes(MIB)),
    "short frames": lambda peer: peer.frame(1, b"x"),
}


@pytest.mark.fault("N4")
@pytest.mark.parametrize("part", ENDLESS.values(), ids=ENDLESS)
def test_a_message_without_end_ends_the_stream(part: Callable[[Peer], bytes]) -> None:
    with Peer().let_in() as peer:
        peer.say(peer.frame(1, PUT))
        with pytest.raises(Gone):  # noqa: PT012, which part of it is too much is not the point
            for _ in range(MESSAGE_BYTES_MAX // MIB + 1):
                peer.say(part(peer))
        assert peer.held_bytes_most <= MESSAGE_BYTES_MAX + 64 * KIB


BEFORE: dict[str, bytes] = {
    "a long command": struct.pack(">BQ", 6, 2 * KIB),
    "a huge command": struct.pack(">BQ", 6, 2**60),
    "a message": wire_frame(0, b"x"),
    "a frame of a message": b"\x01\x05hello",
    "another mechanism": command(b"\x05READY"),
}


@pytest.mark.fault("N6")
@pytest.mark.parametrize("data", BEFORE.values(), ids=BEFORE)
def test_before_the_handshake_nothing_but_its_commands_is_kept(data: bytes) -> None:
    with Peer() as peer:
        with pytest.raises(Gone):
            peer.say(GREETING + data)
        assert peer.held_bytes_most <= KIB + len(GREETING)


@given(st.binary(max_size=400), st.integers(0, 2))
def test_any_bytes_end_the_stream_or_wait_for_more(data: bytes, step: int) -> None:
    with Peer().let_in() if step == 2 else Peer() as peer:
        with suppress(Gone):
            peer.say(GREETING + data if step == 1 else data)
        assert peer.messages == []
        assert peer.stream.arrived_bytes <= len(data) + len(GREETING)


@given(st.integers(0, 600), st.integers(1, 255))
def test_a_byte_changed_on_the_way_ends_the_stream(at: int, change: int) -> None:
    with Peer().let_in() as peer:
        data = bytearray(peer.message(b"x" * 300, b"y" * 200))
        data[at % len(data)] ^= change
        with suppress(Gone):
            peer.say(bytes(data) + peer.message(b"next"))
        assert [b"next"] not in peer.messages
