"""The effects of a session besides Send, and its events besides those of the transport.

A list of calls is an event: they are new. A call is an effect: it has ended, and says how. So neither needs an object
of its own.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from shardstore.client.calls.calls import Call
from shardstore.seams.effects import LinkEvent, Received, Send, SendFailed, Tick

NewCalls: TypeAlias = list[Call]
"""Event: these calls were submitted. Single operations among them may be gathered into one request."""


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


SessionEvent: TypeAlias = NewCalls | Abandon | Await | Received | LinkEvent | SendFailed | Tick
SessionEffect: TypeAlias = Send | Connect | Disconnect | Call
