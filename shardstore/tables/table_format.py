"""The format of table files: sorted entries of one segment, with unique keys. A file is written once, never changed.

    header           32 bytes, see below
    block            entries in key order, at most BLOCK_ENTRIES of them and about block_bytes (segment_options.py),
                     compressed or not                               (shardstore/compression.py)
    ...
    block index      position and first key of each block            (block_index.py)
    hash index       entry numbers by hash of the key                (hash_index.py)
    Bloom filter     which keys are certainly absent                 (bloom.py)
    properties       msgpack map, see Properties
    footer           at the end of the file, see below

All integers are little-endian. Header:

    offset  size  field
         0     8  magic       b"shardsst"
         8     4  version     3 (files/formats.py)
        12     4  segment
        16     8  number      of the table in its segment
        24     8  store       XXH3-64 of the store's identity
        32

Block. A column is fixed (items of one length, back to back) or variable (the msgpack bin of each item, back to back,
nil for a tombstone, an ext for an expiring value (wire/expiring_items.py), no array header); all blocks of a file agree
in this. So the joined columns of consecutive blocks make a column of a message (after an array header if variable), and
an item can be cut out by its offset:

    keys | values | key offsets, if variable: u32 x (count + 1) | value offsets, if variable: u32 x (count + 1)

Where it is worth it (workers/segment/key_prefixes.py), a block stores the common prefix of its keys once, and a column
of their suffixes; stride and offsets are then those of the suffixes. The block index has the length of the prefix:

    prefix | suffixes of the keys | values | offsets of the suffixes, if variable | value offsets, if variable

Footer: the four sections in the order above, the checksum of these 96 bytes, and the magic b"shardend":

    (offset u64, length u64, checksum u64) x 4 | checksum u64 | magic 8

Every checksum is the XXH3-64 of the bytes in the file. Its seed is the checksum of the header plus the offset of the
bytes, so bytes of another file or another place do not pass. The checksums of blocks are in the block index.

The number of an entry is block x BLOCK_ENTRIES + place in the block.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from shardstore.checksum import checksum
from shardstore.errors import Corruption
from shardstore.files import file_names, formats
from shardstore.identifiers import Buffer, Stored
from shardstore.key_range import KeyRange
from shardstore.limits import BLOCK_ENTRIES

END_MAGIC = b"shardend"
_HEADER = struct.Struct("<8sIIQQ")
HEADER_BYTES = _HEADER.size
_FOOTER = struct.Struct("<12Q")
_FOOTER_END = struct.Struct("<Q8s")
FOOTER_BYTES = _FOOTER.size + _FOOTER_END.size
BLOCKS_MAX = 2**32 // BLOCK_ENTRIES
OFFSET_BYTES = 4
MOMENTS = 5
"""How many quantiles of the moments of its values the record of a table has."""
RECORD_BYTES_MAX = 320
"""Maximum size of a TableRecord in a manifest, without its four keys."""

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
    """Identifies a table file. `written_as`: segment and number in its header if another segment wrote it.

    `format`: the version of its format.
    """

    store: str
    segment: int
    number: int
    written_as: tuple[int, int] | None = None
    format: int = formats.TABLE.version

    @property
    def path(self) -> str:
        """The path of the file."""
        return file_names.table_file(self.segment, self.number)

    def header(self) -> bytes:
        """Return the header that the file must have."""
        segment, number = self.written_as or (self.segment, self.number)
        return _HEADER.pack(formats.TABLE.magic, self.format, segment, number, checksum(self.store.encode()))


class TableHeader(NamedTuple):
    """A decoded header; see the drawing above."""

    magic: bytes
    version: int
    segment: int
    number: int
    store: int


class Layout(NamedTuple):
    """The length of every key and of every value; 0 if the column is variable. `may_expire`: some values may expire."""

    key_stride: int
    value_stride: int
    may_expire: bool = False


@dataclass(frozen=True, slots=True)
class TableRecord:
    """The record of a table in a manifest. `checksum` is that of the table's footer, which covers all other checksums.

    A file that was linked from another segment was written as table `origin_number` of `origin_segment`. Of a virtual
    part only the keys from `start` to `end` (excluded; empty means no bound) count: `entries`, `tombstones`,
    `key_first` and `key_last` describe those, and `file_entries` counts the entries of the whole file. `file_bytes` and
    `checksum` always describe the file; `format` is the version of its format. Fields that do not apply are 0 or empty.

    `expiring`: how many values expire. `moments`: when, as MOMENTS quantiles of their moments, from the first to the
    last.
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
    format: int = formats.TABLE.version
    expiring: int = 0
    moments: tuple[int, ...] = ()

    @property
    def record_bytes(self) -> int:
        """Maximum size of this record in a manifest."""
        keys = len(self.key_first) + len(self.key_last) + len(self.start) + len(self.end)
        return RECORD_BYTES_MAX + keys

    @property
    def is_old(self) -> bool:
        """Whether the file has a former format version."""
        return self.format < formats.TABLE.version

    @property
    def is_linked(self) -> bool:
        """Whether the file was written under another name: by another segment, or as another table of this one."""
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
        """About how many bytes of the file belong to the keys that count."""
        return self.file_bytes * self.entries // self.file_entries if self.is_virtual else self.file_bytes

    @property
    def outside_bytes(self) -> int:
        """The bytes of the file outside of `share_bytes`."""
        return self.file_bytes - self.share_bytes

    def expired_by(self, now_ms: int) -> int:
        """Estimate how many of its values have expired."""
        least, most = self.expired_within(now_ms)
        return (least + most) // 2

    def expired_within(self, now_ms: int) -> tuple[int, int]:
        """Return how many of its values have expired at least, and at most."""
        passed = bisect_right(self.moments, now_ms)
        if passed in (0, len(self.moments)):
            return (self.expiring, self.expiring) if passed else (0, 0)
        steps = MOMENTS - 1
        return self.expiring * (passed - 1) // steps, -(-self.expiring * passed // steps)


