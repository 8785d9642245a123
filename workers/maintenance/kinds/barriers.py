"""Tracks FLUSH and COMPACT requests until they are done.

FLUSH    waits until tables hold everything that was written before it
COMPACT  waits for the same, and then for a compaction of everything that begins afterwards
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from shardstore.wire.wire_format import Op
from shardstore.workers.jobs.specs import CompactSpec, Spec
from shardstore.workers.ranges.owned_range import OwnedRange
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

    Invariants: each request waits for something that will come. Before a segment's tables hold everything, it has a run
    that the request waits for; a compaction is wanted only of a segment that may still be compacted; if requests wait
    for the end of a compaction, it runs.
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

    def drop_to_retry(self, segment: int) -> list[Asker]:
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

    def drop_compacts(self, segment: int) -> list[Asker]:
        """Drop each COMPACT of a segment that is flushed, but not compacted any more. Returns those that waited."""
        waiting = self._waiting.pop(segment, [])
        flushes = [barrier for barrier in waiting if barrier.op == Op.FLUSH]
        if flushes:
            self._waiting[segment] = flushes
        return [*_askers(waiting, Op.COMPACT), *self.compactions.pop(segment, [])]

    def drop_all(self, segment: int) -> list[Asker]:
        """Drop all requests of a segment that gets no more jobs. Returns those that waited."""
        compactions = self.drop_compacts(segment)
        return [*_askers(self._waiting.pop(segment, []), Op.FLUSH), *compactions]

    def check_invariants(self, ranges: Mapping[int, OwnedRange], compacting: Spec | None) -> None:
        """Raise AssertionError if an invariant of this class does not hold. `compacting`: the compaction that runs."""
        segments = self._waiting.keys() | self.compactions.keys()
        assert segments <= ranges.keys(), "a request waits for a segment that is not here"
        for segment, waiting in self._waiting.items():
            runs = ranges[segment].overlay.runs
            assert waiting, "a segment is kept for which nothing waits"
            assert runs, "a request waits for a drain, and there is no run"
            assert all(runs[0].lsn_last <= barrier.lsn for barrier in waiting), "a request waits for what was drained"
        for segment in self.compactions:
            owned = ranges[segment]
            may_compact = owned.job_damage is None and not owned.role.is_fenced
            assert may_compact, "a compaction is wanted of a segment that is not compacted any more"
        if self._compacting_segment is None:
            assert not self._compacting, "requests wait for the end of a compaction, and none was begun for them"
        else:
            is_awaited = isinstance(compacting, CompactSpec) and compacting.segment == self._compacting_segment
            assert is_awaited, "requests wait for the end of a compaction that does not run"


def _askers(barriers: Iterable[Barrier], op: Op) -> list[Asker]:
    return [barrier.asker for barrier in barriers if barrier.op == op and barrier.asker]
