"""Drain: records of the log become one new delta per segment, without the tombstones that hide nothing.

Order (none of these steps may overtake the one before): the table's bytes, its name, then the manifest that names
it. The log keeps its files; only a later release, on the strength of the manifests, lets them go. A drain that was
published already, by a job that died before it could tell, is not done again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Mapping

import numpy as np

from shardstore.columns import InvalidColumn, decode, stride_of
from shardstore.errors import Corruption
from shardstore.file_names import segment_directory
from shardstore.filesystem import Filesystem
from shardstore.identifiers import TOMBSTONE, Buffer
from shardstore.limits import KEY_BYTES_MAX, KEY_BYTES_MIN, VALUE_BYTES_MAX
from shardstore.segment_options import SegmentOptions
from shardstore.wire_format import Flag
from shardstore.workers.jobs.figures import JobFigures
from shardstore.workers.jobs.output import Numbers, Output
from shardstore.workers.jobs.specs import DrainResult, DrainSpec, SegmentDrain
from shardstore.workers.segment.manifest import Manifest, publish_manifest, read_manifest
from shardstore.workers.segment.merge import merge
from shardstore.workers.segment.open_tables import OpenTables
from shardstore.workers.segment.table_format import Entries, FixedItems
from shardstore.workers.segment.tombstones import without_needless_tombstones
from shardstore.workers.wal.reader import LsnInterval, records_of
from shardstore.workers.wal.record_format import Record, RecordKind

SLICE_RECORDS = 128


def drain(spec: DrainSpec, filesystem: Filesystem, options: SegmentOptions) -> Generator[None, None, DrainResult]:
    """Read the log once; write a table and publish a manifest for each segment."""
    manifests = {item.segment: read_manifest(filesystem, spec.store, item.segment) for item in spec.drains}
    checkpoints = {segment: manifest.checkpoint_of(spec.log_id) for segment, manifest in manifests.items()}
    pending = [item for item in spec.drains if checkpoints[item.segment] < item.lsn_last]
    wanted = {
        item.segment: LsnInterval(max(item.lsn_first, checkpoints[item.segment] + 1), item.lsn_last) for item in pending
    }
    batches, read_bytes = yield from _read(spec, filesystem, wanted)
    figures: dict[int, JobFigures] = {}
    for item in pending:
        manifest, segment_batches = manifests[item.segment], batches.pop(item.segment)
        drained = yield from _drain_segment(spec.log_id, item, filesystem, options, manifest, segment_batches)
        added = drained.deltas[len(manifest.deltas) :]
        figures[item.segment] = JobFigures(
            read_bytes=read_bytes[item.segment],
            written_bytes=sum(record.file_bytes for record in added),
            entries_in=sum(len(batch.keys) for batch in segment_batches),
            entries_out=sum(record.entries for record in added),
        )
        manifests[item.segment] = drained
    for item in spec.drains:
        if item not in pending:  # published by a job that may have died before the name was durable
            filesystem.sync_directory(segment_directory(item.segment))
    segments = [item.segment for item in spec.drains]
    return DrainResult(
        tuple(manifests[segment].without_window() for segment in segments),
        tuple(figures.get(segment, JobFigures()) for segment in segments),
    )


def _read(
    spec: DrainSpec, filesystem: Filesystem, wanted: Mapping[int, LsnInterval]
) -> Generator[None, None, tuple[dict[int, list[Entries]], Counter[int]]]:
    """The batches of every wanted segment, oldest first, and the bytes of their columns."""
    batches: dict[int, list[Entries]] = {segment: [] for segment in wanted}
    read_bytes: Counter[int] = Counter()
    if not wanted:
        return batches, read_bytes
    for count, record in enumerate(records_of(filesystem, spec.worker, spec.log_id, wanted), 1):
        if record is None:
            yield
            continue
        if record.entries:
            batches[record.segment].append(entries_of(record))
        read_bytes[record.segment] += len(record.keys) + len(record.values)
        if count % SLICE_RECORDS == 0:
            yield
    return batches, read_bytes


def _drain_segment(
    log_id: int,
    item: SegmentDrain,
    filesystem: Filesystem,
    options: SegmentOptions,
    manifest: Manifest,
    batches: list[Entries],
) -> Generator[None, None, Manifest]:
    merged = merge(batches) if batches else Entries([], [])
    yield
    tables = OpenTables(filesystem, manifest.store, manifest.segment)
    entries = without_needless_tombstones(merged, map(tables.table, manifest.tables))
    yield
    output = Output(filesystem, options, manifest, Numbers.OF_DRAINS)
    delta = yield from output.write_table(entries, item.lsn_first, item.lsn_last)
    if delta:
        output.sync_names()
    drained = manifest.successor(
        epoch=item.epoch,
        table_number_next=output.number_next(manifest),
        deltas=manifest.deltas + delta,
        checkpoint={**manifest.checkpoint, log_id: item.lsn_last},
        dedup=item.dedup,
    )
    publish_manifest(filesystem, drained)
    yield
    return drained


def entries_of(record: Record) -> Entries:
    """The batch in a record: fixed columns as arrays, deletions as tombstones. Raises Corruption."""
    try:
        keys = _column(record.keys, record.layout & Flag.KEYS_FIXED, record.entries, KEY_BYTES_MIN, KEY_BYTES_MAX)
        if record.kind == RecordKind.DELETE:
            return Entries(keys, [TOMBSTONE] * record.entries)
        return Entries(
            keys, _column(record.values, record.layout & Flag.VALUES_FIXED, record.entries, 0, VALUE_BYTES_MAX)
        )
    except InvalidColumn as error:
        raise Corruption(f"log record {record.lsn}", 0, f"passes its checksum but is no batch: {error}") from None


def _column(frame: Buffer, fixed: int, entries: int, shortest: int, longest: int) -> list[bytes] | FixedItems:
    """An array for items of one length, a list for others and for empty ones."""
    stride = stride_of(len(frame), entries) if fixed else 0
    if shortest <= stride <= longest and stride:
        return np.frombuffer(frame, dtype=f"V{stride}")
    return decode(frame, bool(fixed), entries, shortest, longest)
