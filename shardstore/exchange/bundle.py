"""The bundle: the content of a store in one file, each piece with its checksum.

    file     magic (8: "shardEXP") | version (4) | zero (4) | frame | frame | ...
    frame    kind (4) | entries (4) | payload bytes (8) | checksum (8) | payload
             The checksum is that of shardstore/checksum.py, of the first 16 bytes of the frame and of its payload. Its
             seed is the offset of the frame in the file, so a frame that was moved is noticed.

    kind     payload
    1        section: a msgpack map of the fields of an ExportSection (content.py)
    2        entries: one zstd frame of
             layout of keys (1) | layout of values (1) | zero (2) | bytes of keys (4) | keys | values
             Both are columns (wire/columns.py); a layout is 1 for a fixed column, 0 for a variable one.
    3        end: the entries of the whole file (8). Nothing follows it.

Numbers are little-endian and unsigned. `entries` is 0 but for kind 2.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, Final

import msgpack
import zstandard

from shardstore.checksum import checksum_of
from shardstore.errors import Corruption
from shardstore.exchange.content import (
    ExportEnd,
    ExportEntries,
    ExportPiece,
    ExportSection,
    Placed,
    check_entries,
    section_of,
)
from shardstore.limits import KEY_BYTES_MAX, KIB, MIB, REQUEST_ENTRIES_MAX, VALUE_BYTES_MAX
from shardstore.wire import bounded_msgpack, columns

MAGIC: Final = b"shardEXP"
VERSION: Final = 1
PAYLOAD_BYTES_MAX: Final = 64 * MIB
"""The largest payload, also before it was compressed. A page of a scan is much smaller, unless its values are large."""
SECTION_BYTES_MAX: Final = 16 * KIB
_START = struct.Struct("<8sII")
_HEAD = struct.Struct("<IIQ")
_CHECKSUM = struct.Struct("<Q")
_HEAD_BYTES: Final = _HEAD.size + _CHECKSUM.size
_LAYOUT = struct.Struct("<BBHI")
_END = struct.Struct("<Q")
_SECTION, _ENTRIES, _AT_END = 1, 2, 3
_COMPRESSION_LEVEL: Final = 3


class BundleWriter:
    """Writes a bundle. `offset`: how many bytes of it are written; 0: nothing."""

    def __init__(self, file: BinaryIO, offset: int = 0) -> None:
        self._file = file
        self._offset = offset
        self._compress = zstandard.ZstdCompressor(_COMPRESSION_LEVEL).compress
        if not offset:
            self._write(_START.pack(MAGIC, VERSION, 0))

    def section(self, section: ExportSection) -> None:
        """Begin a section."""
        self._frame(_SECTION, 0, msgpack.packb(section._asdict()))

    def go_on(self, section: ExportSection) -> None:
        """Go on in a section whose beginning the file has already."""

    def entries(self, entries: ExportEntries) -> None:
        """Write entries of the latest section; at least one."""
        keys, values = columns.encode(entries.keys), columns.encode(entries.values)
        layout = _LAYOUT.pack(keys.fixed, values.fixed, 0, len(keys.frame))
        self._frame(_ENTRIES, len(entries.keys), self._compress(b"".join((layout, keys.frame, values.frame))))

    def end(self, entries: int) -> None:
        """Write the end of the file, which has so many entries in all."""
        self._frame(_AT_END, 0, _END.pack(entries))

    def _frame(self, kind: int, entries: int, payload: bytes) -> None:
        head = _HEAD.pack(kind, entries, len(payload))
        self._write(b"".join((head, _CHECKSUM.pack(checksum_of((head, payload), self._offset)), payload)))

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._offset += len(data)


def read_bundle(file: BinaryIO, path: str) -> Iterator[Placed]:
    """Iterate over the pieces of a bundle. Raises Corruption, also if the file does not go on to its end."""
    magic, version, zero = _START.unpack(_read_whole(file, _START.size, path, 0))
    if magic != MAGIC or zero:
        raise Corruption(path, 0, "this is no bundle")
    if version != VERSION:
        raise Corruption(path, len(MAGIC), f"a bundle of version {version}; this program reads version {VERSION}")
    offset, total = _START.size, 0
    while True:
        head = _read_whole(file, _HEAD_BYTES, path, offset)
        kind, count, payload_bytes = _HEAD.unpack_from(head)
        if payload_bytes > PAYLOAD_BYTES_MAX or count > REQUEST_ENTRIES_MAX:
            raise Corruption(path, offset, f"a frame of {payload_bytes:,} bytes with {count:,} entries")
        payload = _read_whole(file, payload_bytes, path, offset)
        if checksum_of((head[: _HEAD.size], payload), offset) != _CHECKSUM.unpack_from(head, _HEAD.size)[0]:
            raise Corruption(path, offset, "the checksum of a frame does not match")
        piece = _piece(kind, count, payload, path, offset)
        offset += _HEAD_BYTES + payload_bytes
        if isinstance(piece, ExportEntries):
            total += len(piece.keys)
        if isinstance(piece, ExportEnd) and (piece.entries != total or file.read(1)):
            raise Corruption(path, offset, f"the end says {piece.entries:,} entries, the file has {total:,}, or more")
        yield Placed(piece, offset)
        if isinstance(piece, ExportEnd):
            return


def _read_whole(file: BinaryIO, length: int, path: str, offset: int) -> bytes:
    """Return the next bytes of a file. Raises Corruption if there are fewer."""
    data = file.read(length)
    if len(data) < length:
        raise Corruption(path, offset, "the file ends here, and is not whole")
    return data


def _piece(kind: int, count: int, payload: bytes, path: str, offset: int) -> ExportPiece:
    if kind == _SECTION and len(payload) <= SECTION_BYTES_MAX:
        try:
            fields = bounded_msgpack.unpack(payload, SECTION_BYTES_MAX)
        except bounded_msgpack.FLAWS as error:
            raise Corruption(path, offset, f"a section that is no msgpack: {error}") from None
        return section_of(fields, path, offset)
    if kind == _ENTRIES and count:
        return _entries(count, payload, path, offset)
    if kind == _AT_END and len(payload) == _END.size:
        return ExportEnd(_END.unpack(payload)[0])
    raise Corruption(path, offset, f"a frame of kind {kind} with {len(payload):,} bytes")


def _entries(count: int, payload: bytes, path: str, offset: int) -> ExportEntries:
    try:
        if zstandard.get_frame_parameters(payload).content_size > PAYLOAD_BYTES_MAX:
            raise Corruption(path, offset, "entries that are too large")
        data = zstandard.ZstdDecompressor().decompress(payload)
        keys_fixed, values_fixed, _, key_bytes = _LAYOUT.unpack_from(data)
        keys, values = data[_LAYOUT.size : _LAYOUT.size + key_bytes], data[_LAYOUT.size + key_bytes :]
        found = columns.decode(keys, bool(keys_fixed), count, 1, KEY_BYTES_MAX)
        if values_fixed:
            held = columns.decode(values, True, count, 0, VALUE_BYTES_MAX)
        else:
            held, _ = columns.decode_ending(values, count, VALUE_BYTES_MAX, nullable=False)
    except (zstandard.ZstdError, struct.error, columns.InvalidColumn) as error:
        raise Corruption(path, offset, f"entries that cannot be read: {error}") from None
    entries = ExportEntries(found, held)
    check_entries(entries, path, offset)
    return entries
