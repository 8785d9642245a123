"""Jobs and their results between a worker and its maintenance process, over a socket pair.

    message := length u32 little-endian | body

Worker to maintenance: the body is an encoded job spec. Back: one byte for the outcome, then the encoded result, the
reason as text, or the damage as a Refusal (messages.py).
"""

from __future__ import annotations

import socket
import struct
from enum import IntEnum

from shardstore.errors import Corruption
from shardstore.limits import DOCUMENT_BYTES_MAX
from shardstore.messages import Refusal, decode, encode

_LENGTH = struct.Struct("<I")


class Outcome(IntEnum):
    """How a job ended."""

    FINISHED = 1
    FAILED = 2
    """It may go better at the next try."""
    DAMAGED = 3
    """Stored bytes are damaged: trying again does not help."""


def encode_damage(damage: Corruption) -> bytes:
    """The body that follows DAMAGED."""
    return encode(Refusal(damage.what, file=damage.file, offset=damage.offset))


def decode_damage(body: bytes) -> Corruption:
    """Inverse of encode_damage."""
    refusal = decode(Refusal, body)
    return Corruption(refusal.file, refusal.offset, refusal.what)


class ChannelClosed(ConnectionError):
    """The other process is gone."""


def send(channel: socket.socket, body: bytes) -> None:
    """Send one message. Raises ChannelClosed."""
    try:
        channel.sendall(_LENGTH.pack(len(body)) + body)
    except OSError as error:
        raise ChannelClosed(str(error)) from None


def receive(channel: socket.socket) -> bytes:
    """Wait for one message. Raises ChannelClosed."""
    (length,) = _LENGTH.unpack(_receive_exactly(channel, _LENGTH.size))
    if length > DOCUMENT_BYTES_MAX:
        raise ChannelClosed(f"a message of {length} bytes")
    return _receive_exactly(channel, length)


def _receive_exactly(channel: socket.socket, length: int) -> bytes:
    parts: list[bytes] = []
    while length:
        try:
            part = channel.recv(min(length, 1 << 20))
        except OSError as error:
            raise ChannelClosed(str(error)) from None
        if not part:
            raise ChannelClosed("end of file")
        parts.append(part)
        length -= len(part)
    return b"".join(parts)
