"""The transport seam over a simulated network, with links that behave like streams (unix://) and like ZeroMQ (tcp://).

A connected link of ZeroMQ keeps messages while its server is down, and delivers them to the next server that binds the
endpoint. A stream is opened by the next send, which fails while nobody listens; when it breaks, the messages that have
not arrived are lost.

When a connection breaks, some messages under way still arrive, in order. The other messages of the server are lost; of
the client's, over ZeroMQ, a part is lost and the rest goes to the next connection. A bound link knows a peer by the id
that it gave to the connection. Once it has noticed that a connection is gone, it reports that (PeerGone) and refuses
messages to its id. One-way messages, which may be lost, doubled and late in the protocol of topology changes, are so by
chance (Repeats).
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass

from shardstore.errors import InvalidRequest
from shardstore.limits import MILLISECOND_NS, OUTBOX_BYTES_MAX, SECOND_NS
from shardstore.seams.effects import Incoming, PeerGone, Received
from shardstore.wire.wire_format import Op, decode_header
from tests.simulation.sim_clock import SimClock

STREAMS = "unix://"
RECONNECT_NS_MAX = 20 * MILLISECOND_NS
NOTICE_NS_MAX = 5 * MILLISECOND_NS
MESSAGES_PER_RECEIVE = 512


@dataclass(frozen=True, slots=True)
class Delays:
    """How long a message travels: `usual_ns` on average, and with probability `tail` up to `tail_ns`."""

    usual_ns: int = 50_000
    tail: float = 0.0
    tail_ns: int = 0

    def draw(self, rng: random.Random) -> int:
        """The delay of one message."""
        if rng.random() < self.tail:
            return rng.randint(0, self.tail_ns)
        return min(int(rng.expovariate(1 / self.usual_ns)), 20 * self.usual_ns)


@dataclass(frozen=True, slots=True)
class Repeats:
    """The probabilities that a one-way message is lost, or arrives again up to `late_ns` later, after others."""

    lost: float = 0.0
    doubled: float = 0.0
    late_ns: int = SECOND_NS

    @property
    def happen(self) -> bool:
        """Whether any message may be lost or repeated."""
        return self.lost > 0 or self.doubled > 0


ONE_WAY = frozenset((Op.CHANGE, Op.PROGRESS, Op.RETIRE))


class _Stream:
    """Messages on their way in one direction of a connection, in order."""

    def __init__(self, network: SimNetwork, deliver: Callable[[list[bytes]], None]) -> None:
        self._network = network
        self._deliver = deliver
        self._under_way: deque[list[bytes]] = deque()
        self._last_ns = 0
        self._closed = False
        self._stranded = False
        self.on_send: Callable[[], None] | None = None
        """An event to happen while the next message is under way."""

    def send(self, frames: list[bytes]) -> None:
        clock, repeats, rng = self._network.clock, self._network.repeats, self._network.random
        if repeats.happen and decode_header(frames[0]).op in ONE_WAY:
            if rng.random() < repeats.lost:
                return
            if rng.random() < repeats.doubled:
                clock.after(rng.randint(0, repeats.late_ns), lambda: self._repeat(frames))
        self._under_way.append(frames)
        self._last_ns = max(clock.now_ns() + self._network.delays.draw(self._network.random), self._last_ns + 1)
        clock.at(self._last_ns, self._arrive)
        if self.on_send is not None:
            clock.after(0, self.on_send)
            self.on_send = None

    def hold(self, until_ns: int) -> None:
        """Hold messages sent from now on until this time."""
        self._last_ns = max(self._last_ns, until_ns)

    def strand(self, until_ns: int) -> None:
        """Hold until this time; if the connection breaks earlier, nothing arrives."""
        self.hold(until_ns)
        self._stranded = True

    def _arrive(self) -> None:
        if not self._closed:
            self._deliver(self._under_way.popleft())

    def _repeat(self, frames: list[bytes]) -> None:
        if not self._closed:
            self._deliver(frames)

    def close(self, arrives: bool) -> list[list[bytes]]:
        """Break: some messages still arrive if `arrives`. Returns those that neither arrived nor were surely lost."""
        self._closed = True
        left = list(self._under_way)
        arrived = self._network.random.randint(0, len(left)) if arrives and not self._stranded else 0
        for frames in left[:arrived]:
            self._deliver(frames)
        return left[arrived:]


class _Connection:
    """A connected link of one transport and, while the server is up, its counterpart on a bound link."""

    def __init__(self, network: SimNetwork, client: SimTransport, link: str, endpoint: str) -> None:
        self._network = network
        self._client = client
        self._link = link
        self.endpoint = endpoint
        self._server: tuple[SimTransport, str] | None = None
        self._peer = b""
        self._waiting: deque[list[bytes]] = deque()
        self._to_server: _Stream | None = None
        self._to_client: _Stream | None = None
        self._closed = False
        self._keeps = not endpoint.startswith(STREAMS)
        if self._keeps:
            self.reconnect()

    def send_to_server(self, frames: list[bytes]) -> bool:
        if self._to_server is None and not self._keeps:
            self._establish()
        if self._to_server is not None:
            self._to_server.send(frames)
            return True
        if not self._keeps:
            return False
        self._waiting.append(frames)
        if sum(len(frame) for message in self._waiting for frame in message) > OUTBOX_BYTES_MAX:
            self._waiting.clear()
            return False
        return True

    def send_to_client(self, frames: list[bytes]) -> None:
        if self._to_client is not None:
            self._to_client.send(frames)

    def reconnect(self) -> None:
        """Schedule the next attempt to find a server. A stream makes it when it has something to send."""
        if not self._keeps:
            return
        clock, rng = self._network.clock, self._network.random
        clock.after(rng.randint(0, RECONNECT_NS_MAX), self._establish)

    def _establish(self) -> None:
        server = self._network.listeners.get(self.endpoint)
        if self._closed or self._server is not None or server is None:
            return
        self._server = server
        transport, link = server
        self._peer = transport.add_peer(link, self)
        peer = self._peer
        self._to_server = _Stream(self._network, lambda frames: transport.put(Received(link, peer, frames)))
        self._to_client = _Stream(self._network, lambda frames: self._client.put(Received(self._link, b"", frames)))
        while self._waiting:
            self._to_server.send(self._waiting.popleft())

    def break_off(self) -> None:
        """End the connection; the client's side tries again."""
        if self._server is None:
            return
        assert self._to_server is not None
        assert self._to_client is not None
        transport, link = self._server
        unsent = self._to_server.close(arrives=transport.alive)
        if not transport.alive:
            unsent = unsent[self._network.random.randint(0, len(unsent)) :]
        self._to_client.close(arrives=self._client.alive)
        self._waiting = deque(unsent if self._keeps else ())
        self._server = self._to_server = self._to_client = None
        peer, notice_ns = self._peer, self._network.random.randint(0, NOTICE_NS_MAX)
        self._network.clock.after(notice_ns, lambda: transport.forget_peer(link, peer))
        self.reconnect()

    def break_with_next(self) -> None:
        """Break while the next message is under way, in one direction."""
        stream = self._some_stream()
        if stream is not None:
            stream.on_send = self.break_off

    def clog(self, until_ns: int) -> None:
        """Hold back the messages of one direction."""
        stream = self._some_stream()
        if stream is not None:
            stream.hold(until_ns)

    def strand_answers(self, until_ns: int) -> None:
        """Hold back the server's messages from now on; they are lost if the connection breaks earlier."""
        if self._to_client is not None:
            self._to_client.strand(until_ns)

    def _some_stream(self) -> _Stream | None:
        return self._network.random.choice((self._to_server, self._to_client))

    def close(self) -> None:
        """Close the client's side."""
        self.break_off()
        self._closed = True


