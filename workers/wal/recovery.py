"""Opens the log of a worker, however its last process ended.

    1  read LOG: which log this is, and its checkpoint (a new store: choose an id, publish it)
    2  leave out the files that lie wholly at or below the checkpoint: their removal may not have been durable
    3  verify the others past the cache and decide where the log ends (scan.py); nothing has been changed so far
    4  rewrite each file that is kept: only the verified records above the checkpoint, under the name of the first;
       only a complete file that the log itself says was synced stays as it is
    5  remove all other files, durably: the LSN of a cut record is used again, and the two records must never meet
    6  publish LOG: all remaining records are on stable storage, and a new life of the log begins

So nothing that is served depends on the page cache, and no later append goes into a file of an earlier process.

If the disk refuses writes in steps 4 to 6, the log is frozen: the verified records are synced in their present files
and can be read, but nothing can be appended until another recovery, with enough room, has succeeded.

Recovery can be killed anywhere and run again with the same result. Step 4 replaces a file by its sound part, which step
3 reads in the same way, and a file that reappears before step 5 has ended is left out or cut again.

LSNs at or below `lsn_floor` are in tables already and are never used again, even if the log lost them. So LSNs may jump
between two files. Each file header therefore names the last LSN before it (`lsn_previous`): the LSNs between the two
were never used, and no file is missing as long as `lsn_previous` is reached.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from shardstore.errors import Corruption, NotWritable
from shardstore.files.documents import TEMPORARY_SUFFIX, publish_pieces
from shardstore.files.file_names import first_lsn_of, log_document, wal_file, worker_directory
from shardstore.identifiers import is_later_life
from shardstore.limits import KIB
from shardstore.seams.entropy import Entropy
from shardstore.seams.filesystem import Filesystem
from shardstore.workers.wal.log_document import LogDocument, next_life, publish_log_document, read_log_document
from shardstore.workers.wal.reader import RecoveredFile, first_lsns
from shardstore.workers.wal.record_format import FILE_HEADER_BYTES, FileHeader
from shardstore.workers.wal.scan import LogEnd, ScannedFile, TailCut, TailPolicy, judge_end, scan_file
from shardstore.workers.wal.writer import Frozen, WalFile

DOCUMENT_BYTES = 64 * KIB
"""About the room that LOG needs."""


@dataclass(frozen=True, slots=True)
class RecoveredLog:
    """A log whose every record is verified and on stable storage. `recovered` hold the records (see reader.runs_in)."""

    log_id: int
    lsn_checkpoint: int
    lsn_last: int
    """LSN of the last record, or the checkpoint if that is higher."""
    next_lsn: int
    recovered: tuple[RecoveredFile, ...]
    cut: TailCut | None
    """What was cut from the end, for statistics and operators."""
    segments: Mapping[int, int] = field(default_factory=dict)
    """By segment, the lowest version that its manifest may have; see log_document.py."""
    life: int = 0
    ended_in_order: bool = True
    """Whether the process before stopped cleanly: it noted how far its log goes."""
    frozen: Frozen | None = None
    clock_ms: int = 0
    """What LOG said that the clock may have reached, when it was opened."""
    granted_ms: int = 0
    """What LOG says now that the clock may reach."""

    @property
    def files(self) -> tuple[WalFile, ...]:
        """The files that hold the records."""
        return tuple([file for file, *_ in self.recovered])

    @property
    def failure(self) -> str:
        """Why the log takes no records; empty if it does."""
        return str(self.frozen.failure) if self.frozen else ""

    def in_words(self) -> str:
        """A description of the log for the operator."""
        cut = f"; {self.cut.bytes:,} unsynced bytes were cut from {self.cut.file}" if self.cut else ""
        before = "after a clean stop" if self.ended_in_order else "after an unclean stop"
        return f"replays {self.lsn_last - self.lsn_checkpoint:,} records of its log {before}{cut}"


def recover(
    filesystem: Filesystem,
    worker: int,
    store: str,
    lsn_floor: int,
    entropy: Entropy,
    policy: TailPolicy = TailPolicy.TRUNCATE_INVALID_TAIL,
    clock_ms: int = 0,
) -> RecoveredLog:
    """Open the log. `lsn_floor`: the highest LSN of this log that a table is known to hold.

    `clock_ms`: the moment that the clock of the worker may reach before another lease of it is logged.

    If the disk refuses writes, the log is frozen. Raises StorageFailure, and Corruption for damage; then nothing has
    been changed.
    """
    directory = worker_directory(worker)
    filesystem.make_directory(directory)
    log = _open_or_create(filesystem, worker, store, entropy)
    firsts = first_lsns(filesystem, worker)
    end = verify_log(filesystem, log, needed_files(firsts, log.lsn_checkpoint), policy)
    frozen: Frozen | None = None
    try:
        recovered = _make_durable(filesystem, log, end)
        _remove_others(filesystem, worker, {file.path for file, *_ in recovered})
        began = replace(log, lsn_durable=max(log.lsn_durable, end.lsn_last), life=next_life(log.life, entropy))
        began = replace(began, clock_ms=max(log.clock_ms, clock_ms))
        publish_log_document(filesystem, began)
    except NotWritable as failure:
        began, frozen = log, Frozen(failure, DOCUMENT_BYTES + max([file.size for file in end.kept], default=0))
        end = verify_log(filesystem, log, needed_files(first_lsns(filesystem, worker), log.lsn_checkpoint), policy)
        recovered = _sync_in_place(filesystem, worker, end)
    next_lsn = max(end.lsn_last, lsn_floor) + 1
    in_order = end.cut is None and end.lsn_last <= max(log.lsn_durable, log.lsn_checkpoint)
    numbers = log.log_id, log.lsn_checkpoint, end.lsn_last, next_lsn
    return RecoveredLog(
        *numbers, recovered, end.cut, log.segments, began.life, in_order, frozen, log.clock_ms, began.clock_ms
    )


def check_life(log: RecoveredLog, worker: int, newest: int) -> None:
    """Raise Corruption unless the log's life is `newest` or a later one.

    `newest`: the latest life that the store knows; 0 if it knows none.
    """
    if is_older_life(log.life, newest):
        newer = "is not the newest log of this worker: its directory was removed, or is an older copy"
        advice = "bring the newest back, or the whole data directory from one backup"
        raise Corruption(log_document(worker), 0, f"{newer}; {advice}")


def is_older_life(life: int, newest: int) -> bool:
    """Whether this life of a log is older than `newest`; never if the store knows none, which is 0."""
    return newest not in (0, life) and not is_later_life(life, newest)


def _open_or_create(filesystem: Filesystem, worker: int, store: str, entropy: Entropy) -> LogDocument:
    try:
        return read_log_document(filesystem, store, worker)
    except FileNotFoundError:
        if first_lsns(filesystem, worker):
            raise Corruption(log_document(worker), 0, "is missing, but files of the log are there") from None
    log = LogDocument(store, worker, entropy.below(2**64), 0)
    publish_log_document(filesystem, log)
    return log


def needed_files(firsts: Sequence[int], lsn_checkpoint: int) -> Sequence[int]:
    """The first LSNs of the files that may hold records above the checkpoint."""
    obsolete = sum(following <= lsn_checkpoint + 1 for following in firsts[1:])
    return firsts[obsolete:]


def verify_log(filesystem: Filesystem, log: LogDocument, firsts: Sequence[int], policy: TailPolicy) -> LogEnd:
    """Where the log ends, according to these files, verified past the cache. Nothing is changed. Raises Corruption."""
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


def _make_durable(filesystem: Filesystem, log: LogDocument, end: LogEnd) -> tuple[RecoveredFile, ...]:
    """Write the records of each kept file into a new one, unless the file is known to be on stable storage."""
    files = []
    lsn_previous = log.lsn_checkpoint
    for file in end.kept:
        if file.lsn_last <= end.lsn_durable and (file.start, file.end) == (FILE_HEADER_BYTES, file.size):
            files.append(_as_it_is(file))
        else:
            files.append(_rewrite_file(filesystem, log, file, lsn_previous))
        lsn_previous = file.lsn_last
    return tuple(files)


def _sync_in_place(filesystem: Filesystem, worker: int, end: LogEnd) -> tuple[RecoveredFile, ...]:
    """Make the kept records durable in their present files: they were verified past the cache, so a sync is enough."""
    for file in end.kept:
        if file.lsn_last > end.lsn_durable:
            handle = filesystem.open(file.path)
            try:
                handle.sync()
            finally:
                handle.close()
    filesystem.sync_directory(worker_directory(worker))
    return as_they_are(end)


def as_they_are(end: LogEnd) -> tuple[RecoveredFile, ...]:
    """The kept records in the files in which they were found."""
    return tuple(map(_as_it_is, end.kept))


def _rewrite_file(filesystem: Filesystem, log: LogDocument, file: ScannedFile, lsn_previous: int) -> RecoveredFile:
    path = wal_file(log.worker, file.lsn_first)
    header = FileHeader(log.worker, log.log_id, file.lsn_first, lsn_previous, lsn_durable=file.lsn_last)
    records_bytes = file.end - file.start
    source = filesystem.open(file.path)
    try:
        publish_pieces(filesystem, path, [header.encode(), source.read_at(file.start, records_bytes)])
    finally:
        source.close()
    size = FILE_HEADER_BYTES + records_bytes
    return RecoveredFile(WalFile(path, file.lsn_first, file.lsn_last, size), FILE_HEADER_BYTES, size, file.checksum)


def _as_it_is(file: ScannedFile) -> RecoveredFile:
    kept = WalFile(file.path, file.lsn_first, file.lsn_last, file.size, file.version)
    return RecoveredFile(kept, file.start, file.end, file.checksum)


def _remove_others(filesystem: Filesystem, worker: int, kept: set[str]) -> None:
    """Remove all other files of the log, and temporaries of a killed recovery. Earlier removals become durable too."""
    directory = worker_directory(worker)
    for name in filesystem.list_directory(directory):
        path = f"{directory}/{name}"
        if first_lsn_of(name.removesuffix(TEMPORARY_SUFFIX)) is not None and path not in kept:
            filesystem.remove_gradually(path)
    filesystem.sync_directory(directory)
