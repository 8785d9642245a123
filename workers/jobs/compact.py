"""Compact: merges some neighbouring layers of a segment into one, in parts. Only the newest entry of each key is kept.

Tables that do not change are carried into the new version by name (compaction_plan.py), virtual parts with their
bounds; a compaction of everything leaves no virtual parts, and no file of a former format version. A tombstone is
dropped if no older layer can hold its key; a value that has expired becomes a tombstone first. A main that has grown
beyond its limit becomes the newest bottom main, and there is no main again. So a segment that was compacted as a whole
is one main, or one bottom main if it is that large.

The segment may be drained between two slices: the deltas of those drains stay above the result of the compaction. If a
drain has cut a table that was merged here (cleared_tables.py), the result holds deleted entries: it is given up, and
the compaction begins anew.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from shardstore.errors import StorageFailure
from shardstore.files.file_names import segment_directory
from shardstore.key_range import KeyRange
from shardstore.limits import MIB
from shardstore.seams.filesystem import Filesystem
from shardstore.segment_options import SegmentOptions
from shardstore.tables.cache import SegmentCache
from shardstore.tables.manifest import Manifest, Parts, read_manifest, share_bytes_of
from shardstore.tables.open_tables import OpenTables
from shardstore.tables.table_format import Layout, TableRecord
from shardstore.tables.table_reader import Table
from shardstore.workers.jobs.compaction_plan import PlanStep, Rewrite, plan
from shardstore.workers.jobs.merged_entries import MergedEntries
from shardstore.workers.jobs.output import Numbers, Output
from shardstore.workers.jobs.part_sizes import drawn_sizes, sized
from shardstore.workers.jobs.specs import CompactionKind, CompactResult, CompactSpec
from shardstore.workers.segment.manifest_writer import publish_manifest

CACHE_BYTES = 64 * MIB


class Inputs(NamedTuple):
    """The layers to merge: the parts of the `base` in key order, and the `newer` tables above it, oldest first.

    `older` are the tables below, which are not merged.
    """

    base: Parts
    newer: tuple[TableRecord, ...]
    older: tuple[TableRecord, ...]


def compact(spec: CompactSpec, filesystem: Filesystem, options: SegmentOptions) -> Generator[None, None, CompactResult]:
    """Merge the layers, and publish a manifest with the result."""
    while (result := (yield from _compacted(spec, filesystem, options))) is None:
        yield
    return result


def _compacted(
    spec: CompactSpec, filesystem: Filesystem, options: SegmentOptions
) -> Generator[None, None, CompactResult | None]:
    """The result of a compaction; None if it was given up, as a table that it has merged was cut meanwhile."""
    manifest = read_manifest(filesystem, spec.store, spec.segment)
    inputs = _inputs(spec, manifest)
    if inputs is None:  # merged before, perhaps by a job that died before the manifest's name was durable
        filesystem.sync_directory(segment_directory(spec.segment))
        return CompactResult(manifest.without_window())
    options = sized(options, share_bytes_of(manifest.tables))
    tables = OpenTables(filesystem, spec.store, spec.segment, SegmentCache(CACHE_BYTES))
    trims = spec.kind == CompactionKind.EVERYTHING
    for record in manifest.tables:  # they stay readable when a drain drops some
        tables.table(record)
    expired_by = spec.now_ms if trims else 0
    holds = _held_by(tables)
    steps = plan(inputs.base, inputs.newer, holds, options.part_min_bytes, not inputs.older, trims, expired_by)
    output = Output(filesystem, options, manifest, Numbers.OF_COMPACTIONS)
    try:
        parts = yield from _written(steps, inputs.older, tables, output, drawn_sizes(spec.seed, options), spec.now_ms)
        output.sync_names()
    except StorageFailure:
        output.discard()
        raise
    latest = read_manifest(filesystem, spec.store, spec.segment)
    if not _has_inputs(latest, spec, inputs):
        output.discard()
        return None
    number_next = output.number_next(latest)
    compacted = _placed(spec, latest, len(manifest.deltas), parts, options.main_max_bytes, number_next)
    publish_manifest(filesystem, compacted)
    return _result(compacted, inputs, parts, tuple(output.tables))


def _inputs(spec: CompactSpec, manifest: Manifest) -> Inputs | None:
    """The layers that the spec means; None if there is nothing to merge."""
    bottoms, deltas = manifest.bottoms, manifest.deltas
    match CompactionKind(spec.kind):
        case CompactionKind.DELTAS:
            return Inputs(manifest.main, deltas, _all_of(bottoms)) if deltas else None
        case CompactionKind.BOTTOMS:
            pair = bottoms[spec.bottom : spec.bottom + 2]
            return Inputs(*pair, _all_of(bottoms[: spec.bottom])) if len(pair) == 2 else None
        case CompactionKind.EVERYTHING:
            oldest, *mains = manifest.mains
            return None if _is_compact(manifest, spec.now_ms) else Inputs(oldest, (*_all_of(mains), *deltas), ())


def _has_inputs(manifest: Manifest, spec: CompactSpec, inputs: Inputs) -> bool:
    """Whether these inputs are still those of the spec, apart from newer deltas."""
    now = _inputs(spec, manifest)
    return now is not None and (now.base, now.newer[: len(inputs.newer)]) == (inputs.base, inputs.newer)


def _all_of(mains: Sequence[Parts]) -> Parts:
    return tuple(chain.from_iterable(mains))


def _is_compact(manifest: Manifest, now_ms: int) -> bool:
    """Whether everything is in one main, in the newest formats, without tombstones, expired values, virtual parts."""
    filled = [parts for parts in manifest.mains if parts]
    unclean = any(
        table.tombstones or table.is_virtual or table.is_old or table.expired_by(now_ms) for table in manifest.tables
    )
    return not manifest.deltas and len(filled) <= 1 and not unclean and not manifest.is_old


def _held_by(tables: OpenTables) -> Callable[[TableRecord, KeyRange], bool]:
    def holds(record: TableRecord, key_range: KeyRange) -> bool:
        """Whether a table has a key in the range: by the first keys of its blocks, else by reading an entry."""
        if record.key_last < key_range.start or (key_range.end and record.key_first >= key_range.end):
            return False
        table = tables.table(record)
        first_keys = [block.first_key for block in table.blocks()]
        at = bisect_left(first_keys, key_range.start)
        if at < len(first_keys) and first_keys[at] in key_range:
            return True
        return bool(table.chunk(key_range, False, 1, 1).keys)

    return holds


def _written(
    steps: Sequence[PlanStep],
    older: Sequence[TableRecord],
    tables: OpenTables,
    output: Output,
    sizes: Iterator[int],
    now_ms: int,
) -> Generator[None, None, Parts]:
    """The parts in key order: carried ones, and those that were written."""
    parts: list[TableRecord] = []
    for step in steps:
        if isinstance(step, Rewrite):
            sources = list(map(tables.table, step.sources))
            leaves = any(record.tombstones or record.expiring for record in step.sources)
            below = list(map(tables.table, older)) if leaves else []
            entries = MergedEntries(sources, step.key_range, below, now_ms)
            lsn_first = min(table.properties.lsn_first for table in sources)
            lsn_last = max(table.properties.lsn_last for table in sources)
            layout = _layout_of(sources, bool(below))
            parts += yield from output.write_parts(entries, layout, sizes, lsn_first, lsn_last)
        else:
            parts.append(step)
    return tuple(parts)


def _placed(
    spec: CompactSpec, manifest: Manifest, deltas_read: int, parts: Parts, main_max_bytes: int, table_number_next: int
) -> Manifest:
    """The next version of the manifest: the parts take the place of the layers they were made of.

    Of the deltas, at most the oldest `deltas_read` were merged.
    """
    deltas, main, bottoms = manifest.deltas, manifest.main, manifest.bottoms
    if spec.kind == CompactionKind.BOTTOMS:
        merged = (parts,) if parts else ()
        bottoms = (*bottoms[: spec.bottom], *merged, *bottoms[spec.bottom + 2 :])
    else:
        deltas, main = deltas[deltas_read:], parts
        bottoms = bottoms if spec.kind == CompactionKind.DELTAS else ()
        if share_bytes_of(main) > main_max_bytes:
            main, bottoms = (), (*bottoms, main)
    return manifest.successor(deltas=deltas, main=main, bottoms=bottoms, table_number_next=table_number_next)


def _result(compacted: Manifest, inputs: Inputs, parts: Parts, written: Parts) -> CompactResult:
    carried = set(parts) - set(written)
    read = tuple(table for table in (*inputs.base, *inputs.newer) if table not in carried)
    return CompactResult(
        compacted.without_window(),
        read_bytes=share_bytes_of(read),
        written_bytes=share_bytes_of(written),
        carried_bytes=share_bytes_of(tuple(carried)),
        entries_in=sum(table.entries for table in read),
        entries_out=sum(table.entries for table in written),
    )


def _layout_of(tables: Sequence[Table], tombstones_may_stay: bool) -> Layout:
    """The densest layout for the entries that may remain: a column is fixed if all its items have one length."""
    properties = [table.properties for table in tables]
    key_lengths = {length for item in properties for length in (item.key_bytes_min, item.key_bytes_max)}
    value_lengths = {
        length
        for item in properties
        if item.entries > item.tombstones
        for length in (item.value_bytes_min, item.value_bytes_max)
    }
    may_expire = any(table.may_expire for table in tables)
    if may_expire or (tombstones_may_stay and any(item.tombstones for item in properties)):
        value_lengths.add(0)
    return Layout(_only(key_lengths), 0 if may_expire else _only(value_lengths), may_expire)


def _only(lengths: set[int]) -> int:
    return lengths.pop() if len(lengths) == 1 else 0
