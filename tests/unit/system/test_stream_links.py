"""Links over Unix streams, except what test_transport_contract.py tests."""

from __future__ import annotations

import errno
import os
import resource
import select
import signal
import socket
import stat
import struct
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardstore import limits
from shardstore.errors import InvalidRequest
from shardstore.limits import FRAMES_MAX, MESSAGE_BYTES_MAX, MILLISECOND_NS, SECOND_NS
from shardstore.seams.effects import PeerGone, Received
from shardstore.system import door, stream
from shardstore.system.listener import Listener
from shardstore.system.socket_transport import SocketTransport
from shardstore.system.stream import Gone, Stream
from shardstore.system.traffic import SURPLUS_BYTES, Terms
from shardstore.wire.wire_format import Header, Op
from tests.unit.system.transports import PATIENCE_NS, next_message

MESSAGES = st.lists(st.lists(st.binary(max_size=50), min_size=1, max_size=FRAMES_MAX), min_size=1, max_size=20)


@pytest.fixture
def url(directory: Path) -> str:
    return f"unix://{directory}/server"


def pair() -> tuple[Stream, socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    return Stream(ours), theirs


def bytes_of(messages: list[list[bytes]]) -> bytes:
    """The messages in the format drawn in stream.py."""
    encoded = b""
    for frames in messages:
        sizes = [len(frame) for frame in frames] + [0] * (FRAMES_MAX - len(frames))
        encoded += struct.pack("<6I", len(frames), *sizes) + b"".join(frames)
    return encoded


@given(MESSAGES)
def test_what_is_sent_is_what_is_drawn(messages: list[list[bytes]]) -> None:
    ours, theirs = pair()
    for frames in messages:
        ours.send(frames)
    ours.socket.close()
    assert b"".join(iter(lambda: theirs.recv(100_000), b"")) == bytes_of(messages)
    theirs.close()


@given(MESSAGES)
def test_messages_that_are_sent_together_are_the_same_bytes(messages: list[list[bytes]]) -> None:
    ours, theirs = pair()
    assert ours.send_all(messages)
    ours.socket.close()
    assert b"".join(iter(lambda: theirs.recv(100_000), b"")) == bytes_of(messages)
    theirs.close()


@given(MESSAGES, st.data())
def test_messages_arrive_whole_wherever_the_bytes_are_cut(messages: list[list[bytes]], data: st.DataObject) -> None:
    encoded = bytes_of(messages)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(encoded)), max_size=10)))
    ours, theirs = pair()
    received = []
    for begin, end in zip([0, *cuts], [*cuts, len(encoded)], strict=True):
        theirs.sendall(encoded[begin:end])
        while select.select([ours.socket], [], [], 0)[0]:
            received += ours.take()
    ours.socket.close()
    theirs.close()
    assert received == messages


@pytest.mark.fault("N3")
@pytest.mark.parametrize(
    "preamble",
    [
        (0, 0, 0, 0, 0, 0),
        (FRAMES_MAX + 1, 1, 1, 1, 1, 1),
        (1, MESSAGE_BYTES_MAX + 1, 0, 0, 0, 0),
        (1, 3, 3, 0, 0, 0),
        (2**32 - 1,) * 6,
    ],
)
def test_what_is_no_message_ends_the_stream_before_anything_is_allocated(preamble: tuple[int, ...]) -> None:
    ours, theirs = pair()
    theirs.sendall(struct.pack("<6I", *preamble))
    with pytest.raises(Gone, match="a message of"):
        ours.take()
    ours.socket.close()
    theirs.close()


@pytest.mark.parametrize("beginning", [b"", b"half a pream", struct.pack("<6I", 1, 100, 0, 0, 0, 0) + b"half"])
def test_the_end_of_the_other_side_is_told_wherever_it_comes(beginning: bytes) -> None:
    ours, theirs = pair()
    theirs.sendall(beginning)
    if beginning:
        assert ours.take() == []
    theirs.close()
    with pytest.raises(Gone, match="closed by the other side"):
        ours.take()
    with pytest.raises(Gone):
        ours.send([b"hello"])
    ours.socket.close()


def test_the_socket_file_is_for_its_user_only(server: SocketTransport, directory: Path) -> None:
    assert stat.S_IMODE(os.stat(directory / "server").st_mode) == 0o600


def test_the_socket_of_a_dead_process_is_replaced(server: SocketTransport, directory: Path) -> None:
    successor = SocketTransport()
    assert successor.bind("clients", f"unix://{directory}/server") == f"unix://{directory}/server"
    client = SocketTransport()
    client.connect("server", f"unix://{directory}/server")
    assert client.send("server", b"", [b"hello"])
    assert next_message(successor).frames == [b"hello"]
    client.close()
    successor.close()


