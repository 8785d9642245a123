"""The writer of a log: order of calls, rotation, what a sync covers, a full disk, failures."""

import pytest

from shardstore.errors import DiskFull, StorageFailure
from shardstore.workers.wal.record_format import FILE_HEADER_BYTES, RECORD_HEADER_BYTES
from shardstore.workers.wal.writer import WalWriter
from tests.unit.faulty_filesystem import FaultyFilesystem
from tests.unit.wal_driver import (
    DIRECTORY,
    Content,
    append,
    append_many,
    fresh_writer,
    lsns_of,
    path_of,
    records_in,
    recovered,
    sync,
    writer_of,
)

RECORD = Content(1, b"k", b"v" * 99)
RECORD_BYTES = RECORD_HEADER_BYTES + 100
THREE_RECORDS = FILE_HEADER_BYTES + 3 * RECORD_BYTES


def fail_at(filesystem: FaultyFilesystem, operation: str, error: Exception, times: int = 1) -> None:
    """Make the next calls of this operation fail."""
    left = times

    def fault(number: int, called: str, path: str) -> None:
        nonlocal left
        if called == operation and left:
            left -= 1
            raise error

    filesystem.fault = fault


def test_new_file_is_not_synced_by_the_append(filesystem: FaultyFilesystem) -> None:
    writer = fresh_writer(filesystem)
    filesystem.trace.clear()
    append(writer)
    file = path_of(1)
    assert filesystem.trace == [f"create {file}", f"append {file}", f"append {file}"]


@pytest.mark.fault("L5")
def test_directory_is_to_be_synced_until_every_file_in_it_was(filesystem: FaultyFilesystem) -> None:
    writer = fresh_writer(filesystem, THREE_RECORDS)
    assert writer.unsynced_directory() is None
    for durable, expected in [(0, DIRECTORY), (1, None), (3, None)]:
        while writer.lsn_appended < 3:
            append(writer, RECORD)
        writer.mark_synced(durable)
        assert writer.unsynced_directory() == expected
    for _ in range(4):
        append(writer, RECORD)
    for durable, expected in [(3, DIRECTORY), (4, DIRECTORY), (6, DIRECTORY), (7, None)]:
        writer.mark_synced(durable)
        assert writer.unsynced_directory() == expected, "4 to 6 are in a closed file, 7 is in the active one"


def test_further_record_is_one_append(filesystem: FaultyFilesystem) -> None:
    writer = fresh_writer(filesystem)
    append(writer)
    filesystem.trace.clear()
    assert append(writer) == 2
    assert filesystem.trace == [f"append {path_of(1)}"]


def test_record_that_would_overflow_the_file_begins_a_new_one(filesystem: FaultyFilesystem) -> None:
    writer = fresh_writer(filesystem, THREE_RECORDS)
    for _ in range(3):
        append(writer, RECORD)
    assert [file.path for file in writer.unsynced_files()] == [path_of(1)]
    append(writer, RECORD)
    assert [file.path for file in writer.unsynced_files()] == [path_of(1), path_of(4)]
    assert len(filesystem.content(path_of(1))) == THREE_RECORDS


def test_record_larger_than_a_file_has_one_to_itself(filesystem: FaultyFilesystem) -> None:
    writer = fresh_writer(filesystem, THREE_RECORDS)
    big = Content(1, b"k", bytes(THREE_RECORDS))
    assert [append(writer, content) for content in (RECORD, big, big, RECORD)] == [1, 2, 3, 4]
    assert [file.path for file in writer.unsynced_files()] == [path_of(lsn) for lsn in (1, 2, 3, 4)]


def test_sync_covers_what_was_appended_before_it(filesystem: FaultyFilesystem) -> None:
    writer = fresh_writer(filesystem, THREE_RECORDS)
    for _ in range(4):
        append(writer, RECORD)
    files, lsn = writer.unsynced_files(), writer.lsn_appended
    for _ in range(3):
        append(writer, RECORD)
    assert [file.path for file in files] == [path_of(1), path_of(4)]
    writer.mark_synced(lsn)
    assert writer.lsn_durable == 4
    assert [file.path for file in writer.unsynced_files()] == [path_of(4), path_of(7)]
    writer.mark_synced(7)
    assert writer.unsynced_files() == ()


def test_late_report_of_an_older_sync_takes_nothing_back(filesystem: FaultyFilesystem) -> None:
    writer = fresh_writer(filesystem)
    append_many(writer, 5)
    writer.mark_synced(5)
    writer.mark_synced(3)
    assert writer.lsn_durable == 5


