"""A segment behaves like a dictionary through any order of drains and compactions, with parts of minimum size.

After each job the layers keep their invariants: parts do not overlap, tables have their sizes, no tombstone certainly
hides nothing, and files are carried over by name and never rewritten.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardstore.identifiers import TOMBSTONE, Stored
from shardstore.key_range import EVERYTHING
from shardstore.limits import KIB
from shardstore.segment_options import SegmentOptions
from shardstore.tables.manifest import Manifest
from shardstore.tables.segment import Segment
from shardstore.workers.jobs.specs import CompactionKind, CompactResult, CompactSpec, Spec
from tests.unit.faulty_filesystem import FaultyFilesystem
from tests.unit.job_driver import STORE, JobDriver
from tests.unit.layer_reading import content_of, stretches

KEYS = [b"key-%03d" % number + b"!" * (number % 3) for number in range(120)]
FIXED_KEYS = [b"key-%03d" % number for number in range(120)]
PREFIX = b"a prefix that all keys share and that each block stores once/" * 2

sizes = st.tuples(st.sampled_from((1, 2)), st.sampled_from((1, 2, 4)), st.sampled_from((1, 3, 30))).map(
    lambda drawn: SegmentOptions(
        block_bytes=KIB,
        part_min_bytes=KIB * drawn[0],
        part_max_bytes=KIB * drawn[0] * drawn[1],
        main_max_bytes=KIB * drawn[0] * drawn[1] * drawn[2],
    )
)
spans = st.tuples(st.integers(0, 119), st.integers(1, 60), st.sampled_from((1, 1, 2, 7)))
steps = st.one_of(
    st.tuples(st.just("put"), spans, st.sampled_from((0, 10, 10, 200))),
    st.tuples(st.just("put"), spans, st.sampled_from((0, 10, 10, 200))),
    st.tuples(st.just("delete"), spans, st.just(0)),
    st.tuples(st.just("compact"), st.just((0, 0, 1)), st.sampled_from(list(CompactionKind))),
    st.tuples(st.just("merge bottoms"), st.just((0, 0, 1)), st.integers(0, 2)),
)


@pytest.mark.fault("G9")
@given(
    options=sizes,
    keys=st.sampled_from((KEYS, FIXED_KEYS, [PREFIX + key for key in KEYS], [PREFIX + key for key in FIXED_KEYS])),
    work=st.lists(steps, min_size=3, max_size=25),
    seed=st.integers(0, 2**64 - 1),
)
def test_a_segment_is_a_dictionary(options: SegmentOptions, keys: list[bytes], work: list[Any], seed: int) -> None:
    worker = JobDriver(FaultyFilesystem(), segments=(1,), options=options)
    for number, (what, (first, count, stride), size) in enumerate(work):
        chosen = keys[first : first + count : stride]
        if what == "put":
            worker.put(1, dict.fromkeys(chosen, b"%08d" % number + b"." * size))
            worker.drain()
        elif what == "delete":
            worker.delete(1, chosen)
            worker.drain()
        elif what == "compact":
            compact(worker, CompactSpec(STORE, 1, size, seed))
        else:
            compact(worker, CompactSpec(STORE, 1, CompactionKind.BOTTOMS, seed, size))
        check(worker, keys)


def compact(worker: JobDriver, spec: Spec) -> None:
    before, result = worker.manifest(1), worker.run(spec)
    assert isinstance(result, CompactResult)
    after = result.manifest
    assert after == worker.manifest(1).without_window()
    written = [table for table in after.tables if table.number >= before.table_number_next]
    assert set(after.tables) - set(written) <= set(before.tables), "what is not new was carried"
    assert sum(table.file_bytes for table in written) == result.written_bytes
    assert sum(table.entries for table in written) == result.entries_out
    if isinstance(spec, CompactSpec) and spec.kind == CompactionKind.EVERYTHING:
        check_compact(worker, after)


def check_compact(worker: JobDriver, manifest: Manifest) -> None:
    """Check that there is one main, without tombstones or hidden values."""
    assert len([parts for parts in manifest.mains if parts]) <= 1
    assert manifest.deltas == ()
    assert sum(table.entries for table in manifest.tables) == len(worker.alive(1))
    assert worker.compact(1).manifest == manifest.without_window()


def check(worker: JobDriver, keys: list[bytes]) -> None:
    segment = Segment.open(worker.filesystem, STORE, 1)
    expected: list[Stored | None] = [worker.model[1].get(key) for key in keys]
    assert list(map(alive, segment.get_many(keys))) == list(map(alive, expected))
    assert [alive(segment.get_many([key])[0]) for key in keys[::7]] == list(map(alive, expected[::7]))
    layers = segment.layers()
    assert len(layers) == len(segment.manifest.mains) + len(segment.manifest.deltas)
    for reverse in (False, True):
        content = scanned(layers, reverse)
        assert {key: value for key, value in content.items() if value is not TOMBSTONE} == worker.alive(1)
    by_layer: dict[bytes, Stored] = {}
    for layer in layers:
        content = content_of(layer)
        needless = {key for key, value in content.items() if value is TOMBSTONE} - by_layer.keys()
        assert len(needless) <= 3 + len(content) // 10, "filters are wrong about few keys"
        by_layer.update(content)
    oldest = next((parts for parts in segment.manifest.mains if parts), segment.manifest.deltas[:1])
    if oldest in (segment.manifest.bottoms[:1] or (segment.manifest.deltas[:1],)):
        assert not any(table.tombstones for table in oldest)


def alive(found: Stored | None) -> bytes | None:
    return found if isinstance(found, bytes) else None


def scanned(layers: list[Any], reverse: bool) -> dict[bytes, Stored]:
    """The entries of all layers merged, stretch by stretch, as in a scan."""
    content: dict[bytes, Stored] = {}
    for stretch in stretches(layers, EVERYTHING, reverse, 13, 2_000):
        content.update(stretch)
    return dict(sorted(content.items()))