@pytest.mark.fault("N10")
def test_a_path_that_cannot_be_used_is_refused_by_name() -> None:
    transport = SocketTransport()
    with pytest.raises(InvalidRequest, match=f"108 bytes, allowed are {limits.SOCKET_PATH_BYTES_MAX}"):
        transport.bind("clients", "unix://" + "x" * 108)
    with pytest.raises(InvalidRequest, match="108 bytes"):
        transport.connect("server", "unix://" + "x" * 108)
    with pytest.raises(InvalidRequest, match="cannot listen on unix:///no/such"):
        transport.bind("clients", "unix:///no/such/directory/socket")
    transport.close()


def test_messages_longer_than_any_buffer_arrive_whole_and_in_order(
    server: SocketTransport, client: SocketTransport
) -> None:
    put = Header(Op.PUT).encode()
    sent = [[put, os.urandom(3_000_000)], [b"second"], [put, os.urandom(700_000), b""]]
    for frames in sent:
        assert client.send("server", b"", frames)
    received: list[Received] = []
    while len(received) < len(sent):
        client.receive(0)
        received += server.receive(MILLISECOND_NS)
    assert [message.frames for message in received] == sent
    assert all(type(frame) is bytes for message in received for frame in message.frames)


@pytest.mark.fault("N2")
def test_what_a_peer_does_not_take_is_counted_until_it_does_or_goes(
    server: SocketTransport, client: SocketTransport
) -> None:
    client.send("server", b"", [b"hello"])
    peer = next_message(server).peer
    assert server.unsent_bytes() == 0
    server.send("clients", peer, [bytes(5_000_000)])
    assert 1_000_000 < server.unsent_bytes() < 5_000_100
    while not client.receive(0):
        server.receive(0)
    assert server.unsent_bytes() == 0
    server.send("clients", peer, [bytes(5_000_000)])
    client.disconnect("server")
    while server.unsent_bytes():
        server.receive(PATIENCE_NS)


def test_what_a_server_does_not_take_is_counted_until_it_does_or_goes(
    server: SocketTransport, client: SocketTransport
) -> None:
    put = Header(Op.PUT).encode()
    for _ in range(2):
        assert client.send_all("server", b"", [[put, bytes(1_000_000)]] * 5)
        assert 1_000_000 < client.unsent_bytes() < 5_001_000
        taken = 0
        while taken < 5:
            client.receive(0)
            taken += len(server.receive(0))
        assert client.unsent_bytes() == 0
    client.send("server", b"", [put, bytes(5_000_000)])
    client.disconnect("server")
    assert client.unsent_bytes() == 0


@pytest.mark.fault("C5", "N2")
def test_a_peer_that_does_not_read_is_cut_off(
    server: SocketTransport, client: SocketTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "OUTBOX_BYTES_MAX", 1_000_000)
    client.send("server", b"", [b"hello"])
    peer = next_message(server).peer
    connection = server._links["clients"]._connections[peer]  # type: ignore[union-attr]
    handed_over = next(count for count in range(10_000) if not server.send("clients", peer, [b"m" * 10_000]))
    assert handed_over >= 100
    assert not server.send("clients", peer, [b"small"])
    assert not server._links["clients"]._connections  # type: ignore[union-attr]
    assert not connection.stream.waiting
    while client.receive(PATIENCE_NS):  # the messages sent before, then the end
        pass
    assert client.send("server", b"", [b"again"])
    again = next_message(server)
    assert (again.frames, again.peer == peer) == ([b"again"], False)


def test_what_waits_makes_the_descriptor_ready_when_there_is_room(
    server: SocketTransport, client: SocketTransport
) -> None:
    client.send("server", b"", [b"hello"])
    peer = next_message(server).peer
    assert server.send("clients", peer, [bytes(5_000_000)])
    received: list[Received] = []
    while not received:
        server.receive(0)
        received = client.receive(MILLISECOND_NS)
    assert len(received[0].frames[0]) == 5_000_000
    assert server.receive(0) == []


@pytest.mark.fault("N7")
def test_without_descriptors_who_connects_is_turned_away_and_others_are_served(
    server: SocketTransport, client: SocketTransport, directory: Path
) -> None:
    client.send("server", b"", [b"hello"])
    peer = next_message(server).peer
    late = socket.socket(socket.AF_UNIX)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    late.connect(f"{directory}/server")
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
    try:
        server.receive(SECOND_NS)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert late.recv(1) == b""
    late.close()
    assert server.send("clients", peer, [b"answer"])
    assert next_message(client).frames == [b"answer"]
    other = SocketTransport()
    other.connect("server", f"unix://{directory}/server")
    assert other.send("server", b"", [b"now"])
    assert next_message(server).frames == [b"now"]
    other.close()


