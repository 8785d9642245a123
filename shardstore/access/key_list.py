"""KEYS: the public keys of the clients that a store lets in over tcp. A text file, mode 0600.

    shardstore keys 1
    alice read 8d3e1f0c...       name, role, public key as 64 hex digits; one line for each key, in the order of
    reports write 1b77a2e9...    their names

The file holds no secrets, but whoever can write it lets in whom they like.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from shardstore.client_role import ROLES, ClientRole
from shardstore.errors import InvalidRequest
from shardstore.limits import KEYS_MAX

FIRST_LINE = "shardstore keys 1"
PUBLIC_BYTES = 32
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LINE = re.compile(rf"({_NAME.pattern}) ({'|'.join(ROLES)}) ([0-9a-f]{{{2 * PUBLIC_BYTES}}})")


class ListedKey(NamedTuple):
    """A key that is let in."""

    name: str
    role: ClientRole
    public: bytes


class InvalidKeyList(ValueError):
    """The text is no list of keys. The message says where."""


def checked_name(name: str) -> str:
    """Return the name if a key may have it. Raises InvalidRequest."""
    if not _NAME.fullmatch(name):
        raise InvalidRequest(
            f"{name!r:.80} is no name of a key: it has 1 to 64 letters, digits, dots, dashes and underscores, and "
            "begins with a letter or a digit"
        )
    return name


def encode_key_list(listed: Iterable[ListedKey]) -> bytes:
    """Return the content of KEYS."""
    lines = [f"{each.name} {each.role.word} {each.public.hex()}" for each in sorted(listed)]
    return "".join(f"{line}\n" for line in (FIRST_LINE, *lines)).encode()


def decode_key_list(data: bytes) -> list[ListedKey]:
    """Return the keys in the content of KEYS. No two have the same name or public key. Raises InvalidKeyList."""
    first, *lines = data.decode("ascii", "replace").split("\n")
    if first != FIRST_LINE or not lines or lines.pop():
        raise InvalidKeyList(f"it does not begin with the line {FIRST_LINE!r}, or does not end with a line end")
    if len(lines) > KEYS_MAX:
        raise InvalidKeyList(f"{len(lines)} keys; there are at most {KEYS_MAX}")
    listed = []
    for number, line in enumerate(lines, 2):
        match = _LINE.fullmatch(line)
        if match is None:
            raise InvalidKeyList(f"line {number} is not a name, a role and a public key")
        listed.append(ListedKey(match[1], ROLES[match[2]], bytes.fromhex(match[3])))
    for number, each in enumerate(zip(*listed, strict=True)):
        if number != 1 and len(set(each)) < len(each):
            raise InvalidKeyList(f"two keys have the same {ListedKey._fields[number]}")
    return listed
