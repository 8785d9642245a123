"""The records of a log, one after the other, as plain values for JSON lines. Nothing of the log is changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from shardstore.doctor.survey import workers_in
from shardstore.errors import Corruption, InvalidRequest
from shardstore.files import file_names
from shardstore.identifiers import TOMBSTONE, Expiring
from shardstore.seams.filesystem import Filesystem
from shardstore.workers.inspection.findings_text import plain
from shardstore.workers.inspection.log_file import row_of, sound_records
from shardstore.workers.wal.reader import first_lsns
from shardstore.workers.wal.record_entries import record_entries
from shardstore.workers.wal.record_format import DamagedHeader, Record, RecordKind, file_header_in, moment_of_clock


def rows_of_log(filesystem: Filesystem, worker: int, lsn_from: int, in_hex: bool) -> Iterator[dict[str, Any]]:
    """The records of all files of a log from this LSN on. Of a damaged file, those before the damage."""
    firsts = first_lsns(filesystem, worker)
    for first, following in zip(firsts, [*firsts[1:], None], strict=True):
        if following is not None and following <= lsn_from:
            continue
        path = file_names.wal_file(worker, first)
        data = filesystem.map(path)
        with suppress(DamagedHeader, Corruption):
            header = file_header_in(path, data)
            for offset, record in sound_records(data, header):
                if record.lsn >= lsn_from:
                    row = {"worker": worker, "file": path, **row_of(offset, record), **_entries(record)}
                    yield plain(row, in_hex)


def chosen_workers(filesystem: Filesystem, worker: int | None) -> list[int]:
    """The workers that have a log, or this one. Raises InvalidRequest if it has none."""
    workers = workers_in(filesystem)
    if worker is not None and worker not in workers:
        raise InvalidRequest(f"there is no log of worker {worker} here; there is one of {workers}")
    return workers if worker is None else [worker]


def _entries(record: Record) -> dict[str, Any]:
    """The keys of a record and their values; None for a key that is deleted. And when those expire that do."""
    if record.kind == RecordKind.CLOCK:
        return {"clock_ms": moment_of_clock(record)}
    try:
        found = record_entries(record)
    except Corruption as damage:
        return {"flaw": damage.what}
    if not found.keys:
        return {}
    values = [each.value if type(each) is Expiring else each for each in found.values]
    moments = [each.moment if type(each) is Expiring else None for each in found.values]
    row = {"keys": list(found.keys), "values": [None if each is TOMBSTONE else each for each in values]}
    return {**row, "expires_at_ms": moments} if any(moments) else row
