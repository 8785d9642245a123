"""Reads a log that is known to be sound: recovery has verified it, or the running worker wrote it.

Anything that is not as it must be raises Corruption.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from shardstore.checksum import checksum
from shardstore.errors import Corruption
from shardstore.files.file_names import first_lsn_of, wal_file, worker_directory
from shardstore.seams.filesystem import Filesystem
from shardstore.workers.wal.record_format import (
    FILE_HEADER_BYTES,
    DamagedHeader,
    DamagedRecord,
    FileHeader,
    Record,
    decode_file_header,
    hop_at,
    log_record_at,
)
from shardstore.workers.wal.record_run import RecordRun, known_run_at
from shardstore.workers.wal.writer import WalFile

HOPS_AT_A_TIME = 1_024


class RecoveredFile(NamedTuple):
    """A log file whose records recovery has verified. They are its bytes `start` to `end`, with this checksum."""

    file: WalFile
    start: int
    end: int
    checksum: int


@dataclass(frozen=True, slots=True)
class LsnInterval:
    """LSNs `first` to `last`, both included."""

    first: int
    last: int


def first_lsns(filesystem: Filesystem, worker: int) -> list[int]:
    """The first LSN of every file of the log, ascending."""
    found = map(first_lsn_of, filesystem.list_directory(worker_directory(worker)))
    return sorted(lsn for lsn in found if lsn is not None)


def runs_in(
    filesystem: Filesystem, worker: int, log_id: int, recovered: Iterable[RecoveredFile]
) -> Iterator[RecordRun]:
    """All records of these files, in LSN order."""
    for file, start, end, expected in recovered:
        data = filesystem.map(file.path)
        _header_of(file.path, data, worker, log_id)
        data = data[:end]
        if checksum(data[start:]) != expected:
            raise Corruption(file.path, start, "changed since its records were verified")
        offset = start
        while offset < end:
            run, offset = known_run_at(data, offset)
            yield run


def records_of(
    filesystem: Filesystem, worker: int, log_id: int, wanted: Mapping[int, LsnInterval]
) -> Iterator[Record | None]:
    """The records of each wanted segment within its interval, in LSN order; other records are skipped.

    About every HOPS_AT_A_TIME skipped records it yields None, so that a caller that works in slices can end a slice
    there.

    Every interval must be above the checkpoint and must not end after what the writer has appended. The file that is
    being written is read up to the last wanted LSN and no further.
    """
    lsn = min(interval.first for interval in wanted.values())
    last = max(interval.last for interval in wanted.values())
    firsts = first_lsns(filesystem, worker)
    for lsn_first in firsts[max(0, bisect_right(firsts, lsn) - 1) :]:
        path = wal_file(worker, lsn_first)
        data = filesystem.map(path)
        if _header_of(path, data, worker, log_id).lsn_previous >= lsn:
            raise Corruption(path, 0, f"LSN {lsn} must be in a file before this one, which is missing")
        lsn = max(lsn, lsn_first)
        for offset, found, segment in _hops(path, data, log_id, lsn_first, last):
            interval = wanted.get(segment)
            if interval is not None and interval.first <= found <= interval.last:
                yield _record_at(path, data, offset, log_id)
            elif found % HOPS_AT_A_TIME == 0:
                yield None
            lsn = found + 1
        if lsn > last:
            return
    raise Corruption(worker_directory(worker), 0, f"the log ends before LSN {lsn}; it must reach LSN {last}")


def _hops(path: str, data: memoryview, log_id: int, lsn: int, last: int) -> Iterator[tuple[int, int, int]]:
    """Offset, LSN and segment of each record of the file up to LSN `last`."""
    offset, size = FILE_HEADER_BYTES, len(data)
    while offset < size and lsn <= last:
        try:
            found, segment, end = hop_at(data, offset, log_id)
        except DamagedRecord as damage:
            raise Corruption(path, offset, str(damage)) from None
        _check_lsn(path, offset, found, lsn)
        yield offset, lsn, segment
        offset = end
        lsn += 1


def _header_of(path: str, data: memoryview, worker: int, log_id: int) -> FileHeader:
    try:
        return decode_file_header(path, data, worker, log_id)
    except DamagedHeader as damage:
        raise Corruption(path, 0, str(damage)) from None


def _record_at(path: str, data: memoryview, offset: int, log_id: int) -> Record:
    try:
        return log_record_at(data, offset, log_id)
    except DamagedRecord as damage:
        raise Corruption(path, offset, str(damage)) from None


def _check_lsn(path: str, offset: int, found: int, expected: int) -> None:
    if found != expected:
        raise Corruption(path, offset, f"LSN {found} where LSN {expected} must be")
