"""Writing tables: how entries are cut into blocks, the facts recorded about them, and a full disk."""

from __future__ import annotations

from itertools import accumulate

import numpy as np
import pytest

from shardstore.errors import DiskFull
from shardstore.identifiers import TOMBSTONE
from shardstore.limits import BLOCK_ENTRIES
from shardstore.segment_options import DEFAULTS
from shardstore.tables.table_format import Entries, Layout
from shardstore.workers.segment.table_writer import TableWriter, block_bounds, layout_of, write_table
from tests.unit.table_samples import IDENTITY, empty_filesystem, sample, write


def bounds_of(sizes: list[int]) -> list[int]:
    return block_bounds(np.array([0, *accumulate(sizes)], dtype=np.int64), DEFAULTS.block_bytes)


def test_a_block_holds_a_bounded_number_of_entries() -> None:
    assert bounds_of([1] * (2 * BLOCK_ENTRIES + 1)) == [0, BLOCK_ENTRIES, 2 * BLOCK_ENTRIES, 2 * BLOCK_ENTRIES + 1]


def test_a_block_holds_a_bounded_number_of_bytes_but_never_less_than_one_entry() -> None:
    half = DEFAULTS.block_bytes // 2
    assert bounds_of([half, half, half, 1, 3 * half, 1]) == [0, 2, 4, 5, 6]


def test_layouts() -> None:
    assert layout_of(Entries([b"ab", b"cd"], [b"1", b"2"])) == Layout(2, 1)
    assert layout_of(Entries([b"ab", b"c"], [b"1", b"22"])) == Layout(0, 0)
    assert layout_of(Entries([b"ab"], [TOMBSTONE])) == Layout(2, 0)
    assert layout_of(Entries([b"ab", b"cd"], [b"", b""])) == Layout(2, 0)
    assert layout_of(Entries(np.array([b"ab"], dtype="V2"), np.array([b"1"], dtype="V1"))) == Layout(2, 1)


def test_arrays_and_lists_give_the_same_file() -> None:
    entries = sample("fixed-fixed", 700)
    keys, values = list(entries), list(entries.values())
    contents = []
    for columns in (
        Entries(keys, values),
        Entries(np.array(keys, dtype="V12"), np.array(values, dtype="V12")),
    ):
        filesystem = empty_filesystem()
        write_table(filesystem, IDENTITY, columns)
        contents.append(filesystem.content(IDENTITY.path))
    assert contents[0] == contents[1]


def test_the_record_says_what_the_file_holds() -> None:
    filesystem = empty_filesystem()
    record = write(filesystem, {b"a": b"1", b"b": TOMBSTONE, b"cc": b"333"})
    assert record.file_bytes == len(filesystem.content(IDENTITY.path))
    assert (record.number, record.entries, record.tombstones) == (1, 3, 1)
    assert (record.key_first, record.key_last) == (b"a", b"cc")


@pytest.mark.fault("G2")
def test_the_file_is_synced_before_it_is_told_of() -> None:
    filesystem = empty_filesystem()
    write(filesystem, sample("fixed-fixed", 700))
    assert filesystem.trace[-1] == f"sync {IDENTITY.path}"


def test_entries_may_come_in_slices_of_any_size() -> None:
    entries = list(sample("variable-variable", 600).items())
    filesystem = empty_filesystem()
    with TableWriter(filesystem, IDENTITY, Layout(0, 0), DEFAULTS) as writer:
        for first, last in ((0, 1), (1, 300), (300, 600)):
            keys, values = zip(*entries[first:last], strict=True)
            writer.add(keys, values)
        record = writer.finish(1, 2)
    assert record.entries == 600


def test_slices_out_of_order_are_our_own_mistake() -> None:
    with TableWriter(empty_filesystem(), IDENTITY, Layout(1, 1), DEFAULTS) as writer:
        writer.add([b"b"], [b"1"])
        with pytest.raises(AssertionError):
            writer.add([b"b"], [b"2"])


def test_a_file_that_finds_no_room_is_removed() -> None:
    filesystem = empty_filesystem()

    def fault(number: int, operation: str, path: str) -> None:
        if operation == "append":
            raise DiskFull(path)

    filesystem.fault = fault
    with pytest.raises(DiskFull):
        write(filesystem, sample("fixed-fixed", 3))
    assert filesystem.paths() == []
