"""Opening the log of a worker after any end of its last process.

    1  read LOG: which log this is, and its checkpoint (a new store: choose an id, publish it)
    2  leave out the files that lie wholly at or below the checkpoint: their removal may not have been durable
    3  verify the others past the cache; decide what their end is (scan.py); up to here nothing was changed
    4  rewrite each file that is kept: verified records above the checkpoint only, under the name of the first;
       only a whole file of which the log itself says that it was synced stays as it is
    5  remove all other files, durably: the LSN of a cut record is given anew, and the two must never meet
    6  say in LOG that all records that are left are on stable storage, and that a life of the log begins

So nothing that is served rests on the page cache, and no later append goes into a file of an earlier process.

When the disk takes nothing in steps 4 to 6, the log is frozen: what was verified is synced where it lies and may be
read, and nothing may be appended before a next recovery, with room, has ended.

Killed anywhere and run again, recovery ends the same: step 4 replaces a file by its sound part, which step 3 reads
alike, and a file that comes back before step 5 has ended is left out or cut again.

LSNs at or below `lsn_floor` are in tables already and are never given again, even if the log lost them. So LSNs may
jump between two files. A file header therefore names the last LSN before it (`lsn_previous`): what lies between
was never given, and no file is missing while `lsn_previous` is reached.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from shardstore.errors import Corruption, NotWritable
from shardstore.files.documents import TEMPORARY_SUFFIX, publish_parts
from shardstore.files.file_names import first_lsn_of, log_document, wal_file, worker_directory
from shardstore.identifiers import is_later_life
from shardstore.limits import KIB
from shardstore.seams.entropy import Entropy
from shardstore.seams.filesystem import Filesystem
from shardstore.workers.wal.log_document import LogDocument, next_life, publish_log_document, read_log_document
from shardstore.workers.wal.reader import first_lsns
from shardstore.workers.wal.record_format import FILE_HEADER_BYTES, FileHeader
from shardstore.workers.wal.scan import LogEnd, ScannedFile, TailCut, TailPolicy, judge_end, scan_file
from shardstore.workers.wal.writer import Frozen, WalFile

DOCUMENT_BYTES = 64 * KIB
"""Room for LOG, roughly."""


@dataclass(frozen=True, slots=True)
class RecoveredLog:
    """A log whose every record is verified and on stable storage. `files` hold them (see reader.records_in)."""

    log_id: int
    lsn_checkpoint: int
    lsn_last: int
    """LSN of the last record, or the checkpoint if that is higher."""
    next_lsn: int
    files: tuple[WalFile, ...]
    cut: TailCut | None
    """For the event log: what was cut from the end."""
    segments: Mapping[int, int] = field(default_factory=dict)
    """By segment, the version of its manifest that is at least there; see log_document.py."""
    life: int = 0
    ended_in_order: bool = True
    """Whether the process before said at its end how far its log goes."""
    frozen: Frozen | None = None

    @property
    def failure(self) -> str:
        """Why it takes no records; empty if it does."""
        return str(self.frozen.failure) if self.frozen else ""

    def in_words(self) -> str:
        """What an operator is told of it."""
        cut = (
            f"; {self.cut.bytes:,} bytes that were never acknowledged were cut from {self.cut.file}" if self.cut else ""
        )
        before = "after an end in order" if self.ended_in_order else "after an end that was not in order"
        return f"replays {self.lsn_last - self.lsn_checkpoint:,} records of its log {before}{cut}"


def recover(
    filesystem: Filesystem,
    worker: int,
    store: str,
    lsn_floor: int,
    entropy: Entropy,
    policy: TailPolicy = TailPolicy.TRUNCATE_INVALID_TAIL,
) -> RecoveredLog:
    """Open the log. `lsn_floor`: the highest LSN of this log that a table is known to hold.

    When the disk takes no writes, the log is frozen. Raises Corruption, with nothing changed, for damage, and
    StorageFailure.
    """
    directory = worker_directory(worker)
    filesystem.make_directory(directory)
    log = _open_or_create(filesystem, worker, store, entropy)
    firsts = first_lsns(filesystem, worker)
    end = _verify(filesystem, log, _needed(firsts, log.lsn_checkpoint), policy)
    frozen: Frozen | None = None
    try:
        files = _make_durable(filesystem, log, end)
        _remove_others(filesystem, worker, {file.path for file in files})
        began = replace(log, lsn_durable=max(log.lsn_durable, end.lsn_last), life=next_life(log.life, entropy))
        publish_log_document(filesystem, began)
    except NotWritable as failure:
        began, frozen = log, Frozen(failure, DOCUMENT_BYTES + max([file.size for file in end.kept], default=0))
        end = _verify(filesystem, log, _needed(first_lsns(filesystem, worker), log.lsn_checkpoint), policy)
        files = _sync_in_place(filesystem, worker, end)
    next_lsn = max(end.lsn_last, lsn_floor) + 1
    in_order = end.cut is None and end.lsn_last <= max(log.lsn_durable, log.lsn_checkpoint)
    numbers = log.log_id, log.lsn_checkpoint, end.lsn_last, next_lsn
    return RecoveredLog(*numbers, files, end.cut, log.segments, began.life, in_order, frozen)


def check_life(log: RecoveredLog, worker: int, newest: int) -> None:
    """Raise Corruption if the store knows a newer life of the worker's log, or another one; 0: it knows none."""
    if newest and log.life != newest and not is_later_life(log.life, newest):
        newer = "is not the newest log of this worker: its directory was removed, or is an older copy"
        advice = "bring the newest back, or the whole data directory from one backup"
        raise Corruption(log_document(worker), 0, f"{newer}; {advice}")


