"""The slot of a range on the board: tells clients which manifest the range has, and which keys are in memory.

Each change keeps the order that wire/board_format.py asks for. A bit costs time for each key. So a batch sets none if
no client has asked for keys in memory lately: the filter then says that any key may be in memory, until the layer is
sealed and drained. Where clients ask, a batch sets its bits, so that they ask for these keys alone. A slot that opens
sets the bits of what is in memory already, as in a child of a split that got its files: else all reads of a young range
would ask its worker until its first drain.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from shardstore.tables.digests import digest_of, digests_of
from shardstore.wire.board_format import (
    ACTIVE,
    ANY_KEY,
    CLOSED,
    EPOCH,
    FILTER_BITS,
    FILTER_MASK,
    FIRST_FILTER,
    MANIFEST,
    NO_KEYS,
    SEALED,
    SEGMENT,
    SEQUENCE,
    SERVING,
    STATE,
)
from shardstore.workers.board.filter_pool import FilterPool

FILTERED_KEYS_MAX = 16
"""A write of more keys sets bits only where clients ask."""
OPENED_KEYS_MAX = 16_384
"""A slot that opens sets the bits of at most so many keys. This takes a few milliseconds of the worker."""
BITS_SET_MAX = FILTER_BITS // 4
"""So many bits fill a filter: a quarter of the other keys would seem to be in memory."""


class RangeSlot:
    """One slot. `at` is the number of its first word.

    `is_asked`: whether a client has asked for a key in memory since the latest seal. Whoever answers it says so.

    Invariant: between two changes the sequence is even, and while the slot is open its words name the same filters as
    this object.
    """

    def __init__(self, words: memoryview, at: int, filters: FilterPool, segment: int) -> None:
        self._words = words
        self._at = at
        self._filters = filters
        self._active = NO_KEYS
        self._sealed = NO_KEYS
        self._bits = memoryview(b"")
        self._bits_set = 0
        self.is_asked = False
        self._was_asked = False
        self._is_open = False
        self._change((SEGMENT, segment), (STATE, CLOSED))

    @property
    def is_open(self) -> bool:
        """Whether clients may read the range themselves."""
        return self._is_open

    @property
    def filters(self) -> list[int]:
        """The numbers of the filters that the slot names."""
        return [named - FIRST_FILTER for named in (self._active, self._sealed) if named >= FIRST_FILTER]

    def open(
        self, epoch: int, version: int, has_active: bool, has_runs: bool, active: Collection[bytes] | None = None
    ) -> None:
        """Let clients read the range from the tables of this version, but for the keys in memory.

        `active`: the keys of the active layer; None if it may have any key.
        """
        self._is_open = True
        self._active = self._opened(active) if has_active else NO_KEYS
        self._sealed = ANY_KEY if has_runs else NO_KEYS
        filters = ((ACTIVE, self._active), (SEALED, self._sealed))
        self._change((EPOCH, epoch), (MANIFEST, version), *filters, (STATE, SERVING))

    def close(self) -> None:
        """Let clients ask the owner of the range for each key."""
        if self._is_open:
            self._is_open = False
            self._change((STATE, CLOSED))
            self._release(self._active)
            self._release(self._sealed)
            self._active = self._sealed = NO_KEYS

    def take_epoch(self, epoch: int) -> None:
        """Serve clients whose route map has this epoch."""
        if self._is_open:
            self._change((EPOCH, epoch))

    def take_version(self, version: int) -> None:
        """Let clients read the tables of this version of the manifest, which is published."""
        if self._is_open:
            self._change((MANIFEST, version))

    def note(self, keys: Sequence[bytes]) -> None:
        """Note that these keys are about to be written to the active layer."""
        if self._active == ANY_KEY or not self._is_open or not keys:
            return
        is_batch = len(keys) > FILTERED_KEYS_MAX
        if self._active == NO_KEYS or self._bits_set >= BITS_SET_MAX or (is_batch and not self._takes(len(keys))):
            self._begin(len(keys))
            if self._active == ANY_KEY:
                return
        if is_batch:
            self._set_bits(keys)
            return
        bits = self._bits
        for key in keys:
            bit = digest_of(key)[0] & FILTER_MASK
            at, mask = bit >> 3, 1 << (bit & 7)
            if not bits[at] & mask:
                bits[at] |= mask
                self._bits_set += 1

    def note_clear(self) -> None:
        """Note that any number of keys are about to be deleted. The tables show them until the next drain."""
        if self._is_open and self._active != ANY_KEY:
            former, self._active = self._active, ANY_KEY
            self._change((ACTIVE, ANY_KEY))
            self._release(former)

    def seal(self) -> None:
        """Note that the keys of the active layer are in a run now."""
        self._was_asked, self.is_asked = self.is_asked, False
        if not self._is_open or self._active == NO_KEYS:
            return
        active, sealed = self._active, self._sealed
        if ANY_KEY in (active, sealed):
            self._sealed = ANY_KEY
        elif sealed == NO_KEYS:
            self._sealed = active
        else:
            self._filters.add(sealed - FIRST_FILTER, active - FIRST_FILTER)
        self._active = NO_KEYS
        self._change((SEALED, self._sealed), (ACTIVE, self._active))
        for unused in {active, sealed} - {self._sealed}:
            self._release(unused)

    def drop(self, has_active: bool, has_runs: bool) -> None:
        """Note which layers are left in memory, after the version that holds the others was taken over."""
        if not self._is_open:
            return
        active, sealed = self._active, self._sealed
        self._sealed = sealed if has_runs else NO_KEYS
        self._active = active if has_active or has_runs else NO_KEYS
        if (self._active, self._sealed) != (active, sealed):
            self._change((SEALED, self._sealed), (ACTIVE, self._active))
            for unused in {active, sealed} - {self._active, self._sealed}:
                self._release(unused)

    def check_invariants(self) -> None:
        """Raise AssertionError if an invariant of this class does not hold."""
        words, at = self._words, self._at
        assert not words[at + SEQUENCE] & 1, "a slot is in the middle of a change"
        assert words[at + STATE] == (SERVING if self._is_open else CLOSED), "a slot has another state than is known"
        if self._is_open:
            filters = words[at + ACTIVE], words[at + SEALED]
            assert filters == (self._active, self._sealed), "a slot names other filters than are known"

    def _opened(self, keys: Collection[bytes] | None) -> int:
        """The filter that a slot which opens names for these keys. Its bits are set before it is named."""
        if keys is None or len(keys) > OPENED_KEYS_MAX or (number := self._filters.take()) is None:
            return ANY_KEY
        self._bits, self._bits_set = self._filters.bits(number), 0
        self._set_bits([*keys])
        return FIRST_FILTER + number

    def _begin(self, keys: int) -> None:
        """Begin a filter for the active layer; for too many keys, or without a free filter, show that it may be any."""
        former = self._active
        self._bits_set = 0
        number = self._filters.take() if former == NO_KEYS and self._takes(keys) else None
        self._active = ANY_KEY if number is None else FIRST_FILTER + number
        if number is not None:
            self._bits = self._filters.bits(number)
        self._change((ACTIVE, self._active))
        self._release(former)

    def _takes(self, keys: int) -> bool:
        """Whether a write of so many keys sets bits."""
        if keys <= FILTERED_KEYS_MAX:
            return True
        return (self.is_asked or self._was_asked) and self._bits_set + keys <= BITS_SET_MAX

    def _set_bits(self, keys: Sequence[bytes]) -> None:
        """Set the bits of many keys at once."""
        bits = digests_of(keys)[:, 0] & np.uint64(FILTER_MASK)
        places, masks = bits >> np.uint64(3), np.uint8(1) << (bits & np.uint64(7)).astype(np.uint8)
        filter_bytes = np.frombuffer(self._bits, dtype=np.uint8)
        self._bits_set += int(np.count_nonzero(filter_bytes[places] & masks == 0))
        np.bitwise_or.at(filter_bytes, places, masks)

    def _release(self, filter_named: int) -> None:
        if filter_named >= FIRST_FILTER:
            self._filters.give_back(filter_named - FIRST_FILTER)

    def _change(self, *fields: tuple[int, int]) -> None:
        """Change fields of the slot so that a reader sees all of it, or that it was changed meanwhile."""
        words, at = self._words, self._at
        sequence = words[at + SEQUENCE]
        words[at + SEQUENCE] = sequence + 1
        for field, value in fields:
            words[at + field] = value
        words[at + SEQUENCE] = sequence + 2
