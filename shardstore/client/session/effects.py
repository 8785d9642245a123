"""The effects of a session besides Send, and its events besides those of the transport.

A call is an effect, too: it has ended, and says how. Submit, which every call needs, is not frozen; see
shardstore/seams/effects.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from shardstore.client.calls.calls import Call
from shardstore.seams.effects import Received, Send, SendFailed, Tick


@dataclass(slots=True)
class Submit:
    """Event: new calls. Single operations among them may be gathered into one request."""

    calls: Sequence[Call]


class Abandon(NamedTuple):
    """Event: nobody waits for the call any more. A write that was sent goes on; any other call just ends."""

    call: Call


class Await(NamedTuple):
    """Event: somebody waits for a held call now, so its time begins."""

    call: Call


class Connect(NamedTuple):
    """Effect: open a link to an endpoint. It replaces an earlier link of that name."""

    link: str
    endpoint: str


class Disconnect(NamedTuple):
    """Effect: drop a link."""

    link: str


SessionEvent: TypeAlias = Submit | Abandon | Await | Received | SendFailed | Tick
SessionEffect: TypeAlias = Send | Connect | Disconnect | Call
