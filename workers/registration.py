"""The worker's standing with the router: it registers, is given ranges, reports them ready, and shows that it lives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from shardstore.limits import MILLISECOND_NS, SECOND_NS
from shardstore.seams.effects import Effect, ReportReady, Send
from shardstore.wire.load_report import LoadReport
from shardstore.wire.messages import Assignments, Heartbeat, Lease, LeaseReport, Ready, Register, decode, encode
from shardstore.wire.wire_format import Header, Op, Status

HEARTBEAT_INTERVAL_NS = 500 * MILLISECOND_NS
SHORT_INTERVAL_NS = 100 * MILLISECOND_NS
"""Between heartbeats while the worker waits for a larger lease."""
REGISTER_RETRY_NS = SECOND_NS
ROUTER = "router"


class Registration:
    """Messages of one worker process to the router and what their answers mean."""

    def __init__(self, worker: int, endpoint: str, known: Mapping[int, int], life: int, failure: str) -> None:
        self._worker = worker
        self._life = life
        self._failure = failure
        self._endpoint = endpoint
        self._known = dict(known)
        self._sequence = 0
        self._due_ns = 0
        self._router = 0
        self._registering = True
        self._is_up = False
        self._beat = 0
        """Sequence of the latest heartbeat while its answer is awaited; only that one may change the lease."""
        self.serving: dict[int, int] | None = None
        """Epoch by segment, once ranges were given."""
        self.routes = b""
        """The newest encoded Routes heard of, passed on in STALE_ROUTE."""

    def wakeup_ns(self) -> int:
        """When the next heartbeat, or the next try to register, is due."""
        return self._due_ns

    @property
    def may_ask(self) -> bool:
        """Whether a heartbeat makes sense before it is due: the router knows this process, and none is under way."""
        return not self._registering and not self._beat

    def is_due(self, now_ns: int) -> bool:
        """Whether to register, or to send a heartbeat."""
        return now_ns >= self._due_ns

    def beat(
        self, pressure: int, report: LeaseReport, scans: int, full_disk: str, is_short: bool, now_ns: int
    ) -> list[Effect]:
        """Show life and ask for a lease; answers to earlier heartbeats do not count any more."""
        self._due_ns = now_ns + (SHORT_INTERVAL_NS if is_short else HEARTBEAT_INTERVAL_NS)
        beat = self._message(Op.HEARTBEAT, Heartbeat(self._worker, pressure, self._router, report, scans, full_disk))
        self._beat = self._sequence
        return [beat]

    def register(self, now_ns: int) -> list[Effect]:
        """Ask for ranges; asked again until the answer comes."""
        self._due_ns = now_ns + REGISTER_RETRY_NS
        self._registering = True
        self._beat = 0
        register = Register(self._worker, self._endpoint, self.serving or {}, self._known, self._life, self._failure)
        return [self._message(Op.REGISTER, register)]

    def ready(self, serving: Mapping[int, int]) -> list[Effect]:
        """Report that these ranges are open and served. A heartbeat follows at once."""
        self._due_ns = 0
        self._registering = False
        self.serves(serving)
        return [self._message(Op.READY, Ready(dict(serving)))]

    def serves(self, serving: Mapping[int, int]) -> None:
        """These ranges are open and served from now on."""
        self.serving = dict(serving)
        self._known = self._known | self.serving

    def load(self, report: LoadReport) -> Send:
        """Tell of the load of the ranges."""
        return Send(ROUTER, b"", (Header(Op.LOAD).encode(), encode(report)))

    def forget(self, segments: Iterable[int]) -> None:
        """These segments are gone, or about to go."""
        for segment in segments:
            self._known.pop(segment, None)

    def answered(
        self, header: Header, frames: list[bytes], now_ns: int
    ) -> tuple[Assignments | Lease | None, list[Effect]]:
        """Take a message of the router that is no request: ranges or a lease it gives, or effects that follow."""
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
