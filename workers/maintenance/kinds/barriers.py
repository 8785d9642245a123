"""Tracks FLUSH and COMPACT requests until they are done.

FLUSH    waits until tables hold everything that was written before it
COMPACT  waits for the same, and then for a compaction of everything that begins afterwards
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from shardstore.wire.wire_format import Op
from shardstore.workers.serving.reply import Asker


@dataclass(frozen=True, slots=True)
class Barrier:
    """A FLUSH or COMPACT that waits until the segment's tables hold everything up to `lsn`.

    `asker` gets a reply at its end; None if it was sent with NO_WAIT.
    """

    op: int
    lsn: int
    asker: Asker | None


@dataclass(slots=True)
class Barriers:
    """All unfinished FLUSH and COMPACT requests of a worker.

    `compactions`: the segments whose compaction is wanted and has not begun, with the requests that wait for it, if
    any.
    """

    compactions: dict[int, list[Asker]] = field(default_factory=dict)
    _waiting: dict[int, list[Barrier]] = field(default_factory=dict)
    _compacting: list[Asker] = field(default_factory=list)
    _compacting_segment: int | None = None

    def __contains__(self, segment: int) -> bool:
        """Whether a FLUSH or COMPACT of the segment has not ended yet."""
        return segment in self._waiting or segment in self.compactions or segment == self._compacting_segment

    def add(self, segment: int, barrier: Barrier) -> None:
        """Add a request that waits."""
        self._waiting.setdefault(segment, []).append(barrier)

    def reached(self, segment: int, drained_lsn: float) -> list[Asker]:
        """Note that tables hold everything up to this LSN. Returns each FLUSH that is done.

        A COMPACT that has waited for that now waits for its compaction.
        """
        waiting = self._waiting.pop(segment, [])
        reached = [barrier for barrier in waiting if barrier.lsn <= drained_lsn]
        if len(reached) < len(waiting):
            self._waiting[segment] = [barrier for barrier in waiting if barrier not in reached]
        if any(barrier.op == Op.COMPACT for barrier in reached):
            self.compactions.setdefault(segment, []).extend(_askers(reached, Op.COMPACT))
        return _askers(reached, Op.FLUSH)

    def compaction_begins(self, segment: int) -> None:
        """Note that the wanted compaction of a segment begins: all requests for one now wait for its end."""
        if segment in self.compactions:
            self._compacting_segment, self._compacting = segment, self.compactions.pop(segment)

    def compaction_ends(self) -> list[Asker]:
        """Note that the compaction has ended. Returns the requests that waited for its end."""
        askers, self._compacting, self._compacting_segment = self._compacting, [], None
        return askers

    def compact_again(self, segment: int, askers: Iterable[Asker]) -> None:
        """Let requests whose compaction failed wait for the next one."""
        self.compactions.setdefault(segment, []).extend(askers)

    def put_off(self, segment: int) -> list[Asker]:
        """Drop the requests that wait for a failed job of the segment. Returns them: they must be sent again.

        Requests with NO_WAIT stay, and a compaction stays wanted.
        """
        waiting = self._waiting.pop(segment, [])
        if kept := [barrier for barrier in waiting if barrier.asker is None]:
            self._waiting[segment] = kept
        asking = [barrier.asker for barrier in waiting if barrier.asker]
        if segment in self.compactions:
            asking += self.compactions[segment]
            self.compactions[segment] = []
        return asking

    def leave(self, segment: int) -> list[Asker]:
        """Drop each COMPACT of a segment that is flushed, but not compacted any more. Returns those that waited."""
        waiting = self._waiting.pop(segment, [])
        flushes = [barrier for barrier in waiting if barrier.op == Op.FLUSH]
        if flushes:
            self._waiting[segment] = flushes
        return [*_askers(waiting, Op.COMPACT), *self.compactions.pop(segment, [])]

    def leave_all(self, segment: int) -> list[Asker]:
        """Drop all requests of a segment that gets no more jobs. Returns those that waited."""
        compactions = self.leave(segment)
        return [*_askers(self._waiting.pop(segment, []), Op.FLUSH), *compactions]


def _askers(barriers: Iterable[Barrier], op: Op) -> list[Asker]:
    return [barrier.asker for barrier in barriers if barrier.op == op and barrier.asker]