@dataclass(frozen=True, slots=True)
class Properties:
    """The properties of a file. Strides are those of Layout; minimum and maximum lengths ignore tombstones, and
    moments.

    `compression` applies to the blocks that are shorter in the file than expanded.
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
    """Position and checksum of a section."""

    offset: int
    length: int
    checksum: int


class Sections(NamedTuple):
    """The sections after the blocks, in file order."""

    block_index: Section
    hash_index: Section
    bloom: Section
    properties: Section


def seed_at(file_seed: int, offset: int) -> int:
    """Return the seed for the checksum of bytes at this offset. `file_seed` is the checksum of the header."""
    return (file_seed + offset) % 2**64


def encode_footer(sections: Sections, file_seed: int, offset: int) -> tuple[bytes, int]:
    """Return the footer to be written at `offset`, and its checksum."""
    packed = _FOOTER.pack(*(number for section in sections for number in section))
    footer_checksum = checksum(packed, seed_at(file_seed, offset))
    return packed + _FOOTER_END.pack(footer_checksum, END_MAGIC), footer_checksum


def decode_header(data: Buffer) -> TableHeader:
    """Decode the header of a table file without checking it. `data` must hold a whole header."""
    return TableHeader._make(_HEADER.unpack_from(data))


def check_header(data: Buffer, identity: Identity) -> int:
    """Return the file seed. Raises Corruption if `data` does not begin with the header of that file."""
    formats.TABLE.check(identity.path, identity.format)
    expected = identity.header()
    found = bytes(data[:HEADER_BYTES])
    if found != expected:
        raise Corruption(identity.path, 0, _what_differs(found, expected))
    return checksum(found)


def quantiles_of(moments: Sequence[int]) -> tuple[int, ...]:
    """Return MOMENTS quantiles of some moments, from the first to the last; none of no moments."""
    ordered = sorted(moments)
    last = len(ordered) - 1
    return tuple([ordered[last * step // (MOMENTS - 1)] for step in range(MOMENTS)]) if ordered else ()


def decode_footer(data: Buffer, identity: Identity, file_seed: int, footer_checksum: int) -> Sections:
    """Return the sections. Raises Corruption unless the file ends with the footer that has this checksum."""
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
    raise AssertionError("the headers are equal")
