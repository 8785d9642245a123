"""What is to be asked, and of whom, to learn what became of a write; as bytes that any client of the store may have.

u8 version (2) | msgpack map: the fields of OutcomeToken

A part of a write is one request, known to the owner of its keys by client id and sequence. Only those that left and
were not answered are in doubt.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from shardstore.errors import Busy, InvalidRequest, OutcomeUnknown, ShardstoreError, Unavailable
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
        """What its owner is asked. Raises MalformedMessage for bounds that are none."""
        return OutcomeQuestion(self.client, self.sequence, self.elsewhere)


@dataclass(frozen=True, slots=True)
class OutcomeToken:
    """`applied` and `not_applied` count the other parts of the write, of which that is certain.

    Without any part it is that of a write of which nobody can tell.
    """

    parts: list[PartInDoubt]
    applied: int
    not_applied: int

    def encode(self) -> bytes:
        """The bytes of the token."""
        return _VERSION + encode(self)

    def outcome(self, endings: Sequence[Ending]) -> Outcome:
        """The outcome of the write, when its parts in doubt ended so."""
        found = {*endings, *[Ending.APPLIED] * bool(self.applied), *[Ending.NOT_APPLIED] * bool(self.not_applied)}
        is_unknown = Ending.UNKNOWN in found or not found
        state = Ending.UNKNOWN if is_unknown else found.pop() if len(found) == 1 else Ending.PARTLY
        return Outcome(state, tuple(zip((part.key for part in self.parts), endings, strict=True)))


def from_bytes(token: Any) -> OutcomeToken:
    """What a token says. Raises InvalidRequest for anything that is none."""
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


def unknown_outcome(what: str, cause: Exception, token: OutcomeToken) -> OutcomeUnknown:
    """The error for a write that cannot be said not to be applied, because of another error."""
    last_word = cause.cause if isinstance(cause, Busy) else cause
    words = cause.what if isinstance(cause, OutcomeUnknown) else f"{what}; the last word was: {last_word}"
    unknown = OutcomeUnknown(words, token.encode())
    unknown.__cause__ = cause
    return unknown


def token_of_all(ends: Iterable[BaseException | None], applied: int) -> OutcomeToken:
    """The token of a write of several calls that ended so, None as applied, and `applied` well before them."""
    parts: list[PartInDoubt] = []
    not_applied = 0
    for error in ends:
        if error is None:
            applied += 1
        elif isinstance(error, OutcomeUnknown):
            token = from_bytes(error.token)
            parts += token.parts
            applied += token.applied
            not_applied += token.not_applied
        else:
            not_applied += 1
    return OutcomeToken(parts, applied, not_applied)


def error_of_all(ends: Sequence[ShardstoreError | None], applied: int) -> ShardstoreError:
    """How a write of several calls ends: the latest of them as listed, an error first, and `applied` well before them.

    An error that tells of neither lack nor doubt goes before the others.
    """
    first = ends[0]
    assert first is not None, "a write without an error needs none"
    if len(ends) == 1 and not applied:
        return first
    for error in ends:
        if error is not None and not isinstance(error, Busy | Unavailable | OutcomeUnknown):
            return error
    token = token_of_all(ends, applied)
    if not token.parts and not token.applied:
        return first
    return unknown_outcome("some of the pairs or keys may have been applied", first, token)
