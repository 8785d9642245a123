"""The server's side of a CURVE connection, without input and output: commands in, commands out.

ZeroMQ's mechanism for encryption and authentication, RFC 26 at rfc.zeromq.org. Numbers are big-endian; C, S are the
lasting public keys of client and server, C', S' those of this connection only.

    client                                                                                              bytes
    HELLO      "\\x05HELLO" | version 1, 0 | 72 zeros | C' | nonce | Box[64 zeros](C'->S)                  200
                   server: WELCOME  "\\x07WELCOME" | long nonce | Box[S' | cookie](S->C')                  168
    INITIATE   "\\x08INITIATE" | cookie | nonce | Box[C | long nonce | Box[C' | S](C->S') | metadata]      257 and more
                   server: READY    "\\x05READY" | nonce | Box[metadata](S'->C')
    then both  "\\x07MESSAGE" | nonce | Box[flags | one frame](C'->S' or S'->C')                           33 and more
               flags: 1 more frames follow, 2 the frame is a command

A nonce has 8 bytes and grows with each command of a side, so that none can be repeated or put elsewhere. A long nonce
has 16 random bytes. The cookie is 96 random bytes, which the client must return: this side keeps the state of a
connection anyway, so the cookie carries none. The list of keys is asked when INITIATE has proved the client's key.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from nacl.bindings import (
    crypto_box_beforenm,
    crypto_box_easy_afternm,
    crypto_box_open_easy_afternm,
    crypto_scalarmult_base,
    sodium_memcmp,
)
from nacl.exceptions import CryptoError
from nacl.exceptions import RuntimeError as RefusedByNacl

from shardstore.access.key_files import ServerKey
from shardstore.access.key_list import ListedKey
from shardstore.limits import KIB

KEY_BYTES = 32
HELLO_BYTES = 200
INITIATE_BYTES_MIN = 257
HANDSHAKE_BYTES_MAX = KIB
"""Maximum size of a command of the handshake: metadata are a socket type, and an identity of at most 255 bytes."""
_COOKIE_BYTES = 96
_LONG_NONCE_BYTES = 16
_NONCE_BYTES = 8
_BOX_BYTES = 16
"""What a box takes besides its content."""
_HELLO = b"\x05HELLO\x01\x00" + bytes(72)
_INITIATE = b"\x08INITIATE"
_MESSAGE = b"\x07MESSAGE"
_MESSAGE_HEAD = len(_MESSAGE) + _NONCE_BYTES
OVERHEAD_BYTES = _MESSAGE_HEAD + _BOX_BYTES + 1
"""What a sealed frame takes besides the frame."""
_NONCE_MAX = 2**64 - 1
_MORE_OR_COMMAND = 3

UNKNOWN_KEY = "400"
"""Reason in an ERROR command: the list does not have the client's key."""
OTHER_SERVER = "500"
"""Reason in an ERROR command: what came was not encrypted for this server."""

RandomBytes: TypeAlias = Callable[[int], bytes]
"""Returns so many random bytes that nobody can guess."""


class Refused(Exception):
    """The connection must be closed. `reason`: the reason of an ERROR command to be sent first; empty for none."""

    def __init__(self, what: str, reason: str = "") -> None:
        super().__init__(what)
        self.reason = reason


class Opened(NamedTuple):
    """A frame that was sealed, and its flags."""

    flags: int
    frame: bytes


