"""Callers of FLUSH and COMPACT, and how far each of them is.

FLUSH    waits until the tables hold what was written before it
COMPACT  waits for that, and then for a compaction of everything that begins after it
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from shardstore.wire.wire_format import Op
from shardstore.workers.serving.reply import Asker


@dataclass(frozen=True, slots=True)
class Barrier:
    """A FLUSH or COMPACT that waits until the segment's tables hold everything up to `lsn`.

    `asker` waits for its end; None for one that did not want to wait.
    """

    op: int
    lsn: int
    asker: Asker | None


@dataclass(slots=True)
class Barriers:
    """`compactions`: who waits, by segment, for a compaction that is to begin; nobody, where none wanted to wait."""

    compactions: dict[int, list[Asker]] = field(default_factory=dict)
    _waiting: dict[int, list[Barrier]] = field(default_factory=dict)
    _compacting: list[Asker] = field(default_factory=list)
    _compacting_segment: int | None = None

    def __contains__(self, segment: int) -> bool:
        """Whether a FLUSH or COMPACT of the segment has not ended yet."""
        return segment in self._waiting or segment in self.compactions or segment == self._compacting_segment

    def add(self, segment: int, barrier: Barrier) -> None:
        """One more waits."""
        self._waiting.setdefault(segment, []).append(barrier)

    def reached(self, segment: int, drained_lsn: float) -> list[Asker]:
        """The tables hold everything up to there: who waits for no more; a COMPACT has its compaction to come now."""
        waiting = self._waiting.pop(segment, [])
        reached = [barrier for barrier in waiting if barrier.lsn <= drained_lsn]
        if len(reached) < len(waiting):
            self._waiting[segment] = [barrier for barrier in waiting if barrier not in reached]
        if any(barrier.op == Op.COMPACT for barrier in reached):
            self.compactions.setdefault(segment, []).extend(_askers(reached, Op.COMPACT))
        return _askers(reached, Op.FLUSH)

    def compaction_begins(self, segment: int) -> None:
        """All who wait for one of the segment wait for this one."""
        if segment in self.compactions:
            self._compacting_segment, self._compacting = segment, self.compactions.pop(segment)

    def compaction_ends(self) -> list[Asker]:
        """Who waited for the one that has begun, if any did."""
        askers, self._compacting, self._compacting_segment = self._compacting, [], None
        return askers

    def compact_again(self, segment: int, askers: Iterable[Asker]) -> None:
        """The compaction failed: these wait for the next."""
        self.compactions.setdefault(segment, []).extend(askers)

    def put_off(self, segment: int) -> list[Asker]:
        """A job of the segment failed: who waits for one is to ask again. What nobody waits for is still to be done."""
        waiting = self._waiting.pop(segment, [])
        if kept := [barrier for barrier in waiting if barrier.asker is None]:
            self._waiting[segment] = kept
        asking = [barrier.asker for barrier in waiting if barrier.asker]
        if segment in self.compactions:
            asking += self.compactions[segment]
            self.compactions[segment] = []
        return asking

    def leave(self, segment: int) -> list[Asker]:
        """The segment is not compacted any more, but flushed: who waited for a compaction of it."""
        waiting = self._waiting.pop(segment, [])
        flushes = [barrier for barrier in waiting if barrier.op == Op.FLUSH]
        if flushes:
            self._waiting[segment] = flushes
        return [*_askers(waiting, Op.COMPACT), *self.compactions.pop(segment, [])]

    def leave_all(self, segment: int) -> list[Asker]:
        """No job of the segment runs any more: who waited for one."""
        compactions = self.leave(segment)
        return [*_askers(self._waiting.pop(segment, []), Op.FLUSH), *compactions]


def _askers(barriers: Iterable[Barrier], op: Op) -> list[Asker]:
    return [barrier.asker for barrier in barriers if barrier.op == op and barrier.asker]
