"""Jobs and their results between a worker and its maintenance process, over a socket pair.

    message := length u32 | job u64 | body                all little-endian; length: of what follows

Worker to maintenance: the body is an encoded job spec. Back, for the same job: one byte for the outcome, then the
encoded result, the reason as text, or the damage as a Refusal (messages.py). The worker has at most one compaction
and one other job under way; jobs end in any order.
"""

from __future__ import annotations

import socket
import struct
from enum import IntEnum

from shardstore.errors import Corruption
from shardstore.limits import DOCUMENT_BYTES_MAX
from shardstore.messages import Refusal, decode, encode

_LENGTH = struct.Struct("<I")
_JOB = struct.Struct("<Q")


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


def send(channel: socket.socket, job: int, body: bytes) -> None:
    """Send one message about a job. Raises ChannelClosed."""
    try:
        channel.sendall(_LENGTH.pack(_JOB.size + len(body)) + _JOB.pack(job) + body)
    except OSError as error:
        raise ChannelClosed(str(error)) from None


def receive(channel: socket.socket) -> tuple[int, bytes]:
    """Wait for one message: the job, and what is said of it. Raises ChannelClosed."""
    (length,) = _LENGTH.unpack(_receive_exactly(channel, _LENGTH.size))
    if not _JOB.size <= length <= _JOB.size + DOCUMENT_BYTES_MAX:
        raise ChannelClosed(f"a message of {length} bytes")
    message = _receive_exactly(channel, length)
    return _JOB.unpack_from(message)[0], message[_JOB.size :]


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
