"""Format version 4 of the log: writing gives the committed bytes, and they can be read; so can former versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from shardstore.identifiers import TOMBSTONE, Epoch, Expiring, RequestId, SegmentId
from shardstore.wire.expiring_items import encode_items
from shardstore.wire.wire_format import Flag
from shardstore.workers.wal.log_document import note_durable
from shardstore.workers.wal.record_format import Record, RecordKind
from tests.unit.faulty_filesystem import FaultyFilesystem
from tests.unit.wal_driver import DIRECTORY, LOG_ID, STORE, WORKER, path_of, records_in, recovered, sync, writer_of

GOLDEN = Path(__file__).parent
FILES = {
    4: {
        "log-document-v3.bin": f"{DIRECTORY}/LOG",
        "wal-recovered-v4.bin": path_of(1),
        "wal-v4.bin": path_of(0x21),
    },
    3: {
        "log-document-v2.bin": f"{DIRECTORY}/LOG",
        "wal-recovered-v3.bin": path_of(1),
        "wal-v3.bin": path_of(0x21),
    },
    2: {
        "log-document-v2.bin": f"{DIRECTORY}/LOG",
        "wal-recovered-v2.bin": path_of(1),
        "wal-v2.bin": path_of(0x21),
    },
}
FIXED = Flag.KEYS_FIXED | Flag.VALUES_FIXED
CLIENT = 2**64 - 2
MOMENT = 1_700_000_000_000
BATCHES = [
    # kind, layout, entries, segment, epoch, sequence, keys, values
    (RecordKind.PUT, FIXED, 2, 42, 7, 1, b"key1key2", b"valuevalue"),
    (RecordKind.PUT, 0, 1, 43, 8, 2, b"\x91\xc4\x01k", b"\x91\xc4\x00"),
    (RecordKind.DELETE, Flag.KEYS_FIXED, 1, 2**32 - 1, 2**32 - 1, 2**64 - 1, b"k", b""),
    (RecordKind.INCREMENT, FIXED, 1, 42, 7, 3, b"k", b"-12"),
    (RecordKind.BAR, 0, 0, 42, 7, 4, b"", b""),
    (RecordKind.BATCH, Flag.KEYS_FIXED, 2, 42, 7, 5, b"ab", b"\x92\xc4\x011\xc0"),
    (RecordKind.TAKE, FIXED, 1, 42, 7, 6, b"k", b"value"),
    (RecordKind.CLEAR, 0, 0, 42, 7, 7, b"start", b"the end"),
    (RecordKind.BATCH, Flag.KEYS_FIXED, 2, 42, 7, 8, b"ab", encode_items([Expiring(MOMENT, b"value"), TOMBSTONE])),
    (RecordKind.INCREMENT, Flag.KEYS_FIXED, 1, 42, 7, 9, b"k", encode_items([Expiring(MOMENT, b"-12")])),
    (RecordKind.CLOCK, 0, 0, 0, 0, 10, MOMENT.to_bytes(8, "big"), b""),
]
RECORDS = {4: len(BATCHES), 3: 8, 2: 5}
"""How many of these records the files of each version have, twice."""
LSN_SECOND = 0x21
LSN_DURABLE = 0x25


def written() -> FaultyFilesystem:
    """A log that was recovered once, with a jump of its LSNs, and continued."""
    filesystem = FaultyFilesystem()
    for lsn_floor in (0, 0x20):
        writer = writer_of(filesystem, recovered(filesystem, lsn_floor))
        for kind, layout, entries, segment, epoch, sequence, keys, values in BATCHES:
            request = RequestId(CLIENT, sequence)  # type: ignore[arg-type]
            writer.append(kind, layout, entries, SegmentId(segment), Epoch(epoch), request, keys, values)
            sync(filesystem, writer)
    note_durable(filesystem, STORE, WORKER, LSN_DURABLE)
    return filesystem


def check(records: list[Record], count: int) -> None:
    lsns = [first + at for first in (1, LSN_SECOND) for at in range(count)]
    assert [record.lsn for record in records] == lsns
    assert [record.lsn_durable for record in records] == [0, *lsns[:-1]]
    for record, batch in zip(records, BATCHES[:count] * 2, strict=True):
        kind, layout, entries, segment, epoch, sequence, keys, values = batch
        assert record[:3] == (kind, layout, entries)
        assert record[5:9] == (segment, epoch, CLIENT, sequence)
        assert (bytes(record.keys), bytes(record.values)) == (keys, values)


@pytest.mark.parametrize("name", FILES[4])
def test_what_is_written_is_the_golden_file(name: str) -> None:
    assert written().content(FILES[4][name]) == (GOLDEN / name).read_bytes()


@pytest.mark.parametrize("version", FILES)
def test_the_golden_files_can_be_read(version: int) -> None:
    filesystem = FaultyFilesystem()
    for name, path in FILES[version].items():
        filesystem.place(path, (GOLDEN / name).read_bytes())
    log, count = recovered(filesystem), RECORDS[version]
    assert (log.log_id, log.lsn_checkpoint, log.next_lsn, log.cut) == (LOG_ID, 0, LSN_SECOND + count, None)
    check(records_in(filesystem, log), count)
    writer = writer_of(filesystem, log)
    assert writer.old_files() == {2: 2, 3: 1, 4: 0}[version]
    writer.forget(writer.files_before(log.lsn_last))
    assert writer.old_files() == 0