class SimNetwork:
    """All links of one simulation."""

    def __init__(
        self, clock: SimClock, rng: random.Random, delays: Delays = Delays(), repeats: Repeats = Repeats()
    ) -> None:
        self.clock = clock
        self.random = rng
        self.delays = delays
        self.repeats = repeats
        self.listeners: dict[str, tuple[SimTransport, str]] = {}
        self._connections: list[_Connection] = []
        self._ports = 0

    def listen(self, endpoint: str, transport: SimTransport, link: str) -> str:
        """Bind an endpoint; waiting connections are made soon."""
        if endpoint.endswith(":0"):
            self._ports += 1
            endpoint = f"{endpoint[:-1]}{self._ports}"
        if endpoint in self.listeners:
            raise InvalidRequest(f"cannot listen on {endpoint}: address already in use")
        self.listeners[endpoint] = (transport, link)
        for connection in self._connections:
            if connection.endpoint == endpoint:
                connection.reconnect()
        return endpoint

    def connect(self, transport: SimTransport, link: str, endpoint: str) -> _Connection:
        """Add a connection."""
        connection = _Connection(self, transport, link, endpoint)
        self._connections.append(connection)
        return connection

    def drop(self, connection: _Connection) -> None:
        """Remove a connection for good."""
        connection.close()
        self._connections.remove(connection)

    def unlisten(self, transport: SimTransport) -> None:
        """Free the endpoints of a transport, and break its connections."""
        gone = {endpoint for endpoint, (owner, _) in self.listeners.items() if owner is transport}
        self.listeners = {endpoint: owner for endpoint, owner in self.listeners.items() if endpoint not in gone}
        for connection in self._connections:
            if connection.endpoint in gone:
                connection.break_off()

    def break_some(self) -> None:
        """Break some connections, now or while their next message is under way; both sides survive."""
        for connection in self._some():
            if self.random.random() < 0.3:
                connection.break_off()
            else:
                connection.break_with_next()

    def clog_some(self, for_ns: int) -> None:
        """Hold back the messages of some connections for a while, each in one direction."""
        for connection in self._some():
            connection.clog(self.clock.now_ns() + for_ns)

    def strand_answers(self, endpoints: Container[str], for_ns: int) -> Callable[[], None]:
        """Hold back the replies at these endpoints on the current connections. Returns a function that breaks these."""
        stranded = [connection for connection in self._connections if connection.endpoint in endpoints]
        for connection in stranded:
            connection.strand_answers(self.clock.now_ns() + for_ns)

        def break_off() -> None:
            for connection in stranded:
                connection.break_off()

        return break_off

    def _some(self) -> list[_Connection]:
        return self.random.sample(self._connections, self.random.randint(0, len(self._connections)))


