"""Examines a table: every checksum, the order of its keys, and whether it is what the manifest says."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from operator import lt

from shardstore.errors import Corruption
from shardstore.key_range import KeyRange
from shardstore.seams.filesystem import Filesystem
from shardstore.tables.cache import SegmentCache
from shardstore.tables.open_tables import identity_of_table
from shardstore.tables.section_readers import SectionReaders
from shardstore.tables.table_file import TableFile
from shardstore.tables.table_format import HEADER_BYTES, TableRecord


def damage_in_table(
    filesystem: Filesystem, store: str, segment: int, key_range: KeyRange, record: TableRecord
) -> Iterator[Corruption]:
    """All damage in the file of this record of a segment with these keys. A bad block hides no other."""
    try:
        file = TableFile(filesystem, identity_of_table(store, segment, record), record)
    except Corruption as damage:
        yield damage
        return
    bad = list(_bad_sections(file))
    yield from bad
    if any(damage.offset == file.sections.block_index.offset for damage in bad):
        return  # without the block index no block is found
    try:
        readers = SectionReaders(file, SegmentCache().blocks)
        yield from _Entries(file, readers, key_range, record).damage()
    except Corruption as damage:
        yield damage


def _bad_sections(file: TableFile) -> Iterator[Corruption]:
    for name, section in zip(file.sections._fields, file.sections, strict=True):
        try:
            file.section(section, name.replace("_", " "))
        except Corruption as damage:
            yield damage


class _Entries:
    """The entries of a table, block by block. Of a virtual part only the keys within its bounds count."""

    def __init__(self, file: TableFile, readers: SectionReaders, key_range: KeyRange, record: TableRecord) -> None:
        self._file = file
        self._readers = readers
        self._key_range = key_range
        self._record = record
        self._last: bytes | None = None
        self._edges: list[bytes] = []
        self._count = 0

    def damage(self) -> Iterator[Corruption]:
        """All damage; what the manifest says is compared if every block can be read."""
        index, whole = self._readers.block_index, True
        for block in range(len(index)):
            try:
                content = self._readers.blocks.content(block)
            except Corruption as damage:
                whole = False
                yield damage
                continue
            keys = self._readers.keys.items(content, block, 0, int(index.entries[block]))
            yield from self._next(int(index.begins[block]), block, keys)  # type: ignore[arg-type]  # keys are bytes
        if whole:
            yield from self._compared(int(index.entries.sum()))

    def _next(self, offset: int, block: int, keys: list[bytes]) -> Iterator[Corruption]:
        if keys[0] != self._readers.block_index.first_keys[block]:
            yield Corruption(self._file.path, offset, f"block {block} begins with another key than the index says")
        before = [] if self._last is None else [self._last]
        in_order = [*before, *keys]
        if not all(map(lt, in_order, in_order[1:])):
            at = next(place for place, (one, other) in enumerate(pairwise(in_order), 1) if one >= other)
            yield Corruption(self._file.path, offset, f"keys of block {block} are out of order: {in_order[at]!r:.60}")
        self._last = keys[-1]
        counted = keys if not self._record.is_virtual else [key for key in keys if key in self._record.bounds]
        if counted:
            self._count += len(counted)
            self._edges = [(self._edges or counted)[0], counted[-1]]

    def _compared(self, entries: int) -> Iterator[Corruption]:
        """Differences between the file, its properties and the record in the manifest."""
        file, record, properties = self._file, self._record, self._file.properties
        at = file.sections.properties.offset
        if entries != properties.entries:
            yield Corruption(file.path, at, f"has {entries} entries, and its properties say {properties.entries}")
        if record.is_virtual and record.file_entries != properties.entries:
            said = f"the manifest says {record.file_entries}"
            yield Corruption(file.path, at, f"has {properties.entries} entries in all, and {said}")
        if self._count != record.entries or (not record.is_virtual and record.tombstones != properties.tombstones):
            said = f"the manifest says {record.entries}"
            yield Corruption(file.path, HEADER_BYTES, f"has {self._count} entries that count, and {said}")
        if self._edges != [record.key_first, record.key_last]:
            yield Corruption(file.path, HEADER_BYTES, "has another first or last key than the manifest says")
        if not all(key in self._key_range for key in self._edges):
            yield Corruption(file.path, HEADER_BYTES, f"has keys outside of its range, {self._key_range}")
