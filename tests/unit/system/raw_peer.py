"""A ZMTP stream, and the other end of its connection, which sends raw bytes."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, Self, TypeVar

from shardstore.limits import KIB, MIB
from shardstore.system.zmtp import ZmtpStream

StreamT = TypeVar("StreamT", bound=ZmtpStream)


class RawPeer(Generic[StreamT]):
    """Sends raw bytes to a stream, and collects the messages that the stream takes."""

    def __init__(self, stream_over: Callable[[socket.socket], StreamT]) -> None:
        ours, self.theirs = socket.socketpair()
        self.stream = stream_over(ours)
        self.theirs.setblocking(False)
        self.messages: list[list[bytes]] = []
        self.held_bytes_most = 0

    def say(self, data: bytes) -> None:
        """Send all bytes, while the stream takes what arrives."""
        left = memoryview(data)
        while left:
            with suppress(BlockingIOError):
                left = left[self.theirs.send(left[: 100 * KIB]) :]
            self.take()
        for _ in range(5):
            self.take()

    def take(self) -> None:
        """Let the stream take what has arrived."""
        self.messages += self.stream.take()
        self.held_bytes_most = max(self.held_bytes_most, self.stream.arrived_bytes)

    def hear(self) -> bytes:
        """Return what the stream has sent."""
        return self.theirs.recv(MIB)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.theirs.close()
        self.stream.close()
