"""Jobs and their results between a worker and its maintenance process, over a socket pair.

    message := piece ... piece                            of one job; the highest bit of length: another one follows
    piece   := length u32 | job u64 | part of the body    all little-endian; length: of the part, at most PIECE_BYTES

So no message is too long for the channel, however many tables and ranges it names. Worker to maintenance: the body is
an encoded job spec. Back, for the same job: one byte for the outcome, then the encoded result, the reason as text, or
the damage as a Refusal (messages.py). The worker has at most one compaction and one other job under way; jobs end in
any order.
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
    """Wait for one message: the job, and what is said of it. Raises ChannelClosed."""
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
    """Whether `receive` has not to wait. Raises ChannelClosed."""
    try:
        channel.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError as error:
        raise ChannelClosed(str(error)) from None
    return True


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
