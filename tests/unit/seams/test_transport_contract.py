"""The contract of the transport seam, tested on every form."""

from __future__ import annotations

import random
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from shardstore.limits import MILLISECOND_NS, SECOND_NS
from shardstore.seams.effects import LinkUp, Received
from shardstore.seams.transport import Transport
from shardstore.system.socket_transport import SocketTransport
from tests.simulation.sim_clock import SimClock
from tests.simulation.sim_network import SimNetwork, SimTransport

SIMULATED = "simulated"
PATIENCE_NS = 20 * SECOND_NS


@dataclass
class World:
    """Transports that can reach each other, and their endpoints: `keeps_for_later` if messages wait for a server."""

    new: Callable[[], Transport]
    directory: str
    keeps_for_later: bool

    def endpoint(self, name: str) -> str:
        """An endpoint with this name, at which nobody listens yet."""
        if not self.keeps_for_later:
            return f"unix://{self.directory}/{name}"
        if self.directory == SIMULATED:
            return f"tcp://{self.directory}/{name}"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            return f"tcp://127.0.0.1:{free.getsockname()[1]}"


@pytest.fixture(params=["tcp", "unix", "simulated tcp", "simulated unix"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    opened: list[Transport] = []
    if not request.param.startswith(SIMULATED):
        directory = tempfile.mkdtemp(prefix="ss", dir="/tmp")
        form: Callable[[], Transport] = SocketTransport
    else:
        directory = SIMULATED
        network = SimNetwork(SimClock(random.Random(1)), random.Random(2))

        def form() -> Transport:
            return SimTransport(network)

    def new() -> Transport:
        opened.append(form())
        return opened[-1]

    yield World(new, directory, request.param.endswith("tcp"))
    for transport in opened:
        transport.close()
    shutil.rmtree(directory, ignore_errors=True)


def take(transport: Transport, count: int = 1) -> list[Received]:
    """Receive exactly `count` messages. That a link over tcp is up is no message."""
    messages: list[Received] = []
    for _ in range(1_000):
        messages += [event for event in transport.receive(PATIENCE_NS) if not isinstance(event, LinkUp)]
        if len(messages) >= count:
            break
    assert len(messages) == count
    return messages


def frames_of(messages: list[Received]) -> list[bytes]:
    return [message.frames[0] for message in messages]


@pytest.fixture
def url(world: World) -> str:
    return world.endpoint("server")


@pytest.fixture
def server(world: World, url: str) -> Transport:
    transport = world.new()
    transport.bind("clients", url)
    return transport


@pytest.fixture
def client(world: World, url: str, server: Transport) -> Transport:
    transport = world.new()
    transport.connect("router", url)
    return transport


def test_a_request_is_answered_to_its_peer(server: Transport, client: Transport) -> None:
    assert client.send("router", b"", [b"header", b"", b"body"])
    [request] = take(server)
    assert (request.link, request.frames) == ("clients", [b"header", b"", b"body"])
    assert request.peer
    assert server.send("clients", request.peer, [b"answer"])
    [answer] = take(client)
    assert answer == Received("router", b"", [b"answer"])


def test_peers_are_told_apart(world: World, url: str, server: Transport, client: Transport) -> None:
    other = world.new()
    other.connect("anything", url)
    client.send("router", b"", [b"client"])
    other.send("anything", b"", [b"other"])
    peers = {message.frames[0]: message.peer for message in take(server, 2)}
    server.send("clients", peers[b"other"], [b"to other"])
    server.send("clients", peers[b"client"], [b"to client"])
    assert frames_of(take(other)) == [b"to other"]
    assert frames_of(take(client)) == [b"to client"]


def test_order_is_kept(server: Transport, client: Transport) -> None:
    sent = [b"%d" % number for number in range(300)]
    for frame in sent:
        assert client.send("router", b"", [frame])
    assert frames_of(take(server, 300)) == sent


def test_several_messages_are_sent_at_once_in_order_both_ways(server: Transport, client: Transport) -> None:
    sent = [[b"%d" % number, b"body"] for number in range(60)]
    assert client.send("router", b"", [b"first"])
    assert client.send_all("router", b"", sent)
    first, *requests = take(server, 61)
    assert [request.frames for request in requests] == sent
    assert server.send_all("clients", first.peer, sent)
    assert [reply.frames for reply in take(client, 60)] == sent
    assert not server.send_all("clients", b"nobody", sent)
    assert not client.send_all("worker:7", b"", sent)


def test_what_was_sent_before_the_server_is_up_arrives_or_is_refused(world: World) -> None:
    client, server = world.new(), world.new()
    late = world.endpoint("late")
    client.connect("router", late)
    assert client.send("router", b"", [b"early"]) is world.keeps_for_later
    server.bind("clients", late)
    assert world.keeps_for_later or client.send("router", b"", [b"early"])
    assert frames_of(take(server)) == [b"early"]


def test_what_was_sent_while_the_server_is_down_goes_to_the_next_one_or_is_refused(
    world: World, url: str, server: Transport, client: Transport
) -> None:
    client.send("router", b"", [b"first"])
    take(server)
    server.close()
    client.receive(50 * MILLISECOND_NS)
    assert client.send("router", b"", [b"second"]) is world.keeps_for_later
    successor = world.new()
    successor.bind("clients", url)
    assert world.keeps_for_later or client.send("router", b"", [b"second"])
    assert frames_of(take(successor)) == [b"second"]


@pytest.mark.fault("N1")
def test_a_peer_nobody_knows_is_refused(server: Transport) -> None:
    assert not server.send("clients", b"nobody", [b"hello"])


def test_a_link_nobody_opened_is_refused(client: Transport) -> None:
    assert not client.send("worker:7", b"", [b"hello"])


@pytest.mark.fault("N1")
def test_a_peer_that_went_away_is_refused_in_the_end(server: Transport, client: Transport) -> None:
    client.send("router", b"", [b"hello"])
    [message] = take(server)
    client.close()
    for _ in range(1_000):
        if not server.send("clients", message.peer, [b"answer"]):
            break
        server.receive(MILLISECOND_NS)
    else:
        raise AssertionError("still taken")


def test_connecting_again_replaces_the_link(world: World, server: Transport, client: Transport) -> None:
    other = world.new()
    elsewhere = world.endpoint("other")
    other.bind("clients", elsewhere)
    client.connect("router", elsewhere)
    client.send("router", b"", [b"hello"])
    assert frames_of(take(other)) == [b"hello"]
    assert server.receive(0) == []


def test_a_disconnected_link_sends_nothing(client: Transport) -> None:
    client.disconnect("router")
    client.disconnect("router")
    assert not client.send("router", b"", [b"hello"])


def test_a_wait_ends_with_its_timeout(server: Transport) -> None:
    assert server.receive(0) == []
    assert server.receive(MILLISECOND_NS) == []


def test_a_wake_before_the_wait_ends_it(server: Transport) -> None:
    server.wake()
    server.wake()
    assert server.receive(None) == []
    assert server.receive(0) == []


def test_closing_twice_is_allowed(world: World) -> None:
    transport = world.new()
    transport.bind("clients", world.endpoint("mine"))
    transport.close()
    transport.close()
