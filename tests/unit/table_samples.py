"""Sample tables of all four layouts, small and large."""

from __future__ import annotations

from shardstore.files.file_names import segment_directory
from shardstore.identifiers import TOMBSTONE, Stored
from shardstore.seams.filesystem import Filesystem
from shardstore.segment_options import DEFAULTS, SegmentOptions
from shardstore.tables.cache import SegmentCache
from shardstore.tables.table_format import Entries, Identity, TableRecord
from shardstore.tables.table_reader import Table
from shardstore.workers.segment.table_writer import write_table
from tests.unit.faulty_filesystem import FaultyFilesystem

STORE = "store-of-the-tests"
IDENTITY = Identity(STORE, 7, 1)
WHOLE_LAYOUTS = ("fixed-fixed", "fixed-variable", "variable-fixed", "variable-variable")
"""Layouts whose keys are stored whole."""
PREFIXED_LAYOUTS = (
    "fixed-prefixed-fixed",
    "fixed-prefixed-variable",
    "variable-prefixed-fixed",
    "variable-prefixed-variable",
)
"""Layouts whose keys share a prefix that is stored once per block."""
LAYOUTS = WHOLE_LAYOUTS + PREFIXED_LAYOUTS
PREFIX = b"tenant/0001/of-those-that-share-a-prefix/"
STEP = 9_000
"""The step between the numbers in consecutive keys, so that keys alone share little."""


def empty_filesystem() -> FaultyFilesystem:
    """A disk with only the directory of the segment."""
    filesystem = FaultyFilesystem()
    filesystem.make_directory(segment_directory(IDENTITY.segment))
    return filesystem


def key_of(layout: str, number: int) -> bytes:
    """The key of this number, at most 11,000; keys ascend with numbers."""
    prefix = PREFIX if "prefixed" in layout else b""
    tail = b"" if layout.startswith("fixed") else b"-longer"
    return prefix + b"key-%08d" % (number * STEP) + tail * (number % 4 // 2)


def keys_of(layout: str, count: int) -> list[bytes]:
    """Ascending keys. Odd numbers are left out, to test lookups of absent keys."""
    return [key_of(layout, number) for number in range(0, 2 * count, 2)]


def values_of(layout: str, count: int) -> list[bytes]:
    return [
        b"value-%06d" % number + (b"" if layout.endswith("fixed") else b"+" * (number % 5)) for number in range(count)
    ]


def sample(layout: str, count: int) -> dict[bytes, Stored]:
    return dict(zip(keys_of(layout, count), values_of(layout, count), strict=True))


def with_deletions(entries: dict[bytes, Stored], every: int = 3) -> dict[bytes, Stored]:
    """The same entries, with some keys deleted at regular steps."""
    return {key: TOMBSTONE if place % every == 0 else value for place, (key, value) in enumerate(entries.items())}


def write(
    filesystem: Filesystem,
    entries: dict[bytes, Stored],
    identity: Identity = IDENTITY,
    options: SegmentOptions = DEFAULTS,
) -> TableRecord:
    return write_table(filesystem, identity, Entries(list(entries), list(entries.values())), 1, 9, options)


def table_of(
    entries: dict[bytes, Stored], options: SegmentOptions = DEFAULTS, cache: SegmentCache | None = None
) -> Table:
    filesystem = empty_filesystem()
    return Table.open(filesystem, IDENTITY, write(filesystem, entries, IDENTITY, options), cache)


def prefix_bytes_of(table: Table) -> list[int]:
    """The number of prefix bytes of each block."""
    table.blocks()
    assert table.readers is not None
    prefix_bytes: list[int] = table.readers.block_index.prefix_bytes.tolist()
    return prefix_bytes


def absent_from(entries: dict[bytes, Stored]) -> list[bytes]:
    """Keys near those of the table, and keys far from them."""
    return [
        b"\0",
        b"zzz",
        *(key + b"\0" for key in entries),
        *(key[:-1] for key in entries),
        *map(bytes.upper, entries),
    ]
