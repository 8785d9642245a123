"""The ZMTP server understands ZeroMQ sockets as a ROUTER does; no input of a stranger costs much memory or time."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from contextlib import suppress

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from shardstore.limits import FRAMES_MAX, KIB, MESSAGE_BYTES_MAX, MIB
from shardstore.system.stream import Gone
from shardstore.system.zmtp import ZmtpStream
from shardstore.wire.wire_format import Header, Op, request_bytes_max
from tests.unit.system.raw_peer import RawPeer

GREETING = b"\xff" + bytes(7) + b"\x01\x7f\x03\x01" + b"NULL".ljust(20, b"\0") + bytes(32)
READY_BODY = b"\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER\x08Identity\x00\x00\x00\x00"
HELLO = GREETING + b"\x04" + bytes([len(READY_BODY)]) + READY_BODY
SCAN = Header(Op.SCAN).encode()
PUT = Header(Op.PUT).encode()
MORE = 1


class Peer(RawPeer[ZmtpStream]):
    """A peer that has greeted the stream, or said something else."""

    def __init__(self, greeting: bytes = HELLO) -> None:
        super().__init__(lambda ours: ZmtpStream(ours, request_bytes_max))
        self.say(greeting)


def frame(flags: int, data: bytes) -> bytes:
    return struct.pack(">BQ", flags | 2, len(data)) + data


def message(*frames: bytes) -> bytes:
    return b"".join(frame(MORE, each) for each in frames[:-1]) + frame(0, frames[-1])


MESSAGES = st.lists(st.lists(st.binary(max_size=300), min_size=1, max_size=FRAMES_MAX), min_size=1, max_size=10)


@given(MESSAGES, st.lists(st.integers(0, 4_000), max_size=10))
def test_messages_arrive_whole_wherever_the_bytes_are_cut(messages: list[list[bytes]], cuts: list[int]) -> None:
    encoded = HELLO + b"".join(message(*frames) for frames in messages)
    with Peer(b"") as peer:
        for begin, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(encoded)], strict=True):
            peer.say(encoded[begin:end])
        assert peer.messages == messages
        assert peer.stream.is_quiet()


@given(MESSAGES)
def test_what_is_sent_is_what_zeromq_sends(messages: list[list[bytes]]) -> None:
    with Peer() as peer, Peer() as other:
        peer.hear()
        for frames in messages:
            peer.stream.send(frames)
        other.say(peer.hear())
        assert other.messages == messages


@given(st.binary(max_size=400), st.booleans())
def test_any_bytes_are_messages_or_end_the_stream(data: bytes, greeted: bool) -> None:
    with Peer(HELLO if greeted else b"") as peer:
        with suppress(Gone):
            peer.say(data)
        assert peer.stream.arrived_bytes <= len(data) + len(HELLO)


@given(st.lists(st.tuples(st.integers(0, 7), st.binary(max_size=60)), max_size=12))
def test_any_frames_are_messages_or_end_the_stream(frames: list[tuple[int, bytes]]) -> None:
    with Peer() as peer:
        with suppress(Gone):
            for flags, data in frames:
                peer.say(frame(flags, data))
        assert all(1 <= len(each) <= FRAMES_MAX for each in peer.messages)


def test_a_message_may_be_as_long_as_its_kind() -> None:
    body = bytes(10 * MIB)
    with Peer() as peer:
        peer.say(message(PUT, b"key", body))
        assert peer.messages == [[PUT, b"key", body]]
        assert peer.stream.is_quiet()


@pytest.mark.fault("N3")
@pytest.mark.parametrize(
    "body",
    [(bytes(30 * MIB),), (bytes(40 * KIB),) * 4, (b"", bytes(MIB), b"", bytes(1000))],
    ids=["one frame", "short frames", "mixed"],
)
def test_of_a_message_that_is_too_long_for_its_kind_only_the_first_frame_is_kept(body: tuple[bytes, ...]) -> None:
    with Peer() as peer:
        peer.say(message(SCAN, *body) + message(SCAN, b"next"))
        assert peer.messages == [[SCAN], [SCAN, b"next"]]
        assert peer.held_bytes_most < 200 * KIB


ENDLESS: dict[str, Callable[[], bytes]] = {
    "long frames": lambda: frame(MORE, bytes(MIB)),
    "short frames": lambda: frame(MORE, bytes(100)),
    "empty frames": lambda: b"\x01\x00" * 1_000,
}


@pytest.mark.fault("N4")
@pytest.mark.parametrize("begin", [SCAN, PUT, b"no header"], ids=["scan", "put", "nothing"])
@pytest.mark.parametrize("part", ENDLESS.values(), ids=ENDLESS)
def test_a_message_without_end_ends_the_stream(begin: bytes, part: Callable[[], bytes]) -> None:
    with Peer() as peer:
        with pytest.raises(Gone):  # noqa: PT012, which part of it is too much is not the point
            peer.say(frame(MORE, begin))
            for _ in range(2 * MESSAGE_BYTES_MAX // MIB):
                peer.say(part())
        assert peer.held_bytes_most < (FRAMES_MAX + 1) * MIB


@pytest.mark.fault("N6")
@pytest.mark.parametrize(
    "said",
    [
        b"\x00" * 64,
        b"GET / HTTP/1.1\r\n".ljust(64),
        GREETING[:10] + b"\x02" + GREETING[11:],
        GREETING[:12] + b"CURVE".ljust(20, b"\0") + GREETING[32:],
        HELLO + b"\x08\x00",
        HELLO + b"\x02" + (2**63).to_bytes(8, "big"),
        HELLO + b"\x02" + (MIB).to_bytes(8, "big"),
        HELLO + b"\x06" + (KIB + 1).to_bytes(8, "big"),
        HELLO + b"\x05\x01x",
    ],
    ids=["zeros", "http", "old version", "encrypted", "flags", "huge", "first frame", "command", "command of parts"],
)
def test_what_is_not_spoken_here_ends_the_stream_before_anything_is_kept(said: bytes) -> None:
    with Peer(b"") as peer:
        with pytest.raises(Gone):
            peer.say(said)
        assert peer.held_bytes_most < KIB


def test_pings_are_answered_between_the_frames_of_a_message_too() -> None:
    ping = b"\x04\x0b\x04PING\x00\x0aabcd"
    with Peer() as peer:
        peer.hear()
        assert not peer.stream.shows_life
        peer.say(frame(MORE, PUT) + ping + frame(0, b"body"))
        assert peer.messages == [[PUT, b"body"]]
        assert peer.hear() == b"\x04\x09\x04PONGabcd"
        assert peer.stream.shows_life


def test_a_flood_of_pings_is_answered_once_for_what_came_together() -> None:
    with Peer() as peer:
        peer.hear()
        peer.theirs.send(b"\x04\x0b\x04PING\x00\x0aabcd" * 1_000)
        peer.take()
        assert peer.hear() == b"\x04\x09\x04PONGabcd"


def test_a_closed_stream_keeps_nothing() -> None:
    with Peer() as peer:
        peer.say(frame(MORE, PUT) + struct.pack(">BQ", 2, MIB) + bytes(200 * KIB))
        assert peer.stream.arrived_bytes > 200 * KIB
        peer.stream.send([bytes(5 * MIB)])
        peer.stream.close()
        assert (peer.stream.arrived_bytes, peer.stream.unsent_bytes) == (0, 0)


@pytest.mark.parametrize("kind", [zmq.DEALER, zmq.REQ], ids=["DEALER", "REQ"])
def test_sockets_of_zeromq_find_it_to_be_a_router(kind: int) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    theirs = context.socket(kind)
    theirs.linger = 0
    theirs.connect(f"tcp://127.0.0.1:{listening.getsockname()[1]}")
    theirs.send_multipart([b"hello", b"x" * 300])
    stream = ZmtpStream(listening.accept()[0], request_bytes_max)
    messages: list[list[bytes]] = []
    while not messages:
        messages = stream.take()
    assert messages[0][-2:] == [b"hello", b"x" * 300]
    stream.send([*messages[0][:-2], b"answer", b"y" * 300])
    assert theirs.poll(20_000)
    assert theirs.recv_multipart() == [b"answer", b"y" * 300]
    theirs.close()
    context.term()
    stream.close()
    listening.close()
