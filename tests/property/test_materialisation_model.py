"""Segments that are split, merged and moved again and again behave like one dictionary, cut at their bounds.

After each step every segment holds its own keys and no others, whatever else its linked files hold.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shardstore.files import file_names
from shardstore.identifiers import Stored
from shardstore.key_range import EVERYTHING, KeyRange
from shardstore.limits import KIB
from shardstore.segment_options import SegmentOptions
from shardstore.tables.segment import Segment
from shardstore.workers.jobs.specs import CompactionKind, MaterialiseResult, MaterialiseSpec, RetireSpec
from tests.property.test_segment_model import alive, scanned
from tests.unit.faulty_filesystem import FaultyFilesystem
from tests.unit.job_driver import LOG_ID, STORE, JobDriver

KEYS = [b"key-%03d" % number for number in range(100)]
SMALL = SegmentOptions(block_bytes=KIB, part_min_bytes=KIB, part_max_bytes=2 * KIB, main_max_bytes=6 * KIB)

spans = st.tuples(st.integers(0, 99), st.integers(1, 60), st.sampled_from((1, 1, 2, 7)))
writes = st.tuples(st.sampled_from(("put", "put", "delete")), spans, st.sampled_from((0, 10, 150)))
compactions = st.tuples(st.just("compact"), st.sampled_from(list(CompactionKind)), st.integers(0, 9))
changes = st.one_of(
    st.tuples(st.just("split"), st.integers(1, 99), st.just(0)),
    st.tuples(st.just("merge"), st.integers(0, 9), st.just(0)),
    st.tuples(st.just("move"), st.integers(0, 9), st.just(0)),
)


@dataclass
class Topology:
    """Segments in key order, by their ranges; `model` is the content of all of them."""

    worker: JobDriver = field(default_factory=lambda: JobDriver(FaultyFilesystem(), segments=(1,), options=SMALL))
    ranges: dict[int, KeyRange] = field(default_factory=lambda: {1: EVERYTHING})
    model: dict[bytes, bytes] = field(default_factory=dict)

    def put(self, keys: list[bytes], value: bytes) -> None:
        for segment, key_range in self.ranges.items():
            if mine := [key for key in keys if key in key_range]:
                self.worker.put(segment, dict.fromkeys(mine, value))
        self.model.update(dict.fromkeys(keys, value))
        self.worker.drain()

    def delete(self, keys: list[bytes]) -> None:
        for segment, key_range in self.ranges.items():
            if mine := [key for key in keys if key in key_range]:
                self.worker.delete(segment, mine)
        for key in keys:
            self.model.pop(key, None)
        self.worker.drain()

    def compact(self, kind: CompactionKind, place: int) -> None:
        segment = self.at(place)
        manifest = self.worker.compact(segment, kind).manifest
        if kind == CompactionKind.EVERYTHING:
            assert not any(table.is_virtual or table.tombstones for table in manifest.tables)
            assert self.worker.compact(segment, kind).manifest == manifest.without_window()

    def split(self, key: bytes) -> None:
        (parent,) = [segment for segment, key_range in self.ranges.items() if key in key_range]
        start, end = self.ranges[parent].start, self.ranges[parent].end
        if key != start:
            self.change([parent], [KeyRange(start, key), KeyRange(key, end)])

    def merge(self, place: int) -> None:
        left = self.at(place)
        right = [segment for segment, key_range in self.ranges.items() if key_range.start == self.ranges[left].end]
        if self.ranges[left].end:
            self.change([left, *right], [KeyRange(self.ranges[left].start, self.ranges[right[0]].end)])

    def change(self, parents: list[int], children: list[KeyRange]) -> None:
        """Make the child from the files of the parents, then retire them."""
        for key_range in children:
            child = max(self.worker.model) + 1
            spec = MaterialiseSpec(STORE, child, key_range.start, key_range.end, 7, tuple(parents), {"clients": []})
            result = self.worker.run(spec)
            assert isinstance(result, MaterialiseResult)
            assert result.manifest == self.worker.manifest(child).without_window()
            assert result.manifest.checkpoint_of(LOG_ID) == 0, "nothing of its own is in its files"
            self.worker.model[child] = {}
            self.ranges[child] = key_range
        self.worker.run(RetireSpec(STORE, tuple(parents)))
        for parent in parents:
            del self.ranges[parent]
        self.worker.segments = tuple(self.ranges)

    def at(self, place: int) -> int:
        return list(self.ranges)[place % len(self.ranges)]

    def check(self) -> None:
        filesystem = self.worker.filesystem
        names = filesystem.list_directory(file_names.SEGMENTS)
        assert set(map(file_names.segment_of, names)) == set(self.ranges)
        for number, key_range in self.ranges.items():
            segment = Segment.open(filesystem, STORE, number)
            expected: dict[bytes, Stored] = {key: v for key, v in sorted(self.model.items()) if key in key_range}
            asked = [*KEYS, *(key + b"\0" for key in KEYS[::9])]
            assert list(map(alive, segment.get_many(asked))) == list(map(expected.get, asked))
            assert [alive(segment.get_many([key])[0]) for key in KEYS[::5]] == list(map(expected.get, KEYS[::5]))
            for reverse in (False, True):
                content = scanned(segment.layers(), reverse)
                assert {key: value for key, value in content.items() if isinstance(value, bytes)} == expected
                assert all(key in key_range for key in content)
            check_figures(segment)


def check_figures(segment: Segment) -> None:
    tables = segment.manifest.tables
    assert all(segment.manifest.bottoms)
    assert segment.bytes + segment.outside_bytes == sum(table.file_bytes for table in tables)
    assert 0 <= segment.linked_bytes <= segment.bytes


@given(
    before=st.lists(st.one_of(writes, compactions), min_size=1, max_size=8),
    work=st.lists(st.one_of(writes, compactions, changes, changes), min_size=3, max_size=20),
)
def test_split_and_merged_segments_are_a_dictionary(before: list[Any], work: list[Any]) -> None:
    topology = Topology()
    for number, (what, which, size) in enumerate([*before, *work]):
        if what == "put":
            topology.put(chosen(which), b"%08d" % number + b"." * size)
        elif what == "delete":
            topology.delete(chosen(which))
        elif what == "compact":
            topology.compact(which, size)
        elif what == "split":
            topology.split(KEYS[which])
        elif what == "merge":
            topology.merge(which)
        else:
            segment = topology.at(which)
            topology.change([segment], [topology.ranges[segment]])
        topology.check()


def chosen(span: tuple[int, int, int]) -> list[bytes]:
    first, count, stride = span
    return KEYS[first : first + count : stride]
