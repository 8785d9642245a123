"""The messages the router itself says to clients and workers, as effects."""

from __future__ import annotations

from typing import Any

from shardstore.limits import CREDITS
from shardstore.seams.effects import Send
from shardstore.wire.messages import Refusal, encode
from shardstore.wire.wire_format import Header, Status

CLIENTS = "clients"
"""The link clients connect to."""
WORKERS = "workers"
"""The link workers connect to."""


def answer(link: str, peer: bytes, request: Header, document: Any = None) -> Send:
    """The reply OK to a request, with its document if the operation has one."""
    header = request.reply(Status.OK, credits=CREDITS).encode()
    return Send(link, peer, [header] if document is None else [header, encode(document)])


def refuse(link: str, peer: bytes, request: Header, status: Status, refusal: Refusal, retry_ms: int = 0) -> Send:
    """A reply that is not OK; `retry_ms` is how long to wait before the next try."""
    header = request.reply(status, credits=CREDITS, duration_ms=retry_ms)
    return Send(link, peer, [header.encode(), encode(refusal)])
