"""Records that pass their checksums and do not fit the ranges that they name; ends of logs."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from shardstore.doctor.findings import Finding, Kind
from shardstore.doctor.log import findings_in_log
from shardstore.doctor.log_lines import rows_of_log
from shardstore.doctor.survey import Expected, Survey
from shardstore.identifiers import RequestId
from shardstore.key_range import KeyRange
from shardstore.router.route_table import Topology
from shardstore.wire.columns import encode_variable
from shardstore.wire.route_map import Route, RouteMap
from shardstore.wire.wire_format import Flag
from shardstore.workers.wal.log_document import LogDocument, publish_log_document
from shardstore.workers.wal.record_format import RecordKind
from shardstore.workers.wal.writer import WalWriter
from tests.unit.faulty_filesystem import FaultyFilesystem
from tests.unit.wal_driver import sync

STORE = "5" * 16
LOG = LogDocument(STORE, 0, 5, 0)
FIXED = int(Flag.KEYS_FIXED | Flag.VALUES_FIXED)
TOPOLOGY = Topology(RouteMap(1, (Route(b"", 1, 0, 1, True),)), 4, workers=(0, 1))  # type: ignore[arg-type]
EXPECTED = {1: Expected(KeyRange(b"", b"m"), 0, True), 2: Expected(KeyRange(b"m"), 1, True)}


@pytest.fixture
def filesystem() -> FaultyFilesystem:
    filesystem = FaultyFilesystem()
    filesystem.make_directory("workers/0000")
    publish_log_document(filesystem, LOG)
    return filesystem


def written(filesystem: FaultyFilesystem, *records: tuple[RecordKind, int, int, bytes, bytes]) -> WalWriter:
    """A log with these records: kind, segment, entries, keys and values."""
    writer = WalWriter(filesystem, 0, LOG.log_id, 1, 0)
    for kind, segment, entries, keys, values in records:
        layout = FIXED if entries == 1 and kind != RecordKind.BATCH else 0
        writer.append(kind, layout, entries, segment, 1, RequestId(9, 1), keys, values)  # type: ignore[arg-type]
    sync(filesystem, writer)
    return writer


def put(segment: int, key: bytes) -> tuple[RecordKind, int, int, bytes, bytes]:
    return RecordKind.PUT, segment, 1, key, b"value"


def found(filesystem: FaultyFilesystem, expected: Mapping[int, Expected] = EXPECTED) -> list[Finding]:
    survey = Survey(STORE, TOPOLOGY, dict(expected), logs={0: LOG})
    return list(findings_in_log(filesystem, survey, 0))


def test_records_that_fit_have_no_findings(filesystem: FaultyFilesystem) -> None:
    batch = RecordKind.BATCH, 1, 2, encode_variable([b"a", b"b"]), encode_variable([b"1", None])
    written(filesystem, put(1, b"a"), put(3, b"of a former segment"), batch, (RecordKind.CLEAR, 1, 0, b"", b"c"))
    assert found(filesystem) == []


@pytest.mark.parametrize(
    ("record", "what"),
    [
        (put(1, b"z"), f"LSN 1 has keys outside of the range of segment 1, {KeyRange(b'', b'm')}"),
        (put(2, b"z"), "LSN 1 is of segment 2, which worker 1 owns"),
        (put(4, b"z"), "LSN 1 is of segment 4, which the route map could not have given"),
        ((RecordKind.PUT, 1, 2, b"ab", b"cd"), "LSN 1 passes its checksum but is no batch: "),
    ],
)
def test_records_that_do_not_fit(
    filesystem: FaultyFilesystem, record: tuple[RecordKind, int, int, bytes, bytes], what: str
) -> None:
    written(filesystem, record)
    [finding] = found(filesystem)
    assert (finding.kind, finding.file) == (Kind.RECORD, "workers/0000")
    assert finding.what.startswith(what)


def test_a_torn_tail_is_harmless_and_lost_records_are_not(filesystem: FaultyFilesystem) -> None:
    writer = written(filesystem, put(1, b"a"))
    writer.append(*torn_record())
    inode = filesystem._file("damage", "workers/0000/wal-0000000000000001.log")
    del inode.cache[-1:]
    [torn] = found(filesystem)
    assert torn.kind is Kind.TORN
    assert torn.is_harmless
    assert "were never synced" in torn.what
    assert [row["lsn"] for row in rows_of_log(filesystem, 0, 0, False)] == [1]
    survey = Survey(STORE, TOPOLOGY, EXPECTED, logs={0: LogDocument(STORE, 0, 5, 0, lsn_durable=2)})
    [lost] = findings_in_log(filesystem, survey, 0)
    assert (lost.kind, lost.file) == (Kind.LOG, "workers/0000/wal-0000000000000001.log")
    assert "no sound record with LSN 2 is left" in lost.what


def torn_record() -> tuple[RecordKind, int, int, int, int, RequestId, bytes, bytes]:
    return RecordKind.PUT, FIXED, 1, 1, 1, RequestId(9, 2), b"b", b"torn"


def test_rows_have_keys_and_values_from_an_lsn_on(filesystem: FaultyFilesystem) -> None:
    batch = RecordKind.BATCH, 1, 2, encode_variable([b"a", b"b\xff"]), encode_variable([b"1", None])
    written(filesystem, put(1, b"a"), batch, (RecordKind.CLEAR, 1, 0, b"c", b"d"), (RecordKind.BAR, 1, 0, b"", b""))
    rows = list(rows_of_log(filesystem, 0, 2, in_hex=False))
    assert [(row["lsn"], row["kind"]) for row in rows] == [(2, "BATCH"), (3, "CLEAR"), (4, "BAR")]
    assert (rows[0]["keys"], rows[0]["values"]) == (["a", "b\\xff"], ["1", None])
    assert (rows[1]["start"], rows[1]["end"]) == ("c", "d")
    assert rows[0]["file"] == "workers/0000/wal-0000000000000001.log"
    assert next(rows_of_log(filesystem, 0, 0, in_hex=True))["keys"] == ["61"]