def test_a_server_is_told_of_peers_that_went_away(server: SocketTransport, client: SocketTransport) -> None:
    client.send("server", b"", [b"hello"])
    peer = next_message(server).peer
    client.disconnect("server")
    assert server.receive(SECOND_NS) == [PeerGone("clients", peer)]
    assert not server.send("clients", peer, [b"answer"])
    assert server.receive(0) == []


class FullTable:
    """A listening socket on a system that has no descriptor left."""

    def __init__(self, listening: socket.socket) -> None:
        self.listening = listening

    def fileno(self) -> int:
        return self.listening.fileno()

    def accept(self) -> NoReturn:
        raise OSError(errno.ENFILE, os.strerror(errno.ENFILE))


def test_a_full_table_of_descriptors_does_not_end_who_listens(
    server: SocketTransport, client: SocketTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = server._links["clients"]
    assert isinstance(link, Listener)
    (way_in,) = link._doors
    monkeypatch.setattr(way_in, "_socket", FullTable(way_in._socket))
    monkeypatch.setattr(door, "open", full_table, raising=False)
    client.send("server", b"", [b"hello"])
    assert server.receive(SECOND_NS) == []
    assert server.receive(SECOND_NS) == []
    monkeypatch.undo()
    assert next_message(server).frames == [b"hello"]
    assert way_in._spare is not None, "there is a spare descriptor for the next time"


def full_table(*arguments: object) -> NoReturn:
    raise OSError(errno.ENFILE, os.strerror(errno.ENFILE))


def test_without_a_descriptor_nothing_is_sent_and_nothing_raised(
    server: SocketTransport, client: SocketTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "socket", full_table)
    assert not client.send("server", b"", [b"hello"])
    monkeypatch.undo()
    assert client.send("server", b"", [b"hello"])
    assert next_message(server).frames == [b"hello"]


def test_a_closed_stream_keeps_nothing() -> None:
    ours, theirs = pair()
    ours.send([bytes(5_000_000)])
    theirs.sendall(struct.pack("<6I", 1, 100, 0, 0, 0, 0) + b"half")
    assert ours.take() == []
    ours.close()
    assert not ours.waiting
    assert (ours.unsent_bytes, ours.arrived_bytes) == (0, 0)
    theirs.close()


@pytest.mark.parametrize("way", ["short", "long", "waiting"])
def test_a_dead_peer_does_not_end_a_program_that_let_sigpipe_do_so(way: str) -> None:
    ours, theirs = pair()
    if way == "waiting":
        ours.send([bytes(5_000_000)])
    theirs.close()
    child = os.fork()
    if not child:  # pytest must not run in the child
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        try:
            if way == "waiting":
                ours.send_waiting()
            else:
                ours.send([bytes(10 if way == "short" else 100_000)])
        except Gone:
            os._exit(0)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    ours.close()


def test_a_fork_that_forgets_its_copy_does_no_harm(server: SocketTransport, client: SocketTransport) -> None:
    client.send("server", b"", [b"hello"])
    peer = next_message(server).peer
    child = os.fork()
    if not child:
        client._drop()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert server.send("clients", peer, [b"answer"])
    assert next_message(client).frames == [b"answer"]


class TestFairness:
    """A listener with many peers, and with peers that read nothing."""

    TERMS = Terms(unsent_bytes=4_000_000, pause_bytes=100_000)

    @pytest.fixture
    def server(self, directory: Path) -> Iterator[SocketTransport]:
        transport = SocketTransport()
        transport.bind("clients", f"unix://{directory}/server", self.TERMS)
        yield transport
        transport.close()

    def raw(self, directory: Path) -> socket.socket:
        opened = socket.socket(socket.AF_UNIX)
        opened.connect(f"{directory}/server")
        return opened

    @pytest.mark.fault("B4")
    def test_a_turn_takes_one_message_of_each_peer(self, server: SocketTransport, directory: Path) -> None:
        flood, other = self.raw(directory), self.raw(directory)
        flood.sendall(bytes_of([[b"%d" % number] for number in range(50)]))
        other.sendall(bytes_of([[b"one"]]))
        turns: list[list[bytes]] = []
        while sum(map(len, turns)) < 51:
            turns.append([message.frames[0] for message in server.receive(PATIENCE_NS) if type(message) is Received])
        assert max(map(len, turns)) <= 2
        assert [frame for turn in turns for frame in turn if frame != b"one"] == [b"%d" % n for n in range(50)]
        assert any(b"one" in turn for turn in turns[:3])
        flood.close()
        other.close()

    def test_who_does_not_read_is_not_listened_to_until_it_does(self, server: SocketTransport, directory: Path) -> None:
        lazy = self.raw(directory)
        lazy.sendall(bytes_of([[b"%d" % number] for number in range(100)]))
        answered = 0
        for _ in range(200):
            for message in server.receive(0):
                assert type(message) is Received
                server.send("clients", message.peer, [bytes(90_000)])
                answered += 1
        assert 3 <= answered < 50
        assert server.unsent_bytes() < 300_000
        lazy.setblocking(False)
        while answered < 100:
            with suppress(BlockingIOError):
                lazy.recv(1_000_000)
            for message in server.receive(0):
                assert type(message) is Received
                server.send("clients", message.peer, [bytes(90_000)])
                answered += 1
        lazy.close()

    def test_what_stays_unread_is_bounded_for_all_together(
        self, server: SocketTransport, directory: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        lazy = [self.raw(directory) for _ in range(20)]
        for opened in lazy:
            opened.sendall(bytes_of([[b"hello"]]))
        gone = 0
        for _ in range(100):
            for message in server.receive(0):
                if type(message) is Received:
                    server.send("clients", message.peer, [bytes(6_000_000)])
                else:
                    gone += 1
            assert server.unsent_bytes() <= 2 * self.TERMS.unsent_bytes + SURPLUS_BYTES
        assert gone >= 14
        assert "unread replies" in caplog.text
        for opened in lazy:
            opened.close()

    def test_nothing_is_taken_for_what_is_only_announced(self, server: SocketTransport, directory: Path) -> None:
        header = Header(Op.PUT).encode()
        rest = [5_000_000] * 2
        opened = [self.raw(directory) for _ in range(20)]
        for each in opened:
            each.sendall(struct.pack("<6I", 3, len(header), *rest, 0, 0) + header)
        tracemalloc.start()
        while server._listeners["clients"].traffic.arriving.bytes < 20 * len(header):
            server.receive(MILLISECOND_NS)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
        tracemalloc.stop()
        for each in opened:
            each.close()

    @pytest.mark.fault("N3")
    @pytest.mark.parametrize("op", [Op.SCAN, Op.HELLO, Op.STATS])
    def test_what_is_longer_than_its_kind_may_be_comes_without_its_body(
        self, server: SocketTransport, client: SocketTransport, op: Op
    ) -> None:
        header = Header(op).encode()
        assert client.send("server", b"", [header, bytes(3_000_000)])
        assert client.send("server", b"", [b"next"])
        received: list[list[bytes]] = []
        while len(received) < 2:
            client.receive(0)
            received += [message.frames for message in server.receive(MILLISECOND_NS) if type(message) is Received]
            assert server._listeners["clients"].traffic.arriving.bytes < 100_000
        assert received == [[header], [b"next"]]

    @pytest.mark.fault("N6")
    def test_a_long_message_that_begins_with_no_header_ends_the_stream(
        self, server: SocketTransport, directory: Path
    ) -> None:
        opened = self.raw(directory)
        opened.sendall(struct.pack("<6I", 1, 1_000_000, 0, 0, 0, 0) + bytes(100_000))
        while not (received := server.receive(MILLISECOND_NS)):
            pass
        assert [type(event) for event in received] == [PeerGone]
        opened.close()

    @pytest.mark.fault("N7")
    def test_above_the_highest_descriptor_for_peers_nobody_is_accepted(
        self, directory: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        transport = SocketTransport()
        transport.bind("clients", f"unix://{directory}/full", Terms(descriptors_max=3))
        refused = socket.socket(socket.AF_UNIX)
        refused.connect(f"{directory}/full")
        transport.receive(SECOND_NS)
        assert refused.recv(1) == b""
        assert "the remaining descriptors are reserved for files" in caplog.text
        refused.close()
        transport.close()

    @pytest.mark.fault("N6")
    def test_who_connects_and_says_nothing_is_closed(self, directory: Path) -> None:
        transport = SocketTransport()
        transport.bind("clients", f"unix://{directory}/silent", Terms(silent_ns=1))
        silent = socket.socket(socket.AF_UNIX)
        silent.connect(f"{directory}/silent")
        while not (received := transport.receive(SECOND_NS)):
            pass
        assert [type(event) for event in received] == [PeerGone]
        assert silent.recv(1) == b""
        silent.close()
        transport.close()
