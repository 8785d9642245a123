"""The server's side of the ZeroMQ protocol with encryption: ZMTP 3, mechanism CURVE. See access/curve.py and zmtp.py.

    greeting, then HELLO, WELCOME, INITIATE and READY as commands, then every frame and command sealed in a MESSAGE

Before the client has proved that it has a key which is let in, nothing of it is kept but one command of the handshake,
of at most a KiB. From then on a frame is held until it has arrived completely, since only then it can be opened; how
much all clients hold so is limited by traffic.py. A message that is too long for its kind is dropped then, except for
its first frame.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from socket import socket as Socket  # noqa: N812, a class, whose module gives it a small letter

from shardstore.access.curve import HANDSHAKE_BYTES_MAX, OVERHEAD_BYTES, CurveServer, Refused, error_command
from shardstore.access.key_list import ListedKey
from shardstore.limits import KIB, MESSAGE_BYTES_MAX
from shardstore.system.stream import READ_BYTES, FramePieces, Gone
from shardstore.system.zmtp import METADATA, ZmtpStream, head_of_frame

_MORE, _LONG, _COMMAND = 1, 2, 4
_SEALED_MORE, _SEALED_COMMAND = 1, 2
_COMMAND_BYTES_MAX = KIB


class CurveStream(ZmtpStream):
    """A connection that a ZeroMQ socket opened to this process, encrypted and authenticated."""

    mechanism = b"CURVE"
    as_server = b"\1"

    def __init__(
        self,
        socket: Socket,
        bytes_max_of: Callable[[bytes], int],
        connection: Callable[[bytes], CurveServer],
    ) -> None:
        """`connection` makes the server's side of the mechanism, with metadata for the client."""
        self._curve = connection(METADATA)
        super().__init__(socket, bytes_max_of)

    def _pieces_of(self, frames: Sequence[bytes]) -> list[bytes]:
        pieces: list[bytes] = []
        last = len(frames) - 1
        for at, frame in enumerate(frames):
            sealed = self._curve.seal(_SEALED_MORE if at < last else 0, frame)
            pieces += (head_of_frame(0, len(sealed)), sealed)
        return pieces

    def _begin(self) -> None:
        """Wait for the HELLO of the client."""

    def _check(self, flags: int, size: int) -> None:
        """Refuse a frame before it is kept. Raises Gone."""
        if not self._curve.ready:
            if size > HANDSHAKE_BYTES_MAX or flags & ~_LONG != _COMMAND:
                raise Gone(f"a frame of {size} bytes, flags {flags}, before the end of the handshake")
            return
        frame_bytes_max = (MESSAGE_BYTES_MAX if self._frames else READ_BYTES) + OVERHEAD_BYTES
        is_too_long = size > frame_bytes_max or self._frames_bytes + size > MESSAGE_BYTES_MAX + OVERHEAD_BYTES
        if flags & ~(_LONG | _COMMAND) or is_too_long:
            raise Gone(f"a sealed frame of {size} bytes, flags {flags}, behind {self._frames_bytes}")

    def _begin_frame(self, flags: int, size: int, beginning: bytes) -> None:
        """Start to collect a long frame that begins like this. It is kept: it cannot be opened in pieces."""
        self._beginning = b""
        self._flags = flags
        self._frame = FramePieces(size)
        self._frame.add(beginning)

    def _take_whole(self, flags: int, content: bytes, messages: list[list[bytes]]) -> None:
        """Take a command of the handshake, or a sealed frame. Raises Gone."""
        try:
            if not self._curve.ready:
                reply = self._curve.take(content)
                self._send([head_of_frame(_COMMAND, len(reply)), reply])
                self._note_key(self._curve.key)
                return
            sealed_flags, frame = self._curve.open(content)
        except Refused as refused:
            if refused.reason:
                said = error_command(refused.reason)
                self._send([head_of_frame(_COMMAND, len(said)), said])
            raise Gone(str(refused)) from None
        if not sealed_flags & _SEALED_COMMAND:
            self._take_frame(_MORE if sealed_flags & _SEALED_MORE else 0, frame, messages)
        elif len(frame) <= _COMMAND_BYTES_MAX:
            self._take_command(frame)
        else:
            raise Gone(f"a command of {len(frame)} bytes")

    def _note_key(self, key: ListedKey | None) -> None:
        if key is not None:
            self.key, self.role = key, int(key.role)
            self.shows_life = True

    def _send_command(self, command: bytes) -> None:
        sealed = self._curve.seal(_SEALED_COMMAND, command)
        self._send([head_of_frame(0, len(sealed)), sealed])
