"""Inspects a table file: header, properties, sections, blocks, first entries.

Its identity is taken from the file itself, as no manifest is at hand. So a complete file in the place of another is not
detected; all other damage is.
"""

from __future__ import annotations

import struct
from dataclasses import asdict
from typing import Any

from shardstore.checksum import checksum
from shardstore.errors import Corruption
from shardstore.files.formats import TABLE
from shardstore.identifiers import TOMBSTONE, Expiring, Stored
from shardstore.key_range import EVERYTHING
from shardstore.limits import MIB
from shardstore.seams.filesystem import Filesystem
from shardstore.tables.block_index import BlockIndex
from shardstore.tables.table_file import TableFile
from shardstore.tables.table_format import (
    FOOTER_BYTES,
    HEADER_BYTES,
    Identity,
    TableRecord,
    decode_header,
    seed_at,
)
from shardstore.tables.table_reader import Table
from shardstore.workers.inspection.findings import Findings

_FOOTER_CHECKSUM = struct.Struct("<Q8x")
ENTRIES_BYTES_MAX = 64 * MIB


class _OwnIdentity(Identity):
    """The identity that the file states, and the path at which it was found."""

    file: str
    file_header: bytes

    @property
    def path(self) -> str:
        return self.file

    def header(self) -> bytes:
        return self.file_header


def inspect_table(filesystem: Filesystem, path: str, magic: bytes, entries_max: int) -> Findings:
    """Verify and show each section and each block. A bad one does not keep the others from being shown."""
    findings = Findings("table file")
    data = filesystem.map(path)
    try:
        if len(data) < HEADER_BYTES + FOOTER_BYTES:
            raise Corruption(path, len(data), "is too short for a table")
        header = decode_header(data)
        fields = header._asdict() | {"store": f"{header.store:016x}"}
        findings.facts["header"] = {name: value for name, value in fields.items() if name != "magic"}
        TABLE.check(path, header.version)
        identity = _OwnIdentity("", header.segment, header.number, format=header.version)
        identity.file, identity.file_header = path, bytes(data[:HEADER_BYTES])
        (footer_checksum,) = _FOOTER_CHECKSUM.unpack_from(data, len(data) - _FOOTER_CHECKSUM.size)
        record = TableRecord(header.number, len(data), 0, 0, b"", b"", footer_checksum, expiring=1)  # as some may
        _open_table(filesystem, identity, record, findings, entries_max)
    except Corruption as damage:
        findings.damage.append(damage)
    return findings


def _open_table(
    filesystem: Filesystem, identity: Identity, record: TableRecord, findings: Findings, entries_max: int
) -> None:
    file = TableFile(filesystem, identity, record)
    findings.facts["properties"] = asdict(file.properties)
    findings.facts["sections"] = [_section(file, name, findings) for name in file.sections._fields]
    if findings.facts["sections"][0]["checksum"] != "ok":  # without the block index no block is found
        return
    index = file.block_index()
    findings.facts["blocks"] = [_block(file, index, number, findings) for number in range(len(index))]
    if all(block["checksum"] == "ok" for block in findings.facts["blocks"]):
        findings.facts["entries"] = _entries(Table(file, record), entries_max)


def _entries(table: Table, entries_max: int) -> list[dict[str, Any]]:
    """The first entries in key order."""
    chunk = table.chunk(EVERYTHING, False, entries_max, ENTRIES_BYTES_MAX)
    return [
        {"key": key} | _shown(value)
        for key, value in zip(chunk.keys[:entries_max], chunk.values[:entries_max], strict=True)
    ]


def _shown(value: Stored) -> dict[str, Any]:
    if type(value) is Expiring:
        return {"value": value.value, "expires_at_ms": value.moment}
    return {"deleted": True} if value is TOMBSTONE else {"value": value}


def _section(file: TableFile, name: str, findings: Findings) -> dict[str, Any]:
    section = getattr(file.sections, name)
    try:
        file.section(section, name.replace("_", " "))
    except Corruption as damage:
        findings.damage.append(damage)
        state = "bad"
    else:
        state = "ok"
    return {"section": name, "offset": section.offset, "bytes": section.length, "checksum": state}


def _block(file: TableFile, index: BlockIndex, number: int, findings: Findings) -> dict[str, Any]:
    offset, stored_bytes = int(index.begins[number]), int(index.stored_bytes[number])
    stored = file.data[offset : offset + stored_bytes]
    state = "ok"
    if checksum(stored, seed_at(file.seed, offset)) != index.checksums[number]:
        findings.damage.append(Corruption(file.path, offset, f"checksum of block {number} does not match"))
        state = "bad"
    return {
        "block": number,
        "offset": offset,
        "stored_bytes": stored_bytes,
        "block_bytes": int(index.block_bytes[number]),
        "entries": int(index.entries[number]),
        "prefix_bytes": int(index.prefix_bytes[number]),
        "first_key": index.first_keys[number],
        "checksum": state,
    }
