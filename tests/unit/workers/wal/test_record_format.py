"""The bytes of log files: sound ones are accepted, and nothing else."""

import struct

import pytest

from shardstore.checksum import checksum
from shardstore.errors import Corruption
from shardstore.files.formats import LOG_FILE
from shardstore.identifiers import RequestId
from shardstore.limits import REQUEST_BYTES_MAX
from shardstore.workers.wal.record_format import (
    FILE_HEADER_BYTES,
    RECORD_HEADER_BYTES,
    DamagedHeader,
    DamagedRecord,
    FileHeader,
    RecordKind,
    decode_file_header,
    encode_record_header,
    hop_at,
    log_record_at,
)

LOG_ID = 77
KEYS, VALUES = b"keys frame", b"and the values frame"


def encoded(kind: int = RecordKind.PUT) -> bytes:
    request = RequestId(2**64 - 1, 8)  # type: ignore[arg-type]
    header = encode_record_header(LOG_ID, kind, 3, 5, 11, 10, 6, 7, request, KEYS, VALUES)  # type: ignore[arg-type]
    return header + KEYS + VALUES


def test_record_reads_as_written() -> None:
    record = log_record_at(memoryview(b"before" + encoded() + b"behind"), 6, LOG_ID)
    assert record[:9] == (RecordKind.PUT, 3, 5, 11, 10, 6, 7, 2**64 - 1, 8)
    assert (bytes(record.keys), bytes(record.values)) == (KEYS, VALUES)
    assert record.size == len(encoded()) == RECORD_HEADER_BYTES + len(KEYS) + len(VALUES)


def test_record_views_its_buffer() -> None:
    buffer = bytearray(encoded())
    record = log_record_at(memoryview(buffer), 0, LOG_ID)
    buffer[-1:] = b"!"
    assert record.values[-1:] == b"!"


def test_hop_says_what_the_header_says() -> None:
    assert hop_at(memoryview(encoded()), 0, LOG_ID) == (11, 6, len(encoded()))


@pytest.mark.fault("L10")
@pytest.mark.parametrize("position", range(len(encoded())))
def test_any_flipped_bit_is_found(position: int) -> None:
    damaged = bytearray(encoded())
    damaged[position] ^= 1 << position % 8
    with pytest.raises(DamagedRecord):
        log_record_at(memoryview(damaged), 0, LOG_ID)
    if position < RECORD_HEADER_BYTES - 8:
        with pytest.raises(DamagedRecord):
            hop_at(memoryview(damaged), 0, LOG_ID)


@pytest.mark.parametrize("length", range(len(encoded())))
def test_cut_record_is_found(length: int) -> None:
    with pytest.raises(DamagedRecord):
        log_record_at(memoryview(encoded()[:length]), 0, LOG_ID)


def test_record_of_another_log_is_found() -> None:
    with pytest.raises(DamagedRecord):
        log_record_at(memoryview(encoded()), 0, LOG_ID + 1)
    with pytest.raises(DamagedRecord):
        hop_at(memoryview(encoded()), 0, LOG_ID + 1)


@pytest.mark.fault("L10")
def test_payload_of_another_record_is_found() -> None:
    with pytest.raises(DamagedRecord, match="payload"):
        log_record_at(memoryview(encoded()[:RECORD_HEADER_BYTES] + VALUES + KEYS), 0, LOG_ID)


@pytest.mark.fault("L1")
def test_zeros_are_no_record() -> None:
    with pytest.raises(DamagedRecord):
        log_record_at(memoryview(bytes(4096)), 0, 0)


@pytest.mark.parametrize("kind", [0, 99])
def test_unknown_kind_is_refused(kind: int) -> None:
    with pytest.raises(DamagedRecord, match="kind"):
        log_record_at(memoryview(encoded(kind)), 0, LOG_ID)


@pytest.mark.fault("L12")
def test_absurd_length_is_refused_even_with_a_sound_checksum() -> None:
    head = bytearray(encoded()[:60])
    struct.pack_into("<I", head, 16, REQUEST_BYTES_MAX)
    seed = checksum(bytes(head), LOG_ID)
    record = bytes(head) + struct.pack("<IQ", seed & 0xFFFF_FFFF, 0) + KEYS + VALUES
    with pytest.raises(DamagedRecord, match="allowed"):
        log_record_at(memoryview(record), 0, LOG_ID)


def test_kinds_keep_their_numbers() -> None:
    numbers = {"PUT": 1, "DELETE": 2, "INCREMENT": 3, "BAR": 4, "BATCH": 5, "TAKE": 6, "CLEAR": 7, "CLOCK": 8}
    assert {kind.name: kind.value for kind in RecordKind} == numbers


HEADER = FileHeader(worker=3, log_id=LOG_ID, lsn_first=21, lsn_previous=10, lsn_durable=9)


def test_file_header_reads_as_written() -> None:
    data = HEADER.encode()
    assert len(data) == FILE_HEADER_BYTES
    assert decode_file_header("f", data + b"records", 3, LOG_ID) == HEADER


@pytest.mark.parametrize("position", range(FILE_HEADER_BYTES))
def test_any_flipped_bit_of_the_file_header_is_found(position: int) -> None:
    damaged = bytearray(HEADER.encode())
    damaged[position] ^= 1 << position % 8
    with pytest.raises((DamagedHeader, Corruption)):
        decode_file_header("f", damaged, 3, LOG_ID)


@pytest.mark.parametrize("length", range(FILE_HEADER_BYTES))
def test_cut_file_header_is_found(length: int) -> None:
    with pytest.raises(DamagedHeader):
        decode_file_header("f", HEADER.encode()[:length], 3, LOG_ID)


@pytest.mark.parametrize(
    ("worker", "log_id", "offset", "what"), [(4, LOG_ID, 12, "worker 3"), (3, 78, 16, "belongs to log")]
)
def test_file_of_another_log_is_refused_by_name(worker: int, log_id: int, offset: int, what: str) -> None:
    with pytest.raises(Corruption, match=what) as caught:
        decode_file_header("f", HEADER.encode(), worker, log_id)
    assert (caught.value.file, caught.value.offset) == ("f", offset)


@pytest.mark.fault("L16")
def test_newer_version_is_refused_by_name() -> None:
    data = bytearray(HEADER.encode())
    data[8] = LOG_FILE.version + 1
    with pytest.raises(Corruption, match=f"version {LOG_FILE.version + 1}"):
        decode_file_header("f", data, 3, LOG_ID)