def _open_or_create(filesystem: Filesystem, worker: int, store: str, entropy: Entropy) -> LogDocument:
    try:
        return read_log_document(filesystem, store, worker)
    except FileNotFoundError:
        if first_lsns(filesystem, worker):
            raise Corruption(log_document(worker), 0, "is missing, but files of the log are there") from None
    log = LogDocument(store, worker, entropy.below(2**64), 0)
    publish_log_document(filesystem, log)
    return log


def _needed(firsts: Sequence[int], lsn_checkpoint: int) -> Sequence[int]:
    """Without the files that another one follows before or right behind the checkpoint."""
    obsolete = sum(following <= lsn_checkpoint + 1 for following in firsts[1:])
    return firsts[obsolete:]


def _verify(filesystem: Filesystem, log: LogDocument, firsts: Sequence[int], policy: TailPolicy) -> LogEnd:
    if not firsts and log.lsn_durable > log.lsn_checkpoint:
        lost = f"LSN {log.lsn_checkpoint + 1} to {log.lsn_durable} were on stable storage, but no log file is there"
        raise Corruption(log_document(log.worker), 0, lost)
    scanned = [
        scan_file(
            filesystem,
            wal_file(log.worker, lsn_first),
            log.worker,
            log.log_id,
            lsn_first,
            log.lsn_checkpoint,
        )
        for lsn_first in firsts
    ]
    return judge_end(scanned, log.lsn_checkpoint, log.lsn_durable, policy)


def _make_durable(filesystem: Filesystem, log: LogDocument, end: LogEnd) -> tuple[WalFile, ...]:
    """Put the kept records into new files, each in the place of its old one, unless they are on stable storage."""
    files = []
    lsn_previous = log.lsn_checkpoint
    for file in end.kept:
        if file.lsn_last <= end.lsn_durable and (file.start, file.end) == (FILE_HEADER_BYTES, file.size):
            files.append(WalFile(file.path, file.lsn_first, file.lsn_last, file.size))
        else:
            files.append(_rewrite_file(filesystem, log, file, lsn_previous))
        lsn_previous = file.lsn_last
    return tuple(files)


def _sync_in_place(filesystem: Filesystem, worker: int, end: LogEnd) -> tuple[WalFile, ...]:
    """Make what is kept durable where it lies: what was verified past the cache is there, a sync does the rest."""
    for file in end.kept:
        if file.lsn_last > end.lsn_durable:
            handle = filesystem.open(file.path)
            try:
                handle.sync()
            finally:
                handle.close()
    filesystem.sync_directory(worker_directory(worker))
    return tuple(WalFile(file.path, file.lsn_first, file.lsn_last, file.size, file.start) for file in end.kept)


def _rewrite_file(filesystem: Filesystem, log: LogDocument, file: ScannedFile, lsn_previous: int) -> WalFile:
    path = wal_file(log.worker, file.lsn_first)
    header = FileHeader(log.worker, log.log_id, file.lsn_first, lsn_previous, lsn_durable=file.lsn_last)
    records_bytes = file.end - file.start
    source = filesystem.open(file.path)
    try:
        publish_parts(filesystem, path, [header.encode(), source.read_at(file.start, records_bytes)])
    finally:
        source.close()
    return WalFile(path, file.lsn_first, file.lsn_last, FILE_HEADER_BYTES + records_bytes)


def _remove_others(filesystem: Filesystem, worker: int, kept: set[str]) -> None:
    """Remove every other file of the log, and temporaries that a killed recovery left; also what was removed before."""
    directory = worker_directory(worker)
    for name in filesystem.list_directory(directory):
        path = f"{directory}/{name}"
        if first_lsn_of(name.removesuffix(TEMPORARY_SUFFIX)) is not None and path not in kept:
            filesystem.remove_gradually(path)
    filesystem.sync_directory(directory)
