"""Registers the worker with the router, reports its ranges ready, and sends heartbeats."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from shardstore.limits import MILLISECOND_NS, SECOND_NS
from shardstore.seams.effects import Effect, ReportReady, Send
from shardstore.wire.link_names import ROUTER
from shardstore.wire.load_report import LoadReport
from shardstore.wire.messages import Assignments, Heartbeat, Lease, LeaseReport, Ready, Register, decode, encode
from shardstore.wire.wire_format import Header, Op, Status

HEARTBEAT_INTERVAL_NS = 500 * MILLISECOND_NS
SHORT_INTERVAL_NS = 100 * MILLISECOND_NS
"""Interval of heartbeats while the worker waits for a larger lease."""
REGISTER_RETRY_NS = SECOND_NS


class Registration:
    """The messages of one worker process to the router, and what the replies mean."""

    def __init__(self, worker: int, endpoint: str, known: Mapping[int, int], life: int, failure: str) -> None:
        self._worker = worker
        self._life = life
        self._failure = failure
        self._endpoint = endpoint
        self._known = dict(known)
        self._sequence = 0
        self.due_ns = 0
        """When the next heartbeat, or the next try to register, is due."""
        self._router = 0
        self._registering = True
        self._is_up = False
        self._beat = 0
        """Sequence of the latest heartbeat while its reply is awaited; only that one may change the lease."""
        self.serving: dict[int, int] | None = None
        """Epoch by segment; None until ranges were given."""
        self.routes = b""
        """The newest encoded Routes that came; STALE_ROUTE passes them on."""

    @property
    def may_ask(self) -> bool:
        """Whether a heartbeat may be sent before it is due: the router knows this process, and none is unanswered."""
        return not self._registering and not self._beat

    def is_due(self, now_ns: int) -> bool:
        """Whether it is time to register, or to send a heartbeat."""
        return now_ns >= self.due_ns

    def beat(
        self, pressure: int, report: LeaseReport, scans: int, full_disk: str, is_short: bool, now_ns: int
    ) -> list[Effect]:
        """Send a heartbeat, which also asks for a lease. Replies to earlier heartbeats are ignored from now on."""
        self.due_ns = now_ns + (SHORT_INTERVAL_NS if is_short else HEARTBEAT_INTERVAL_NS)
        beat = self._message(Op.HEARTBEAT, Heartbeat(self._worker, pressure, self._router, report, scans, full_disk))
        self._beat = self._sequence
        return [beat]

    def register(self, now_ns: int) -> list[Effect]:
        """Ask for ranges. This is repeated until the reply comes."""
        self.due_ns = now_ns + REGISTER_RETRY_NS
        self._registering = True
        self._beat = 0
        register = Register(self._worker, self._endpoint, self.serving or {}, self._known, self._life, self._failure)
        return [self._message(Op.REGISTER, register)]

    def ready(self, serving: Mapping[int, int]) -> list[Effect]:
        """Report that these ranges are open and served. A heartbeat follows at once."""
        self.due_ns = 0
        self._registering = False
        self.serves(serving)
        return [self._message(Op.READY, Ready(dict(serving)))]

    def serves(self, serving: Mapping[int, int]) -> None:
        """Note that these ranges are open and served."""
        self.serving = dict(serving)
        self._known = self._known | self.serving

    def load(self, report: LoadReport) -> Send:
        """The message with the load of the ranges."""
        return Send(ROUTER, b"", (Header(Op.LOAD).encode(), encode(report)))

    def forget(self, segments: Iterable[int]) -> None:
        """Note that these segments are gone, or about to be removed."""
        for segment in segments:
            self._known.pop(segment, None)

    def take_reply(
        self, header: Header, frames: list[bytes], now_ns: int
    ) -> tuple[Assignments | Lease | None, list[Effect]]:
        """Handle a message from the router that is no request. Returns the ranges or lease it gives, and effects."""
        if header.op == Op.ROUTES and header.status == Status.OK:
            self.routes = frames[1]
        elif header.op == Op.REGISTER and header.status == Status.OK:
            assignments = decode(Assignments, frames[1])
            self.routes = assignments.routes
            self._router = assignments.router
            return assignments, []
        elif header.op == Op.HEARTBEAT and header.status == Status.OK:
            lease = decode(Lease, frames[1])
            if self._beat and header.sequence == self._beat:
                self._beat = 0
                return lease, []
        elif header.op == Op.READY and header.status == Status.OK and not self._is_up:
            self._is_up = True  # from now on the routes tell clients where this process listens
            return None, [ReportReady()]
        elif header.op in (Op.HEARTBEAT, Op.READY) and header.status == Status.STALE_ROUTE:
            return None, self.register(now_ns)
        return None, []

    def _message(self, op: Op, document: Register | Ready | Heartbeat) -> Send:
        self._sequence += 1
        return Send(ROUTER, b"", (Header(op, sequence=self._sequence).encode(), encode(document)))
