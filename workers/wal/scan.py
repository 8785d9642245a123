"""Finds out what of a log survived: the sound records of its files, and whether its end is a torn tail or damage.

After a power cut, any blocks of an unsynced tail may be missing, so good records behind a bad one do not prove damage.
What proves damage: every record, every file header and the LOG document name the highest LSN that was known to be on
stable storage when they were written. If one of them names the first missing LSN or a later one, bytes were damaged.
Otherwise the missing LSN and everything after it is a tail that was never synced.

The header and name of a file reach stable storage together with its first records. So a file without a sound header is
a tail too, unless one of its LSNs was on stable storage and is above the checkpoint. A file with LSNs at or below the
checkpoint may be one whose removal was undone, with any part of it gone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from shardstore.checksum import checksum
from shardstore.errors import Corruption
from shardstore.files.formats import LOG_FILE
from shardstore.limits import KIB, WAL_FILE_BYTES
from shardstore.seams.filesystem import Filesystem
from shardstore.workers.wal.record_format import (
    FILE_HEADER_BYTES,
    RECORD_MAGIC,
    DamagedHeader,
    DamagedRecord,
    decode_file_header,
    hop_at,
)
from shardstore.workers.wal.record_run import RUN_BYTES_MAX, RecordRun, run_at

RUN_BYTES_MIN = 4 * KIB


class TailPolicy(Enum):
    """What to do with an invalid tail that was never known to be on stable storage."""

    TRUNCATE_INVALID_TAIL = "truncate_invalid_tail"
    FAIL_FAST = "fail_fast"


class TailDecision(Enum):
    """How the end of a log is judged."""

    WHOLE = 1
    CUT = 2
    REFUSED = 3


@dataclass(frozen=True, slots=True)
class ScannedFile:
    """A log file as it was found. Its records `lsn_first` to `lsn_last`, in bytes `start` to `end`, may be kept.

    There are none if lsn_last < lsn_first. `checksum` is that of these bytes. `lsn_durable` is the highest that its
    header or any sound record in it says, including records that cannot be kept. `damage` says what is wrong with the
    header, if anything; then none are kept.
    """

    path: str
    size: int
    lsn_previous: int
    lsn_first: int
    lsn_last: int
    start: int
    end: int
    checksum: int
    lsn_durable: int
    damage: str = ""
    version: int = LOG_FILE.version


@dataclass(frozen=True, slots=True)
class TailCut:
    """An invalid tail that recovery cuts, from `offset` of `file` on: `bytes` in this file and all later ones."""

    file: str
    offset: int
    bytes: int
    lsn_lost: int
    """The first LSN that is lost, if there was a record with it."""


@dataclass(frozen=True, slots=True)
class LogEnd:
    """The files whose records are kept, and the tail behind them that is cut."""

    kept: tuple[ScannedFile, ...]
    lsn_last: int
    """LSN of the last record kept, or the checkpoint if that is higher."""
    lsn_durable: int
    """The highest LSN that the log says was on stable storage."""
    cut: TailCut | None


_CUT, _REFUSE = TailPolicy.TRUNCATE_INVALID_TAIL, TailPolicy.FAIL_FAST
DECISIONS = {
    # invalid, durable, policy
    (False, False, _CUT): TailDecision.WHOLE,
    (False, False, _REFUSE): TailDecision.WHOLE,
    (True, False, _CUT): TailDecision.CUT,
    (True, False, _REFUSE): TailDecision.REFUSED,
    (False, True, _CUT): TailDecision.REFUSED,
    (False, True, _REFUSE): TailDecision.REFUSED,
    (True, True, _CUT): TailDecision.REFUSED,
    (True, True, _REFUSE): TailDecision.REFUSED,
}
"""How the end of a log is judged.

