"""Waits for messages of a transport."""

from __future__ import annotations

from shardstore.limits import SECOND_NS
from shardstore.seams.effects import Received
from shardstore.system.socket_transport import SocketTransport

PATIENCE_NS = 20 * SECOND_NS


def next_message(transport: SocketTransport) -> Received:
    for _ in range(1_000):
        if received := transport.receive(PATIENCE_NS):
            [message] = received
            assert isinstance(message, Received)
            return message
    raise AssertionError("no message")
