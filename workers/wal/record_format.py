"""The files of a write-ahead log: one header, then records back to back. Integers are little-endian.

File header:

    offset  size  field
         0     8  magic            b"shardWAL"
         8     4  version          4 (files/formats.py); in version 3 there was no CLOCK, and no value expired; in
                                   version 2 there was no BATCH, TAKE and CLEAR either
        12     4  worker           number of the worker that owns the log
        16     8  log_id           random number of this log, see log_document.py
        24     8  lsn_first        LSN of the first record, also in the file's name
        32     8  lsn_previous     last LSN of the log before this file; LSNs between the two were never used
        40     8  lsn_durable      highest LSN that is on stable storage once this header is
        48     8  checksum         XXH3-64 of bytes 0 to 47
        56

Record; its LSN is one more than that of the record before it in the file:

    offset  size  field
         0     4  magic            b"\\x9dRec"
         4     1  kind             PUT 1, DELETE 2, INCREMENT 3, BAR 4, BATCH 5, TAKE 6, CLEAR 7, CLOCK 8
         5     1  layout           the wire's KEYS_FIXED and VALUES_FIXED bits
         6     2  -                zero
         8     4  entries          number of entries in the columns; 0 for BAR, CLEAR, CLOCK
        12     4  keys_bytes
        16     4  values_bytes     0 for DELETE and BAR
        20     8  lsn
        28     8  lsn_durable      highest LSN known to be on stable storage when this record was appended
        36     4  segment
        40     4  epoch
        44     8  client           request id
        52     8  sequence         request id
        60     4  header checksum  low half of H = XXH3-64 of bytes 0 to 59, seeded with log_id
        64     8  checksum         XXH3-64 of the values, seeded with the XXH3-64 of the keys, seeded with H
        72     -  keys, values     the column frames as they were received (columns.py)

BATCH puts and deletes keys in one step: nil among its values deletes the key, and an ext is an expiring value
(wire/expiring_items.py). Its conditions held, and are not logged. A put of expiring values is a BATCH too. TAKE deletes
a key; its value is what it had, which is the reply to a retry of the request. INCREMENT puts the new value of a
counter, which is also the reply to a retry of the request. If the counter expires, it is an ext in a variable column.
CLOCK is of no segment: in the place of its keys is the moment, in milliseconds since the epoch and 8 bytes in
big-endian order, that the clock of the worker may reach (serving/hybrid_clock.py). BAR changes no key: it says that the
request with its id was not applied and never will be. CLEAR deletes all keys of a range: its start and its end, each
empty for no bound, are in the place of the keys and the values.

The seeds bind header and payload to the log, the LSN and each other: a record of another log, or bytes of another
record, are never accepted. The header has a checksum of its own, so that a reader can skip a record without reading its
payload and still trust its length, segment and LSN. Zeros are never a valid record.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from functools import partial
from typing import NamedTuple

import numpy as np

from shardstore.checksum import checksum
from shardstore.errors import Corruption
from shardstore.files.formats import LOG_FILE
from shardstore.identifiers import Buffer, RequestId
from shardstore.key_range import KeyRange
from shardstore.limits import REQUEST_BYTES_MAX

_FILE_KIND = struct.Struct("<8sI")
_FILE_HEAD = struct.Struct("<8sIIQQQQ")
_FILE_CHECKSUM = struct.Struct("<Q")
FILE_HEADER_BYTES = _FILE_HEAD.size + _FILE_CHECKSUM.size

RECORD_MAGIC = b"\x9dRec"
_HEAD = struct.Struct("<4sBBxxIIIQQIIQQ")
_CHECKSUMS = struct.Struct("<IQ")
_WHOLE = struct.Struct(_HEAD.format + _CHECKSUMS.format[1:])
_HOP = struct.Struct("<4s8xIIQ8xI20xI")
_HEAD_BYTES = _HEAD.size
RECORD_HEADER_BYTES = _HEAD_BYTES + _CHECKSUMS.size
LOW_HALF = 0xFFFF_FFFF

HEADERS = np.dtype(
    [
        ("magic", "V4"),
        ("kind", "u1"),
        ("layout", "u1"),
        ("zero", "<u2"),
        ("entries", "<u4"),
        ("keys_bytes", "<u4"),
        ("values_bytes", "<u4"),
        ("lsn", "<u8"),
        ("lsn_durable", "<u8"),
        ("segment", "<u4"),
        ("epoch", "<u4"),
        ("client", "<u8"),
        ("sequence", "<u8"),
        ("head_checksum", "<u4"),
        ("checksum", "<u8"),
    ]
)
"""Record headers as an array: the fields of the drawing."""
HEADS = np.dtype([("head", f"V{_HEAD_BYTES}"), ("checksums", f"V{_CHECKSUMS.size}")])
"""The same bytes, with the part that the header checksum covers as one field."""


class RecordKind(IntEnum):
    """What a record does. Numbers are never reused; 0 is invalid."""

    PUT = 1
    DELETE = 2
    INCREMENT = 3
    BAR = 4
    BATCH = 5
    TAKE = 6
    CLEAR = 7
    CLOCK = 8


KINDS = frozenset(RecordKind)


class DamagedHeader(ValueError):
    """These bytes are no sound header of a log file: it was never written completely, or it was damaged."""


class DamagedRecord(ValueError):
    """There is no sound record at this place; the text says what is wrong."""


class FileHeader(NamedTuple):
    """The decoded file header; see the module's drawing."""

    worker: int
    log_id: int
    lsn_first: int
    lsn_previous: int
    lsn_durable: int
    version: int = LOG_FILE.version

    def encode(self) -> bytes:
        """The first bytes of a log file."""
        *numbers, version = self
        head = _FILE_HEAD.pack(LOG_FILE.magic, version, *numbers)
        return head + _FILE_CHECKSUM.pack(checksum(head))