class SimTransport:
    """The links of one incarnation of a process. It calls `on_ready` when `receive` has messages."""

    def __init__(self, network: SimNetwork, on_ready: Callable[[], None] = lambda: None) -> None:
        self._network = network
        self._on_ready = on_ready
        self.alive = True
        self._inbox: deque[Incoming] = deque()
        self._woken = False
        self._connected: dict[str, _Connection] = {}
        self._peers: dict[str, dict[bytes, _Connection]] = {}

    # The seam.

    def bind(self, link: str, endpoint: str) -> str:
        """Accept peers at the endpoint."""
        self._peers[link] = {}
        return self._network.listen(endpoint, self, link)

    def connect(self, link: str, endpoint: str) -> None:
        """Open a link, replacing an earlier one with that name."""
        self.disconnect(link)
        self._connected[link] = self._network.connect(self, link, endpoint)

    def disconnect(self, link: str) -> None:
        """Drop a link and the messages waiting on it."""
        if link in self._connected:
            self._network.drop(self._connected.pop(link))
            self._inbox = deque(message for message in self._inbox if message.link != link)

    def send(self, link: str, peer: bytes, frames: Sequence[bytes]) -> bool:
        """Send a message."""
        assert all(type(frame) is bytes for frame in frames), "frames are bytes"
        if link in self._connected:
            return self._connected[link].send_to_server(list(frames))
        connection = self._peers.get(link, {}).get(peer)
        if connection is not None:
            connection.send_to_client(list(frames))
        return connection is not None

    def send_all(self, link: str, peer: bytes, messages: Sequence[Sequence[bytes]]) -> bool:
        """Send several messages."""
        return all(self.send(link, peer, frames) for frames in messages)

    def receive(self, timeout_ns: int | None) -> list[Incoming]:
        """Let simulated time pass until there are messages, or until the timeout."""
        self.wait(timeout_ns)
        return self.take()

    def wait(self, timeout_ns: int | None) -> bool:
        """Let simulated time pass until messages arrive, or until the timeout: the first half of `receive`."""
        until_ns = 2**63 if timeout_ns is None else self._network.clock.now_ns() + timeout_ns
        while not (self._inbox or self._woken) and self._network.clock.advance(until_ns):
            pass
        return bool(self._inbox)

    def take(self) -> list[Incoming]:
        """Take the messages that have arrived: the second half of `receive`."""
        self._woken = False
        return [self._inbox.popleft() for _ in range(min(len(self._inbox), MESSAGES_PER_RECEIVE))]

    def drop(self) -> None:
        """Never called: a simulation forgets and forks no client."""
        raise AssertionError("a simulated transport is closed")

    def descriptor(self) -> int:
        """Never called: no event loop waits for a simulated transport."""
        raise AssertionError("a simulated transport has no descriptor")

    def renew(self) -> None:
        """Do nothing, since endpoints of a simulated network do not vanish by themselves."""

    def wake(self) -> None:
        """End a waiting `receive`, or else the next one at once."""
        self._woken = True
        self._on_ready()

    def close(self) -> None:
        """Close all links."""
        self.alive = False
        self._inbox.clear()
        for link in list(self._connected):
            self.disconnect(link)
        self._network.unlisten(self)
        self._peers.clear()

    # For the network.

    def put(self, message: Incoming) -> None:
        """Take a message that arrives."""
        if self.alive:
            self._inbox.append(message)
            self._on_ready()

    def add_peer(self, link: str, connection: _Connection) -> bytes:
        """Give a new connection its id."""
        peer = self._network.random.randbytes(5)
        self._peers[link][peer] = connection
        return peer

    def forget_peer(self, link: str, peer: bytes) -> None:
        """Report that the connection is gone."""
        if self._peers.get(link, {}).pop(peer, None):
            self.put(PeerGone(link, peer))