class CurveServer:
    """One connection. `take` handles the handshake; when it is `ready`, `open` and `seal` handle frames.

    Invariant: `key` is the client's key in the list, proved by the client, exactly when it is `ready`.
    """

    def __init__(
        self, server: ServerKey, listed: Callable[[bytes], ListedKey | None], random: RandomBytes, metadata: bytes
    ) -> None:
        """`listed` returns the key with these public bytes if it is let in. `metadata` go into READY."""
        self._server = server
        self._listed = listed
        self._random = random
        self._metadata = metadata
        self._client = b""
        """C'. Empty until HELLO came."""
        self._public = self._secret = b""
        """S' and its secret."""
        self._cookie = b""
        self._shared = b""
        """What both sides compute from C' and S'."""
        self._heard = 0
        """The highest nonce of the client."""
        self._said = 0
        self.key: ListedKey | None = None

    @property
    def ready(self) -> bool:
        """Whether the client has proved its key."""
        return self.key is not None

    def take(self, command: bytes) -> bytes:
        """Handle a command of the handshake. Returns the command to reply with. Raises Refused."""
        if self.key is not None:
            raise Refused("a command of the handshake after its end")
        return self._initiated(command) if self._client else self._greeted(command)

    def open(self, sealed: bytes) -> Opened:
        """Return the frame in a MESSAGE. Raises Refused."""
        if self.key is None:
            raise Refused("a message before the end of the handshake")
        if len(sealed) < OVERHEAD_BYTES or not sealed.startswith(_MESSAGE):
            raise Refused(f"no sealed frame in {len(sealed)} bytes")
        nonce = self._newer(sealed[len(_MESSAGE) : _MESSAGE_HEAD])
        content = _opened(sealed[_MESSAGE_HEAD:], b"CurveZMQMESSAGEC" + nonce, self._shared)
        if content[0] & ~_MORE_OR_COMMAND:
            raise Refused(f"a sealed frame with the flags {content[0]}")
        return Opened(content[0], content[1:])

    def seal(self, flags: int, frame: bytes) -> bytes:
        """Return the MESSAGE that holds this frame."""
        assert self.key is not None, "nothing is sent before the end of the handshake"
        nonce = self._next()
        return b"".join((_MESSAGE, nonce, _box(bytes((flags,)) + frame, b"CurveZMQMESSAGES" + nonce, self._shared)))

    def check_invariants(self) -> None:
        """Raise AssertionError if an invariant of this class does not hold."""
        assert self.key is None or (self._shared and self._heard and not self._cookie), "let in without a handshake"

    def _greeted(self, command: bytes) -> bytes:
        """Handle HELLO."""
        if len(command) != HELLO_BYTES or not command.startswith(_HELLO):
            raise Refused(f"no HELLO in {len(command)} bytes")
        client, nonce, box = _cut(command[len(_HELLO) :], KEY_BYTES, _NONCE_BYTES)
        shared = _shared(client, self._server.secret)
        if _opened(box, b"CurveZMQHELLO---" + self._newer(nonce), shared, OTHER_SERVER) != bytes(64):
            raise Refused("no HELLO in its box")
        self._client = client
        self._public, self._secret = key_pair(self._random)
        self._cookie = self._random(_COOKIE_BYTES)
        long_nonce = self._random(_LONG_NONCE_BYTES)
        welcome = _box(self._public + self._cookie, b"WELCOME-" + long_nonce, shared)
        return b"\x07WELCOME" + long_nonce + welcome

    def _initiated(self, command: bytes) -> bytes:
        """Handle INITIATE."""
        if not INITIATE_BYTES_MIN <= len(command) <= HANDSHAKE_BYTES_MAX or not command.startswith(_INITIATE):
            raise Refused(f"no INITIATE in {len(command)} bytes")
        cookie, nonce, box = _cut(command[len(_INITIATE) :], _COOKIE_BYTES, _NONCE_BYTES)
        if not sodium_memcmp(cookie, self._cookie):
            raise Refused("another cookie than that of this connection")
        shared = _shared(self._client, self._secret)
        content = _opened(box, b"CurveZMQINITIATE" + self._newer(nonce), shared)
        public, long_nonce, vouch, _ = _cut(content, KEY_BYTES, _LONG_NONCE_BYTES, 2 * KEY_BYTES + _BOX_BYTES)
        vouched = _opened(vouch, b"VOUCH---" + long_nonce, _shared(public, self._secret))
        if not sodium_memcmp(vouched, self._client + self._server.public):
            raise Refused("the client does not vouch for this connection")
        key = self._listed(public)
        if key is None:
            raise Refused("its key is not in the list of keys", UNKNOWN_KEY)
        self.key = key
        self._shared = shared
        self._cookie = self._secret = b""
        nonce = self._next()
        return b"\x05READY" + nonce + _box(self._metadata, b"CurveZMQREADY---" + nonce, shared)

    def _newer(self, nonce: bytes) -> bytes:
        """Return the nonce of a command that came, if it is higher than all before it. Raises Refused."""
        number = int.from_bytes(nonce, "big")
        if number <= self._heard:
            raise Refused("a nonce that does not grow: the command was repeated")
        self._heard = number
        return nonce

    def _next(self) -> bytes:
        self._said += 1
        assert self._said < _NONCE_MAX, "no connection sends so many frames"
        return self._said.to_bytes(_NONCE_BYTES, "big")


def error_command(reason: str) -> bytes:
    """Return the ERROR command with this reason."""
    return b"\x05ERROR" + bytes((len(reason),)) + reason.encode()


def key_pair(random: RandomBytes) -> tuple[bytes, bytes]:
    """Return a new public key and its secret."""
    secret = random(KEY_BYTES)
    return crypto_scalarmult_base(secret), secret


def _cut(data: bytes, *sizes: int) -> list[bytes]:
    """Cut the data into pieces of these sizes, and the rest."""
    pieces, at = [], 0
    for size in sizes:
        pieces.append(data[at : at + size])
        at += size
    return [*pieces, data[at:]]


def _shared(public: bytes, secret: bytes) -> bytes:
    """Return what the holders of two key pairs have in common. Raises Refused for a public key that is none."""
    try:
        shared: bytes = crypto_box_beforenm(public, secret)
    except (CryptoError, RefusedByNacl):
        raise Refused("a public key that is none") from None
    return shared


def _box(content: bytes, nonce: bytes, shared: bytes) -> bytes:
    box: bytes = crypto_box_easy_afternm(content, nonce, shared)
    return box


def _opened(box: bytes, nonce: bytes, shared: bytes, reason: str = "") -> bytes:
    """Return the content of a box. Raises Refused if it was not made by who has the key, or was changed."""
    try:
        content: bytes = crypto_box_open_easy_afternm(box, nonce, shared)
    except (CryptoError, RefusedByNacl):
        raise Refused("a box that does not open", reason) from None
    return content
