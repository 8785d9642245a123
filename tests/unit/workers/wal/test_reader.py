"""Reading the records of chosen segments, as a drain does while the log grows."""

import pytest

from shardstore.errors import Corruption
from shardstore.workers.wal.reader import LsnInterval, records_of
from shardstore.workers.wal.record_format import FILE_HEADER_BYTES, RECORD_HEADER_BYTES
from shardstore.workers.wal.writer import WalWriter
from tests.unit.faulty_filesystem import FaultyFilesystem
from tests.unit.wal_driver import (
    LOG_ID,
    WORKER,
    Content,
    append,
    append_many,
    content_of,
    fresh_writer,
    path_of,
    recovered,
    writer_of,
)


@pytest.fixture
def writer(filesystem: FaultyFilesystem) -> WalWriter:
    """A log of 30 records in several files."""
    writer = fresh_writer(filesystem)
    append_many(writer, 30)
    return writer


def read(filesystem: FaultyFilesystem, wanted: dict[int, tuple[int, int]]) -> list[int]:
    """The LSNs that a drain reads."""
    intervals = {segment: LsnInterval(*interval) for segment, interval in wanted.items()}
    return [record.lsn for record in records_of(filesystem, WORKER, LOG_ID, intervals) if record]


def place_of(filesystem: FaultyFilesystem, lsn: int) -> tuple[str, int]:
    """The file and offset of a record."""
    path = max(path for path in filesystem.paths() if "wal" in path and path <= path_of(lsn))
    offset = FILE_HEADER_BYTES
    for before in range(int(path[-20:-4], 16), lsn):
        content = content_of(before)
        offset += RECORD_HEADER_BYTES + len(content.keys) + len(content.values)
    return path, offset


def damage(filesystem: FaultyFilesystem, lsn: int, position: int) -> tuple[str, int]:
    """Flip a bit of a record; returns its file and offset."""
    path, offset = place_of(filesystem, lsn)
    content = bytearray(filesystem.content(path))
    content[offset + position] ^= 1
    filesystem.place(path, bytes(content))
    return path, offset


def test_each_segment_has_its_own_interval(filesystem: FaultyFilesystem, writer: WalWriter) -> None:
    expected = [lsn for lsn in range(1, 31) if (lsn % 3 == 0 and 6 <= lsn <= 12) or (lsn % 3 == 1 and 10 <= lsn <= 28)]
    assert read(filesystem, {1: (6, 12), 2: (10, 28), 9: (7, 8)}) == expected


def test_records_are_the_ones_written(filesystem: FaultyFilesystem, writer: WalWriter) -> None:
    for record in records_of(filesystem, WORKER, LOG_ID, {2: LsnInterval(1, 30)}):
        assert record is not None
        assert (bytes(record.keys), bytes(record.values)) == (
            content_of(record.lsn).keys,
            content_of(record.lsn).values,
        )
        assert record.segment == 2


def test_who_reads_in_slices_is_not_kept_long_by_records_of_others(filesystem: FaultyFilesystem) -> None:
    append_many(fresh_writer(filesystem), 2_500)
    found = list(records_of(filesystem, WORKER, LOG_ID, {9: LsnInterval(1, 2_400)}))
    assert found == [None, None], "after 1,024 of them each"


def test_files_outside_the_intervals_are_not_opened(filesystem: FaultyFilesystem, writer: WalWriter) -> None:
    first, _ = place_of(filesystem, 14)
    last, _ = place_of(filesystem, 16)
    filesystem.trace.clear()
    read(filesystem, {1: (14, 16)})
    mapped = [call.split()[1] for call in filesystem.trace if call.startswith("map")]
    assert mapped == sorted({first, last})


def test_bytes_behind_the_last_wanted_record_do_not_matter(filesystem: FaultyFilesystem, writer: WalWriter) -> None:
    """The writer may be within its next append."""
    path, _ = place_of(filesystem, 30)
    filesystem.place(path, filesystem.content(path) + b"half of a record")
    assert read(filesystem, {1: (30, 30)}) == [30]


@pytest.mark.parametrize("position", [0, 5, 20, 36, RECORD_HEADER_BYTES - 1, RECORD_HEADER_BYTES])
def test_damaged_wanted_record(filesystem: FaultyFilesystem, writer: WalWriter, position: int) -> None:
    path, offset = damage(filesystem, 15, position)
    with pytest.raises(Corruption) as caught:
        read(filesystem, {1: (1, 30)})
    assert (caught.value.file, caught.value.offset) == (path, offset)


def test_damaged_header_of_another_segment(filesystem: FaultyFilesystem, writer: WalWriter) -> None:
    """Its segment may have been a wanted one."""
    path, offset = damage(filesystem, 16, 36)
    with pytest.raises(Corruption, match="header") as caught:
        read(filesystem, {1: (1, 30)})
    assert (caught.value.file, caught.value.offset) == (path, offset)


def test_damaged_payload_of_another_segment_is_hopped_over(filesystem: FaultyFilesystem, writer: WalWriter) -> None:
    damage(filesystem, 16, RECORD_HEADER_BYTES)
    assert read(filesystem, {1: (12, 18)}) == [12, 15, 18]


def test_missing_file(filesystem: FaultyFilesystem, writer: WalWriter) -> None:
    path, _ = place_of(filesystem, 15)
    filesystem.erase(path)
    with pytest.raises(Corruption, match=r"LSN \d+"):
        read(filesystem, {1: (1, 30)})


def test_missing_first_file(filesystem: FaultyFilesystem, writer: WalWriter) -> None:
    filesystem.erase(path_of(1))
    with pytest.raises(Corruption, match="LSN 1 must be in a file before"):
        read(filesystem, {1: (1, 30)})


def test_log_that_ends_too_early(filesystem: FaultyFilesystem, writer: WalWriter) -> None:
    with pytest.raises(Corruption, match="ends before LSN 31"):
        read(filesystem, {1: (1, 31)})


def test_record_of_a_wrong_lsn(filesystem: FaultyFilesystem, writer: WalWriter) -> None:
    path, offset = place_of(filesystem, 2)
    _, end = place_of(filesystem, 3)
    content = filesystem.content(path)
    filesystem.place(path, content[:offset] + content[end:])
    with pytest.raises(Corruption, match="LSN 3 where LSN 2 must be"):
        read(filesystem, {1: (1, 30)})


def test_jump_between_files(filesystem: FaultyFilesystem) -> None:
    append_many(fresh_writer(filesystem), 4)
    writer = writer_of(filesystem, recovered(filesystem, lsn_floor=20))
    for _ in range(3):
        append(writer, Content(1, b"k", b"v"))
    assert read(filesystem, {1: (3, 22)}) == [3, 21, 22]
    assert read(filesystem, {1: (3, 20)}) == [3], "an interval may end at an LSN that was never used"
