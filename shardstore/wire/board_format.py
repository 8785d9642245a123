"""The board of a worker: shared memory in which it tells clients on this host which reads need not ask it.

Only the worker writes it; clients map it read-only. All words have 64 bits and the byte order of the host, so that each
is loaded and stored at once.

    header    magic | version | tag of the store | worker | incarnation | number of slots | number of filters | moves
              clock | zero x 7
    slots     8 words for each range:
              sequence | segment | epoch | state | version of the manifest | active filter | sealed filter | zero
    filters   FILTER_BYTES each

The sequence of a slot is odd while the worker changes the slot (a seqlock, as in the Linux kernel), and larger after
each change. So a client may remember what a slot said for as long as its sequence is the same. `moves` counts how often
a slot was given to a segment or taken from one. `clock` is the latest moment, in milliseconds since the epoch, by which
the worker has judged what expires (workers/serving/hybrid_clock.py); it never goes back. A reader shows a value that
expires only before its moment by the clock of the board and by its own, takes its key for absent if the clock of the
board has reached it, and else asks the worker, whose clock is shown before it replies.

A filter has the bit of each key in memory, and keys may share one: bit p % 8 of byte p // 8, where p is word 0 of the
key's digest (digests.py) modulo FILTER_BITS. A slot has two: that of the writes since the latest seal, and that of the
writes before it which are in no table yet. In place of a filter it may say that there is no such key (NO_KEYS), or that
any key may be one (ANY_KEY).

    step  a client reads a key                            what the worker does, in this order
    1     the slot: even sequence, SERVING, and           a fence, a retirement and an orderly stop make it CLOSED,
          segment and epoch of the client's routes        before another owner can accept a write
    2     both filters: the bit of the key is not set     it sets the bits of a write, or shows ANY_KEY, before it
                                                          applies the write
    3     the tables of that version, or a later one      it publishes a manifest, then raises the version in the
    4     the slot: the sequence is still the same        slot, and only then drops the filter of what was drained

Before a filter or a slot is used for something else, the slot that named it is changed. So a reader that was using it
fails at step 4. When a worker is killed its board stays as it was, and is right: nobody can acknowledge a write. The
next process of the worker raises the incarnation in BOARD (files/board_place.py), which ends the board, before it
serves.
"""

from __future__ import annotations

from typing import Final

from shardstore.limits import BOARD_FILTERS, BOARD_SLOTS, KIB

MAGIC: Final = int.from_bytes(b"shardBRD", "little")
VERSION: Final = 2

HEADER_WORDS: Final = 16
MOVES_AT: Final = 7
CLOCK_AT: Final = 8

SLOT_WORDS: Final = 8
SEQUENCE: Final = 0
SEGMENT: Final = 1
EPOCH: Final = 2
STATE: Final = 3
MANIFEST: Final = 4
ACTIVE: Final = 5
SEALED: Final = 6

CLOSED: Final = 0
SERVING: Final = 1

NO_KEYS: Final = 0
ANY_KEY: Final = 1
FIRST_FILTER: Final = 2
"""In a slot, this number stands for filter 0, the next one for filter 1, and so on."""

FILTER_BYTES: Final = 64 * KIB
FILTER_BITS: Final = 8 * FILTER_BYTES
FILTER_MASK: Final = FILTER_BITS - 1
WORD_BYTES: Final = 8


def board_bytes(slots: int, filters: int) -> int:
    """Return the size of a board in bytes."""
    return filters_at(slots) + filters * FILTER_BYTES


def filters_at(slots: int) -> int:
    """Return the offset of the first filter in bytes."""
    return WORD_BYTES * (HEADER_WORDS + slots * SLOT_WORDS)


def slot_at(slot: int) -> int:
    """Return the number of a slot's first word."""
    return HEADER_WORDS + slot * SLOT_WORDS


def header(worker: int, store: int, incarnation: int) -> list[int]:
    """Return the words of the header, but for the number of moves. `store` is the tag of the store."""
    return [MAGIC, VERSION, store, worker, incarnation, BOARD_SLOTS, BOARD_FILTERS]
