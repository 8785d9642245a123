"""The outcome token: bytes with which any client of the store can ask what became of a write.

u8 version (2) | msgpack map: the fields of OutcomeToken

A part of a write is one request. The owner of its keys knows it by client id and sequence. Only parts that were sent
and not answered are in doubt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from shardstore.errors import InvalidRequest
from shardstore.limits import KEY_BYTES_MAX, KEY_BYTES_MIN
from shardstore.outcome import Ending, Outcome
from shardstore.wire.messages import OutcomeQuestion, decode, encode
from shardstore.wire.wire_format import MalformedMessage

_VERSION = b"\x02"
_DAMAGED = "the token is damaged: hand over the bytes of OutcomeUnknown.token as they are"


@dataclass(frozen=True, slots=True)
class PartInDoubt:
    """A request that was sent and not answered, and one of its keys; `elsewhere` as in OutcomeQuestion."""

    client: int
    sequence: int
    key: bytes
    elsewhere: list[bytes] = field(default_factory=list)

    def question(self) -> OutcomeQuestion:
        """The question to the owner of the key. Raises MalformedMessage for invalid bounds."""
        return OutcomeQuestion(self.client, self.sequence, self.elsewhere)


@dataclass(frozen=True, slots=True)
class OutcomeToken:
    """The parts of a write that are in doubt. `applied` and `not_applied` count the other parts.

    A token without any part belongs to a write whose outcome cannot be found out.
    """

    parts: list[PartInDoubt]
    applied: int
    not_applied: int

    def encode(self) -> bytes:
        """The bytes of the token."""
        return _VERSION + encode(self)

    def outcome(self, endings: Sequence[Ending]) -> Outcome:
        """The outcome of the write, given the endings of its parts in doubt."""
        found = {*endings, *[Ending.APPLIED] * bool(self.applied), *[Ending.NOT_APPLIED] * bool(self.not_applied)}
        is_unknown = Ending.UNKNOWN in found or not found
        state = Ending.UNKNOWN if is_unknown else found.pop() if len(found) == 1 else Ending.PARTLY
        return Outcome(state, tuple(zip((part.key for part in self.parts), endings, strict=True)))


def from_bytes(token: Any) -> OutcomeToken:
    """Decode a token. Raises InvalidRequest for anything that is not one."""
    if not isinstance(token, bytes) or token[:1] != _VERSION:
        raise InvalidRequest("what is asked for its outcome is the token of an OutcomeUnknown")
    try:
        decoded = decode(OutcomeToken, token[1:])
        for part in decoded.parts:
            part.question()
    except MalformedMessage:
        raise InvalidRequest(_DAMAGED) from None
    keys_fit = all(KEY_BYTES_MIN <= len(part.key) <= KEY_BYTES_MAX and part.client for part in decoded.parts)
    if not keys_fit:
        raise InvalidRequest(_DAMAGED)
    return decoded


UNKNOWABLE = OutcomeToken([], 0, 0)
"""The token of a write whose outcome cannot be found out."""