def test_rotate_needs_a_record(filesystem: FaultyFilesystem) -> None:
    writer = fresh_writer(filesystem)
    writer.rotate()
    append(writer)
    writer.rotate()
    writer.rotate()
    append(writer)
    assert filesystem.paths() == [f"{DIRECTORY}/LOG", path_of(1), path_of(2)]


def test_files_before_a_checkpoint(filesystem: FaultyFilesystem) -> None:
    writer = fresh_writer(filesystem, THREE_RECORDS)
    for _ in range(9):
        append(writer, RECORD)
    assert writer.files_before(2) == []
    assert writer.files_before(5) == [path_of(1)]
    assert writer.files_before(9) == [path_of(1), path_of(4)], "the active file is never released"
    writer.rotate()
    assert writer.files_before(9) == [path_of(1), path_of(4), path_of(7)]


def test_forgotten_files_do_not_count(filesystem: FaultyFilesystem) -> None:
    writer = fresh_writer(filesystem, THREE_RECORDS)
    for _ in range(5):
        append(writer, RECORD)
    assert writer.retained_bytes() == THREE_RECORDS + FILE_HEADER_BYTES + 2 * RECORD_BYTES
    writer.forget(writer.files_before(3))
    assert writer.retained_bytes() == FILE_HEADER_BYTES + 2 * RECORD_BYTES
    assert writer.files_before(3) == []
    assert [file.path for file in writer.unsynced_files()] == [path_of(1), path_of(4)], "it still needs a sync"


def test_recovered_files_count_and_can_be_released(filesystem: FaultyFilesystem) -> None:
    append_many(fresh_writer(filesystem), 5)
    log = recovered(filesystem)
    writer = writer_of(filesystem, log)
    assert writer.retained_bytes() == len(filesystem.content(path_of(1)))
    assert (writer.lsn_appended, writer.lsn_durable, writer.unsynced_files()) == (5, 5, ())
    assert writer.files_before(5) == [path_of(1)]


@pytest.mark.fault("L8")
def test_full_disk_undoes_the_append(filesystem: FaultyFilesystem) -> None:
    writer = fresh_writer(filesystem)
    append_many(writer, 3)
    before = filesystem.content(path_of(1))
    fail_at(filesystem, "append", DiskFull("no space"))
    with pytest.raises(DiskFull):
        append(writer)
    assert filesystem.content(path_of(1)) == before
    assert not writer.failed
    assert append(writer) == 4
    assert lsns_of(filesystem, recovered(filesystem)) == [1, 2, 3, 4]


@pytest.mark.parametrize("operation", ["create", "append"])
def test_full_disk_at_a_rotation_undoes_the_append(filesystem: FaultyFilesystem, operation: str) -> None:
    writer = fresh_writer(filesystem)
    append_many(writer, 3)
    writer.rotate()
    fail_at(filesystem, operation, DiskFull("no space"), times=3)
    for _ in range(3):
        with pytest.raises(DiskFull):
            append(writer)
    assert append(writer) == 4
    assert lsns_of(filesystem, recovered(filesystem)) == [1, 2, 3, 4]


def test_cut_back_that_fails_ends_the_log(filesystem: FaultyFilesystem) -> None:
    writer = fresh_writer(filesystem)
    append(writer)

    def fault(number: int, operation: str, path: str) -> None:
        if operation in ("append", "truncate"):
            raise DiskFull("no space")

    filesystem.fault = fault
    assert_ends_the_log(filesystem, writer)


@pytest.mark.fault("L7")
@pytest.mark.parametrize("operation", ["create", "append"])
def test_refused_call_ends_the_log(filesystem: FaultyFilesystem, operation: str) -> None:
    writer = fresh_writer(filesystem)
    append(writer)
    writer.rotate()
    fail_at(filesystem, operation, StorageFailure("input/output error"))
    assert_ends_the_log(filesystem, writer)


def assert_ends_the_log(filesystem: FaultyFilesystem, writer: WalWriter) -> None:
    """The next append fails, but not because of a full disk, and later ones do not reach the filesystem."""
    with pytest.raises(StorageFailure) as caught:
        append(writer)
    assert not isinstance(caught.value, DiskFull)
    assert writer.failed
    filesystem.healthy()
    calls = filesystem.number
    with pytest.raises(StorageFailure, match="takes no more records"):
        append(writer)
    assert filesystem.number == calls


def test_record_says_what_was_durable_when_it_was_appended(filesystem: FaultyFilesystem) -> None:
    writer = fresh_writer(filesystem)
    append_many(writer, 2)
    sync(filesystem, writer)
    append_many(writer, 2)
    log = recovered(filesystem)
    assert [record.lsn_durable for record in records_in(filesystem, log)] == [0, 0, 2, 2]
