"""Drain: writes records of the log into new deltas of their segments, without the tombstones that hide nothing.

Each segment gets one delta, and another one after each of the `table_ends` in its spec. Range deletions are applied
here: to the drained entries (drained_entries.py), and to the older tables in the manifest (cleared_tables.py).

Order: write the tables, sync their directory, publish the manifest that names them; each step is durable before the
next. Log files stay: a later release removes them, relying on the manifests. A drain that an earlier job published, but
could not report before it died, is not done again.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from shardstore.errors import Corruption
from shardstore.files.file_names import segment_directory
from shardstore.identifiers import TOMBSTONE, Buffer
from shardstore.limits import KEY_BYTES_MAX, KEY_BYTES_MIN, VALUE_BYTES_MAX
from shardstore.seams.filesystem import Filesystem
from shardstore.segment_options import SegmentOptions
from shardstore.tables.key_ranges import NO_KEYS, KeyRanges
from shardstore.tables.manifest import Manifest, read_manifest
from shardstore.tables.open_tables import OpenTables
from shardstore.tables.table_format import Entries, FixedItems
from shardstore.wire.columns import InvalidColumn, decode, stride_of
from shardstore.wire.wire_format import Flag
from shardstore.workers.jobs.cleared_tables import TableCuts, to_be_cut, tombstones_of
from shardstore.workers.jobs.drained_entries import Logged, cleared_by, drained_entries
from shardstore.workers.jobs.figures import JobFigures
from shardstore.workers.jobs.output import Numbers, Output
from shardstore.workers.jobs.specs import DrainedTable, DrainResult, DrainSpec, SegmentDrain
from shardstore.workers.jobs.tasks import RunTasks, Task, one_after_the_other
from shardstore.workers.segment.manifest_writer import publish_manifest
from shardstore.workers.segment.tombstones import without_needless_tombstones
from shardstore.workers.wal.batch_values import stored_values
from shardstore.workers.wal.reader import LsnInterval, records_of
from shardstore.workers.wal.record_format import Record, RecordKind, range_of_clear

SLICE_RECORDS = 128
_WITH_STORED = frozenset((RecordKind.BATCH, RecordKind.INCREMENT))
"""Kinds whose values may be deletions, or expire, in a variable column."""


class _Drained(NamedTuple):
    """The result of the drain of one segment."""

    manifest: Manifest
    figures: JobFigures
    tables: Sequence[DrainedTable]


def drain(
    spec: DrainSpec, filesystem: Filesystem, options: SegmentOptions, run_tasks: RunTasks = one_after_the_other
) -> Generator[None, None, DrainResult]:
    """Read the log once; write a table and publish a manifest for each segment."""
    manifests = {item.segment: read_manifest(filesystem, spec.store, item.segment) for item in spec.drains}
    checkpoints = {segment: manifest.checkpoint_of(spec.log_id) for segment, manifest in manifests.items()}
    pending = [item for item in spec.drains if checkpoints[item.segment] < item.lsn_last]
    wanted = {
        item.segment: LsnInterval(max(item.lsn_first, checkpoints[item.segment] + 1), item.lsn_last) for item in pending
    }
    table_ends = {item.segment: item.table_ends for item in pending}
    logged, read_bytes = yield from _read(spec, filesystem, wanted, table_ends)
    tasks = []
    for item in pending:
        pieces = zip(intervals_of(wanted[item.segment], item.table_ends), logged.pop(item.segment), strict=True)
        published = manifests[item.segment], read_bytes[item.segment]
        tasks.append(_drain_segment(spec.log_id, item, filesystem, options, *published, list(pieces)))
    drained = dict(zip((item.segment for item in pending), (yield from run_tasks(tasks)), strict=True))
    for item in spec.drains:
        if item not in pending:  # published by a job that may have died before the name was durable
            filesystem.sync_directory(segment_directory(item.segment))
    outcomes = [
        drained.get(item.segment) or _Drained(manifests[item.segment], JobFigures(), ()) for item in spec.drains
    ]
    return DrainResult(
        tuple(outcome.manifest.without_window() for outcome in outcomes),
        tuple(outcome.figures for outcome in outcomes),
        tuple(table for outcome in outcomes for table in outcome.tables),
    )


def intervals_of(wanted: LsnInterval, table_ends: Sequence[int]) -> list[LsnInterval]:
    """The LSNs of each table: the interval, divided after those of the `table_ends` that are inside it."""
    inside = [end for end in table_ends if wanted.first <= end < wanted.last]
    return list(map(LsnInterval, [wanted.first, *(end + 1 for end in inside)], [*inside, wanted.last]))


def _read(
    spec: DrainSpec, filesystem: Filesystem, wanted: Mapping[int, LsnInterval], table_ends: Mapping[int, Sequence[int]]
) -> Generator[None, None, tuple[dict[int, list[list[Logged]]], Counter[int]]]:
    """The records of each wanted segment, oldest first and apart for each table, and the bytes of their columns."""
    intervals = {segment: intervals_of(interval, table_ends[segment]) for segment, interval in wanted.items()}
    lasts = {segment: [interval.last for interval in of_segment] for segment, of_segment in intervals.items()}
    found: dict[int, list[list[Logged]]] = {segment: [[] for _ in ends] for segment, ends in lasts.items()}
    read_bytes: Counter[int] = Counter()
    if not wanted:
        return found, read_bytes
    for count, record in enumerate(records_of(filesystem, spec.worker, spec.log_id, wanted), 1):
        if record is None:
            yield
            continue
        if record.entries or record.kind == RecordKind.CLEAR:
            logged = range_of_clear(record) if record.kind == RecordKind.CLEAR else entries_of(record)
            found[record.segment][bisect_left(lasts[record.segment], record.lsn)].append(logged)
        read_bytes[record.segment] += len(record.keys) + len(record.values)
        if count % SLICE_RECORDS == 0:
            yield
    return found, read_bytes


def _drain_segment(
    log_id: int,
    item: SegmentDrain,
    filesystem: Filesystem,
    options: SegmentOptions,
    manifest: Manifest,
    read_bytes: int,
    pieces: Sequence[tuple[LsnInterval, list[Logged]]],
) -> Task[_Drained]:
    tables = OpenTables(filesystem, manifest.store, manifest.segment)
    output = Output(filesystem, options, manifest, Numbers.OF_DRAINS)
    clears = [cleared_by(logged) for _, logged in pieces]
    *later_first, cleared = accumulate(reversed(clears), KeyRanges.union, initial=NO_KEYS)
    cut = to_be_cut(cleared, manifest.tables, tables)
    below = (yield from _cut_tables(cut, manifest, tables, output, filesystem)) if cut else manifest
    written: list[DrainedTable] = []
    for (interval, logged), clears_now, later in zip(pieces, clears, reversed(later_first), strict=True):
        small = (rest for each in clears_now for rest in cut.outside(each))
        hidden = tombstones_of(small, below.tables, tables)
        merged = drained_entries(logged, later, hidden)
        yield None
        entries = without_needless_tombstones(merged, map(tables.table, (*below.tables, *output.tables)))
        yield None
        delta = yield from output.write_table(entries, interval.first, interval.last)
        if not later:  # else it lacks entries, and scans go on to read them in memory
            number = delta[0].number if delta else 0
            written.append(DrainedTable(manifest.segment, interval.first, interval.last, number))
    if output.tables or output.links:
        yield output.sync_names
    drained = below.successor(
        epoch=item.epoch,
        table_number_next=output.number_next(manifest),
        deltas=(*below.deltas, *output.tables),
        checkpoint={**manifest.checkpoint, log_id: item.lsn_last},
        dedup=item.dedup,
    )
    yield lambda: publish_manifest(filesystem, drained)
    figures = JobFigures(
        read_bytes=read_bytes,
        written_bytes=sum(record.file_bytes for record in output.tables),
        entries_in=sum(len(each.keys) for _, logged in pieces for each in logged if isinstance(each, Entries)),
        entries_out=sum(record.entries for record in output.tables),
    )
    return _Drained(drained, figures, written)


def _cut_tables(
    cut: KeyRanges, manifest: Manifest, tables: OpenTables, output: Output, filesystem: Filesystem
) -> Generator[None, None, Manifest]:
    """The manifest with only what is left of its tables."""
    cuts = TableCuts(cut, manifest, tables, output, filesystem)
    bottoms = []
    for parts in manifest.bottoms:
        bottoms.append((yield from cuts.left_of(parts)))
    main = yield from cuts.left_of(manifest.main)
    deltas = yield from cuts.left_of(manifest.deltas)
    return replace(manifest, bottoms=tuple(filter(None, bottoms)), main=main, deltas=deltas)


def entries_of(record: Record) -> Entries:
    """The batch in a record: fixed columns as arrays, deletions as tombstones. Raises Corruption."""
    try:
        keys = _column(record.keys, record.layout & Flag.KEYS_FIXED, record.entries, KEY_BYTES_MIN, KEY_BYTES_MAX)
        if record.kind in (RecordKind.DELETE, RecordKind.TAKE):
            return Entries(keys, [TOMBSTONE] * record.entries)
        if record.kind in _WITH_STORED and not record.layout & Flag.VALUES_FIXED:
            return Entries(keys, stored_values(record.values, False, record.entries)[0])
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
