"""The trace of a simulation: a hash over all events of all cores, in order, and the latest of them as text."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Sequence
from typing import Any

from shardstore.seams.effects import Core, Effect, Received, Send
from shardstore.wire.wire_format import decode_header

LATEST = 400


class Trace:
    """Hashes events in order, and keeps the latest `keep` lines to show them."""

    def __init__(self, keep: int = LATEST) -> None:
        self._hash = hashlib.blake2b(digest_size=16)
        self.events = 0
        self._lines: deque[tuple[int, tuple[object, ...]]] = deque(maxlen=keep)

    def note(self, now_ns: int, *what: object) -> None:
        """Add an event."""
        self._note(now_ns, what, repr(what).encode())

    def note_event(self, now_ns: int, name: str, event: Any, effects: Sequence[Effect]) -> None:
        """Add an event that a core handled, and its effects."""
        self._note(now_ns, (name, event, *effects), b"".join((name.encode(), *map(folded, (event, *effects)))))

    def _note(self, now_ns: int, what: tuple[object, ...], folded: bytes) -> None:
        self.events += 1
        self._hash.update(b"%d %s\n" % (now_ns, folded))
        self._lines.append((now_ns, what))

    def digest(self) -> str:
        """The hash so far."""
        return self._hash.hexdigest()

    def lines(self) -> list[str]:
        """The latest events, as text."""
        return [f"{now_ns / 1e6:12.3f} ms  " + "  ".join(map(described, what)) for now_ns, what in self._lines]

    def traced(self, name: str, core: Core) -> TracedCore:
        """The protocol of the cores that are traced."""
        return TracedCore(self, name, core)


class TracedCore:
    """A core that adds its events and effects to the trace."""

    def __init__(self, trace: Trace, name: str, core: Core) -> None:
        self._trace = trace
        self._name = name
        self.core = core

    def start(self, now_ns: int) -> list[Effect]:
        """See Core."""
        return self._noted("start", self.core.start(now_ns), now_ns)

    def handle(self, event: Any, now_ns: int) -> list[Effect]:
        """See Core."""
        return self._noted(event, self.core.handle(event, now_ns), now_ns)

    def end_turn(self, now_ns: int) -> list[Effect]:
        """See Core."""
        effects = self.core.end_turn(now_ns)
        return self._noted("end of a turn", effects, now_ns) if effects else effects

    def wakeup_ns(self) -> int | None:
        """See Core."""
        return self.core.wakeup_ns()

    def _noted(self, event: Any, effects: list[Effect], now_ns: int) -> list[Effect]:
        self._trace.note_event(now_ns, self._name, event, effects)
        return effects


def folded(thing: Any) -> bytes:
    """The part of an event or effect that is hashed, the same in every process; as readable text only if shown."""
    name = type(thing).__name__.encode()
    if isinstance(thing, Received | Send):
        return b"|".join((name, thing.link.encode(), thing.peer, *thing.frames))
    return name


def described(thing: Any) -> str:
    """A short readable text of an event or effect."""
    if isinstance(thing, str):
        return thing
    if isinstance(thing, Received | Send):
        digest = hashlib.blake2b(b"|".join(thing.frames), digest_size=4).hexdigest()
        return f"{type(thing).__name__} {thing.link} {thing.peer.hex()} {_header(thing.frames[0])} {digest}"
    return type(thing).__name__


def _header(frame: bytes) -> str:
    header = decode_header(frame)
    return f"op {header.op} status {header.status} segment {header.segment} epoch {header.epoch} #{header.sequence}"
