"""Gets a client id and routes from the router, and finds the router again after a restart of the cluster.

    asked        HELLO until there is a client id; then ROUTES, when routes are in doubt
    answered     the calls that waited for routes go on
    silent       for ASK_AGAIN_NS: find out where the router listens now, ask there, send unanswered requests again
    not running  send the router nothing but these questions, so that no write is in doubt because of that

The client id outlives routers, so that a write that is sent again is recognised. Every message names the store, so a
server of another store refuses it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from shardstore.client.calls.calls import Call, Open
from shardstore.client.session.effects import Connect, Disconnect
from shardstore.client.session.lanes import Request, RequestState
from shardstore.client.session.sender import Sender
from shardstore.client.session.timers import Timers
from shardstore.client.session.whereabouts import Finder, Found
from shardstore.errors import AccessDenied, Unavailable
from shardstore.identifiers import tag_of_store
from shardstore.limits import MILLISECOND_NS
from shardstore.seams.effects import Send
from shardstore.wire import messages
from shardstore.wire.link_names import ROUTER
from shardstore.wire.messages import Hello, Refusal, Routes, Welcome
from shardstore.wire.wire_format import Header, MalformedMessage, Op, Status

ASK_AGAIN_NS = 250 * MILLISECOND_NS
ABSENCE_NS_MAX = 1_500 * MILLISECOND_NS
"""How long the opening of a client waits while no router listens: the restart of a router takes a moment."""
_LIBRARY = "shardstore-python"


class RouterContact:
    """Asks the router, at most once per ASK_AGAIN_NS. `client` is 0 until the router has issued one.

    `fail` ends a call with an error, `send_again` sends a request again.
    """

    def __init__(
        self,
        finder: Finder,
        timers: Timers,
        sender: Sender,
        fail: Callable[[Call, Exception], None],
        send_again: Callable[[Request], None],
    ) -> None:
        self._finder = finder
        self._timers = timers
        self._sender = sender
        self._fail = fail
        self._send_again = send_again
        self._waiting: list[Call] = []
        self._is_answered = False
        self._missing_since_ns: int | None = None
        self._looked_ns = 0
        self._missing = ""
        self.url = ""
        self.due_tick = 0
        self.client = 0
        self.store = ""
        """The identity of the store; empty until a router has welcomed the client."""

    def start(self, now_ns: int) -> list[Connect | Send]:
        """Begin: return the effects of saying hello to the router."""
        return [*self._look(now_ns), *self.ask(now_ns)]

    def keep_until_routed(self, call: Call, now_ns: int) -> list[Connect | Send]:
        """Keep a call until there are routes."""
        self._waiting.append(call)
        return self.ask(now_ns)

    def check_router(self, now_ns: int) -> list[Connect | Send]:
        """Check whether the router is there, unless that was just checked, and ask it.

        For when a worker is gone, or requests wait for the router.
        """
        looked = [] if now_ns - self._looked_ns < ASK_AGAIN_NS else self._look(now_ns)
        return [*looked, *self.ask(now_ns)]

    def why_silent(self, now_ns: int) -> str:
        """Why the router does not answer, as far as that can be seen; empty if it may answer."""
        if now_ns - self._looked_ns >= ASK_AGAIN_NS:
            self._saw(self._finder.find().missing, now_ns)
        return self._missing

    def take_waiting(self) -> list[Call]:
        """Take the calls that waited for routes."""
        waiting, self._waiting = self._waiting, []
        return [call for call in waiting if not call.settled]

    def ask(self, now_ns: int) -> list[Connect | Send]:
        """Ask the router for a client id or routes, unless it was asked a moment ago."""
        if self.due_tick:
            return []
        self._timers.set(self, now_ns + ASK_AGAIN_NS)
        self._is_answered = False
        if not self.url:
            return []
        op = Op.ROUTES if self.client else Op.HELLO
        duration_ms = ASK_AGAIN_NS // MILLISECOND_NS
        header = Header(op, duration_ms=duration_ms, client=self.client, store=self._finder.store).encode()
        return [Send(ROUTER, b"", [header] if self.client else [header, messages.encode(Hello(_LIBRARY))])]

    def on_timer(self, now_ns: int) -> list[Connect | Send]:
        """Handle the timer. If the router has not answered and somebody waits, find out where it is and ask there."""
        somebody_waits = self._calls_that_wait() or any(request.wanted for request in self._sender.requests())
        if self._is_answered or not somebody_waits:
            return []
        return [*self._look(now_ns, is_silent=True), *self.ask(now_ns)]

    def heard(self, header: Header, frames: list[bytes], now_ns: int) -> tuple[Routes | None, list[Connect]]:
        """Handle a message of the router. Returns the routes in it, None if there are none of use, and the effects.

        Raises MalformedMessage.
        """
        self._is_answered = True
        if header.status == Status.OTHER_STORE:
            return None, self._leave_another(self._waiting, messages.decode(Refusal, frames[1]).what, now_ns)
        if header.status != Status.OK:
            return None, []
        self._saw("", now_ns)
        if header.op == Op.ROUTES:  # of no use before the client id, which every request must have
            return messages.decode(Routes, frames[1]) if self.client else None, []
        if self.client:  # a reply to the repetition of a HELLO
            return None, []
        return self._enter(messages.decode(Welcome, frames[1])), []

    def denied(self, why: str, now_ns: int) -> list[Disconnect]:
        """Handle that the router does not let this client in: fail all calls. Later ones try again."""
        self._saw(why, now_ns)
        for call in self._calls_that_wait():
            self._fail(call, AccessDenied(why))
        for request in self._sender.requests():
            if not (request.direct and request.state is RequestState.SENT):
                for call in request.calls:
                    self._fail(call, AccessDenied(why))
                self._sender.finish(request)
        self.url = ""
        return [Disconnect(ROUTER)]

    def refused_by_another(self, request: Request, what: str, now_ns: int) -> list[Connect]:
        """Handle a refusal from a server of another store. If it is a worker, the request goes through the router."""
        request.unanswered = max(request.unanswered - 1, 0)
        if request.direct:
            self._sender.distrust(request.channel, now_ns)
            self._send_again(request)
            return []
        asked = [other for call in request.calls for other in self._sender.requests_of(call) if other is not request]
        await_others = any(
            other.state is RequestState.SENT for other in asked
        )  # their replies show whether a part was applied
        effects = self._leave_another([] if await_others else request.calls, what, now_ns)
        if not effects:
            self._sender.finish(request)
        return effects

    def _leave_another(self, calls: Sequence[Call], what: str, now_ns: int) -> list[Connect]:
        """Connect to where the router listens now, as its url serves another store. If nowhere, fail the calls."""
        effects = self._look(now_ns)
        if not effects:
            where = f"another store is served at {self.url} now: {what}"
            for call in list(calls):
                self._fail(call, Unavailable(f"{where}; open a new client if that one is meant"))
        return effects

    def _enter(self, welcome: Welcome) -> Routes:
        if not welcome.client:
            raise MalformedMessage("a client id is not 0")
        self._finder.learn(tag_of_store(welcome.store), self.url, welcome.data)
        self.client, self.store = welcome.client, welcome.store
        self._sender.store = self._finder.store
        self._timers.clear(self)
        return messages.decode(Routes, welcome.routes)

    def _look(self, now_ns: int, is_silent: bool = False) -> list[Connect]:
        """Connect to where the router listens now. If none has listened for a while, opening the client fails."""
        found = self._finder.find(is_silent)
        self._saw(found.missing, now_ns)
        if found.for_good:
            self._give_up(found)
        elif self._missing_since_ns is not None and now_ns - self._missing_since_ns >= ABSENCE_NS_MAX:
            for call in self._calls_that_wait():
                if type(call) is Open:
                    self._fail(call, found.error())
        if found.url in ("", self.url):
            return []
        self.url = found.url
        for request in self._sender.requests():
            if request.state is RequestState.SENT and not request.direct:
                self._send_again(request)
        return [Connect(ROUTER, found.url)]

    def _saw(self, missing: str, now_ns: int) -> None:
        """Note why no router answers; empty if one may."""
        self._looked_ns = now_ns
        self._missing = missing
        self._sender.router_listens = not missing
        if not missing:
            self._missing_since_ns = None
        elif self._missing_since_ns is None:
            self._missing_since_ns = now_ns

    def _give_up(self, found: Found) -> None:
        """Fail all calls that wait for routes or for replies."""
        for call in self._calls_that_wait():
            self._fail(call, found.error())
        for request in self._sender.requests():
            for call in request.calls:
                self._fail(call, found.error())
            self._sender.finish(request)

    def _calls_that_wait(self) -> list[Call]:
        self._waiting = [call for call in self._waiting if not call.settled]
        return [*self._waiting]
