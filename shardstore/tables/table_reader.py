"""Reads a table: single keys, batches of keys, and stretches in key order.

Every section and block is verified before its first use. Damage raises Corruption, which names the file; it never makes
a key seem absent.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple, Self

import numpy as np

from shardstore.identifiers import Stored
from shardstore.key_range import EVERYTHING, KeyRange
from shardstore.limits import BLOCK_ENTRIES
from shardstore.seams.filesystem import Filesystem
from shardstore.tables.block_stretches import BlockStretch, column_of, edge_of, items_of, value_items
from shardstore.tables.bloom import Mask
from shardstore.tables.cache import SegmentCache
from shardstore.tables.chunk import Chunk
from shardstore.tables.column_items import as_list
from shardstore.tables.column_reader import ColumnReader, VariableColumnReader
from shardstore.tables.digests import Digests, digest_of
from shardstore.tables.expired import are_living
from shardstore.tables.lookup_counts import LookupCounts
from shardstore.tables.not_ready import NOT_READY, NotReady
from shardstore.tables.padded_keys import PaddedKeys
from shardstore.tables.section_readers import SectionReaders
from shardstore.tables.stretches import NOTHING_THERE, KeyMark, KeysAlone, LayerPage, Measure
from shardstore.tables.table_file import TableFile
from shardstore.tables.table_format import Entries, Identity, Integers, Keys, TableRecord
from shardstore.tables.wanted import Held, Wanted, put_at
from shardstore.wire.columns import Column

FEW_KEYS = 16
"""Up to this many keys are looked up one by one, as array operations have a higher fixed cost."""
_NOTHING = Column(b"", False)
_NO_NUMBERS: Integers = np.empty(0, np.int64)


class Block(NamedTuple):
    """A block: its first key, the size of its entries, and its share of the file (indexes included)."""

    first_key: bytes
    entries_bytes: int
    file_bytes: int


class Table:
    """An open table. It stays readable after its file is removed.

    `readers` are what the cache lets it keep in memory. `lookups` counts its lookups, together with those of other
    tables if they share it.
    """

    def __init__(
        self,
        file: TableFile,
        record: TableRecord,
        cache: SegmentCache | None = None,
        lookups: LookupCounts | None = None,
    ) -> None:
        self._file = file
        self._cache = cache or SegmentCache()
        self.readers: SectionReaders | None = None
        self.lookups = lookups or LookupCounts()
        self.properties = file.properties
        self.record = record
        self.may_expire = record.expiring > 0
        self._extent = KeyRange(record.key_first, record.key_last + b"\0")

    @classmethod
    def open(
        cls,
        filesystem: Filesystem,
        identity: Identity,
        record: TableRecord,
        cache: SegmentCache | None = None,
        lookups: LookupCounts | None = None,
    ) -> Self:
        """Open the table of this record. Raises Corruption."""
        return cls(TableFile(filesystem, identity, record), record, cache, lookups)

    def apart(self, cache: SegmentCache) -> Self:
        """Return the same table with readers in this cache, so that two threads can read it at the same time."""
        return type(self)(self._file, self.record, cache)

    def get_many(self, keys: Sequence[bytes]) -> list[Stored | None]:
        """Return what the table holds for each key; None if nothing."""
        if len(keys) <= FEW_KEYS:
            return [self.get(key, digest_of(key)) for key in keys]
        found: Held = np.empty(len(keys), object)
        self.fill(found, Wanted.of(keys), np.arange(len(keys)))
        return found.tolist()  # type: ignore[no-any-return]

    def get(self, key: bytes, digest: tuple[int, int]) -> Stored | None:
        """Return what the table holds for one key; None if nothing."""
        self.lookups.keys += 1
        found = self._loaded().get(key, digest)
        if found is not None:
            self.lookups.found += 1
        return found

    def get_ready(self, key: bytes, digest: tuple[int, int]) -> Stored | NotReady | None:
        """Return what `get` returns, for any thread; NOT_READY if readers must be loaded, or blocks are expanded."""
        readers = self.readers
        if readers is None or not readers.blocks.are_shared:
            return NOT_READY
        readers.used = True
        return readers.get(key, digest)

    def fill(self, found: Held, wanted: Wanted, places: Integers) -> Integers:
        """Look up keys, and put what the table holds for each into `found`, at its place.

        Returns the numbers of the keys for which it holds nothing, ascending.
        """
        readers = self._loaded()
        passed = np.flatnonzero(self.may_contain(wanted.digests)) if self.lookups.most_are_absent else None
        asked, numbers = _candidates(readers, wanted.digests, passed)
        blocks, rows = np.divmod(numbers, BLOCK_ENTRIES)
        held = []
        for group in readers.blocks.groups(blocks) if len(blocks) else ():
            readers.blocks.load(blocks[group])
            held.append(_fill(readers, found, wanted, places, asked[group], blocks[group], rows[group]))
        still = _others(len(places), held)
        self.lookups.note_batch(len(places), len(places) - len(still), None if passed is None else len(passed))
        return still

    def may_contain(self, digests: Digests) -> Mask:
        """Return for each key whether the table may hold it, according to the filter. False is certain."""
        return self._loaded().bloom.may_contain(digests)

    def chunk(self, key_range: KeyRange, reverse: bool, entries_max: int, bytes_max: int) -> Chunk:
        """Return the first entries of the range, or (`reverse`) the last; at least one if there is one.

        The chunk ends with the block in which `bytes_max` is reached, or with `entries_max` entries.
        """
        bounds = self._positions(key_range)
        first, last = self._cut(*bounds, reverse, entries_max, bytes_max)
        keys, values = self._entries(first, last)
        return Chunk(as_list(keys), as_list(values), (first, last) == bounds)

    def sort(self, keys_max: int) -> int:
        """Return 0: a table is always sorted."""
        return 0

    def extent(self, key_range: KeyRange) -> KeyRange | None:
        """Return the piece of the range between the first and the last key of the table; None if there is none."""
        return key_range.intersection(self._extent)

    def marks(self, key_range: KeyRange, reverse: bool, entries_max: int, bytes_max: int) -> Sequence[KeyMark]:
        """Return marks inside the range: block boundaries or, for few entries, the key after them."""
        within = self.extent(key_range)
        if within is None:
            return ()
        if entries_max < BLOCK_ENTRIES:
            return self._mark_behind(within, reverse, entries_max)
        return self._loaded().block_index.marks(within, reverse, entries_max, bytes_max)

    def columns(self, key_range: KeyRange) -> Sequence[Entries]:
        """Return all entries of the range in key order."""
        within = self.extent(key_range)
        entries = self.entries(within) if within else Entries([], [])
        return [entries] if len(entries.keys) else []

    def page(self, key_range: KeyRange, reverse: bool, entries_max: int, bytes_max: int) -> LayerPage | None:
        """Return entries without decoding them; None if the table has what is never sent: tombstones, moments."""
        if self.record.tombstones or self.may_expire:
            return None
        bounds = self._positions(key_range)
        first, last = self._cut(*bounds, reverse, entries_max, bytes_max)
        if first == last:
            return LayerPage(_NOTHING, lambda: _NOTHING, list, 0, b"", b"", True)
        stretches = list(self._stretches(first, last))
        readers = self._loaded()
        return LayerPage(
            column_of(readers.keys, stretches),
            partial(column_of, readers.values, stretches),
            partial(value_items, readers, stretches),
            last - first,
            edge_of(readers.keys, stretches[0], 0),
            edge_of(readers.keys, stretches[-1], -1),
            (first, last) == bounds,
        )

    def entries(self, key_range: KeyRange = EVERYTHING) -> Entries:
        """Return all entries of the range as two columns; fixed columns are arrays."""
        return self._entries(*self._positions(key_range))

    def count(self, key_range: KeyRange) -> int:
        """Return how many entries the range has."""
        first, behind = self._positions(key_range)
        return behind - first

    def living(self, key_range: KeyRange) -> int | None:
        """Return how many keys have a value in the range; None if the table has tombstones, or values expire."""
        return None if self.record.tombstones or self.may_expire else self.count(key_range)

    def keys_alone(self, key_range: KeyRange, now_ms: int) -> Sequence[KeysAlone]:
        """Return all keys of the range. Values are read only if the table has tombstones, or values expire."""
        first, behind = self._positions(key_range)
        if first == behind:
            return ()
        if self.record.tombstones or self.may_expire:
            keys, values = self._entries(first, behind)
            living = are_living(as_list(values), self.may_expire, now_ms)
            return [KeysAlone(keys, np.fromiter(living, np.bool_, len(living)))]
        readers, stretches = self._loaded(), list(self._stretches(first, behind))
        return [KeysAlone(items_of(readers.keys, stretches), None)]  # type: ignore[arg-type]  # no key is a tombstone

    def measure(self, key_range: KeyRange, now_ms: int) -> Measure:
        """Return how many entries lie in the range, how many of them may have no value, and their share of the file."""
        record, extent = self.record, self.extent(key_range)
        entries = self.count(key_range) if extent else 0
        if not entries or not extent:
            return NOTHING_THERE
        least = max(0, record.tombstones - (record.entries - entries))
        most = min(record.tombstones, entries)
        expired_least, expired_most = record.expired_within(now_ms)
        living_most = entries - max(0, expired_least - (record.entries - entries))
        living_least = entries - min(expired_most, entries)
        share_bytes = record.share_bytes * entries // record.entries
        return Measure(living_least, living_most, least, most, share_bytes, extent)

    def blocks(self) -> list[Block]:
        """Return the blocks of the table; the size of their entries includes the prefix of every key.

        A virtual part returns the blocks that overlap its bounds; their shares of the file add up to its share.
        """
        index, record = self._loaded().block_index, self.record
        first, behind = index.block_of(record.key_first), index.block_of(record.key_last) + 1
        sizes = index.block_bytes[first:behind]
        shares = (sizes * record.share_bytes // sizes.sum()).tolist()
        first_keys = (record.key_first, *index.first_keys[first + 1 : behind])
        return list(map(Block, first_keys, index.rebuilt_bytes[first:behind].tolist(), shares))

    def _loaded(self) -> SectionReaders:
        readers = self.readers or self._cache.hold(self, SectionReaders(self._file, self._cache.blocks))
        readers.used = True
        return readers

    def _positions(self, key_range: KeyRange) -> tuple[int, int]:
        """Return the positions of the first entry of the range and of the first entry after it."""
        first = self._position_of(key_range.start)
        return first, max(first, self._position_of(key_range.end) if key_range.end else self.properties.entries)

    def _position_of(self, key: bytes) -> int:
        """Return how many entries have a smaller key."""
        if key <= self.properties.key_first:
            return 0
        if key > self.properties.key_last:
            return self.properties.entries
        readers = self._loaded()
        block = readers.block_index.block_of(key)
        entries = int(readers.block_index.entries[block])
        keys = readers.keys.items(readers.blocks.content(block), block, 0, entries)
        return int(readers.block_index.positions[block]) + bisect_left(keys, key)  # type: ignore[type-var]

    def _mark_behind(self, key_range: KeyRange, reverse: bool, entries: int) -> Sequence[KeyMark]:
        """Return the mark after the first `entries` entries of the range; none if the range has no more."""
        first, last = self._positions(key_range)
        if last - first <= entries:
            return ()
        position = last - entries if reverse else first + entries
        readers = self._loaded()
        block = readers.block_index.block_at(position)
        place = position - int(readers.block_index.positions[block])
        key = edge_of(readers.keys, BlockStretch(readers.blocks.content(block), block, place, place + 1), 0)
        return (KeyMark(key, entries, 0),)

    def _cut(self, first: int, last: int, reverse: bool, entries_max: int, bytes_max: int) -> tuple[int, int]:
        """Return the bounds of what fits a page of these positions: from the front, or (`reverse`) from the end."""
        if first == last:
            return first, last
        blocks = self._loaded().block_index
        if reverse:
            end = blocks.bytes_before[blocks.block_at(last - 1) + 1]
            block = max(0, int(np.searchsorted(blocks.bytes_before, end - bytes_max, side="right")) - 1)
            return max(first, last - entries_max, int(blocks.positions[block])), last
        begin = blocks.bytes_before[blocks.block_at(first)]
        block = min(len(blocks), int(np.searchsorted(blocks.bytes_before, begin + bytes_max)))
        return first, min(last, first + entries_max, int(blocks.positions[block]))

    def _stretches(self, first: int, last: int) -> Iterator[BlockStretch]:
        """Iterate over the entries of these positions, block by block."""
        readers = self._loaded()
        index = readers.block_index
        blocks = range(index.block_at(first), index.block_at(last - 1) + 1)
        positions = index.positions[blocks.start : blocks.stop + 1].tolist()
        for place, block in enumerate(blocks):
            position, behind = positions[place : place + 2]
            yield BlockStretch(
                readers.blocks.content(block), block, max(first, position) - position, min(last, behind) - position
            )

    def _entries(self, first: int, last: int) -> Entries:
        """Return the entries of these positions; fixed columns are arrays."""
        if first == last:
            return Entries([], [])
        readers, stretches = self._loaded(), list(self._stretches(first, last))
        keys: Keys = items_of(readers.keys, stretches)  # type: ignore[assignment]
        return Entries(keys, items_of(readers.values, stretches))


def _candidates(readers: SectionReaders, digests: Digests, passed: Integers | None) -> tuple[Integers, Integers]:
    """Return pairs: the number of a key, of those that passed, and the number of an entry that may have it."""
    if passed is None:
        return readers.hash_index.candidates(digests)
    asked, numbers = readers.hash_index.candidates(digests[passed])
    return passed[asked], numbers


def _others(count: int, held: Sequence[Integers]) -> Integers:
    """Return which of the numbers below `count` are in none of these arrays, which have each number once at most."""
    if sum(map(len, held)) == count:
        return _NO_NUMBERS
    is_other = np.ones(count, np.bool_)
    for numbers in held:
        is_other[numbers] = False
    return is_other.nonzero()[0]


def _fill(
    readers: SectionReaders,
    found: Held,
    wanted: Wanted,
    places: Integers,
    asked: Integers,
    blocks: Integers,
    rows: Integers,
) -> Integers:
    """Put the values of candidate entries into `found` if their keys are the wanted ones. Returns the numbers of these.

    `asked`: for each candidate, the number of the key that it may have.
    """
    matches = wanted.are(asked, _picked(readers.keys, blocks, rows, wanted.padded_bytes))
    if matches is not None:
        asked, blocks, rows = asked[matches], blocks[matches], rows[matches]
    put_at(found, places[asked], readers.values.pick(blocks, rows))
    return asked


def _picked(column: ColumnReader, blocks: Integers, rows: Integers, padded_bytes: int) -> Keys | PaddedKeys:
    """Return the keys of these entries, if possible in rows of this length, unless it is 0."""
    if padded_bytes and isinstance(column, VariableColumnReader):
        padded = column.pick_padded(blocks, rows, padded_bytes)
        if padded is not None:
            return padded
    return column.pick(blocks, rows)  # type: ignore[return-value]  # no key is a tombstone
