"""The server's side of the ZeroMQ protocol over one connected socket: ZMTP 3, mechanism NULL, socket type ROUTER.

    greeting   ff, 8 bytes, 7f | version 3, minor | mechanism, 20 bytes | 32 bytes       from both, 64 bytes
    frame      flags: 1 more frames follow, 2 long, 4 command | size: u8, or u64 big-endian if long | bytes
    command    u8 length of the name | name | data         first READY from both, then PING, answered by PONG
    message    frames, the last of which does not have flag 1; commands may be between them

libzmq keeps a message in memory until its last frame has arrived, without any limit: a peer that never sends the last
frame makes it grow forever. Nor does libzmq report what its peers have not read. So the sides that connect (clients and
workers) use libzmq, and the side that listens uses this module. See RFC 23 and 37 at rfc.zeromq.org.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from socket import socket as Socket  # noqa: N812, a class, whose module gives it a small letter

from shardstore.limits import FRAMES_MAX, KIB, MESSAGE_BYTES_MAX
from shardstore.system.stream import LONG_READ_BYTES, LONG_READS_MAX, READ_BYTES, FramePieces, Gone, Stream

_MORE, _LONG, _COMMAND = 1, 2, 4
_SIGNATURE_AND_VERSION = b"\xff" + bytes(7) + b"\x01\x7f\x03\x00"
_GREETING_BYTES = 64
_SHORT_BYTES_MAX = 255
_COMMAND_BYTES_MAX = KIB
_LONG_SIZE = struct.Struct(">Q")
_PING = b"\x04PING"
_PING_CONTEXT = len(_PING) + 2
"""Offset of the context in a PING, which the PONG repeats. Before it stands how long the peer may be silent."""


def _property(name: bytes, value: bytes) -> bytes:
    return bytes([len(name)]) + name + struct.pack(">I", len(value)) + value


METADATA = _property(b"Socket-Type", b"ROUTER")
"""What the server tells of itself in READY."""
_READY = b"\x05READY" + METADATA


class ZmtpStream(Stream):
    """A connection that a ZeroMQ socket opened to this process. A message is held until it is complete.

    This class has no encryption; curve_stream.py has a class with it.
    """

    mechanism = b"NULL"
    as_server = b"\0"
    """In the greeting: 1 if this side is the server of the mechanism."""

    def __init__(self, socket: Socket, bytes_max_of: Callable[[bytes], int]) -> None:
        """`bytes_max_of` returns the maximum size of a message, given its first frame."""
        super().__init__(socket)
        self._allowed = bytes_max_of
        self._greeted = False
        self._ping: bytes | None = None
        self._frames: list[bytes] = []
        self._frames_came = 0
        self._frames_bytes = 0
        self._bytes_max = 0
        self._flags = 0
        self._frame: FramePieces | None = None
        self._mechanism = self.mechanism.ljust(20, b"\0")
        self._send([_SIGNATURE_AND_VERSION + self._mechanism + self.as_server + bytes(31)])

    def is_quiet(self) -> bool:
        """Whether there are no unsent bytes and no incomplete message."""
        return super().is_quiet() and not self._frames and self._frame is None

    @property
    def arrived_bytes(self) -> int:
        """Bytes held of a message that has not arrived completely."""
        partly = 0 if self._frame is None else self._frame.held_bytes
        return len(self._beginning) + sum(map(len, self._frames)) + partly

    def send(self, frames: Sequence[bytes]) -> bool:
        """Send a message. Returns False if some of its bytes are kept and sent later. Raises Gone."""
        pieces = self._pieces_of(frames)
        return self._send(pieces)

    def _pieces_of(self, frames: Sequence[bytes]) -> list[bytes]:
        pieces: list[bytes] = []
        for frame in frames:
            pieces += (head_of_frame(_MORE, len(frame)), frame)
        pieces[-2] = head_of_frame(0, len(frames[-1]))
        return pieces

    def close(self) -> None:
        """Close the socket; drop unsent bytes and an incomplete message."""
        super().close()
        self._frames = []
        self._frame = None

    def take(self) -> list[list[bytes]]:
        """Read; return the frames of each message that is complete now. Raises Gone."""
        return super().take() if self._frame is None else self._read_frame_on(self._frame)

    def _split(self, data: bytes) -> list[list[bytes]]:
        """Return all messages that are complete in these bytes; the rest is kept."""
        if not self._greeted:
            if len(data) < _GREETING_BYTES:
                self._beginning = data
                return []
            self._greet(data)
            data = data[_GREETING_BYTES:]
        messages = self._split_frames(data)
        if self._ping is not None:  # one PONG answers all PINGs: anything that arrives is a sign of life
            self._send_command(b"\x04PONG" + self._ping)
            self._ping = None
        return messages

    def _greet(self, data: bytes) -> None:
        """Check the greeting of the peer and reply with READY. Raises Gone."""
        is_versioned = data[0] == 0xFF and data[9] == 0x7F and data[10] >= 3
        if not is_versioned or data[12:32] != self._mechanism:
            raise Gone(f"no ZMTP 3 with the mechanism {self.mechanism.decode()}")
        self._greeted = True
        self._begin()

    def _begin(self) -> None:
        """Begin the handshake, once the greetings are exchanged."""
        self._send_command(_READY)

    def _split_frames(self, data: bytes) -> list[list[bytes]]:
        messages: list[list[bytes]] = []
        at, end = 0, len(data)
        while end - at >= 2:
            flags = data[at]
            begin = at + (9 if flags & _LONG else 2)
            if begin > end:
                break
            size = _LONG_SIZE.unpack_from(data, at + 1)[0] if flags & _LONG else data[at + 1]
            self._check(flags, size)
            if begin + size > end:
                if size > READ_BYTES:
                    self._begin_frame(flags, size, data[begin:])
                    return messages
                break
            at = begin + size
            self._take_whole(flags, data[begin:at], messages)
        self._beginning = data[at:]
        return messages

    def _check(self, flags: int, size: int) -> None:
        """Refuse a frame that cannot be part of a message, before it is kept. Raises Gone."""
        if flags & _COMMAND:
            if size > _COMMAND_BYTES_MAX or flags & ~(_COMMAND | _LONG):
                raise Gone(f"a command of {size} bytes, flags {flags}")
            return
        first_bytes_max = MESSAGE_BYTES_MAX if self._frames else READ_BYTES
        if flags & ~(_MORE | _LONG) or size > first_bytes_max or self._frames_bytes + size > MESSAGE_BYTES_MAX:
            raise Gone(f"a frame of {size} bytes, flags {flags}, behind {self._frames_bytes}")

    def _take_whole(self, flags: int, content: bytes, messages: list[list[bytes]]) -> None:
        """Take a frame or command that has arrived completely. Raises Gone."""
        if flags & _COMMAND:
            self._take_command(content)
        else:
            self._take_frame(flags, content, messages)

    def _take_command(self, command: bytes) -> None:
        """Remember a PING, to be answered; ignore other commands."""
        if command.startswith(_PING):
            self.shows_life = True
            self._ping = command[_PING_CONTEXT:]

    def _take_frame(self, flags: int, frame: bytes, messages: list[list[bytes]]) -> None:
        """Add the next frame of a message. If the message is too long, only its first frame is kept. Raises Gone."""
        if not self._frames:
            self._bytes_max = self._allowed(frame)
        self._frames_came += 1
        self._frames_bytes += len(frame)
        if self._frames_bytes <= self._bytes_max:
            self._frames.append(frame)
        else:
            del self._frames[1:]
        if self._frames_came > FRAMES_MAX:
            raise Gone(f"more than {FRAMES_MAX} frames")
        if not flags & _MORE:
            messages.append(self._frames)
            self._frames = []
            self._frames_came = self._frames_bytes = 0

    def _begin_frame(self, flags: int, size: int, beginning: bytes) -> None:
        """Start to collect a long frame that begins like this."""
        self._beginning = b""
        self._flags = flags
        self._frame = FramePieces(size, self._frames_bytes + size <= self._bytes_max)
        self._frame.add(beginning)

    def _read_frame_on(self, frame: FramePieces) -> list[list[bytes]]:
        """Read more of a long frame; return its message if that is complete."""
        for _ in range(LONG_READS_MAX):
            data = self._receive(min(frame.missing, LONG_READ_BYTES))
            if not data:
                break
            frame.add(data)
            if not frame.missing:
                messages: list[list[bytes]] = []
                self._frame = None
                if not frame.is_kept:
                    self._frames_bytes += frame.size
                self._take_whole(self._flags, frame.whole(), messages)
                return messages
        return []

    def _send_command(self, command: bytes) -> None:
        self._send([head_of_frame(_COMMAND, len(command)), command])


def head_of_frame(flags: int, size: int) -> bytes:
    """Return the bytes before a frame or command of this size."""
    if size <= _SHORT_BYTES_MAX:
        return bytes((flags, size))
    return bytes((flags | _LONG,)) + _LONG_SIZE.pack(size)
