"""Waits for messages of a transport."""

from __future__ import annotations

from shardstore.limits import SECOND_NS
from shardstore.seams.effects import LinkDown, LinkUp, Received
from shardstore.system.socket_transport import SocketTransport

PATIENCE_NS = 20 * SECOND_NS


def next_message(transport: SocketTransport) -> Received:
    for _ in range(1_000):
        if received := [event for event in transport.receive(PATIENCE_NS) if not isinstance(event, LinkUp | LinkDown)]:
            [message] = received
            assert isinstance(message, Received)
            return message
    raise AssertionError("no message")
