"""Compact: all tables of a segment become one. Of each key the newest entry is kept, and no tombstone is.

Worked off in stretches of keys, each a few MiB of blocks, so memory does not grow with the segment.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from shardstore.file_names import segment_directory
from shardstore.filesystem import Filesystem
from shardstore.key_range import KeyRange
from shardstore.limits import MIB
from shardstore.segment_options import SegmentOptions
from workers.jobs.output import write_next_table
from workers.jobs.specs import CompactResult, CompactSpec
from workers.segment.manifest import Manifest, publish_manifest, read_manifest
from workers.segment.merge import merge, without_tombstones
from workers.segment.segment import Segment
from workers.segment.table_format import Entries, Layout
from workers.segment.table_reader import Table

STRETCH_BYTES = 4 * MIB


def compact(spec: CompactSpec, filesystem: Filesystem, options: SegmentOptions) -> Generator[None, None, CompactResult]:
    """Merge all tables of the segment and publish the manifest that names only the new one."""
    manifest = read_manifest(filesystem, spec.store, spec.segment)
    if _is_compact(manifest):  # maybe by a job that died before the name of the manifest was durable
        filesystem.sync_directory(segment_directory(spec.segment))
        return CompactResult(manifest)
    tables = Segment(filesystem, manifest).layers()
    merged = yield from write_next_table(
        filesystem,
        options,
        manifest,
        _layout_of(tables),
        _merged_stretches(tables),
        min(table.properties.lsn_first for table in tables),
        max(table.properties.lsn_last for table in tables),
    )
    compacted = replace(
        manifest,
        version=manifest.version + 1,
        table_number_next=manifest.table_number_next + len(merged),
        tables=merged,
    )
    publish_manifest(filesystem, compacted)
    return CompactResult(compacted)


def _is_compact(manifest: Manifest) -> bool:
    return len(manifest.tables) <= 1 and not any(record.tombstones for record in manifest.tables)


def _layout_of(tables: Sequence[Table]) -> Layout:
    """The densest layout for what may be left: a column is fixed when all its items have one length."""
    properties = [table.properties for table in tables]
    key_lengths = {length for item in properties for length in (item.key_bytes_min, item.key_bytes_max)}
    value_lengths = {
        length
        for item in properties
        if item.entries > item.tombstones
        for length in (item.value_bytes_min, item.value_bytes_max)
    }
    return Layout(_only(key_lengths), _only(value_lengths))


def _only(lengths: set[int]) -> int:
    return lengths.pop() if len(lengths) == 1 else 0


def _merged_stretches(tables: Sequence[Table]) -> Iterator[Entries]:
    """What is left of all tables, stretch after stretch of keys."""
    for key_range in _stretches(tables):
        entries = without_tombstones(merge([table.entries(key_range) for table in tables]))
        if len(entries.keys):
            yield entries


def _stretches(tables: Sequence[Table]) -> list[KeyRange]:
    """Ranges that cover all keys, each with about STRETCH_BYTES of blocks."""
    bounds = [b""]
    stretch_bytes = 0
    for first_key, block_bytes in sorted(block for table in tables for block in table.blocks()):
        if stretch_bytes >= STRETCH_BYTES and first_key > bounds[-1]:
            bounds.append(first_key)
            stretch_bytes = 0
        stretch_bytes += block_bytes
    return [KeyRange(start, end) for start, end in pairwise([*bounds, b""])]
