"""Runs: many records of a log, read and verified at once.

A run is records back to back whose LSNs ascend by one. A log of single writes has millions of small records, and Python
code for each of them would take most of the time of a start. So a run is read in a few steps, each of which handles all
its records in C:

    1  copy the next bytes of the log; find the magic numbers in them
    2  leave out those that are inside the payload of a record
    3  cut out headers, keys and values, and compute all checksums

The run ends before the first record that is not sound. A run that begins with a long record has no other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, repeat
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from shardstore.checksum import checksum
from shardstore.identifiers import Buffer
from shardstore.limits import KIB, MIB, REQUEST_BYTES_MAX
from shardstore.workers.wal.record_format import (
    HEADERS,
    HEADS,
    KINDS,
    LOW_HALF,
    RECORD_HEADER_BYTES,
    RECORD_MAGIC,
    Record,
    hop_at,
    log_record_at,
)

RUN_BYTES_MAX = MIB
LONG_RECORD_BYTES = 4 * KIB
"""A record of this size, as batches are, is read faster alone than searched for magic numbers."""
_WHOLE = np.dtype(f"V{HEADERS.itemsize}")
_MAGIC = np.frombuffer(RECORD_MAGIC, np.uint8)
Headers: TypeAlias = npt.NDArray[np.void]
"""Record headers; see HEADERS."""
Offsets: TypeAlias = npt.NDArray[np.int64]

assert RUN_BYTES_MAX < REQUEST_BYTES_MAX, "a record in a run is never too long"


@dataclass(frozen=True, slots=True)
class RecordRun:
    """Verified records: their headers, and where in `content` the keys of each begin. Its values follow the keys."""

    headers: Headers
    content: Buffer
    keys_at: Offsets

    def __len__(self) -> int:
        return len(self.headers)

    @property
    def lsn_first(self) -> int:
        """LSN of the first record."""
        return int(self.headers["lsn"][0])

    @property
    def lsn_last(self) -> int:
        """LSN of the last record."""
        return int(self.headers["lsn"][-1])

    @property
    def lsn_durable(self) -> int:
        """The highest LSN that these records say was on stable storage."""
        return int(self.headers["lsn_durable"].max())

    def size_before(self, lsn: int) -> int:
        """Size in the file, in bytes, of the records before this LSN, if none is left out."""
        return int(_sizes(self.headers[: lsn - self.lsn_first]).sum())

    @property
    def file_bytes(self) -> int:
        """Size of all records in the file, in bytes."""
        return int(_sizes(self.headers).sum())

    @property
    def payload_bytes(self) -> int:
        """Size of all columns, in bytes."""
        return self.file_bytes - len(self) * RECORD_HEADER_BYTES

    def pick(self, which: Any) -> RecordRun:
        """Some of the records; `which` is a slice, a mask or an array of positions."""
        return RecordRun(_picked(self.headers, which), self.content, self.keys_at[which])

    def by_segment(self) -> RecordRun:
        """The same records, segment after segment, those of each in the order of the log."""
        return self.pick(np.argsort(self.headers["segment"], kind="stable")) if len(self) > 1 else self

    def keys(self) -> list[bytes]:
        """The column of keys of each record."""
        return _cut(self.content, self.keys_at, self.headers["keys_bytes"])

    def values(self) -> list[bytes]:
        """The column of values of each record."""
        return _cut(self.content, self.keys_at + self.headers["keys_bytes"], self.headers["values_bytes"])

    def records(self) -> Iterator[Record]:
        """The records one by one."""
        content = memoryview(self.content)
        for header, keys_at in zip(self.headers.tolist(), self.keys_at.tolist(), strict=True):
            _, kind, layout, _, entries, keys_bytes, values_bytes, *names, _, _ = header
            values_at = keys_at + keys_bytes
            keys, values = content[keys_at:values_at], content[values_at : values_at + values_bytes]
            yield Record._make((kind, layout, entries, *names, keys, values))


def run_at(data: memoryview, offset: int, log_id: int, bytes_max: int = RUN_BYTES_MAX) -> tuple[RecordRun, int]:
    """The run that begins at `offset`, and where it ends.

    It has at least one record, and not more than `bytes_max` unless one is longer.

    Raises DamagedRecord if the first record is not sound.
    """
    _, _, end = hop_at(data, offset, log_id)
    if end - offset < LONG_RECORD_BYTES:
        run = _records_in(bytes(data[offset : offset + bytes_max]))
        sound = _count_sound(run, log_id)
        if sound:
            run = run.pick(slice(sound))
            return run, offset + run.file_bytes
    log_record_at(data, offset, log_id)
    return _run_of_one(data, offset), end


def known_run_at(data: memoryview, offset: int) -> tuple[RecordRun, int]:
    """The run that begins at `offset` of records that were verified before, and where it ends."""
    run = _run_of_one(data, offset)
    if run.file_bytes < LONG_RECORD_BYTES:
        run = _records_in(bytes(data[offset : offset + RUN_BYTES_MAX]))
    return run, offset + run.file_bytes


def _run_of_one(data: memoryview, offset: int) -> RecordRun:
    keys_at = offset + RECORD_HEADER_BYTES
    return RecordRun(np.frombuffer(bytes(data[offset:keys_at]), HEADERS), data, np.array([keys_at]))


def _records_in(chunk: bytes) -> RecordRun:
    """The records of a chunk; none unless it begins with one. Nothing is verified here."""
    windows = max(0, len(chunk) - RECORD_HEADER_BYTES + 1) if chunk.startswith(RECORD_MAGIC) else 0
    content = np.frombuffer(chunk, np.uint8)
    starts = np.flatnonzero(content[:windows] == _MAGIC[0])
    for place in range(1, len(_MAGIC)):
        starts = starts[content[starts + place] == _MAGIC[place]]
    headers = np.ndarray((windows,), _WHOLE, chunk, strides=(1,))[starts].view(HEADERS)
    ends = starts + _sizes(headers)
    if (ends[:-1] != starts[1:]).any():
        chain = _chain(starts.tolist(), ends.tolist())
        starts, headers, ends = starts[chain], _picked(headers, chain), ends[chain]
    whole = int(np.count_nonzero(ends <= len(chunk)))
    return RecordRun(headers[:whole], chunk, starts[:whole] + RECORD_HEADER_BYTES)


def _chain(starts: Sequence[int], ends: Sequence[int]) -> list[int]:
    """The positions of the records that follow each other, beginning with the first one."""
    position_of = dict(zip(starts, count(), strict=False))
    chain = [0]
    while (following := position_of.get(ends[chain[-1]])) is not None:
        chain.append(following)
    return chain


def _count_sound(run: RecordRun, log_id: int) -> int:
    """How many of the first records are sound, and have LSNs that ascend by one."""
    headers = run.headers
    seeds = list(map(checksum, headers.view(HEADS)["head"].tolist(), repeat(log_id)))
    checksums = map(checksum, run.values(), map(checksum, run.keys(), seeds))
    sound = np.fromiter(checksums, np.uint64, len(headers)) == headers["checksum"]
    sound &= np.fromiter(seeds, np.uint64, len(headers)) & np.uint64(LOW_HALF) == headers["head_checksum"]
    sound &= np.isin(headers["kind"], list(KINDS))
    sound[1:] &= headers["lsn"][1:] - headers["lsn"][:-1] == 1
    return len(sound) if sound.all() else int(sound.argmin())


def _cut(content: Buffer, begins: Offsets, sizes: npt.NDArray[np.uint32]) -> list[bytes]:
    """The pieces with these offsets and sizes. Pieces of one size are cut out faster."""
    size = int(sizes[0]) if len(sizes) else 0
    if (sizes == size).all():
        if not size:
            return [b""] * len(sizes)
        pieces: list[bytes] = np.ndarray((len(content) - size + 1,), f"V{size}", content, strides=(1,))[begins].tolist()
        return pieces
    return list(map(bytes(content).__getitem__, map(slice, begins.tolist(), (begins + sizes).tolist())))


def _picked(headers: Headers, which: Any) -> Headers:
    """Some of the headers. They are copied as a whole, as numpy would copy them field by field."""
    picked: Headers = headers.view(_WHOLE)[which].view(HEADERS)
    return picked


def _sizes(headers: Headers) -> Offsets:
    """The size of each record in the file."""
    sizes: Offsets = headers["keys_bytes"].astype(np.int64) + headers["values_bytes"] + RECORD_HEADER_BYTES
    return sizes
