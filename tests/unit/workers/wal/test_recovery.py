"""Recovery of a log: what is kept, cut, refused, rewritten and removed."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import pytest

from shardstore.errors import Corruption, DiskFull, NotWritable, ReadOnlyDisk, StorageFailure
from shardstore.files.documents import encode_document
from shardstore.files.formats import LOG_DOCUMENT
from shardstore.identifiers import LIFE_NONCE_BITS
from shardstore.limits import WAL_FILE_BYTES
from shardstore.system.posix_filesystem import PosixFilesystem
from shardstore.workers.wal.log_document import LogDocument, publish_log_document, read_log_document
from shardstore.workers.wal.reader import first_lsns
from shardstore.workers.wal.record_format import FILE_HEADER_BYTES, RECORD_HEADER_BYTES, FileHeader
from shardstore.workers.wal.recovery import recover
from shardstore.workers.wal.scan import DECISIONS, TailCut, TailDecision, TailPolicy
from tests.unit.faulty_filesystem import FaultyFilesystem
from tests.unit.wal_driver import (
    DIRECTORY,
    LOG_ID,
    STORE,
    WORKER,
    Content,
    FixedEntropy,
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

LOG = f"{DIRECTORY}/LOG"
PAYLOAD_BYTES = 28
RECORD_BYTES = RECORD_HEADER_BYTES + PAYLOAD_BYTES
Refused: TypeAlias = Callable[[str, int, str], None]


def write(filesystem: FaultyFilesystem, *files: int, durable: int = 0) -> None:
    """A new log whose files have these numbers of equally long records, marked as synced up to `durable`."""
    writer = fresh_writer(filesystem)
    lsn = 0
    for records in files:
        for _ in range(records):
            lsn += 1
            append(writer, Content(1, b"%08d" % lsn, b"v" * 20))
            if lsn == durable:
                sync(filesystem, writer)
        writer.rotate()


def offset_of(record: int) -> int:
    """The offset of the n-th record of a file."""
    return FILE_HEADER_BYTES + record * RECORD_BYTES


def damage(filesystem: FaultyFilesystem, path: str, offset: int, length: int = 1) -> None:
    content = bytearray(filesystem.content(path))
    content[offset : offset + length] = bytes(byte ^ 0xFF for byte in content[offset : offset + length])
    filesystem.place(path, bytes(content))


def shorten(filesystem: FaultyFilesystem, path: str, length: int) -> None:
    filesystem.place(path, filesystem.content(path)[:length])


def kept(filesystem: FaultyFilesystem, **arguments: object) -> list[int]:
    """The LSNs that recovery keeps."""
    log = recovered(filesystem, **arguments)  # type: ignore[arg-type]
    return [lsn for file in log.files for lsn in range(file.lsn_first, file.lsn_last + 1)]


def advance(filesystem: FaultyFilesystem, lsn_checkpoint: int) -> None:
    publish_log_document(filesystem, LogDocument(STORE, WORKER, LOG_ID, lsn_checkpoint))


@pytest.mark.fault("L2")
def test_decisions_cover_every_case_and_never_cut_durable_bytes() -> None:
    cases = list(itertools.product((False, True), (False, True), TailPolicy))
    assert sorted(DECISIONS, key=str) == sorted(cases, key=str)
    for (invalid, durable, policy), decision in DECISIONS.items():
        cuts = invalid and not durable and policy is TailPolicy.TRUNCATE_INVALID_TAIL
        assert (decision is TailDecision.CUT) == cuts
        assert (decision is TailDecision.WHOLE) == (not invalid and not durable)


class TestIdentity:
    def test_new_store_gets_a_log(self, filesystem: FaultyFilesystem) -> None:
        log = recovered(filesystem)
        assert (log.log_id, log.lsn_checkpoint, log.lsn_last, log.next_lsn) == (LOG_ID, 0, 0, 1)
        assert (log.files, log.cut) == ((), None)
        assert log.life >> LIFE_NONCE_BITS == 1
        assert read_log_document(filesystem, STORE, WORKER) == LogDocument(STORE, WORKER, LOG_ID, 0, life=log.life)
        assert recovered(filesystem).life >> LIFE_NONCE_BITS == 2

    def test_id_stays(self, filesystem: FaultyFilesystem) -> None:
        class OtherEntropy:
            def below(self, bound: int) -> int:
                return 5

        recovered(filesystem)
        assert recover(filesystem, WORKER, STORE, 0, OtherEntropy()).log_id == LOG_ID

    @pytest.mark.fault("L11")
    @pytest.mark.parametrize(("worker", "store"), [(WORKER, "other store"), (WORKER + 1, STORE)])
    def test_log_of_another_store_or_worker_is_refused(
        self, filesystem: FaultyFilesystem, worker: int, store: str
    ) -> None:
        recovered(filesystem)
        filesystem.place("workers/0004/LOG", filesystem.content(LOG))
        with pytest.raises(Corruption, match="log of"):
            recover(filesystem, worker, store, 0, FixedEntropy())

    def test_missing_identity_with_files_is_refused(self, filesystem: FaultyFilesystem) -> None:
        write(filesystem, 1)
        filesystem.erase(LOG)
        with pytest.raises(Corruption, match="files of the log are there") as caught:
            recovered(filesystem)
        assert caught.value.file == LOG

    @pytest.mark.fault("L11")
    def test_file_of_another_log_is_refused(self, filesystem: FaultyFilesystem) -> None:
        write(filesystem, 2, 2)
        other = FileHeader(WORKER, LOG_ID + 1, 5, 4, 4)
        filesystem.place(path_of(5), other.encode())
        with pytest.raises(Corruption, match="belongs to log") as caught:
            recovered(filesystem)
        assert caught.value.file == path_of(5)

    def test_file_under_a_wrong_name_is_refused(self, filesystem: FaultyFilesystem) -> None:
        write(filesystem, 2, 2)
        filesystem.place(path_of(5), filesystem.content(path_of(3)))
        with pytest.raises(Corruption, match="name"):
            recovered(filesystem)

    def test_log_document_with_other_fields_is_refused(self, filesystem: FaultyFilesystem) -> None:
        filesystem.place(LOG, encode_document(LOG_DOCUMENT, {"store": STORE, "worker": WORKER}))
        with pytest.raises(Corruption, match="fields"):
            recovered(filesystem)


class TestWholeLog:
    def test_every_record_comes_back(self, filesystem: FaultyFilesystem) -> None:
        writer = fresh_writer(filesystem)
        append_many(writer, 50)
        log = recovered(filesystem)
        assert len(log.files) > 2
        assert lsns_of(filesystem, log) == list(range(1, 51))
        assert (log.lsn_last, log.next_lsn, log.cut) == (50, 51, None)

    @pytest.mark.parametrize("change", [lambda content: content[:-1], lambda content: content[:-1] + b"?"])
    def test_records_that_change_after_they_were_verified_are_refused(
        self, filesystem: FaultyFilesystem, change: Callable[[bytes], bytes]
    ) -> None:
        write(filesystem, 2, 2)
        log = recovered(filesystem)
        filesystem.place(path_of(3), change(filesystem.content(path_of(3))))
        with pytest.raises(Corruption, match="changed since") as caught:
            records_in(filesystem, log)
        assert caught.value.file == path_of(3)

    def test_log_goes_on_in_a_new_file(self, filesystem: FaultyFilesystem) -> None:
        append_many(fresh_writer(filesystem), 2)
        append_many(writer_of(filesystem, recovered(filesystem)), 2)
        assert filesystem.paths() == [LOG, path_of(1), path_of(3)]
        assert lsns_of(filesystem, recovered(filesystem)) == [1, 2, 3, 4]

    @pytest.mark.fault("L6")
    def test_cache_is_dropped_before_a_file_is_read(self, filesystem: FaultyFilesystem) -> None:
        write(filesystem, 2)
        filesystem.trace.clear()
        recovered(filesystem)
        calls = [call.split()[0] for call in filesystem.trace if call.endswith(path_of(1))]
        assert calls.index("drop_cache") < calls.index("read_at")

    def test_what_is_served_is_on_stable_storage(self, filesystem: FaultyFilesystem) -> None:
        append_many(fresh_writer(filesystem), 20)
        log = recovered(filesystem)
        for seed in range(20):
            filesystem.lose_power(seed)
            assert lsns_of(filesystem, log) == list(range(1, 21))

    @pytest.mark.fault("L6")
    def test_bytes_that_a_failed_sync_left_in_the_cache_are_not_believed(self, filesystem: FaultyFilesystem) -> None:
        writer = fresh_writer(filesystem)
        append_many(writer, 3)
        sync(filesystem, writer)
        append_many(writer, 3)

        def fault(number: int, operation: str, path: str) -> None:
            if operation == "sync":
                raise StorageFailure("input/output error")

        filesystem.fault = fault
        with pytest.raises(StorageFailure):
            sync(filesystem, writer)
        filesystem.healthy()
        log = recovered(filesystem)
        assert lsns_of(filesystem, log) == [1, 2, 3]
        assert log.cut is not None

    def test_leftover_temporary_is_removed(self, filesystem: FaultyFilesystem) -> None:
        write(filesystem, 2)
        filesystem.place(path_of(1) + ".tmp", b"half")
        filesystem.place(path_of(7) + ".tmp", b"half")
        recovered(filesystem)
        assert filesystem.paths() == [LOG, path_of(1)]

    @pytest.mark.parametrize("seed", range(20))
    def test_what_was_cut_does_not_come_back(self, filesystem: FaultyFilesystem, seed: int) -> None:
        """Its LSNs are used again."""
        write(filesystem, 3, 3, durable=3)
        filesystem.place(path_of(4), filesystem.content(path_of(4))[:70])
        assert kept(filesystem) == [1, 2, 3]
        filesystem.lose_power(seed)
        assert first_lsns(filesystem, WORKER) == [1]

    def test_other_files_are_left_alone(self, filesystem: FaultyFilesystem) -> None:
        filesystem.place(f"{DIRECTORY}/LOCK", b"")
        write(filesystem, 2)
        recovered(filesystem)
        assert filesystem.paths() == [f"{DIRECTORY}/LOCK", LOG, path_of(1)]

    def test_the_same_on_real_files(self, tmp_path: Path) -> None:
        filesystem = PosixFilesystem(str(tmp_path))
        writer = fresh_writer(filesystem)
        append_many(writer, 20)
        sync(filesystem, writer)
        append_many(writer, 1)
        writer.close()
        last = max(tmp_path.glob("workers/0003/wal-*"))
        last.write_bytes(last.read_bytes()[:-1])
        log = recovered(filesystem)
        assert lsns_of(filesystem, log) == list(range(1, 21))
        assert log.cut is not None
        assert log.cut.lsn_lost == 21
        append_many(writer_of(filesystem, log), 2)
        assert lsns_of(filesystem, recovered(filesystem)) == list(range(1, 23))


class TestCheckpoint:
    def test_files_below_it_are_ignored_and_removed(self, filesystem: FaultyFilesystem) -> None:
        write(filesystem, 3, 3, 3)
        damage(filesystem, path_of(1), 0, 500)
        advance(filesystem, 6)
        assert kept(filesystem) == [7, 8, 9]
        assert filesystem.paths() == [LOG, path_of(7)]

    @pytest.mark.fault("L4")
    def test_file_that_came_back_is_ignored(self, filesystem: FaultyFilesystem) -> None:
        write(filesystem, 3, 3, 3)
        old = filesystem.content(path_of(1))
        for path in (path_of(1), path_of(4), path_of(7)):
            filesystem.erase(path)
        advance(filesystem, 9)
        filesystem.place(path_of(1), old)
        log = recovered(filesystem)
        assert (log.files, log.lsn_last, log.next_lsn, log.cut) == ((), 9, 10, None)
        assert filesystem.paths() == [LOG]

    def test_records_below_it_are_trimmed(self, filesystem: FaultyFilesystem) -> None:
        write(filesystem, 3, 3)
        advance(filesystem, 4)
        log = recovered(filesystem)
        assert [(file.path, file.lsn_first, file.lsn_last) for file in log.files] == [(path_of(5), 5, 6)]
        assert log.files[0].bytes == len(filesystem.content(path_of(5)))
        assert kept(filesystem) == [5, 6]

    def test_kill_between_the_trimmed_file_and_the_removal_of_the_old_one(self, filesystem: FaultyFilesystem) -> None:
        write(filesystem, 3, 3)
        old = filesystem.content(path_of(4))
        advance(filesystem, 4)
        recovered(filesystem)
        filesystem.place(path_of(4), old)
        assert kept(filesystem) == [5, 6]

    def test_damage_below_it_loses_nothing(self, filesystem: FaultyFilesystem) -> None:
        write(filesystem, 6, durable=5)
        damage(filesystem, path_of(1), offset_of(1))
        advance(filesystem, 3)
        log = recovered(filesystem)
        assert (kept(filesystem), log.cut) == ([4, 5, 6], None)


class TestTail:
    @pytest.mark.fault("L1")
    def test_torn_last_record_is_cut_and_reported(self, filesystem: FaultyFilesystem) -> None:
        write(filesystem, 3, durable=2)
        shorten(filesystem, path_of(1), offset_of(3) - 1)
        log = recovered(filesystem)
        assert log.cut == TailCut(path_of(1), offset_of(2), RECORD_BYTES - 1, 3)
        assert (log.lsn_last, log.next_lsn) == (2, 3)
        assert recovered(filesystem).cut is None

    @pytest.mark.fault("L1")
    @pytest.mark.parametrize("tail", [bytes(300), b"garbage" * 9, b"\x9dRec" * 50])
    def test_tail_that_is_no_record_is_cut(self, filesystem: FaultyFilesystem, tail: bytes) -> None:
        write(filesystem, 3)
        filesystem.place(path_of(1), filesystem.content(path_of(1)) + tail)
        assert recovered(filesystem).cut == TailCut(path_of(1), offset_of(3), len(tail), 4)
        assert kept(filesystem) == [1, 2, 3]

    @pytest.mark.fault("L2")
    def test_good_records_behind_a_bad_unsynced_one_are_cut_with_it(self, filesystem: FaultyFilesystem) -> None:
        write(filesystem, 3, 3, 2, durable=4)
        damage(filesystem, path_of(4), offset_of(1))
        rest = len(filesystem.content(path_of(4))) - offset_of(1) + len(filesystem.content(path_of(7)))
        log = recovered(filesystem)
        assert log.cut == TailCut(path_of(4), offset_of(1), rest, 5)
        assert filesystem.paths() == [LOG, path_of(1), path_of(4)]
        assert kept(filesystem) == [1, 2, 3, 4]

    def test_rest_of_an_undone_append_in_a_full_file_loses_nothing(self, filesystem: FaultyFilesystem) -> None:
        write(filesystem, 3, 3, durable=4)
        filesystem.place(path_of(1), filesystem.content(path_of(1)) + b"rest")
        log = recovered(filesystem)
        assert (kept(filesystem), log.cut) == ([1, 2, 3, 4, 5, 6], None)

    def test_lsn_of_a_cut_record_is_given_again(self, filesystem: FaultyFilesystem) -> None:
        writer = fresh_writer(filesystem)
        append_many(writer, 9)
        damage(filesystem, path_of(1), offset_of(3) - 2)
        writer = writer_of(filesystem, recovered(filesystem))
        first = writer.next_lsn
        append_many(writer, 4)
        assert lsns_of(filesystem, recovered(filesystem)) == list(range(1, first + 4))

    def test_fail_fast_refuses_and_changes_nothing(self, filesystem: FaultyFilesystem) -> None:
        write(filesystem, 3)
        damage(filesystem, path_of(1), offset_of(2))
        before = filesystem.content(path_of(1))
        with pytest.raises(Corruption, match="LSN 3") as caught:
            recovered(filesystem, policy=TailPolicy.FAIL_FAST)
        assert (caught.value.file, caught.value.offset) == (path_of(1), offset_of(2))
        assert filesystem.content(path_of(1)) == before
        assert kept(filesystem) == [1, 2]

    def test_fail_fast_opens_a_whole_log(self, filesystem: FaultyFilesystem) -> None:
        write(filesystem, 3, 3)
        assert kept(filesystem, policy=TailPolicy.FAIL_FAST) == [1, 2, 3, 4, 5, 6]

    @pytest.mark.parametrize("length", [0, 1, FILE_HEADER_BYTES - 1])
    def test_file_whose_creation_was_cut_short_holds_nothing(self, filesystem: FaultyFilesystem, length: int) -> None:
        write(filesystem, 3, 1, durable=3)
        shorten(filesystem, path_of(4), length)
        log = recovered(filesystem)
        assert log.cut == (TailCut(path_of(4), 0, length, 4) if length else None)
        assert filesystem.paths() == [LOG, path_of(1)]
        append_many(writer_of(filesystem, log), 1)
        assert kept(filesystem) == [1, 2, 3, 4]

    def test_file_without_a_record_is_removed(self, filesystem: FaultyFilesystem) -> None:
        write(filesystem, 3, 1)
        shorten(filesystem, path_of(4), FILE_HEADER_BYTES)
        assert recovered(filesystem).cut is None
        assert filesystem.paths() == [LOG, path_of(1)]


class TestDamage:
    @pytest.fixture
    def refused(self, filesystem: FaultyFilesystem) -> Refused:
        """Check that recovery is refused and changes nothing."""

        def check(file: str, offset: int, what: str) -> None:
            before = {path: filesystem.content(path) for path in filesystem.paths()}
            with pytest.raises(Corruption, match=what) as caught:
                recovered(filesystem)
            assert (caught.value.file, caught.value.offset) == (file, offset)
            assert {path: filesystem.content(path) for path in filesystem.paths()} == before

        return check

    @pytest.mark.fault("L2")
    def test_bad_record_below_what_a_later_one_calls_durable(
        self, filesystem: FaultyFilesystem, refused: Refused
    ) -> None:
        write(filesystem, 6, durable=4)
        damage(filesystem, path_of(1), offset_of(3) + 80)
        refused(path_of(1), offset_of(3), "LSN 4 is left, and it was on stable storage")

    def test_bad_record_that_only_a_later_file_calls_durable(
        self, filesystem: FaultyFilesystem, refused: Refused
    ) -> None:
        write(filesystem, 3, 1, durable=3)
        shorten(filesystem, path_of(4), FILE_HEADER_BYTES)
        damage(filesystem, path_of(1), offset_of(2))
        refused(path_of(1), offset_of(2), "LSN 3")

    @pytest.mark.fault("L3")
    def test_missing_file(self, filesystem: FaultyFilesystem, refused: Refused) -> None:
        write(filesystem, 3, 3, 3, durable=6)
        filesystem.erase(path_of(4))
        refused(path_of(1), offset_of(3), "LSN 4")

    @pytest.mark.fault("L3")
    def test_missing_first_file(self, filesystem: FaultyFilesystem, refused: Refused) -> None:
        write(filesystem, 3, 3, durable=4)
        filesystem.erase(path_of(1))
        refused(path_of(4), 0, "LSN 1")

    def test_missing_file_that_was_never_durable_is_an_unsynced_tail(self, filesystem: FaultyFilesystem) -> None:
        write(filesystem, 3, 3, 3, durable=2)
        filesystem.erase(path_of(4))
        log = recovered(filesystem)
        assert log.cut == TailCut(path_of(1), offset_of(3), offset_of(3), 4)

    def test_file_shortened_between_records(self, filesystem: FaultyFilesystem, refused: Refused) -> None:
        write(filesystem, 3, 3, durable=3)
        shorten(filesystem, path_of(1), offset_of(2))
        refused(path_of(1), offset_of(2), "LSN 3")

    def test_damaged_file_header_with_records_behind_it(self, filesystem: FaultyFilesystem, refused: Refused) -> None:
        write(filesystem, 3, durable=1)
        damage(filesystem, path_of(1), 30)
        refused(path_of(1), 0, "checksum of the file header.*LSN 1")

    def test_damaged_file_header_before_another_file(self, filesystem: FaultyFilesystem, refused: Refused) -> None:
        write(filesystem, 3, 3, durable=1)
        filesystem.place(path_of(1), bytes(400))
        refused(path_of(1), 0, "magic.*LSN 1")

    def test_damaged_header_of_a_recovered_file(self, filesystem: FaultyFilesystem, refused: Refused) -> None:
        """LOG says that recovery synced it, although nothing in the file shows that any more."""
        write(filesystem, 3)
        recovered(filesystem)
        filesystem.place(path_of(1), bytes(400))
        refused(path_of(1), 0, "magic.*LSN 1")

    def test_damaged_header_at_or_below_the_checkpoint(self, filesystem: FaultyFilesystem, refused: Refused) -> None:
        write(filesystem, 3)
        advance(filesystem, 2)
        damage(filesystem, path_of(1), 30)
        refused(path_of(1), 0, "LSN 1 was on stable storage")

    @pytest.mark.parametrize("left_bytes", [0, 7, FILE_HEADER_BYTES, FILE_HEADER_BYTES + RECORD_BYTES + 5])
    def test_file_below_the_checkpoint_that_comes_back_cut(self, filesystem: FaultyFilesystem, left_bytes: int) -> None:
        """Its removal was undone, but not that of a later file, to which no record had been written."""
        write(filesystem, 3, durable=3)
        recovered(filesystem)
        advance(filesystem, 3)
        filesystem.place(path_of(1), filesystem.content(path_of(1))[:left_bytes])
        log = recovered(filesystem)
        assert (log.lsn_last, log.next_lsn, log.files) == (3, 4, ())
        assert first_lsns(filesystem, WORKER) == []

    def test_file_below_the_checkpoint_cut_though_later_records_were_durable(
        self, filesystem: FaultyFilesystem, refused: Refused
    ) -> None:
        write(filesystem, 3, durable=3)
        publish_log_document(filesystem, LogDocument(STORE, WORKER, LOG_ID, 2, lsn_durable=3))
        filesystem.place(path_of(1), filesystem.content(path_of(1))[:7])
        refused(path_of(1), 0, "LSN 3")

    @pytest.mark.parametrize("torn", [b"", bytes(30), bytes(400)])
    def test_file_whose_header_was_never_durable_is_an_unsynced_tail(
        self, filesystem: FaultyFilesystem, torn: bytes
    ) -> None:
        """Neither its records nor those of later files are kept, whichever survived."""
        write(filesystem, 3, 3, 3, durable=2)
        filesystem.place(path_of(4), torn + filesystem.content(path_of(4))[400:] if torn else b"")
        log = recovered(filesystem)
        assert log.lsn_last == 3
        assert log.cut is not None
        assert (log.cut.file, log.cut.offset, log.cut.lsn_lost) == (path_of(4), 0, 4)
        assert first_lsns(filesystem, WORKER) == [1]

    def test_newer_version(self, filesystem: FaultyFilesystem, refused: Refused) -> None:
        write(filesystem, 3)
        damage(filesystem, path_of(1), 8)
        refused(path_of(1), 8, "version")

    @pytest.mark.fault("L3")
    def test_lsn_that_is_there_twice(self, filesystem: FaultyFilesystem, refused: Refused) -> None:
        write(filesystem, 4)
        filesystem.place(path_of(3), FileHeader(WORKER, LOG_ID, 3, 2, 2).encode())
        refused(path_of(3), 0, "went on to 4")

    def test_overlong_file_is_refused_before_it_is_read(self, filesystem: FaultyFilesystem, refused: Refused) -> None:
        write(filesystem, 1)
        filesystem.place(path_of(1), filesystem.content(path_of(1)) + bytes(WAL_FILE_BYTES))
        refused(path_of(1), WAL_FILE_BYTES, "more than a log file has")

    def test_last_record_of_a_recovered_file(self, filesystem: FaultyFilesystem, refused: Refused) -> None:
        """Recovery has synced it, as the header of the file says, so it is no torn tail."""
        write(filesystem, 3)
        recovered(filesystem)
        damage(filesystem, path_of(1), offset_of(2))
        refused(path_of(1), offset_of(2), "LSN 3")

    def test_missing_file_of_a_recovered_log(self, filesystem: FaultyFilesystem, refused: Refused) -> None:
        write(filesystem, 3, 3, 3)
        recovered(filesystem)
        filesystem.erase(path_of(4))
        refused(path_of(1), offset_of(3), "LSN 4")

    @pytest.mark.parametrize("checkpoint", [0, 2])
    def test_older_record_inside_a_value_is_no_later_record(
        self, filesystem: FaultyFilesystem, checkpoint: int
    ) -> None:
        """A user may store a copy of the log; its bytes after a bad record must not count as records."""
        writer = fresh_writer(filesystem, 10_000)
        append_many(writer, 3)
        sync(filesystem, writer)
        before = len(filesystem.content(path_of(1)))
        append(writer, Content(1, b"backup", filesystem.content(path_of(1))))
        damage(filesystem, path_of(1), before + RECORD_HEADER_BYTES)
        advance(filesystem, checkpoint)
        log = recovered(filesystem)
        assert log.cut is not None
        assert (log.cut.offset, log.cut.lsn_lost) == (before, 4)
        assert lsns_of(filesystem, log) == list(range(checkpoint + 1, 4))


class TestLsnFloor:
    def test_lsns_in_tables_are_not_given_again(self, filesystem: FaultyFilesystem) -> None:
        append_many(fresh_writer(filesystem), 4)
        log = recovered(filesystem, lsn_floor=20)
        assert (log.lsn_last, log.next_lsn) == (4, 21)
        writer = writer_of(filesystem, log)
        assert (writer.lsn_appended, writer.lsn_durable) == (4, 4)
        append_many(writer, 2)
        assert writer.lsn_appended == 22

    def test_jump_is_no_missing_file(self, filesystem: FaultyFilesystem) -> None:
        append_many(fresh_writer(filesystem), 4)
        writer = writer_of(filesystem, recovered(filesystem, lsn_floor=20))
        append_many(writer, 2)
        sync(filesystem, writer)
        append(writer)
        for _ in range(2):
            log = recovered(filesystem)
            assert log.cut is None
            assert lsns_of(filesystem, log) == [1, 2, 3, 4, 21, 22, 23]

    def test_missing_file_behind_a_jump_is_found(self, filesystem: FaultyFilesystem) -> None:
        append_many(fresh_writer(filesystem), 4)
        writer = writer_of(filesystem, recovered(filesystem, lsn_floor=20))
        append_many(writer, 2)
        writer.rotate()
        sync(filesystem, writer)
        append(writer)
        filesystem.erase(path_of(21))
        with pytest.raises(Corruption, match="LSN 5"):
            recovered(filesystem)

    def test_jump_over_a_checkpoint(self, filesystem: FaultyFilesystem) -> None:
        append_many(fresh_writer(filesystem), 4)
        append_many(writer_of(filesystem, recovered(filesystem, lsn_floor=20)), 2)
        advance(filesystem, 15)
        assert kept(filesystem) == [21, 22]
        assert filesystem.paths() == [LOG, path_of(21)]

    def test_floor_below_the_log_changes_nothing(self, filesystem: FaultyFilesystem) -> None:
        append_many(fresh_writer(filesystem), 4)
        assert recovered(filesystem, lsn_floor=3).next_lsn == 5

    def test_jump_whose_file_was_never_filled(self, filesystem: FaultyFilesystem) -> None:
        append_many(fresh_writer(filesystem), 4)
        append(writer_of(filesystem, recovered(filesystem, lsn_floor=20)))
        shorten(filesystem, path_of(21), FILE_HEADER_BYTES)
        append_many(writer_of(filesystem, recovered(filesystem, lsn_floor=20)), 1)
        log = recovered(filesystem)
        assert (lsns_of(filesystem, log), log.cut) == ([1, 2, 3, 4, 21], None)


def full_disk(failure: NotWritable) -> Callable[[int, str, str], None]:
    """A filesystem in which no file can be created."""

    def fault(number: int, operation: str, path: str) -> None:
        if operation == "create":
            raise failure

    return fault


class TestFrozen:
    """On a full disk a log can be read; once there is room, it is recovered as usual."""

    @pytest.fixture
    def log_with_tail(self, filesystem: FaultyFilesystem) -> FaultyFilesystem:
        """Two files; the end of the second is torn, and was never known to be durable."""
        writer = fresh_writer(filesystem, file_bytes=FILE_HEADER_BYTES + 3 * RECORD_BYTES)
        for _ in range(5):
            append(writer)
            sync(filesystem, writer)
        append(writer)
        filesystem.place(path_of(4), filesystem.content(path_of(4)) + b"torn")
        return filesystem

    @pytest.mark.parametrize("failure", [DiskFull("no space"), ReadOnlyDisk("read-only")])
    def test_it_is_read_as_it_lies_and_nothing_is_appended(
        self, log_with_tail: FaultyFilesystem, failure: NotWritable
    ) -> None:
        filesystem = log_with_tail
        before = {path: filesystem.content(path) for path in filesystem.paths()}
        filesystem.fault = full_disk(failure)
        log = recovered(filesystem)
        assert log.failure == str(failure)
        assert [record.lsn for record in records_in(filesystem, log)] == [1, 2, 3, 4, 5, 6]
        assert f"sync {log.files[-1].path}" in filesystem.trace, "what is served is durable"
        assert {path: filesystem.content(path) for path in filesystem.paths()} == before
        writer = writer_of(filesystem, log)
        with pytest.raises(type(failure)):
            append(writer)
        assert not writer.could_thaw()
        filesystem.healthy()
        assert writer.could_thaw()
        assert {path: filesystem.content(path) for path in filesystem.paths()} == before
        again = recovered(filesystem)
        assert (again.frozen, again.lsn_last, again.cut) == (None, 6, log.cut)
        assert again.life >> LIFE_NONCE_BITS == (log.life >> LIFE_NONCE_BITS) + 1

    def test_records_at_or_below_the_checkpoint_are_passed_over(self, log_with_tail: FaultyFilesystem) -> None:
        filesystem = log_with_tail
        document = read_log_document(filesystem, STORE, WORKER)
        publish_log_document(filesystem, replace(document, lsn_checkpoint=2, lsn_durable=2))
        filesystem.fault = full_disk(DiskFull("no space"))
        log = recovered(filesystem)
        assert [record.lsn for record in records_in(filesystem, log)] == [3, 4, 5, 6]
