"""The files with secret keys: of a server (SERVER.KEY in its data directory), and of each client. Mode 0600.

    # a line that begins with # says something to people
    shardstore client key 1             or: shardstore server key 1
    name alice                          client only: name and role in KEYS of the server
    role read
    server 3a5c...                      client only: the public key of the server
    public 8d3e...                      this public key,
    secret 77f0...                      and its secret; 64 hex digits each

The objects show no secret in their `repr`, and errors repeat no line of a file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

CLIENT_LINE = "shardstore client key 1"
SERVER_LINE = "shardstore server key 1"
_COMMENT = "# Whoever has this file can use the store in the name of its owner: show it to nobody."
_KEY = re.compile(r"[0-9a-f]{64}")
_OF_CLIENT = ("name", "role", "server", "public", "secret")
_OF_SERVER = ("public", "secret")
KEY_FILE_BYTES_MAX = 4096


class InvalidKeyFile(ValueError):
    """The text is no file of a key. The message does not repeat it."""


@dataclass(frozen=True, slots=True)
class ServerKey:
    """The key pair of a server."""

    public: bytes
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ClientKey:
    """The key pair of a client, and the public key of its server. Name and role are those that it was made with."""

    name: str
    role: str
    server: bytes
    public: bytes
    secret: bytes = field(repr=False)


def encode_server_key(key: ServerKey) -> bytes:
    """Return the content of SERVER.KEY."""
    return _encode(SERVER_LINE, {"public": key.public.hex(), "secret": key.secret.hex()})


def decode_server_key(data: bytes) -> ServerKey:
    """Return the key in the content of SERVER.KEY. Raises InvalidKeyFile."""
    words = _decode(data, SERVER_LINE, _OF_SERVER)
    return ServerKey(_bytes_of(words, "public"), _bytes_of(words, "secret"))


def encode_client_key(key: ClientKey) -> bytes:
    """Return the content of a client's key file."""
    keys = {"server": key.server.hex(), "public": key.public.hex(), "secret": key.secret.hex()}
    return _encode(CLIENT_LINE, {"name": key.name, "role": key.role, **keys})


def decode_client_key(data: bytes) -> ClientKey:
    """Return the key in the content of a client's key file. Raises InvalidKeyFile."""
    words = _decode(data, CLIENT_LINE, _OF_CLIENT)
    keys = [_bytes_of(words, name) for name in ("server", "public", "secret")]
    return ClientKey(words["name"], words["role"], *keys)


def _encode(first: str, words: dict[str, str]) -> bytes:
    lines = [_COMMENT, first, *(f"{name} {word}" for name, word in words.items())]
    return "".join(f"{line}\n" for line in lines).encode()


def _decode(data: bytes, first: str, names: tuple[str, ...]) -> dict[str, str]:
    if len(data) > KEY_FILE_BYTES_MAX:
        raise InvalidKeyFile(f"it has more than {KEY_FILE_BYTES_MAX} bytes")
    text = data.decode("ascii", "replace")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if not lines or lines[0] != first:
        raise InvalidKeyFile(f"its first line is not {first!r}")
    pairs = [line.partition(" ")[::2] for line in lines[1:]]
    if tuple(name for name, _ in pairs) != names:
        raise InvalidKeyFile(f"its lines are not {', '.join(names)}")
    return dict(pairs)


def _bytes_of(words: dict[str, str], name: str) -> bytes:
    if not _KEY.fullmatch(words[name]):
        raise InvalidKeyFile(f"{name} is not 64 hex digits")
    return bytes.fromhex(words[name])
