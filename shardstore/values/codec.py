"""What a codec of values is. Any object with these names is one."""

from __future__ import annotations

from typing import Protocol, TypeVar

V = TypeVar("V")


class ValueCodec(Protocol[V]):
    """Turns values into bytes and back. It may have `encode_many` and `decode_many` too, which take and return lists.

    A codec whose bytes change gets a new version. One that still reads the bytes of the former version says so by
    keeping it: a space refuses a codec of another version.
    """

    @property
    def name(self) -> str:
        """Letters, digits, `_`, `.` and `-`, with a letter first. It is stored with the space."""
        ...

    @property
    def version(self) -> int:
        """The version of the bytes, from 1 on."""
        ...

    def encode(self, value: V) -> bytes:
        """Return the bytes of a value. May raise anything; nothing is written then."""
        ...

    def decode(self, data: bytes) -> V:
        """Return the value with these bytes. May raise anything for bytes that `encode` does not write."""
        ...
