"""Writing a table that no manifest names yet, in slices."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from itertools import chain

from shardstore.file_names import segment_directory
from shardstore.filesystem import Filesystem
from shardstore.segment_options import SegmentOptions
from workers.segment.manifest import Manifest
from workers.segment.table_format import Entries, Identity, Layout, TableRecord
from workers.segment.table_writer import TableWriter


def write_next_table(
    filesystem: Filesystem,
    options: SegmentOptions,
    manifest: Manifest,
    layout: Layout,
    slices: Iterator[Entries],
    lsn_first: int,
    lsn_last: int,
) -> Generator[None, None, tuple[TableRecord, ...]]:
    """Write the segment's next table and make it durable. No table when there are no entries."""
    first = next(slices, None)
    if first is None:
        return ()
    identity = Identity(manifest.store, manifest.segment, manifest.table_number_next)
    if filesystem.exists(identity.path):  # left by a job that died
        filesystem.remove(identity.path)
    with TableWriter(filesystem, identity, layout, options) as writer:
        for keys, values in chain([first], slices):
            writer.add(keys, values)
            yield
        record = writer.finish(lsn_first, lsn_last)
    filesystem.sync_directory(segment_directory(manifest.segment))
    return (record,)
