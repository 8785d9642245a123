"""Examines the log of a worker: its files, where it ends, and whether its records fit the ranges that they name."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from shardstore.doctor.findings import Finding, Kind, of_error
from shardstore.doctor.survey import UNREADABLE, Survey
from shardstore.errors import Corruption
from shardstore.files import file_names
from shardstore.key_range import KeyRange
from shardstore.seams.filesystem import Filesystem
from shardstore.workers.wal.log_document import LogDocument
from shardstore.workers.wal.reader import first_lsns, runs_in
from shardstore.workers.wal.record_entries import RecordEntries, record_entries
from shardstore.workers.wal.record_format import Record
from shardstore.workers.wal.record_run import RecordRun
from shardstore.workers.wal.recovery import as_they_are, needed_files, verify_log
from shardstore.workers.wal.scan import LogEnd, TailPolicy


def findings_in_log(filesystem: Filesystem, survey: Survey, worker: int) -> Iterator[Finding]:
    """What is to be said of the log of this worker, whose document is in the survey."""
    log = survey.logs[worker]
    firsts = first_lsns(filesystem, worker)
    needed = needed_files(firsts, log.lsn_checkpoint)
    for first in firsts[: len(firsts) - len(needed)]:
        what = f"all its records are in tables, as LOG says: LSN {log.lsn_checkpoint} and before"
        yield Finding(Kind.LEFTOVER, file_names.wal_file(worker, first), 0, what)
    try:
        end = end_of_log(filesystem, log)
        if end.cut is not None:
            what = f"{end.cut.bytes} bytes after the last record, LSN {end.lsn_last}, were never synced"
            yield Finding(Kind.TORN, end.cut.file, end.cut.offset, what)
        for run in runs_of(filesystem, log, end):
            yield from _misfits(survey, worker, log, run)
    except UNREADABLE as error:
        yield of_error(Kind.LOG, file_names.worker_directory(worker), error)


def log_bytes(filesystem: Filesystem, worker: int) -> int:
    """The size of all files of a log."""
    return sum(len(filesystem.map(file_names.wal_file(worker, first))) for first in first_lsns(filesystem, worker))


def end_of_log(filesystem: Filesystem, log: LogDocument) -> LogEnd:
    """Verify the files of a log as a start does. Raises Corruption."""
    needed = needed_files(first_lsns(filesystem, log.worker), log.lsn_checkpoint)
    return verify_log(filesystem, log, needed, TailPolicy.TRUNCATE_INVALID_TAIL)


def runs_of(filesystem: Filesystem, log: LogDocument, end: LogEnd) -> Iterator[RecordRun]:
    """The records of a log that was verified."""
    return runs_in(filesystem, log.worker, log.log_id, as_they_are(end))


def _misfits(survey: Survey, worker: int, log: LogDocument, run: RecordRun) -> Iterator[Finding]:
    """Records of segments that the map does not know, of other workers' ranges, or with other keys than their range.

    Records that tables hold already are not replayed, and those of former segments are skipped.
    """
    if survey.topology is None:
        return
    for segment in np.unique(run.headers["segment"]).tolist():
        expected = survey.expected.get(segment)
        records = run.pick(run.headers["segment"] == segment)
        if segment >= survey.topology.segment_next:
            what = f"LSN {records.lsn_first} is of segment {segment}, which the route map could not have given"
            yield _misfit(worker, what)
        elif expected is not None and expected.worker != worker:
            what = f"LSN {records.lsn_first} is of segment {segment}, which worker {expected.worker} owns"
            yield _misfit(worker, what)
        elif expected is not None:
            manifest = survey.manifests.get(segment)
            checkpoint = manifest.checkpoint_of(log.log_id) if manifest else 0
            replayed = (each for each in records.records() if each.lsn > checkpoint)
            yield from (flaw for record in replayed for flaw in _flaws(worker, record, expected.key_range))


def _flaws(worker: int, record: Record, key_range: KeyRange) -> Iterator[Finding]:
    try:
        entries = record_entries(record)
    except Corruption as damage:
        yield _misfit(worker, f"LSN {record.lsn} {damage.what}")
        return
    if not _fits(entries, key_range):
        yield _misfit(
            worker, f"LSN {record.lsn} has keys outside of the range of segment {record.segment}, {key_range}"
        )


def _fits(entries: RecordEntries, key_range: KeyRange) -> bool:
    keys = entries.keys
    return not keys or (min(keys) in key_range and max(keys) in key_range)


def _misfit(worker: int, what: str) -> Finding:
    return Finding(Kind.RECORD, file_names.worker_directory(worker), 0, what)
