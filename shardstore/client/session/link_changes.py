"""What a session does when a message cannot be sent, or a link over tcp comes up, is lost, or is refused.

    up          a direct link to a worker is used from now on
    down        what is unanswered over a direct link is sent again, through the router until the link is up. The router
                is asked for routes, as the worker may have another port when it is started again
    denied      of a worker: do without its link. Of the router: all calls fail, and later ones try again
    not sent    the request is sent again

What a lost link to the router has not answered is sent again by the timers of the requests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from shardstore.client.session.effects import SessionEffect
from shardstore.client.session.lane_map import LaneMap
from shardstore.client.session.lanes import Request, RequestState
from shardstore.client.session.router_contact import RouterContact
from shardstore.client.session.sender import Sender
from shardstore.seams.effects import LinkDenied, LinkDown, LinkUp, SendFailed
from shardstore.wire.link_names import ROUTER
from shardstore.wire.wire_format import decode_header

LinkChange: TypeAlias = SendFailed | LinkUp | LinkDown | LinkDenied


class LinkChanges:
    """Handles the changes of links. `send_again` sends a request again."""

    def __init__(
        self, lane_map: LaneMap, sender: Sender, contact: RouterContact, send_again: Callable[[Request], None]
    ) -> None:
        self._lane_map = lane_map
        self._sender = sender
        self._contact = contact
        self._send_again = send_again

    def handle(self, event: LinkChange, now_ns: int) -> list[SessionEffect]:
        """Handle one change. Returns the effects."""
        match event:
            case SendFailed():
                return self._send_failed(event, now_ns)
            case LinkUp():
                self._lane_map.set_up(event.link, True)
            case LinkDown():
                self._lane_map.set_up(event.link, False)
                self._send_again_all_of(event.link)
                return [*self._contact.ask(now_ns)]
            case LinkDenied() if event.link == ROUTER:
                return [*self._contact.denied(event.why, now_ns)]
            case LinkDenied():
                effects: list[SessionEffect] = [*self._lane_map.drop(event.link)]
                self._send_again_all_of(event.link)
                return effects
        return []

    def _send_again_all_of(self, link: str) -> None:
        for request in self._sender.requests():
            if request.was_sent_over({link}):
                self._send_again(request)

    def _send_failed(self, event: SendFailed, now_ns: int) -> list[SessionEffect]:
        """Handle a message that could not be sent. A question to the router is repeated anyway."""
        header = decode_header(event.frames[0])
        request = self._sender.request_of((header.sequence, header.segment))
        if request is None or request.state is not RequestState.SENT:
            return []
        request.unanswered -= 1
        if request.direct:
            self._sender.distrust(request.channel, now_ns)
            self._send_again(request)
        else:
            self._sender.delay(request, 0, now_ns)
        return [*self._contact.check_router(now_ns)]
