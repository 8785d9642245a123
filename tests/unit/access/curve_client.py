"""The client's side of a CURVE connection, for tests: written from RFC 26, apart from the server's side."""

from __future__ import annotations

import os
import struct

from nacl.public import Box, PrivateKey, PublicKey

METADATA = b"\x0bSocket-Type\x00\x00\x00\x06DEALER\x08Identity\x00\x00\x00\x00"


class CurveClient:
    """One connection of a client. What it says can be changed by setting its fields before."""

    def __init__(self, server: bytes, own: PrivateKey | None = None) -> None:
        self.server = PublicKey(server)
        self.own = own or PrivateKey.generate()
        self.short = PrivateKey.generate()
        self.nonce = 0
        self.cookie = b""
        self.vouched = bytes(self.short.public_key) + server
        self.metadata = METADATA

    @property
    def public(self) -> bytes:
        return bytes(self.own.public_key)

    def next_nonce(self) -> bytes:
        self.nonce += 1
        return struct.pack(">Q", self.nonce)

    def hello(self) -> bytes:
        nonce = self.next_nonce()
        box = Box(self.short, self.server).encrypt(bytes(64), b"CurveZMQHELLO---" + nonce).ciphertext
        return b"\x05HELLO\x01\x00" + bytes(72) + bytes(self.short.public_key) + nonce + box

    def take_welcome(self, welcome: bytes) -> None:
        assert welcome[:8] == b"\x07WELCOME"
        assert len(welcome) == 168
        content = Box(self.short, self.server).decrypt(welcome[24:], b"WELCOME-" + welcome[8:24])
        self.theirs = PublicKey(content[:32])
        self.cookie = content[32:]

    def initiate(self) -> bytes:
        long_nonce, nonce = os.urandom(16), self.next_nonce()
        vouch = Box(self.own, self.theirs).encrypt(self.vouched, b"VOUCH---" + long_nonce).ciphertext
        content = self.public + long_nonce + vouch + self.metadata
        box = Box(self.short, self.theirs).encrypt(content, b"CurveZMQINITIATE" + nonce).ciphertext
        return b"\x08INITIATE" + self.cookie + nonce + box

    def take_ready(self, ready: bytes) -> bytes:
        """The metadata of the server."""
        assert ready[:6] == b"\x05READY"
        return Box(self.short, self.theirs).decrypt(ready[14:], b"CurveZMQREADY---" + ready[6:14])

    def seal(self, flags: int, frame: bytes) -> bytes:
        nonce = self.next_nonce()
        content = bytes((flags,)) + frame
        box = Box(self.short, self.theirs).encrypt(content, b"CurveZMQMESSAGEC" + nonce).ciphertext
        return b"\x07MESSAGE" + nonce + box

    def open(self, sealed: bytes) -> tuple[int, bytes]:
        assert sealed[:8] == b"\x07MESSAGE"
        content = Box(self.short, self.theirs).decrypt(sealed[16:], b"CurveZMQMESSAGES" + sealed[8:16])
        return content[0], content[1:]
