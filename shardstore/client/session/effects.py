"""What a session asks of the client around it, besides Send; and the events it takes, besides those of transport."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

from shardstore.client.calls.calls import Call
from shardstore.seams.effects import Received, Send, SendFailed, Tick


class Submit(NamedTuple):
    """Event: calls that were made meanwhile; single operations among them are gathered."""

    calls: Sequence[Call]


class Abandon(NamedTuple):
    """Event: nobody waits for the call any more. It is never settled."""

    call: Call


class Await(NamedTuple):
    """Event: from now on somebody waits for a call that was held."""

    call: Call


class Connect(NamedTuple):
    """Effect: open a link to an endpoint, replacing an earlier one of that name."""

    link: str
    endpoint: str


class Disconnect(NamedTuple):
    """Effect: drop a link."""

    link: str


class Resolve(NamedTuple):
    """Effect: the call ended, with an error or else with a value."""

    call: Call
    value: Any
    error: Exception | None


Event: TypeAlias = Submit | Abandon | Await | Received | SendFailed | Tick
Effect: TypeAlias = Send | Connect | Disconnect | Resolve
