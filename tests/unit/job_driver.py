"""A small worker's life for jobs: a log that is appended to and synced, segments, and jobs run to their end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from shardstore.columns import encode
from shardstore.filesystem import Filesystem
from shardstore.identifiers import TOMBSTONE, ClientId, Epoch, RequestId, SegmentId, Stored
from shardstore.key_range import EVERYTHING
from shardstore.segment_options import DEFAULTS, SegmentOptions
from shardstore.wire_format import Flag
from workers.jobs.run import run
from workers.jobs.specs import CompactSpec, DrainSpec, ReleaseSpec, Result, SegmentDrain, Spec
from workers.segment.segment import Segment
from workers.wal.log_document import LogDocument, publish_log_document
from workers.wal.record_format import RecordKind
from workers.wal.writer import WalWriter

STORE = "store-of-the-tests"
WORKER = 3
LOG_ID = 2**63 + 5


def run_to_end(spec: Spec, filesystem: Filesystem, options: SegmentOptions = DEFAULTS) -> Result:
    job = run(spec, filesystem, options)
    while True:
        try:
            next(job)
        except StopIteration as end:
            result: Result = end.value
            return result


@dataclass
class JobDriver:
    """`model`: what was written, by segment."""

    filesystem: Filesystem
    segments: tuple[int, ...] = (1, 2)
    file_bytes: int = 100_000
    model: dict[int, dict[bytes, Stored]] = field(default_factory=dict)
    drained_lsn: int = 0
    writer: WalWriter = field(init=False)

    def __post_init__(self) -> None:
        self.filesystem.make_directory("workers/0003")
        publish_log_document(self.filesystem, LogDocument(STORE, WORKER, LOG_ID, 0))
        for segment in self.segments:
            Segment.create(self.filesystem, STORE, segment, EVERYTHING, 1)
            self.model[segment] = {}
        self.writer = WalWriter(self.filesystem, WORKER, LOG_ID, 1, 0, (), self.file_bytes)

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

    def sync(self) -> None:
        lsn = self.writer.lsn_appended
        for file in self.writer.unsynced_files():
            file.sync()
        self.writer.mark_synced(lsn)

    def drain_spec(self, *segments: int) -> DrainSpec:
        last = self.writer.lsn_appended
        drains = tuple(
            SegmentDrain(segment, self.drained_lsn + 1, last, 6, {"clients": [[1, 2, {3: 4}]]})
            for segment in segments or self.segments
        )
        return DrainSpec(WORKER, STORE, LOG_ID, drains)

    def drain(self) -> Result:
        result = run_to_end(self.drain_spec(), self.filesystem)
        self.drained_lsn = self.writer.lsn_appended
        return result

    def compact_spec(self, segment: int) -> CompactSpec:
        return CompactSpec(STORE, segment)

    def release_spec(self, *paths: str) -> ReleaseSpec:
        return ReleaseSpec(WORKER, STORE, LOG_ID, self.drained_lsn, self.drained_lsn, paths)

    def alive(self, segment: int) -> dict[bytes, bytes]:
        """What was written and not deleted, in key order."""
        return {key: value for key, value in sorted(self.model[segment].items()) if isinstance(value, bytes)}

    def stored(self, segment: int) -> dict[bytes, Stored]:
        """What the tables of the segment answer for every key ever written, what they do not know left out."""
        keys = list(self.model[segment])
        found = Segment.open(self.filesystem, STORE, segment).get_many(keys)
        return {key: value for key, value in zip(keys, found, strict=True) if value is not None}

    def _append(self, kind: RecordKind, layout: int, entries: int, segment: int, keys: bytes, values: bytes) -> None:
        request = RequestId(ClientId(9), self.writer.lsn_appended + 1)
        self.writer.append(kind, layout, entries, SegmentId(segment), Epoch(1), request, keys, values)
