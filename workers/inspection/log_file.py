"""Inspects a log file: its header, its records, and how recovery would judge its end if it were the only file."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from shardstore.errors import Corruption
from shardstore.seams.filesystem import Filesystem
from shardstore.workers.inspection.findings import Findings
from shardstore.workers.wal.record_format import (
    FILE_HEADER_BYTES,
    DamagedHeader,
    DamagedRecord,
    FileHeader,
    Record,
    RecordKind,
    file_header_in,
    log_record_at,
)
from shardstore.workers.wal.scan import TailPolicy, judge_end, scan_file


def inspect_log_file(filesystem: Filesystem, path: str, magic: bytes, entries_max: int) -> Findings:
    """Findings with the header, the first records, and the torn tail if there is one."""
    findings = Findings("log file")
    data = filesystem.map(path)
    try:
        header = file_header_in(path, data)
    except DamagedHeader as damage:
        findings.damage.append(Corruption(path, 0, str(damage)))
        return findings
    except Corruption as damage:
        findings.damage.append(damage)
        return findings
    findings.facts["header"] = header._asdict() | {"log_id": f"{header.log_id:016x}"}
    findings.facts["bytes"] = len(data)
    findings.facts["records"] = [row_of(*found) for found in islice(sound_records(data, header), entries_max)]
    try:
        _judge(filesystem, path, header, findings.facts)
    except Corruption as damage:
        findings.damage.append(damage)
    return findings


def sound_records(data: memoryview, header: FileHeader) -> Iterator[tuple[int, Record]]:
    """The offset of every record up to the first bad place, and the record."""
    offset, lsn = FILE_HEADER_BYTES, header.lsn_first
    while offset < len(data):
        try:
            record = log_record_at(data, offset, header.log_id)
        except DamagedRecord:
            return
        if record.lsn != lsn:
            return
        yield offset, record
        offset += record.size
        lsn += 1


def row_of(offset: int, record: Record) -> dict[str, Any]:
    """A record as plain values, without its keys and values."""
    return {
        "offset": offset,
        "lsn": record.lsn,
        "kind": RecordKind(record.kind).name,
        "segment": record.segment,
        "epoch": record.epoch,
        "entries": record.entries,
        "bytes": record.size,
        "lsn_durable": record.lsn_durable,
        "client": f"{record.client:x}",
        "sequence": record.sequence,
        "checksum": "ok",
        **_cleared(record),
    }


def _cleared(record: Record) -> dict[str, Any]:
    """The bounds of what a CLEAR deletes."""
    if record.kind != RecordKind.CLEAR:
        return {}
    return {"start": bytes(record.keys), "end": bytes(record.values)}


def _judge(filesystem: Filesystem, path: str, header: FileHeader, facts: dict[str, Any]) -> None:
    """Add to the facts what is kept and what is a torn tail.

    Raises Corruption if bad bytes had been on stable storage.
    """
    before = header.lsn_first - 1
    scanned = scan_file(filesystem, path, header.worker, header.log_id, header.lsn_first, before)
    facts["lsn_last"] = scanned.lsn_last
    end = judge_end([scanned], before, 0, TailPolicy.TRUNCATE_INVALID_TAIL)
    if end.cut is None:
        facts["tail"] = "whole"
    else:
        facts["tail"] = {
            "offset": end.cut.offset,
            "bytes": end.cut.bytes,
            "what": _what_is_wrong(filesystem.map(path), end.cut.offset, header),
        }


def _what_is_wrong(data: memoryview, offset: int, header: FileHeader) -> str:
    try:
        record = log_record_at(data, offset, header.log_id)
    except DamagedRecord as damage:
        return f"torn, never known to be on stable storage: {damage}"
    return f"torn, never known to be on stable storage: LSN {record.lsn} is out of order"
