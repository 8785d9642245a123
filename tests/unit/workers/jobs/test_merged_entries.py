"""The stretches in which a compaction reads its tables, bounded by their memory."""

from __future__ import annotations

import pytest

from shardstore.key_range import EVERYTHING
from shardstore.limits import KIB
from shardstore.segment_options import Compression, SegmentOptions
from shardstore.workers.jobs import merged_entries
from shardstore.workers.jobs.merged_entries import stretches_of
from tests.unit.table_samples import LAYOUTS, sample, table_of


@pytest.mark.parametrize("compression", Compression)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_stretches_are_bounded_by_their_entries_and_share_the_file(
    layout: str, compression: Compression, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit, block_bytes = 16 * KIB, 2 * KIB
    monkeypatch.setattr(merged_entries, "STRETCH_BYTES", limit)
    entries = sample(layout, 3000)
    table = table_of(entries, SegmentOptions(compression, block_bytes))
    stretches = stretches_of([table], EVERYTHING)
    sizes = []
    for stretch in stretches:
        keys, values = table.entries(stretch.key_range)
        sizes.append(sum(map(len, map(bytes, keys))) + sum(map(len, map(bytes, values))))
    assert sum(sizes) == sum(map(len, entries)) + sum(len(bytes(value)) for value in entries.values())
    assert max(sizes) <= limit + block_bytes
    assert min(sizes[:-1]) >= limit // 2, "heads and offsets of msgpack count too"
    shared = sum(stretch.bytes for stretch in stretches)
    assert table.record.file_bytes - len(table.blocks()) <= shared <= table.record.file_bytes