class Record(NamedTuple):
    """A verified record. `keys` and `values` are views of the buffer it was read from."""

    kind: int
    layout: int
    entries: int
    lsn: int
    lsn_durable: int
    segment: int
    epoch: int
    client: int
    sequence: int
    keys: memoryview
    values: memoryview

    @property
    def size(self) -> int:
        """Size in the file, in bytes."""
        return RECORD_HEADER_BYTES + len(self.keys) + len(self.values)


_new_record = partial(tuple.__new__, Record)


def decode_file_header(path: str, data: Buffer, worker: int, log_id: int) -> FileHeader:
    """The header of a log file of this worker and log.

    Raises DamagedHeader for bytes that are no header, Corruption for the header of another worker, log or version.
    """
    header = file_header_in(path, data)
    if header.worker != worker:
        raise Corruption(path, 12, f"log of worker {header.worker}, not of worker {worker}")
    if header.log_id != log_id:
        raise Corruption(path, 16, f"belongs to log {header.log_id:016x}, not to log {log_id:016x}")
    return header


def file_header_in(path: str, data: Buffer) -> FileHeader:
    """The header of a log file of any worker. Raises DamagedHeader, and Corruption for another version."""
    if len(data) < FILE_HEADER_BYTES:
        raise DamagedHeader(f"{len(data)} bytes are no file header")
    magic, version = _FILE_KIND.unpack_from(data)
    if magic != LOG_FILE.magic:
        raise DamagedHeader(f"magic {magic!r} instead of {LOG_FILE.magic!r}")
    LOG_FILE.check(path, version)
    if _FILE_CHECKSUM.unpack_from(data, _FILE_HEAD.size)[0] != checksum(data[: _FILE_HEAD.size]):
        raise DamagedHeader("checksum of the file header does not match")
    return FileHeader._make((*_FILE_HEAD.unpack_from(data)[2:], version))


def encode_record_header(
    log_id: int,
    kind: RecordKind,
    layout: int,
    entries: int,
    lsn: int,
    lsn_durable: int,
    segment: int,
    epoch: int,
    request: RequestId,
    keys: bytes,
    values: bytes,
) -> bytes:
    """The record header, which precedes `keys` and `values` in the file."""
    head = _HEAD.pack(
        RECORD_MAGIC,
        kind,
        layout,
        entries,
        len(keys),
        len(values),
        lsn,
        lsn_durable,
        segment,
        epoch,
        request.client,
        request.sequence,
    )
    seed = checksum(head, log_id)
    return head + _CHECKSUMS.pack(seed & LOW_HALF, checksum(values, checksum(keys, seed)))


def hop_at(data: memoryview, offset: int, log_id: int) -> tuple[int, int, int]:
    """LSN, segment and end of the record at `offset`, from its verified header. The payload is not read.

    Raises DamagedRecord.
    """
    start = offset + RECORD_HEADER_BYTES
    if start > len(data):
        raise DamagedRecord("the file ends inside a record header")
    magic, keys_bytes, values_bytes, lsn, segment, expected = _HOP.unpack_from(data, offset)
    _verify_head(data, offset, log_id, magic, expected)
    return lsn, segment, start + keys_bytes + values_bytes


def log_record_at(data: memoryview, offset: int, log_id: int) -> Record:
    """The record at `offset`, verified completely. Raises DamagedRecord."""
    keys_start = offset + RECORD_HEADER_BYTES
    if keys_start > len(data):
        raise DamagedRecord("the file ends inside a record header")
    magic, kind, layout, entries, keys_bytes, values_bytes, *names, expected_head, expected = _WHOLE.unpack_from(
        data, offset
    )
    seed = _verify_head(data, offset, log_id, magic, expected_head)
    if kind not in KINDS:
        raise DamagedRecord(f"kind {kind} is not known")
    if keys_bytes + values_bytes > REQUEST_BYTES_MAX:
        raise DamagedRecord(f"a payload of {keys_bytes + values_bytes} bytes; {REQUEST_BYTES_MAX} are allowed")
    values_start = keys_start + keys_bytes
    end = values_start + values_bytes
    if end > len(data):
        raise DamagedRecord("the file ends inside a record")
    keys, values = data[keys_start:values_start], data[values_start:end]
    if checksum(values, checksum(keys, seed)) != expected:
        raise DamagedRecord("checksum of the payload does not match")
    return _new_record((kind, layout, entries, *names, keys, values))


def range_of_clear(record: Record) -> KeyRange:
    """The keys that a CLEAR deletes. Raises Corruption."""
    try:
        return KeyRange(bytes(record.keys), bytes(record.values))
    except ValueError as error:
        raise Corruption(f"log record {record.lsn}", 0, f"passes its checksum but clears no range: {error}") from None


def moment_of_clock(record: Record) -> int:
    """The moment, in milliseconds since the epoch, that the clock may reach after a CLOCK."""
    return int.from_bytes(record.keys, "big")


def _verify_head(data: memoryview, offset: int, log_id: int, magic: bytes, expected: int) -> int:
    """Verify the header. Returns the seed of the payload's checksum. Raises DamagedRecord."""
    if magic != RECORD_MAGIC:
        raise DamagedRecord(f"magic {magic!r} instead of {RECORD_MAGIC!r}")
    seed = checksum(data[offset : offset + _HEAD_BYTES], log_id)
    if seed & LOW_HALF != expected:
        raise DamagedRecord("checksum of the record header does not match")
    return seed
