"""Table file: sorted, unique entries of one segment; written once, never changed.

    header           32 bytes, see below
    block            entries in key order, at most BLOCK_ENTRIES of them and about block_bytes (segment_options.py),
                     compressed or not                               (compression.py)
    ...
    block index      where each block lies, and its first key        (block_index.py)
    hash index       entry numbers by hash of the key                (hash_index.py)
    Bloom filter     which keys are certainly absent                 (bloom.py)
    properties       msgpack map, see Properties
    footer           at the end of the file, see below

All integers are little-endian. Header:

    offset  size  field
         0     8  magic       b"shardsst"
         8     4  version     3
        12     4  segment
        16     8  number      of the table in its segment
        24     8  store       XXH3-64 of the store's identity
        32

Block. A column is fixed (items of one length, back to back) or variable (the msgpack bin of each item back to back,
nil for a tombstone, without an array header), the same for all blocks of a file. So the columns of consecutive blocks,
joined, are a column of the wire (behind one array header if variable), and an item can be cut out by its offset:

    keys | values | key offsets, if variable: u32 x (count + 1) | value offsets, if variable: u32 x (count + 1)

Where it is worth it (key_prefixes.py), the keys of a block are the prefix that all of them share, once, and the column
of what is left of each; their stride and offsets are those of that column. The block index says how long the prefix is:

    prefix | suffixes of the keys | values | offsets of the suffixes, if variable | value offsets, if variable

Footer: four sections in the order above, then the checksum of these 96 bytes, then the magic b"shardend":

    (offset u64, length u64, checksum u64) x 4 | checksum u64 | magic 8

Every checksum is XXH3-64 of the bytes as they lie in the file, seeded with the checksum of the header plus the offset
of what it covers: bytes that belong to another file or another place do not pass. Block checksums stand in the block
index.

An entry is named by a number: block x BLOCK_ENTRIES + place in the block.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from shardstore.checksum import checksum
from shardstore.errors import Corruption
from shardstore.files import file_names
from shardstore.identifiers import Buffer, Stored
from shardstore.key_range import KeyRange
from shardstore.limits import BLOCK_ENTRIES

MAGIC = b"shardsst"
END_MAGIC = b"shardend"
VERSION = 3
_HEADER = struct.Struct("<8sIIQQ")
HEADER_BYTES = _HEADER.size
_FOOTER = struct.Struct("<12Q")
_FOOTER_END = struct.Struct("<Q8s")
FOOTER_BYTES = _FOOTER.size + _FOOTER_END.size
BLOCKS_MAX = 2**32 // BLOCK_ENTRIES
OFFSET_BYTES = 4
RECORD_BYTES_MAX = 240
"""Of a TableRecord in a manifest, beside its four keys."""

FixedItems: TypeAlias = npt.NDArray[np.void]
"""Items of one length: an array of dtype V<stride>."""
Keys: TypeAlias = Sequence[bytes] | FixedItems
Values: TypeAlias = Sequence[Stored] | FixedItems
Integers: TypeAlias = npt.NDArray[np.int64]


class Entries(NamedTuple):
    """Entries as two columns of equal length."""

    keys: Keys
    values: Values


class Identity(NamedTuple):
    """Which file this is. `written_as`: segment and number in its header where these are others: it was linked here."""

    store: str
    segment: int
    number: int
    written_as: tuple[int, int] | None = None

    @property
    def path(self) -> str:
        """Where the file lies."""
        return file_names.table_file(self.segment, self.number)

    def header(self) -> bytes:
        """The header of the file."""
        segment, number = self.written_as or (self.segment, self.number)
        return _HEADER.pack(MAGIC, VERSION, segment, number, checksum(self.store.encode()))


class Header(NamedTuple):
    """The decoded header; see the module's drawing."""

    magic: bytes
    version: int
    segment: int
    number: int
    store: int


class Layout(NamedTuple):
    """Bytes of every key and of every value; 0: the column is variable."""

    key_stride: int
    value_stride: int


