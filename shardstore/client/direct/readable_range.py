"""Reads one range from its tables, in the four steps of wire/board_format.py."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import repeat
from operator import is_not
from typing import NamedTuple, TypeAlias, TypeVar

import numpy as np

from shardstore.client.direct.ask import ASK, IN_MEMORY, Ask, InMemory
from shardstore.client.direct.open_files import OpenFiles
from shardstore.client.direct.table_view import TableView
from shardstore.identifiers import TOMBSTONE, Expiring, Stored
from shardstore.key_range import KeyRange
from shardstore.seams.boards import OpenBoard
from shardstore.seams.clock import WallClock
from shardstore.tables.bloom import Mask
from shardstore.tables.digests import Digests, digest_of
from shardstore.tables.empty_ranges import EmptyRanges
from shardstore.tables.not_ready import NOT_READY, NotReady
from shardstore.tables.segment import Segment
from shardstore.tables.wanted import Held, Wanted
from shardstore.wire.board_format import (
    ANY_KEY,
    CLOCK_AT,
    FILTER_BYTES,
    FILTER_MASK,
    FIRST_FILTER,
    NO_KEYS,
    SEQUENCE,
    SERVING,
    SLOT_WORDS,
)
from shardstore.wire.route_map import Route


@dataclass(slots=True)
class LeftToWorkers:
    """How many keys the reader of a store left to workers since any key may be in memory."""

    any_key: int = 0


TRIES = 2
"""How often a read is tried, as the slot may change meanwhile."""
_Doubt = TypeVar("_Doubt")
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

    def __init__(
        self, route: Route, board: OpenBoard, at: int, files: OpenFiles, wall: WallClock, refused: LeftToWorkers
    ) -> None:
        self.route = route
        self.board = board
        self._words, self._filters = board.memory
        self._sequence_at = at + SEQUENCE
        self._place = slice(at, at + SLOT_WORDS)
        self._segment, self._epoch = int(route.segment), int(route.epoch)
        self._files = files
        self._wall = wall
        self._refused = refused
        self._look: _Look | None = None
        self._empty: tuple[int, EmptyRanges] | None = None

    @property
    def is_outdated(self) -> bool:
        """Whether the files that are open may not be those of the range any more."""
        slot = self._slot()
        return slot is None or slot[1] > self._files.version(self._segment)

    def get_ready(self, key: bytes) -> bytes | InMemory | NotReady | None:
        """Return the value of a key, None or IN_MEMORY, for any thread at any time; NOT_READY if that is left to `get`.

        As long as the sequence is the same, the slot says what it said at the latest look. Raises Corruption.
        """
        look, words, sequence_at = self._look, self._words, self._sequence_at
        if look is None or words[sequence_at] != look.sequence or not self.board.is_current():
            return NOT_READY
        _, active, sealed, segment = look
        digest = digest_of(key)
        if (active and self._is_in_memory(active, digest)) or (sealed and self._is_in_memory(sealed, digest)):
            self._refused.any_key += ANY_KEY in (active, sealed)
            return IN_MEMORY
        if segment is None:
            return NOT_READY
        found = segment.get_ready(key, digest)
        if found is not None and type(found) is not bytes:
            found = NOT_READY if found is NOT_READY else self._shown(found, NOT_READY)
        return found if words[sequence_at] == look.sequence else NOT_READY

    def get(self, key: bytes, digest: tuple[int, int]) -> bytes | Ask | None:
        """Return the value of a key, None if it has none, or ASK or IN_MEMORY.

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
                self._refused.any_key += ANY_KEY in (active, sealed)
                return IN_MEMORY
            segment = self._files.segment(self._segment, version)
            found = self._shown(segment.get(key, digest), ASK)
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
                self._refused.any_key += len(wanted)
                return IN_MEMORY
            sequence, version, active, sealed = slot
            read = self._may_be_read(active, sealed, wanted.digests)
            segment = self._files.segment(self._segment, version)
            found = segment.look_up(wanted if read is None else wanted.at(np.flatnonzero(read)))
            if segment.tombstones or segment.expiring:
                found, read = self._all_shown(found, read)
            if self._words[self._sequence_at] == sequence:
                return found, read
        return ASK

    def view(self, owned: KeyRange) -> TableView | None:
        """Return the tables of the range, which has these keys, if no entry is in memory and none expires; else None.

        Raises Corruption, StorageFailure, FileNotFoundError.
        """
        for _ in range(TRIES):
            slot = self._slot()
            if slot is None or slot[2:] != (NO_KEYS, NO_KEYS):
                return None
            segment = self._files.segment(self._segment, slot[1])
            if segment.expiring:
                return None
            layers = segment.layers()
            if self._words[self._sequence_at] == slot[0]:
                empty = self._empty_of(segment.manifest.version)
                return TableView(owned, layers, segment.tables, segment.entry_bytes, empty)
        return None

    def _shown(self, stored: Stored | None, in_doubt: _Doubt) -> bytes | _Doubt | None:
        """Return the value that a reader gets, None if there is none, or `in_doubt` if only the worker can tell.

        This comes before the slot is looked at again: then the key had this value when the clock was read.
        """
        if type(stored) is not Expiring:
            return None if stored is TOMBSTONE else stored  # type: ignore[return-value]
        if self._words[CLOCK_AT] >= stored.moment:
            return None
        return stored.value if self._wall.now_ms() < stored.moment else in_doubt

    def _all_shown(self, found: Held, read: Mask | None) -> tuple[Held, Mask | None]:
        """Return the values that a reader gets, and which keys these are. `read`: those of the keys that were found."""
        shown = [self._shown(stored, ASK) for stored in found.tolist()]
        if ASK not in shown:
            return _values(shown), read
        told = np.fromiter(map(is_not, shown, repeat(ASK)), np.bool_, len(shown))
        if read is None:
            return _values(shown)[told], told
        read[np.flatnonzero(read)[~told]] = False
        return _values(shown)[told], read

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


def _values(shown: list[bytes | Ask | None]) -> Held:
    return np.fromiter(shown, object, len(shown))
