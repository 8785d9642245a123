"""Replies of the router itself to clients and workers, as effects."""

from __future__ import annotations

from typing import Any

from shardstore.limits import CREDITS
from shardstore.seams.effects import Send
from shardstore.wire.messages import Refusal, encode
from shardstore.wire.wire_format import Header, Status


def accept(link: str, peer: bytes, request: Header, document: Any = None) -> Send:
    """Reply OK to a request, with a document if the operation has one."""
    header = request.reply(Status.OK, credits=CREDITS).encode()
    return Send(link, peer, [header] if document is None else [header, encode(document)])


def refuse(link: str, peer: bytes, request: Header, status: Status, refusal: Refusal, retry_ms: int = 0) -> Send:
    """Reply to a request with an error status. `retry_ms` is how long the sender should wait before it tries again."""
    header = request.reply(status, credits=CREDITS, duration_ms=retry_ms)
    return Send(link, peer, [header.encode(), encode(refusal)])