@dataclass(frozen=True, slots=True)
class TableRecord:
    """What a manifest says of a table. `checksum` is that of its footer, which covers all others.

    A file that was linked here from another segment says of itself that it is table `origin_number` of
    `origin_segment`. Of a virtual part only the keys from `start` to `end` (excluded; empty: no bound) count; then
    `entries`, `tombstones` and the keys are those within the bounds, and the whole file has `file_entries`. What does
    not apply is 0 or empty; `file_bytes` and `checksum` are always those of the file.
    """

    number: int
    file_bytes: int
    entries: int
    tombstones: int
    key_first: bytes
    key_last: bytes
    checksum: int
    origin_segment: int = 0
    origin_number: int = 0
    start: bytes = b""
    end: bytes = b""
    file_entries: int = 0

    @property
    def record_bytes(self) -> int:
        """At most so many bytes are this record in a manifest."""
        keys = len(self.key_first) + len(self.key_last) + len(self.start) + len(self.end)
        return RECORD_BYTES_MAX + keys

    @property
    def is_linked(self) -> bool:
        """Whether another segment wrote the file."""
        return self.origin_number > 0

    @property
    def is_virtual(self) -> bool:
        """Whether only a part of the file counts."""
        return bool(self.start or self.end)

    @property
    def bounds(self) -> KeyRange:
        """The keys that count."""
        return KeyRange(self.start, self.end)

    @property
    def share_bytes(self) -> int:
        """About how many bytes of the file are due to what counts."""
        return self.file_bytes * self.entries // self.file_entries if self.is_virtual else self.file_bytes

    @property
    def outside_bytes(self) -> int:
        """The other bytes of the file."""
        return self.file_bytes - self.share_bytes


@dataclass(frozen=True, slots=True)
class Properties:
    """What the file says of itself. Strides are the layout; the bounds of lengths leave tombstones out.

    `compression` is that of the blocks that are shorter in the file than when they are expanded.
    """

    entries: int
    tombstones: int
    key_first: bytes
    key_last: bytes
    key_stride: int
    value_stride: int
    key_bytes_min: int
    key_bytes_max: int
    value_bytes_min: int
    value_bytes_max: int
    lsn_first: int
    lsn_last: int
    compression: str


class Section(NamedTuple):
    """Where a section lies, and its checksum."""

    offset: int
    length: int
    checksum: int


class Sections(NamedTuple):
    """The sections behind the blocks, in file order."""

    block_index: Section
    hash_index: Section
    bloom: Section
    properties: Section


def seed_at(file_seed: int, offset: int) -> int:
    """Seed of the checksum of what lies at this offset; `file_seed` is the checksum of the header."""
    return (file_seed + offset) % 2**64


def encode_footer(sections: Sections, file_seed: int, offset: int) -> tuple[bytes, int]:
    """The footer to be written at `offset`, and its checksum."""
    packed = _FOOTER.pack(*(number for section in sections for number in section))
    footer_checksum = checksum(packed, seed_at(file_seed, offset))
    return packed + _FOOTER_END.pack(footer_checksum, END_MAGIC), footer_checksum


def decode_header(data: Buffer) -> Header:
    """The header of a table file, whosever it is; `data` is not shorter than that."""
    return Header._make(_HEADER.unpack_from(data))


def check_header(data: Buffer, identity: Identity) -> int:
    """The file seed. Raises Corruption when this is not the header of that file."""
    expected = identity.header()
    found = bytes(data[:HEADER_BYTES])
    if found != expected:
        raise Corruption(identity.path, 0, _what_differs(found, expected))
    return checksum(found)


def decode_footer(data: Buffer, identity: Identity, file_seed: int, footer_checksum: int) -> Sections:
    """The sections. Raises Corruption unless the file ends with the footer that has this checksum."""
    offset = len(data) - FOOTER_BYTES
    packed = bytes(data[offset : offset + _FOOTER.size])
    found_checksum, magic = _FOOTER_END.unpack(data[offset + _FOOTER.size :])
    if magic != END_MAGIC:
        raise Corruption(identity.path, offset, f"ends with {magic!r} instead of {END_MAGIC!r}")
    if found_checksum != footer_checksum:
        raise Corruption(identity.path, offset, "footer is not the one the manifest names")
    if checksum(packed, seed_at(file_seed, offset)) != footer_checksum:
        raise Corruption(identity.path, offset, "checksum of the footer does not match")
    numbers = iter(_FOOTER.unpack(packed))
    sections = Sections(*map(Section, numbers, numbers, numbers))
    if sections.properties.offset + sections.properties.length != offset:
        raise Corruption(identity.path, offset, "sections do not end where the footer begins")
    return sections


def _what_differs(found: bytes, expected: bytes) -> str:
    if len(found) < HEADER_BYTES:
        return f"ends inside the {HEADER_BYTES} bytes of its header"
    for name, ours, theirs in zip(
        ("magic", "format version", "segment", "number", "store"),
        _HEADER.unpack(expected),
        _HEADER.unpack(found),
        strict=True,
    ):
        if ours != theirs:
            return f"{name} is {theirs!r} instead of {ours!r}"
    raise AssertionError("equal headers differ nowhere")
