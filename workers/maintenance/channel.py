"""Carries jobs and their results over the socket pair between a worker and its maintenance process.

    message := piece ... piece                            of one job
    piece   := length u32 | job u64 | part of the body    little-endian

The length is that of the part, at most PIECE_BYTES; its highest bit says that another piece follows. So no message is
too long, however many tables and ranges it names.

The body from the worker is an encoded job spec. The body of the reply is one byte for the outcome (JobEnd), then the
encoded result, the reason as text, or the damage as a Refusal (wire/messages.py). At most one compaction and one other
job are under way; they may end in any order.
"""

from __future__ import annotations

import socket
import struct
from enum import IntEnum

from shardstore.errors import Corruption
from shardstore.limits import MIB
from shardstore.wire.messages import Refusal, decode, encode

PIECE_BYTES = MIB
_HEAD = struct.Struct("<IQ")
_GOES_ON = 1 << 31


class JobEnd(IntEnum):
    """How a job ended."""

    FINISHED = 1
    FAILED = 2
    """Another try may succeed."""
    DAMAGED = 3
    """Stored bytes are damaged: another try cannot succeed."""


def encode_damage(damage: Corruption) -> bytes:
    """The body that follows DAMAGED."""
    return encode(Refusal(damage.what, file=damage.file, offset=damage.offset))


def decode_damage(body: bytes) -> Corruption:
    """Inverse of encode_damage."""
    refusal = decode(Refusal, body)
    return Corruption(refusal.file, refusal.offset, refusal.what)


class ChannelClosed(ConnectionError):
    """The other process has closed its end, or has sent something that is not a message."""


def send(channel: socket.socket, job: int, body: bytes) -> None:
    """Send one message about a job. Raises ChannelClosed."""
    try:
        for at in range(0, max(1, len(body)), PIECE_BYTES):
            piece = body[at : at + PIECE_BYTES]
            goes_on = _GOES_ON if at + PIECE_BYTES < len(body) else 0
            channel.sendall(_HEAD.pack(len(piece) | goes_on, job) + piece)
    except OSError as error:
        raise ChannelClosed(str(error)) from None


def receive(channel: socket.socket) -> tuple[int, bytes]:
    """Wait for one message. Returns the number of its job and its body. Raises ChannelClosed."""
    pieces: list[bytes] = []
    goes_on, job_of_all = True, None
    while goes_on:
        length, job = _HEAD.unpack(_receive_exactly(channel, _HEAD.size))
        goes_on, length = bool(length & _GOES_ON), length & ~_GOES_ON
        if length > PIECE_BYTES or job_of_all not in (None, job):
            raise ChannelClosed(f"a piece of {length} bytes for job {job}, behind one for job {job_of_all}")
        job_of_all = job
        pieces.append(_receive_exactly(channel, length))
    return job, b"".join(pieces)


def has_message(channel: socket.socket) -> bool:
    """Whether `receive` would find something without waiting. Raises ChannelClosed."""
    try:
        channel.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError as error:
        raise ChannelClosed(str(error)) from None
    return True


def _receive_exactly(channel: socket.socket, length: int) -> bytes:
    received: list[bytes] = []
    while length:
        try:
            data = channel.recv(min(length, 1 << 20))
        except OSError as error:
            raise ChannelClosed(str(error)) from None
        if not data:
            raise ChannelClosed("end of file")
        received.append(data)
        length -= len(data)
    return b"".join(received)
