"""Appends records to the log of a worker.

Each record is given to the operating system in one append. If it does not fit into the active file, it begins a new
one. Nothing is synced here, as requests would have to wait: the core asks for syncs (effects.SyncWal) of
`unsynced_files` and `unsynced_directory`, and reports them with `mark_synced`. So the name, header and first records of
a new file reach stable storage together, and nothing in a file counts as durable before its name does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from shardstore.errors import NotWritable, StorageFailure
from shardstore.files.documents import TEMPORARY_SUFFIX
from shardstore.files.file_names import wal_file, worker_directory
from shardstore.files.formats import LOG_FILE
from shardstore.identifiers import RequestId
from shardstore.limits import KIB, REQUEST_BYTES_MAX, WAL_FILE_BYTES
from shardstore.seams.filesystem import File, Filesystem
from shardstore.workers.wal.record_format import (
    FILE_HEADER_BYTES,
    RECORD_HEADER_BYTES,
    FileHeader,
    RecordKind,
    encode_record_header,
)

_NOTHING = bytes(64 * KIB)


@dataclass(frozen=True, slots=True)
class WalFile:
    """A log file that takes no more records."""

    path: str
    lsn_first: int
    lsn_last: int
    bytes: int
    version: int = LOG_FILE.version


@dataclass(frozen=True, slots=True)
class Frozen:
    """Why nothing may be appended to a log until it is recovered again, and how much room the recovery lacked."""

    failure: NotWritable
    bytes_needed: int


class WalWriter:
    """Appends to a log.

    Invariants: lsn_durable <= lsn_appended < next_lsn; the active file holds the records `_lsn_first` to
    `lsn_appended`, and nothing else unless the end of the log is unknown (`failed`); closed files are in order, and end
    below the active one; those of `_unsynced` are the last closed files, which end above lsn_durable.

    After a failure that leaves the end of the log unknown nothing is ever appended again.
    """

    def __init__(
        self,
        filesystem: Filesystem,
        worker: int,
        log_id: int,
        next_lsn: int,
        lsn_durable: int,
        files: Sequence[WalFile] = (),
        frozen: Frozen | None = None,
        file_bytes: int = WAL_FILE_BYTES,
    ) -> None:
        """Continue a log whose last record has LSN `lsn_durable` and lies in `files`; the next one gets `next_lsn`."""
        assert lsn_durable < next_lsn
        assert file_bytes <= WAL_FILE_BYTES, "recovery refuses longer files"
        self.file_bytes = file_bytes
        self.frozen = frozen
        self._filesystem = filesystem
        self._worker = worker
        self._log_id = log_id
        self._next_lsn = next_lsn
        self.lsn_appended = lsn_durable
        """LSN of the last record that the operating system has."""
        self.lsn_durable = lsn_durable
        """LSN of the last record that is known to be on stable storage."""
        self._closed = list(files)
        self._closed_bytes = sum(file.bytes for file in files)
        self._active: File | None = None
        self._active_bytes = 0
        self._lsn_first = next_lsn
        self._unsynced: deque[tuple[WalFile, File]] = deque()
        self._failure: StorageFailure | None = None

    @property
    def next_lsn(self) -> int:
        """LSN that the next record gets."""
        return self._next_lsn

    def retained_bytes(self) -> int:
        """Size of all files of the log."""
        return self._closed_bytes + self._active_bytes

    def old_files(self) -> int:
        """The number of files that have a former format version."""
        return sum(file.version < LOG_FILE.version for file in self._closed)

    @property
    def failed(self) -> bool:
        """Whether a failure has left the end of the log unknown, so that it takes no more records."""
        return self._failure is not None

    def append(
        self,
        kind: RecordKind,
        layout: int,
        entries: int,
        segment: int,
        epoch: int,
        request: RequestId,
        keys: bytes,
        values: bytes,
    ) -> int:
        """Give one record to the operating system.

        Raises NotWritable if nothing was appended, StorageFailure if that is not known: then the log takes no more
        records.
        """
        if self._failure is not None:
            raise StorageFailure(f"the log takes no more records since: {self._failure}")
        if self.frozen is not None:
            raise self.frozen.failure
        size = RECORD_HEADER_BYTES + len(keys) + len(values)
        assert size <= RECORD_HEADER_BYTES + REQUEST_BYTES_MAX, "recovery refuses longer records"
        lsn = self._next_lsn
        header = encode_record_header(
            self._log_id, kind, layout, entries, lsn, self.lsn_durable, segment, epoch, request, keys, values
        )
        file, file_bytes = self._active, self._active_bytes
        try:
            if file is None or not file_bytes or file_bytes + size > self.file_bytes:
                file = self._file_for(size)
            file.append((header, keys, values))
        except NotWritable:
            self._cut_back()
            raise
        except StorageFailure as failure:
            self._failure = failure
            raise
        self._active_bytes += size
        self.lsn_appended = lsn
        self._next_lsn = lsn + 1
        return lsn

    def rotate(self) -> None:
        """Close the active file to records, if it holds any: the next record begins a new file."""
        if self._active is None or self.lsn_appended < self._lsn_first:
            return
        closed = WalFile(self._active.path, self._lsn_first, self.lsn_appended, self._active_bytes)
        self._closed.append(closed)
        self._closed_bytes += self._active_bytes
        self._unsynced.append((closed, self._active))
        self._active, self._active_bytes = None, 0
        self._close_synced()

    def unsynced_files(self) -> tuple[File, ...]:
        """The files to sync, in this order, so that everything up to `lsn_appended` is on stable storage."""
        files = [file for _, file in self._unsynced]
        if self._active is not None and self.lsn_durable < self.lsn_appended:
            files.append(self._active)
        return tuple(files)

    def unsynced_directory(self) -> str | None:
        """The directory to sync after `unsynced_files`; None if all names are durable.

        The name of a file is not durable if the file begins above lsn_durable.
        """
        names_unsynced = self.lsn_durable < self._lsn_first <= self.lsn_appended or any(
            self.lsn_durable < closed.lsn_first for closed, _ in self._unsynced
        )
        return worker_directory(self._worker) if names_unsynced else None

    def mark_synced(self, lsn: int) -> None:
        """Note that `unsynced_files`, as of the append of `lsn` or later, and their names have been synced."""
        assert lsn <= self.lsn_appended
        self.lsn_durable = max(self.lsn_durable, lsn)
        self._close_synced()

    def files_before(self, lsn_checkpoint: int) -> list[str]:
        """Paths of the files that hold no record above the checkpoint; the active file is never among them."""
        return [file.path for file in self._closed if file.lsn_last <= lsn_checkpoint]

    def forget(self, paths: Sequence[str]) -> None:
        """Stop counting files that are being removed."""
        self._closed = [file for file in self._closed if file.path not in paths]
        self._closed_bytes = sum(file.bytes for file in self._closed)

    def could_thaw(self) -> bool:
        """Whether there is room now for what recovery could not write."""
        assert self.frozen is not None
        path = wal_file(self._worker, self._next_lsn) + TEMPORARY_SUFFIX
        try:
            file = self._filesystem.create(path)
            try:
                for _ in range(0, self.frozen.bytes_needed, len(_NOTHING)):
                    file.append((_NOTHING,))
            finally:
                file.close()
                self._filesystem.remove(path)
        except (StorageFailure, FileExistsError):
            return False
        return True

    def close(self) -> None:
        """Close all open files."""
        for _, file in self._unsynced:
            file.close()
        self._unsynced.clear()
        if self._active is not None:
            self._active.close()

    def check_invariants(self) -> None:
        """Raise AssertionError if an invariant of this class does not hold."""
        assert self.lsn_durable <= self.lsn_appended < self._next_lsn, "LSNs are out of order"
        assert self._closed_bytes == sum([file.bytes for file in self._closed]), "closed files are miscounted"
        assert all(one.lsn_last < following.lsn_first for one, following in pairwise(self._closed)), "files overlap"
        above_durable = [file for file in self._closed if file.lsn_last > self.lsn_durable]
        assert [file for file, _ in self._unsynced] == above_durable, "a file that is not durable would not be synced"
        if self._active is not None:
            self._check_active(self._active)

    def _check_active(self, active: File) -> None:
        """Raise AssertionError if the active file does not hold what is counted."""
        last_closed = self._closed[-1].lsn_last if self._closed else 0
        assert last_closed < self._lsn_first <= self._next_lsn, "the active file begins at a wrong record"
        assert active.path == wal_file(self._worker, self._lsn_first), "the active file has a wrong name"
        has_records = self._active_bytes > FILE_HEADER_BYTES
        assert has_records == (self._lsn_first <= self.lsn_appended), "the active file lacks its records"
        assert self.failed or active.size() == self._active_bytes, "the active file holds more or less than is counted"

    def _file_for(self, size: int) -> File:
        """The file for a record of this size: the active one, or a new one if the record does not fit any more."""
        if self._active_bytes + size > self.file_bytes:
            self.rotate()
        if self._active is None:
            self._active = self._filesystem.create(wal_file(self._worker, self._next_lsn))
            self._lsn_first = self._next_lsn
        if not self._active_bytes:
            header = FileHeader(self._worker, self._log_id, self._next_lsn, self.lsn_appended, self.lsn_durable)
            self._active.append((header.encode(),))
            self._active_bytes = FILE_HEADER_BYTES
        return self._active

    def _cut_back(self) -> None:
        """Remove what a failed append left behind the last whole record."""
        if self._active is None:
            return
        try:
            self._active.truncate(self._active_bytes)
        except StorageFailure as failure:
            self._failure = failure
            raise StorageFailure(f"cannot undo an append: {failure}") from failure

    def _close_synced(self) -> None:
        """Close the handles of full files that a sync has covered."""
        while self._unsynced and self._unsynced[0][0].lsn_last <= self.lsn_durable:
            self._unsynced.popleft()[1].close()
