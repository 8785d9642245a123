"""Inspecting files of every kind, undamaged and damaged, under a meaningless name."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shardstore.files import documents
from shardstore.files.board_place import MAGIC, PLACE_BYTES
from shardstore.files.formats import RELEASE, STORE_DOCUMENT, VERSION_AT
from shardstore.identifiers import ClientId, Epoch, RequestId, SegmentId
from shardstore.key_range import KeyRange
from shardstore.router import route_table
from shardstore.segment_options import Compression, SegmentOptions
from shardstore.tables.manifest import new_manifest
from shardstore.tables.table_format import Entries, TableRecord
from shardstore.wire.route_map import presplit
from shardstore.workers.inspection.findings import Findings
from shardstore.workers.inspection.findings_text import as_json, as_lines
from shardstore.workers.inspection.inspect import inspect
from shardstore.workers.segment.manifest_writer import publish_manifest
from shardstore.workers.segment.table_writer import write_table
from shardstore.workers.wal.log_document import LogDocument, publish_log_document
from shardstore.workers.wal.record_format import FILE_HEADER_BYTES, RecordKind
from tests.unit.faulty_filesystem import FaultyFilesystem
from tests.unit.table_samples import IDENTITY, empty_filesystem, sample, with_deletions
from tests.unit.wal_driver import LOG_ID, STORE, WORKER, append_many, fresh_writer, path_of, sync

COPY = "copy"
ENTRIES_MAX = 5
GOLDEN = Path(__file__).parents[3] / "golden"
FORMER = [("wal-v2.bin", 2), ("manifest-v4.bin", 4)]
"""Files of versions that are read, and not written any more."""


def log_file(durable: int = 0, records: int = 6) -> bytes:
    filesystem = FaultyFilesystem()
    writer = fresh_writer(filesystem, 1 << 20)
    append_many(writer, durable)
    sync(filesystem, writer)
    append_many(writer, records - durable)
    return filesystem.content(path_of(1))


def table_file(compression: Compression = Compression.NONE) -> bytes:
    filesystem = empty_filesystem()
    entries = with_deletions(sample("variable-variable", 300))
    columns = Entries(list(entries), list(entries.values()))
    write_table(filesystem, IDENTITY, columns, 5, 9, SegmentOptions(compression=compression))
    return filesystem.content(IDENTITY.path)


def manifest_file() -> bytes:
    filesystem = FaultyFilesystem()
    filesystem.make_directory("segments/00000007")
    publish_manifest(filesystem, new_manifest("s", 7, KeyRange(b"a", b"\xff"), 3))
    return filesystem.content("segments/00000007/MANIFEST")


def log_document_file() -> bytes:
    filesystem = FaultyFilesystem()
    filesystem.make_directory("workers/0003")
    publish_log_document(filesystem, LogDocument(STORE, WORKER, LOG_ID, 17))
    return filesystem.content("workers/0003/LOG")


def store_file() -> bytes:
    body = {"store": "5", "workers": 2, "boundaries": [b"m"]}
    return documents.encode_document(STORE_DOCUMENT, body)


def route_map_file() -> bytes:
    return route_table.encode("5", route_table.Topology(presplit([b"m"], 2), 3, workers=(0, 1)))


FILES: dict[str, Callable[[], bytes]] = {
    "log file": lambda: log_file(durable=6),
    "table file": table_file,
    "manifest": manifest_file,
    "log document": log_document_file,
    "store": store_file,
    "route map": route_map_file,
}


def inspected(content: bytes, entries_max: int = ENTRIES_MAX) -> Findings:
    """The findings in a single copied file."""
    filesystem = FaultyFilesystem()
    filesystem.place(COPY, content)
    return inspect(filesystem, COPY, entries_max)


def flipped(content: bytes, offset: int) -> bytes:
    return content[:offset] + bytes([content[offset] ^ 0x10]) + content[offset + 1 :]


@pytest.mark.parametrize("kind", FILES)
def test_every_kind_is_found_by_its_first_bytes(kind: str) -> None:
    findings = inspected(FILES[kind]())
    assert (findings.kind, findings.damage) == (kind, [])


@pytest.mark.parametrize(("name", "version"), FORMER)
def test_files_of_a_former_version_are_shown_with_it(name: str, version: int) -> None:
    findings = inspected((GOLDEN / name).read_bytes())
    assert findings.damage == []
    assert findings.facts.get("header", findings.facts)["version"] == version


@pytest.mark.parametrize("kind", FILES)
def test_a_version_that_is_not_known_is_named_with_the_release_it_needs(kind: str) -> None:
    content = bytearray(FILES[kind]())
    content[VERSION_AT] = 99
    (damage,) = inspected(bytes(content)).damage
    assert "format version 99" in damage.what
    assert f"needs a release after {RELEASE}" in damage.what


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("manifest", {"segment": 7, "start": b"a", "end": b"\xff", "epoch": 3, "version": 1}),
        ("log document", {"worker": WORKER, "log_id": LOG_ID, "lsn_checkpoint": 17}),
        ("store", {"workers": 2, "boundaries": [b"m"]}),
        ("route map", {"store": "5", "workers": [0, 1]}),
    ],
)
def test_body_of_a_document(kind: str, expected: dict[str, Any]) -> None:
    body = inspected(FILES[kind]()).facts["body"]
    assert {name: body[name] for name in expected} == expected


@pytest.mark.parametrize("kind", FILES)
def test_every_changed_byte_is_noticed(kind: str) -> None:
    """A single log file does not show whether its unreadable end was ever synced; then it counts as a torn tail."""
    content = FILES[kind]()
    whole = inspected(content)
    for offset in range(0, len(content), 7):
        findings = inspected(flipped(content, offset))
        assert findings.damage or findings.facts["tail"] != whole.facts["tail"], offset
        assert all(each.file == COPY for each in findings.damage)


@pytest.mark.parametrize("kind", FILES)
def test_every_shortened_file_is_noticed(kind: str) -> None:
    content = FILES[kind]()
    whole = inspected(content)
    for length in [*range(0, len(content) - 1, 31), len(content) - 1]:
        findings = inspected(content[:length])
        assert findings.damage or findings.facts["lsn_last"] < whole.facts["lsn_last"], length


def test_bytes_of_no_store() -> None:
    [damage] = inspected(b"#!/bin/sh\n").damage
    assert (damage.file, damage.offset) == (COPY, 0)
    assert inspected(b"").damage


# ---------------------------------------------------------------- log files


def test_records_of_a_log_file() -> None:
    facts = inspected(log_file()).facts
    assert facts["header"] == {
        "worker": WORKER,
        "log_id": f"{LOG_ID:016x}",
        "lsn_first": 1,
        "version": 4,
        "lsn_previous": 0,
        "lsn_durable": 0,
    }
    assert [record["lsn"] for record in facts["records"]] == [1, 2, 3, 4, 5]
    first = facts["records"][0]
    assert (first["offset"], first["kind"], first["segment"], first["epoch"]) == (FILE_HEADER_BYTES, "PUT", 2, 1)
    assert (first["entries"], first["checksum"]) == (1, "ok")
    assert (facts["lsn_last"], facts["tail"]) == (6, "whole")


def test_torn_tail_is_named_and_is_no_damage() -> None:
    content = log_file()
    records = inspected(content, 10).facts["records"]
    last = records[-1]["offset"]
    findings = inspected(content[:-3], 10)
    assert findings.damage == []
    assert findings.facts["lsn_last"] == 5
    tail = findings.facts["tail"]
    assert (tail["offset"], tail["bytes"]) == (last, len(content) - 3 - last)
    assert tail["what"] == "torn, never known to be on stable storage: the file ends inside a record"


def test_bad_record_that_was_on_stable_storage_is_damage() -> None:
    content = log_file(durable=4)
    records = inspected(content, 10).facts["records"]
    third = records[2]["offset"]
    findings = inspected(flipped(content, third + 100), 10)
    [damage] = findings.damage
    assert (damage.file, damage.offset) == (COPY, third)
    assert "LSN 3" in damage.what
    assert [record["lsn"] for record in findings.facts["records"]] == [1, 2]


# ---------------------------------------------------------------- table files


@pytest.mark.parametrize("compression", list(Compression))
def test_blocks_and_entries_of_a_table(compression: Compression) -> None:
    expected = with_deletions(sample("variable-variable", 300))
    findings = inspected(table_file(compression))
    facts = findings.facts
    assert (findings.damage, facts["properties"]["entries"]) == ([], len(expected))
    assert facts["properties"]["compression"] == compression
    assert (facts["header"]["segment"], facts["header"]["number"]) == (IDENTITY.segment, IDENTITY.number)
    assert [section["checksum"] for section in facts["sections"]] == ["ok"] * 4
    assert sum(block["entries"] for block in facts["blocks"]) == len(expected)
    assert [entry["key"] for entry in facts["entries"]] == sorted(expected)[:ENTRIES_MAX]
    shown = [entry.get("value") for entry in facts["entries"]]
    assert shown == [expected[key] if isinstance(expected[key], bytes) else None for key in sorted(expected)[:5]]


def test_damaged_block_does_not_hide_the_others() -> None:
    content = table_file()
    block = inspected(content).facts["blocks"][0]
    findings = inspected(flipped(content, block["offset"] + 1))
    [damage] = findings.damage
    assert (damage.offset, damage.what) == (block["offset"], "checksum of block 0 does not match")
    assert findings.facts["blocks"][0]["checksum"] == "bad"
    assert "entries" not in findings.facts


@pytest.mark.parametrize(("place", "name"), [(0, "block_index"), (1, "hash_index"), (2, "bloom")])
def test_damaged_section_is_named(place: int, name: str) -> None:
    content = table_file()
    offset = inspected(content).facts["sections"][place]["offset"]
    findings = inspected(flipped(content, offset + 8))
    [damage] = findings.damage
    assert (damage.offset, findings.facts["sections"][place]["checksum"]) == (offset, "bad")
    assert ("blocks" in findings.facts) == (name != "block_index")


# ---------------------------------------------------------------- findings as text


def test_lines_are_aligned() -> None:
    findings = inspected(log_file(), 2)
    lines = list(as_lines(findings, in_hex=False))
    assert lines[0] == "kind  log file"
    assert "tail      whole" in lines
    rows = [line for line in lines if line.endswith(("checksum", "ok"))]
    assert len(rows) == 3
    assert len({row.index(word) + len(word) for row, word in zip(rows, ("kind", "PUT ", "PUT "), strict=True)}) == 1


def test_damage_is_a_line() -> None:
    assert list(as_lines(inspected(b"nonsense"), in_hex=False))[-1].startswith(f"DAMAGE  {COPY} at byte 0: ")


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("in_hex", [False, True])
def test_json_holds_everything(kind: str, in_hex: bool) -> None:
    found = json.loads(as_json(inspected(FILES[kind]()), in_hex))
    assert (found["kind"], found["damage"]) == (kind, [])


def test_bytes_as_text_and_in_hex() -> None:
    findings = inspected(manifest_file())
    assert json.loads(as_json(findings, in_hex=False))["body"]["end"] == "\\xff"
    assert json.loads(as_json(findings, in_hex=True))["body"]["end"] == "ff"


def test_a_manifest_tells_bounds_and_origin_of_a_virtual_part() -> None:
    filesystem = FaultyFilesystem()
    filesystem.make_directory("segments/00000007")
    part = TableRecord(3, 100, 1, 0, b"m", b"m", 5, 4, 2, b"k", b"n", 9)
    publish_manifest(filesystem, replace(new_manifest("s", 7, KeyRange(), 3), main=(part,)))
    findings = inspected(filesystem.content("segments/00000007/MANIFEST"))
    (shown,) = json.loads(as_json(findings, in_hex=False))["body"]["main"]
    assert (shown["start"], shown["end"], shown["file_entries"]) == ("k", "n", 9)
    assert (shown["origin_segment"], shown["origin_number"]) == (4, 2)
    lines = [line.split() for line in as_lines(findings, in_hex=False)]
    (row,) = [place for place, words in enumerate(lines) if "origin_segment" in words]
    assert dict(zip(lines[row], lines[row + 1], strict=True)) == {name: str(value) for name, value in shown.items()}


def test_no_line_carries_control_characters() -> None:
    findings = Findings("store", {"key": b"\x1b[31m\n", "a\nb": "\x7f", "rows": [{"key": b"\x07"}]})
    assert all(line.isprintable() for line in as_lines(findings, in_hex=False))


def test_a_file_that_is_none_of_a_store_says_which_are_not_for_this() -> None:
    (damage,) = inspected(b'{"url": "unix:///tmp/s"}').damage
    assert damage.what == (
        "b'{\"url\": ' begins no file of a store that can be inspected: ENDPOINT is plain JSON, a LOCK is empty"
    )


@pytest.mark.parametrize("length", [PLACE_BYTES, 100])
def test_the_place_of_a_board(length: int) -> None:
    filesystem = FaultyFilesystem()
    content = (MAGIC + (3).to_bytes(8, "little") + b"/run/board-0").ljust(PLACE_BYTES, b"\0")
    file = filesystem.create(COPY)
    file.append([content[:length]])
    file.close()
    findings = inspect(filesystem, COPY, ENTRIES_MAX)
    assert findings.facts == {"incarnation": 3, "board": b"/run/board-0"}
    assert [damage.offset for damage in findings.damage] == [length][: length < PLACE_BYTES]


def test_a_range_deletion_in_a_log_shows_its_bounds() -> None:
    filesystem = FaultyFilesystem()
    writer = fresh_writer(filesystem, 1 << 20)
    writer.append(RecordKind.CLEAR, 0, 0, SegmentId(1), Epoch(2), RequestId(ClientId(3), 4), b"from", b"to")
    [record] = inspect(filesystem, path_of(1), ENTRIES_MAX).facts["records"]
    assert (record["kind"], record["start"], record["end"]) == ("CLEAR", b"from", b"to")
