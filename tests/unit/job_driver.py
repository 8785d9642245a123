"""A small worker for jobs: a log to append to and sync, segments, and jobs that run to their end."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from shardstore.identifiers import TOMBSTONE, ClientId, Epoch, RequestId, SegmentId, Stored
from shardstore.key_range import EVERYTHING, KeyRange
from shardstore.seams.filesystem import Filesystem
from shardstore.segment_options import DEFAULTS, SegmentOptions
from shardstore.tables.manifest import Manifest, read_manifest
from shardstore.tables.segment import Segment
from shardstore.tables.table_reader import Table
from shardstore.wire.columns import encode
from shardstore.wire.wire_format import Flag
from shardstore.workers.jobs.run import run
from shardstore.workers.jobs.specs import (
    CompactionKind,
    CompactResult,
    CompactSpec,
    DrainSpec,
    JobResult,
    ReleaseSpec,
    SegmentDrain,
    Spec,
)
from shardstore.workers.segment.manifest_writer import create_segment
from shardstore.workers.wal.log_document import LogDocument, publish_log_document
from shardstore.workers.wal.record_format import RecordKind
from shardstore.workers.wal.writer import WalWriter
from tests.unit.layer_reading import only_table
from tests.unit.wal_driver import sync

STORE = "store-of-the-tests"
WORKER = 3
LOG_ID = 2**63 + 5
Outcome = TypeVar("Outcome")


def run_to_end(spec: Spec, filesystem: Filesystem, options: SegmentOptions = DEFAULTS) -> JobResult:
    return job_result(run(spec, filesystem, options))


def job_result(job: Generator[None, None, Outcome]) -> Outcome:
    """Run a job, or a part of one, to its end."""
    while True:
        try:
            next(job)
        except StopIteration as end:
            result: Outcome = end.value
            return result


@dataclass
class JobDriver:
    """The worker. `model`: the data written, by segment."""

    filesystem: Filesystem
    segments: tuple[int, ...] = (1, 2)
    file_bytes: int = 100_000
    options: SegmentOptions = DEFAULTS
    model: dict[int, dict[bytes, Stored]] = field(default_factory=dict)
    drained_lsn: int = 0
    writer: WalWriter = field(init=False)

    def __post_init__(self) -> None:
        self.filesystem.make_directory("workers/0003")
        publish_log_document(self.filesystem, LogDocument(STORE, WORKER, LOG_ID, 0))
        for segment in self.segments:
            create_segment(self.filesystem, STORE, segment, EVERYTHING, 1)
            self.model[segment] = {}
        self.writer = WalWriter(self.filesystem, WORKER, LOG_ID, 1, 0, (), file_bytes=self.file_bytes)

    def put(self, segment: int, entries: Mapping[bytes, bytes]) -> None:
        keys, values = encode(list(entries)), encode(list(entries.values()))
        layout = (Flag.KEYS_FIXED if keys.fixed else 0) | (Flag.VALUES_FIXED if values.fixed else 0)
        self._append(RecordKind.PUT, layout, len(entries), segment, keys.frame, values.frame)
        self.model[segment].update(entries)

    def delete(self, segment: int, keys: list[bytes]) -> None:
        column = encode(keys)
        layout = Flag.KEYS_FIXED if column.fixed else 0
        self._append(RecordKind.DELETE, layout, len(keys), segment, column.frame, b"")
        self.model[segment].update(dict.fromkeys(keys, TOMBSTONE))

    def clear(self, segment: int, start: bytes, end: bytes) -> None:
        self._append(RecordKind.CLEAR, 0, 0, segment, start, end)
        cleared = KeyRange(start, end)
        self.model[segment] = {key: value for key, value in self.model[segment].items() if key not in cleared}

    def sync(self) -> None:
        sync(self.filesystem, self.writer)

    def drain_spec(self, *segments: int) -> DrainSpec:
        last = self.writer.lsn_appended
        drains = tuple(
            SegmentDrain(segment, self.drained_lsn + 1, last, 6, {"clients": [[1, 2, {3: 4}]]})
            for segment in segments or self.segments
        )
        return DrainSpec(WORKER, STORE, LOG_ID, drains)

    def drain(self) -> JobResult:
        result = self.run(self.drain_spec())
        self.drained_lsn = self.writer.lsn_appended
        return result

    def compact(self, segment: int, kind: CompactionKind = CompactionKind.EVERYTHING, bottom: int = 0) -> CompactResult:
        result = self.run(self.compact_spec(segment, kind, bottom))
        assert isinstance(result, CompactResult)
        return result

    def run(self, spec: Spec, filesystem: Filesystem | None = None) -> JobResult:
        """Run a job; with a filesystem of its own, it runs as another process would."""
        return run_to_end(spec, filesystem or self.filesystem, self.options)

    def manifest(self, segment: int) -> Manifest:
        return read_manifest(self.filesystem, STORE, segment)

    def compact_spec(
        self, segment: int, kind: CompactionKind = CompactionKind.EVERYTHING, bottom: int = 0
    ) -> CompactSpec:
        return CompactSpec(STORE, segment, kind, 11, bottom)

    def release_spec(self, *paths: str) -> ReleaseSpec:
        return ReleaseSpec(WORKER, STORE, LOG_ID, self.drained_lsn, self.drained_lsn, {}, paths)

    def alive(self, segment: int) -> dict[bytes, bytes]:
        """The written and not deleted entries, in key order."""
        return {key: value for key, value in sorted(self.model[segment].items()) if isinstance(value, bytes)}

    def stored(self, segment: int) -> dict[bytes, Stored]:
        """The results of the segment's tables for all keys ever written, without unknown keys."""
        keys = list(self.model[segment])
        found = Segment.open(self.filesystem, STORE, segment).get_many(keys)
        return {key: value for key, value in zip(keys, found, strict=True) if value is not None}

    def stored_alive(self, segment: int) -> dict[bytes, bytes]:
        """The present entries among these."""
        return {key: value for key, value in self.stored(segment).items() if isinstance(value, bytes)}

    def only_table(self, segment: int) -> Table:
        """The only table of a segment."""
        return only_table(Segment.open(self.filesystem, STORE, segment))

    def _append(self, kind: RecordKind, layout: int, entries: int, segment: int, keys: bytes, values: bytes) -> None:
        request = RequestId(ClientId(9), self.writer.lsn_appended + 1)
        self.writer.append(kind, layout, entries, SegmentId(segment), Epoch(1), request, keys, values)
