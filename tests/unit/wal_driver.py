"""Drives a log as the worker does: recover, append, sync, release."""

from __future__ import annotations

from dataclasses import dataclass

from shardstore.identifiers import Epoch, RequestId, SegmentId
from shardstore.seams.filesystem import Filesystem
from shardstore.workers.wal.reader import runs_in
from shardstore.workers.wal.record_format import Record, RecordKind
from shardstore.workers.wal.recovery import RecoveredLog, recover
from shardstore.workers.wal.scan import TailPolicy
from shardstore.workers.wal.writer import WalWriter

WORKER = 3
STORE = "store"
LOG_ID = 0x0123456789ABCDEF
DIRECTORY = "workers/0003"


class FixedEntropy:
    """An entropy source that gives every log the same id, so that files compare equal."""

    def below(self, bound: int) -> int:
        return LOG_ID % bound


def path_of(lsn_first: int) -> str:
    return f"{DIRECTORY}/wal-{lsn_first:016x}.log"


def recovered(
    filesystem: Filesystem, lsn_floor: int = 0, policy: TailPolicy = TailPolicy.TRUNCATE_INVALID_TAIL
) -> RecoveredLog:
    return recover(filesystem, WORKER, STORE, lsn_floor, FixedEntropy(), policy)


def writer_of(filesystem: Filesystem, log: RecoveredLog, file_bytes: int = 4000) -> WalWriter:
    return WalWriter(filesystem, WORKER, log.log_id, log.next_lsn, log.lsn_last, log.files, log.frozen, file_bytes)


def fresh_writer(filesystem: Filesystem, file_bytes: int = 4000) -> WalWriter:
    return writer_of(filesystem, recovered(filesystem), file_bytes)


@dataclass(frozen=True)
class Content:
    """The content of a record, determined by its LSN."""

    segment: int
    keys: bytes
    values: bytes


def content_of(lsn: int) -> Content:
    """A value that differs in content and length for each LSN."""
    return Content(lsn % 3 + 1, b"key-%d" % lsn, (b"%d," % lsn * 1500)[: lsn * 397 % 1500])


def append(writer: WalWriter, content: Content | None = None) -> int:
    """Append the record determined by the next LSN, or this content."""
    content = content or content_of(writer.next_lsn)
    segment, epoch, request = SegmentId(content.segment), Epoch(1), RequestId(9, 1)  # type: ignore[arg-type]
    return writer.append(RecordKind.PUT, 0, 1, segment, epoch, request, content.keys, content.values)


def append_many(writer: WalWriter, number: int) -> None:
    for _ in range(number):
        append(writer)


def sync(filesystem: Filesystem, writer: WalWriter) -> None:
    directory = writer.unsynced_directory()
    for file in writer.unsynced_files():
        file.sync()
    if directory is not None:
        filesystem.sync_directory(directory)
    writer.mark_synced(writer.lsn_appended)


def records_in(filesystem: Filesystem, log: RecoveredLog) -> list[Record]:
    """All recovered records."""
    runs = runs_in(filesystem, WORKER, log.log_id, log.recovered)
    return [record for run in runs for record in run.records()]


def lsns_of(filesystem: Filesystem, log: RecoveredLog) -> list[int]:
    """The LSNs of all recovered records; each is checked against the record that was written."""
    lsns = []
    for record in records_in(filesystem, log):
        assert Content(record.segment, bytes(record.keys), bytes(record.values)) == content_of(record.lsn)
        lsns.append(record.lsn)
    return lsns