invalid   its last record is followed by bytes that are no record, by a gap in the LSNs, or both
durable   the first missing LSN is known to have been on stable storage: durable bytes are gone
"""


def judge_end(files: Sequence[ScannedFile], lsn_checkpoint: int, lsn_durable: int, policy: TailPolicy) -> LogEnd:
    """Follow the LSNs from the checkpoint to the first missing one. Raises Corruption if that one must not be missing.

    A file may begin above the LSN after its `lsn_previous`: the LSNs between were never used (see recovery.py).
    `lsn_durable`: the highest LSN that was on stable storage according to the LOG document.
    """
    kept: list[ScannedFile] = []
    lsn_last = reached = lsn_checkpoint
    followed = 0
    for file in files:
        if file.lsn_previous > reached:
            break
        if file.lsn_first <= lsn_last:
            raise Corruption(file.path, 0, f"begins with LSN {file.lsn_first}, but the log went on to {lsn_last}")
        if file.lsn_last >= file.lsn_first:
            kept.append(file)
            lsn_last = file.lsn_last
        reached = max(reached, file.lsn_first - 1, file.lsn_last)
        followed += 1
        if file.damage:
            break
    cut = _tail(files, followed, reached + 1)
    lsn_durable = max([lsn_durable, *(file.lsn_durable for file in files)])
    was_durable = reached < lsn_durable
    if DECISIONS[cut is not None, was_durable, policy] is TailDecision.REFUSED:
        raise _refusal(files, followed, reached + 1, was_durable)
    return LogEnd(tuple(kept), lsn_last, lsn_durable, cut)


def scan_file(
    filesystem: Filesystem, path: str, worker: int, log_id: int, lsn_first: int, lsn_checkpoint: int
) -> ScannedFile:
    """Verify one file past the cache.

    Raises Corruption for a file of another log, and for a damaged header that is known to have been on stable storage.
    """
    content = _read_past_cache(filesystem, path)
    data = memoryview(content)
    wanted = max(lsn_first, lsn_checkpoint + 1)
    try:
        header = decode_file_header(path, data, worker, log_id)
    except DamagedHeader as damage:
        found = [(run.lsn_last, run.lsn_durable) for _, run, _ in _sound_runs(content, 0, log_id, lsn_first - 1)]
        if lsn_first <= lsn_checkpoint and any(lsn > lsn_checkpoint for lsn, _ in found):
            raise Corruption(path, 0, f"{damage}, though LSN {lsn_first} was on stable storage") from None
        lsn_durable = max([durable for _, durable in found], default=0)
        return ScannedFile(path, len(data), lsn_first - 1, wanted, wanted - 1, 0, 0, 0, lsn_durable, str(damage))
    if header.lsn_first != lsn_first:
        raise Corruption(path, 24, f"begins with LSN {header.lsn_first}, which is not what its name says")
    start = end = FILE_HEADER_BYTES
    lsn, lsn_durable = wanted, header.lsn_durable
    for offset, run, behind in _sound_runs(content, FILE_HEADER_BYTES, log_id, lsn_first):
        lsn_durable = max(lsn_durable, run.lsn_durable)
        if run.lsn_first < wanted:
            start = end = offset + run.size_before(min(wanted, run.lsn_last + 1))
        if run.lsn_first <= lsn <= run.lsn_last:
            start = offset + run.size_before(wanted) if lsn == wanted else start
            end = behind
            lsn = run.lsn_last + 1
    kept = checksum(data[start:end])
    return ScannedFile(
        path, len(data), header.lsn_previous, wanted, lsn - 1, start, end, kept, lsn_durable, version=header.version
    )


def _read_past_cache(filesystem: Filesystem, path: str) -> bytes:
    """The content that is on the disk: after a failed sync the page cache may hold what the disk does not."""
    file = filesystem.open(path)
    try:
        size = file.size()
        if size > WAL_FILE_BYTES:
            raise Corruption(path, WAL_FILE_BYTES, f"{size} bytes, more than a log file has")
        file.drop_cache()
        return file.read_at(0, size)
    finally:
        file.close()


def _sound_runs(content: bytes, offset: int, log_id: int, lsn: int) -> Iterator[tuple[int, RecordRun, int]]:
    """Every run of sound records from `offset` on, where the record with this LSN should be; where it begins and ends.

    Behind a bad place the search continues for records with a later LSN. Earlier ones do not count: they may be part of
    a value, if a user stores a copy of a log. It continues with short runs, as what a run verifies behind the next bad
    place is verified again.
    """
    data = memoryview(content)
    searching, run_bytes = False, RUN_BYTES_MIN
    while 0 <= offset < len(data):
        found = _sound_run_at(data, offset, log_id, lsn + 1 if searching else lsn, run_bytes)
        if found is not None:
            run, end = found
            yield offset, run, end
            offset, lsn, searching = end, run.lsn_last + 1, False
            run_bytes = min(2 * run_bytes, RUN_BYTES_MAX)
        else:
            searching, run_bytes = True, RUN_BYTES_MIN
            offset = content.find(RECORD_MAGIC, offset + 1)


def _sound_run_at(data: memoryview, offset: int, log_id: int, lsn: int, bytes_max: int) -> tuple[RecordRun, int] | None:
    """The run at this place, and where it ends; None if there is no sound record with this LSN or a later one."""
    try:
        found, _, _ = hop_at(data, offset, log_id)
        return run_at(data, offset, log_id, bytes_max) if found >= lsn else None
    except DamagedRecord:
        return None


def _tail(files: Sequence[ScannedFile], followed: int, lsn_lost: int) -> TailCut | None:
    """The bytes behind the last record of the sequence; None if there are none."""
    path, offset = _end_of(files, followed)
    behind = sum(file.size for file in files[max(0, followed - 1) :]) - offset
    return TailCut(path, offset, behind, lsn_lost) if behind else None


def _refusal(files: Sequence[ScannedFile], followed: int, lsn_lost: int, was_durable: bool) -> Corruption:
    reason = "it was on stable storage" if was_durable else "an invalid tail is not to be cut"
    damage = f"{files[followed - 1].damage}: " if followed and files[followed - 1].damage else ""
    return Corruption(*_end_of(files, followed), f"{damage}no sound record with LSN {lsn_lost} is left, and {reason}")


def _end_of(files: Sequence[ScannedFile], followed: int) -> tuple[str, int]:
    """Where the sequence of the first `followed` files ends."""
    if followed:
        return files[followed - 1].path, files[followed - 1].end
    return (files[0].path if files else ""), 0
