"""Reads one range from its tables, in the four steps of wire/board_format.py."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np

from shardstore.client.direct.ask import ASK, IN_MEMORY, Ask, InMemory
from shardstore.client.direct.open_files import OpenFiles
from shardstore.client.direct.table_view import TableView
from shardstore.identifiers import Stored
from shardstore.key_range import KeyRange
from shardstore.seams.boards import OpenBoard
from shardstore.tables.bloom import Mask
from shardstore.tables.chunk import without_tombstones
from shardstore.tables.digests import Digests, digest_of
from shardstore.tables.empty_ranges import EmptyRanges
from shardstore.tables.not_ready import NOT_READY, NotReady
from shardstore.tables.segment import Segment
from shardstore.tables.wanted import Held, Wanted, held_of
from shardstore.wire.board_format import (
    ANY_KEY,
    FILTER_BYTES,
    FILTER_MASK,
    FIRST_FILTER,
    NO_KEYS,
    SEQUENCE,
    SERVING,
    SLOT_WORDS,
)
from shardstore.wire.route_map import Route

TRIES = 2
"""How often a read is tried, as the slot may change meanwhile."""
_Slot: TypeAlias = tuple[int, int, int, int]
"""Sequence, version of the manifest, active filter and sealed filter of a slot."""


class _Look(NamedTuple):
    """What a slot was seen to say, and a segment of that version, or of a later one; None while none was needed."""

    sequence: int
    active: int
    sealed: int
    segment: Segment | None


class ReadableRange:
    """A range as its route names it. `at` is the number of the first word of its slot on the board."""

    def __init__(self, route: Route, board: OpenBoard, at: int, files: OpenFiles) -> None:
        self.route = route
        self.board = board
        self._words, self._filters = board.memory
        self._sequence_at = at + SEQUENCE
        self._place = slice(at, at + SLOT_WORDS)
        self._segment, self._epoch = int(route.segment), int(route.epoch)
        self._files = files
        self._look: _Look | None = None
        self._empty: tuple[int, EmptyRanges] | None = None

    @property
    def is_outdated(self) -> bool:
        """Whether the files that are open may not be those of the range any more."""
        slot = self._slot()
        return slot is None or slot[1] > self._files.version(self._segment)

    def get_ready(self, key: bytes) -> Stored | InMemory | NotReady | None:
        """Return what the tables hold for a key, or IN_MEMORY, for any thread at any time; else NOT_READY.

        As long as the sequence is the same, the slot says what it said at the latest look. Raises Corruption.
        """
        look, words, sequence_at = self._look, self._words, self._sequence_at
        if look is None or words[sequence_at] != look.sequence or not self.board.is_current():
            return NOT_READY
        _, active, sealed, segment = look
        digest = digest_of(key)
        if (active and self._is_in_memory(active, digest)) or (sealed and self._is_in_memory(sealed, digest)):
            return IN_MEMORY
        if segment is None:
            return NOT_READY
        found = segment.get_ready(key, digest)
        return found if words[sequence_at] == look.sequence else NOT_READY

    def get(self, key: bytes, digest: tuple[int, int]) -> Stored | Ask | None:
        """Return what the tables hold for a key, or ASK or IN_MEMORY.

        Raises Corruption, StorageFailure, FileNotFoundError.
        """
        for _ in range(TRIES):
            slot = self._slot()
            if slot is None:
                return ASK
            sequence, version, active, sealed = slot
            if self._is_in_memory(active, digest) or self._is_in_memory(sealed, digest):
                former = self._look
                if (former is None or former.sequence != sequence) and self._words[self._sequence_at] == sequence:
                    self._look = _Look(sequence, active, sealed, None)
                return IN_MEMORY
            segment = self._files.segment(self._segment, version)
            found = segment.get(key, digest)
            if self._words[self._sequence_at] == sequence:
                self._look = _Look(sequence, active, sealed, segment)
                return found
        return ASK

    def get_many(self, wanted: Wanted) -> tuple[Held, Mask | None] | Ask:
        """Return the values of some of the keys, and which these are (None: all of them).

        Or return why a worker must be asked for all of them.

        Raises Corruption, StorageFailure, FileNotFoundError.
        """
        for _ in range(TRIES):
            slot = self._slot()
            if slot is None:
                return ASK
            if ANY_KEY in slot[2:]:
                return IN_MEMORY
            sequence, version, active, sealed = slot
            read = self._may_be_read(active, sealed, wanted.digests)
            segment = self._files.segment(self._segment, version)
            found = segment.look_up(wanted if read is None else wanted.at(np.flatnonzero(read)))
            if self._words[self._sequence_at] == sequence:
                return held_of(without_tombstones(found.tolist())) if segment.tombstones else found, read
        return ASK

    def view(self, owned: KeyRange) -> TableView | None:
        """Return the tables of the range, which has these keys, if none of its entries are in memory; else None.

        Raises Corruption, StorageFailure, FileNotFoundError.
        """
        for _ in range(TRIES):
            slot = self._slot()
            if slot is None or slot[2:] != (NO_KEYS, NO_KEYS):
                return None
            segment = self._files.segment(self._segment, slot[1])
            layers = segment.layers()
            if self._words[self._sequence_at] == slot[0]:
                return TableView(owned, layers, segment.tables, self._empty_of(segment.manifest.version))
        return None

    def _empty_of(self, version: int) -> EmptyRanges:
        """Return the keys that are known to have no value in the tables of this version."""
        if self._empty is None or self._empty[0] != version:
            self._empty = version, EmptyRanges()
        return self._empty[1]

    def _slot(self) -> _Slot | None:
        """Load the slot, word by word; None if the range cannot be read now."""
        sequence, segment, epoch, state, version, active, sealed, _ = self._words[self._place].tolist()
        if sequence & 1 or segment != self._segment or epoch != self._epoch or state != SERVING:
            return None
        return (sequence, version, active, sealed) if self.board.is_current() else None

    def _is_in_memory(self, named: int, digest: tuple[int, int]) -> bool:
        """Whether a key may be among those of a filter."""
        if named < FIRST_FILTER:
            return named == ANY_KEY
        bit = digest[0] & FILTER_MASK
        return bool(self._filters[(named - FIRST_FILTER) * FILTER_BYTES + (bit >> 3)] >> (bit & 7) & 1)

    def _may_be_read(self, active: int, sealed: int, digests: Digests) -> Mask | None:
        """Return for each key whether it is not in memory, as two filters say that are not ANY_KEY; None: no key is."""
        if active == sealed == NO_KEYS:
            return None
        return ~(self._are_in_memory(active, digests) | self._are_in_memory(sealed, digests))

    def _are_in_memory(self, named: int, digests: Digests) -> Mask:
        """Whether each key may be among those of a filter, which is not ANY_KEY."""
        if named == NO_KEYS:
            return np.zeros(len(digests), dtype=np.bool_)
        at = (named - FIRST_FILTER) * FILTER_BYTES
        filter_bytes = np.frombuffer(self._filters[at : at + FILTER_BYTES], dtype=np.uint8)
        bits = digests[:, 0] & np.uint64(FILTER_MASK)
        found: Mask = (filter_bytes[bits >> np.uint64(3)] >> (bits & np.uint64(7)).astype(np.uint8) & 1).view(np.bool_)
        return found
