"""Runs a session against a fake cluster in simulated time."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from typing import Any

from shardstore.client.calls.arguments import checked_keys, checked_values
from shardstore.client.calls.calls import Call, Many, Open, Single
from shardstore.client.calls.scan import Scan, scan_from_arguments
from shardstore.client.session.effects import Abandon, Connect, Disconnect, SessionEvent
from shardstore.client.session.session import Session
from shardstore.limits import MILLISECOND_NS, SECOND_NS
from shardstore.seams.effects import Received, Send, SendFailed, Tick
from shardstore.wire.wire_format import Flag, Header, Op, decode_header
from tests.unit.client.fake_finder import FakeFinder
from tests.unit.fake_cluster import FakeCluster, Frames

TIMEOUT_NS = 10 * SECOND_NS


class NoJitter:
    """An entropy source that always returns 0."""

    def below(self, bound: int) -> int:
        """Return the smallest number."""
        return 0


class SessionDriver:
    """A session with its messages and results. Sent messages wait in `wire` until `run`; `ended` has the ends of calls.

    A link in `failing` refuses messages, a link in `silent` loses them.
    """

    def __init__(self, cluster: FakeCluster, direct: bool = True, opened: bool = True, store: int = 0) -> None:
        self.cluster = cluster
        self.finder = FakeFinder()
        self.finder.store = store
        self.session = Session(self.finder, NoJitter(), direct, lambda endpoint: endpoint, lambda *_: None)
        self.now_ns = SECOND_NS
        self.links: dict[str, str] = {}
        self.wire: deque[tuple[str, Frames]] = deque()
        self.sent: list[tuple[str, Header]] = []
        self.ended: dict[Call, Any] = {}
        self.failing: set[str] = set()
        self.silent: set[str] = set()
        self._execute(self.session.start(self.now_ns))
        if opened:
            self.call(Open(TIMEOUT_NS))
            self.sent.clear()

    def handle(self, event: SessionEvent) -> None:
        """Pass an event to the session."""
        effects = self.session.handle(event, self.now_ns)
        self.session.check_invariants()
        self._execute(effects)

    def submit(self, *calls: Call) -> None:
        """Make several calls; their messages wait."""
        self.handle([*calls])

    def abandon(self, call: Call) -> None:
        """Abandon a call."""
        self.handle(Abandon(call))

    def call(self, call: Call) -> Any:
        """Make one call, run, and return how it ended."""
        self.submit(call)
        self.run()
        return self.ended.get(call)

    def deliver(self, messages: int = 1) -> None:
        """Deliver the first messages, and their replies."""
        for _ in range(messages):
            link, frames = self.wire.popleft()
            if link in self.silent:
                continue
            for reply in self.cluster.receive(link, frames):
                self.receive(reply, link)

    def receive(self, frames: Frames, link: str = "router") -> None:
        """Deliver a message to the session."""
        self.handle(Received(link, b"", frames))

    def run(self) -> None:
        """Deliver all messages."""
        while self.wire:
            self.deliver()

    def routed(self) -> list[tuple[str, Header]]:
        """The messages sent, without requests for routes."""
        return [(link, header) for link, header in self.sent if header.op != Op.ROUTES]

    def advance(self, milliseconds: int) -> None:
        """Let time pass and deliver messages."""
        until_ns = self.now_ns + milliseconds * MILLISECOND_NS
        while (due_ns := self.session.wakeup_ns()) is not None and due_ns <= until_ns:
            self.now_ns = max(due_ns, self.now_ns)
            self.handle(Tick())
            self.run()
        self.now_ns = until_ns

    def waiting_for(self, link: str) -> int:
        """The messages under way on a link."""
        return Counter(name for name, _ in self.wire)[link]

    def _execute(self, effects: Sequence[Any]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                self._send(effect)
            elif isinstance(effect, Call):
                assert effect not in self.ended, "settled twice"
                self.ended[effect] = effect.answer if effect.error is None else effect.error
            elif isinstance(effect, Connect):
                self.links[effect.link] = effect.endpoint
            else:
                assert isinstance(effect, Disconnect)
                del self.links[effect.link]

    def _send(self, effect: Send) -> None:
        assert effect.link in self.links
        if effect.link in self.failing:
            self.handle(SendFailed(effect.link, effect.peer, effect.frames))
            return
        self.sent.append((effect.link, decode_header(effect.frames[0])))
        self.wire.append((effect.link, list(effect.frames)))


def get(key: bytes, timeout_ns: int = TIMEOUT_NS) -> Single:
    return Single(timeout_ns, Op.GET, key)


def contains(key: bytes) -> Single:
    return Single(TIMEOUT_NS, Op.GET, key, flags=int(Flag.PRESENCE))


def put(key: bytes, value: bytes = b"value", timeout_ns: int = TIMEOUT_NS) -> Single:
    return Single(timeout_ns, Op.PUT, key, value)


def delete(key: bytes) -> Single:
    return Single(TIMEOUT_NS, Op.DELETE, key)


def get_many(keys: Sequence[bytes]) -> Many:
    return Many(TIMEOUT_NS, Op.GET, checked_keys(keys))


def put_many(keys: Sequence[bytes], values: Sequence[bytes], timeout_ns: int = TIMEOUT_NS) -> Many:
    return Many(timeout_ns, Op.PUT, checked_keys(keys), checked_values(values))


def delete_many(keys: Sequence[bytes]) -> Many:
    return Many(TIMEOUT_NS, Op.DELETE, checked_keys(keys))


def new_scan(**arguments: Any) -> Scan:
    """A scan as made by `Client.scan`, over everything unless the arguments say otherwise."""
    plain = dict.fromkeys(("start", "end", "prefix", "limit", "resume", "timeout"))
    return scan_from_arguments(**{**plain, "reverse": False, "keys_only": False, "mode": "snapshot", **arguments})
