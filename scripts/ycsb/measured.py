"""Figures by second and kind of operation: recorded in client processes, sent to the parent and added up there."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock

import numpy as np

from ycsb.answers import Faults
from ycsb.latencies import Latencies, Sparse
from ycsb.samples import SECOND_NS, Rows


@dataclass(slots=True)
class Figures:
    """The number of some operations, and the latencies of their calls."""

    operations: int = 0
    latencies: Latencies = field(default_factory=Latencies)
    """From the intended start of a call to its end."""
    service: Latencies = field(default_factory=Latencies)
    """From the actual start of a call to its end."""


@dataclass(frozen=True, slots=True)
class Part:
    """The encoded figures of one kind in one second. `service` is empty if it is the same as `latencies`."""

    second: int
    kind: int
    operations: int
    latencies: bytes
    service: bytes


@dataclass(frozen=True, slots=True)
class Parts:
    """What a client process has measured since its last message."""

    parts: list[Part]
    faults: Mapping[int, Faults]
    """The faults of each second."""
    ended_ns: int
    """The end of its last call."""


class Recorder:
    """Collects the samples of all runners of a client process by seconds. Thread-safe."""

    def __init__(self, begin_ns: int, paced: bool) -> None:
        self.stopped = False
        self._begin_ns = begin_ns
        self._paced = paced
        self._ended_ns = begin_ns
        self._figures: defaultdict[tuple[int, int], Figures] = defaultdict(Figures)
        self._faults: defaultdict[int, Faults] = defaultdict(Counter)
        self._lock = Lock()

    def take(self, rows: Rows, faults: Faults, now_ns: int) -> None:
        """See Taker."""
        seconds = (rows.ended_ns - self._begin_ns) // SECOND_NS
        with self._lock:
            for second in np.unique(seconds).tolist():
                self._record(second, Rows(*(column[seconds == second] for column in rows)))
            if faults:
                self._faults[(now_ns - self._begin_ns) // SECOND_NS].update(faults)
            self._ended_ns = max(self._ended_ns, now_ns)

    def parts(self) -> Parts:
        """Everything recorded since the last call of this method."""
        with self._lock:
            figures, self._figures = self._figures, defaultdict(Figures)
            faults, self._faults = self._faults, defaultdict(Counter)
        parts = [self._encoded(second, kind, taken) for (second, kind), taken in figures.items()]
        return Parts(parts, dict(faults), self._ended_ns)

    def _record(self, second: int, rows: Rows) -> None:
        for kind in np.unique(rows.kinds).tolist():
            of_kind = rows.kinds == kind
            figures = self._figures[second, kind]
            figures.operations += int(rows.operations[of_kind].sum())
            figures.latencies.record((rows.ended_ns - rows.intended_ns)[of_kind])
            if self._paced:
                figures.service.record((rows.ended_ns - rows.started_ns)[of_kind])

    def _encoded(self, second: int, kind: int, figures: Figures) -> Part:
        service = figures.service.encode() if self._paced else b""
        return Part(second, kind, figures.operations, figures.latencies.encode(), service)


@dataclass(frozen=True, slots=True)
class Point:
    """One second of the phase. Faults are errors and wrong answers."""

    second: int
    operations: int
    p50_ns: int
    p99_ns: int
    faults: int


@dataclass(slots=True)
class _Second:
    operations: int = 0
    faults: int = 0
    met: list[Sparse] = field(default_factory=list)


class Measured:
    """The sums of what all client processes have sent so far."""

    def __init__(self, begin_ns: int) -> None:
        self.kinds: defaultdict[int, Figures] = defaultdict(Figures)
        self.faults: Faults = Counter()
        self._begin_ns = begin_ns
        self._ended_ns = begin_ns
        # Seconds are kept in the sparse form: whole histograms for hours would fill the memory.
        self._seconds: defaultdict[int, _Second] = defaultdict(_Second)

    def add(self, parts: Parts) -> None:
        """Add the parts sent by one process."""
        for part in parts.parts:
            latencies = Latencies.decode(part.latencies)
            figures = self.kinds[part.kind]
            figures.operations += part.operations
            figures.latencies.add(latencies)
            figures.service.add(Latencies.decode(part.service) if part.service else latencies)
            self._seconds[part.second].operations += part.operations
            self._seconds[part.second].met.append(latencies.sparse())
        for second, faults in parts.faults.items():
            self.faults.update(faults)
            self._seconds[second].faults += faults.total()
        self._ended_ns = max(self._ended_ns, parts.ended_ns)

    @property
    def operations(self) -> int:
        """The number of operations that succeeded."""
        return sum(figures.operations for figures in self.kinds.values())

    @property
    def seconds(self) -> float:
        """Seconds from the common start to the end of the last call."""
        return (self._ended_ns - self._begin_ns) / SECOND_NS

    def point(self, second: int) -> Point:
        """The figures of this second so far."""
        kept = self._seconds.get(second, _Second())
        latencies = Latencies()
        for sparse in kept.met:
            latencies.add_sparse(sparse)
        p50_ns, p99_ns = latencies.percentiles_ns((50, 99))
        return Point(second, kept.operations, p50_ns, p99_ns, kept.faults)

    def points(self) -> list[Point]:
        """Every second from the first to the last, even if no call ended in it."""
        return [self.point(second) for second in range(max(self._seconds, default=-1) + 1)]
