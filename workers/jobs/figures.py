"""Counts of what jobs read and wrote: of one job for one segment, and summed up."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from shardstore.stats_schema import JobStats


@dataclass(frozen=True, slots=True)
class JobFigures:
    """What a job did for one segment. All are 0 if an earlier job, which then died, had done it already.

    read_bytes      a drain: columns of the log records; a compaction: files of its inputs
    written_bytes   files of the new tables
    carried_bytes   files of the inputs that the new version took over unchanged
    entries_in      entries read, including tombstones and all versions of a key
    entries_out     entries written
    """

    read_bytes: int = 0
    written_bytes: int = 0
    carried_bytes: int = 0
    entries_in: int = 0
    entries_out: int = 0

    def __add__(self, other: JobFigures) -> JobFigures:
        return JobFigures(*(getattr(self, item.name) + getattr(other, item.name) for item in fields(JobFigures)))


@dataclass(slots=True)
class JobTotals:
    """Sums over the jobs of one kind since the worker started. `duration_ns` includes jobs that failed.

    `failed_last`: whether the latest job failed.
    """

    finished: int = 0
    failed: int = 0
    duration_ns: int = 0
    sum: JobFigures = field(default_factory=JobFigures)
    failed_last: bool = False

    def note_end(self, duration_ns: int, figures: JobFigures | None) -> None:
        """Count a job that has succeeded, with these figures, or failed (None)."""
        self.duration_ns += duration_ns
        self.failed_last = figures is None
        if figures is None:
            self.failed += 1
        else:
            self.finished += 1
            self.sum += figures

    def __add__(self, other: JobTotals) -> JobTotals:
        return JobTotals(
            self.finished + other.finished,
            self.failed + other.failed,
            self.duration_ns + other.duration_ns,
            self.sum + other.sum,
        )

    def plain(self) -> JobStats:
        """The sums as a flat map by name."""
        return {
            "finished": self.finished,
            "failed": self.failed,
            "duration_ns": self.duration_ns,
            "read_bytes": self.sum.read_bytes,
            "written_bytes": self.sum.written_bytes,
            "carried_bytes": self.sum.carried_bytes,
            "entries_in": self.sum.entries_in,
            "entries_out": self.sum.entries_out,
        }
