"""How a session comes to its client id and to routes: HELLO until it is answered, ROUTES when routes are in doubt."""

from __future__ import annotations

from shardstore import messages
from shardstore.client.routing import ROUTER
from shardstore.client.timers import Timers
from shardstore.effects import Send
from shardstore.limits import MILLISECOND_NS
from shardstore.messages import Hello, Routes, Welcome
from shardstore.wire_format import Header, MalformedMessage, Op, Status

ASK_AGAIN_NS = 250 * MILLISECOND_NS
_LIBRARY = "shardstore-python"


class Joining:
    """Asks the router, at most once per ASK_AGAIN_NS. `client` is 0 until the router has issued one."""

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self.grain = 0
        self.client = 0

    def ask(self, now_ns: int) -> list[Send]:
        """Ask for what is needed, unless that was asked a moment ago."""
        if self.grain:
            return []
        self._timers.set(self, now_ns + ASK_AGAIN_NS)
        duration_ms = ASK_AGAIN_NS // MILLISECOND_NS
        if not self.client:
            hello = Header(Op.HELLO, duration_ms=duration_ms)
            return [Send(ROUTER, b"", [hello.encode(), messages.encode(Hello(_LIBRARY))])]
        return [Send(ROUTER, b"", [Header(Op.ROUTES, duration_ms=duration_ms, client=self.client).encode()])]

    def due(self, now_ns: int) -> list[Send]:
        """Ask again for a client id; for routes only when they are in doubt again."""
        return [] if self.client else self.ask(now_ns)

    def heard(self, header: Header, frames: list[bytes]) -> Routes | None:
        """The routes in a message of the router, None if it brings none of use. Raises MalformedMessage."""
        if header.status != Status.OK:
            return None
        if header.op == Op.ROUTES:  # of no use before the id, which any request must carry
            return messages.decode(Routes, frames[1]) if self.client else None
        if self.client:  # the answer to a HELLO that was sent twice
            return None
        welcome = messages.decode(Welcome, frames[1])
        if not welcome.client:
            raise MalformedMessage("a client id is not 0")
        self.client = welcome.client
        self._timers.clear(self)
        return messages.decode(Routes, welcome.routes)
