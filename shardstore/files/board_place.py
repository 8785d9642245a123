"""BOARD of a worker: which board is the current one. system/board_files.py reads and writes it.

    magic u64 | incarnation u64 | path of the board in UTF-8, filled up with zero bytes

It is in the data directory, and the board is not, so that a client never takes a former board for the current one,
wherever the cluster is started again. It is written in place, and clients keep it mapped: they look at the incarnation
before each read. Numbers have the byte order of the host, which is little-endian wherever there are boards.
"""

from __future__ import annotations

from typing import Final

from shardstore.limits import KIB

MAGIC: Final = b"shardPLC"
WORD_BYTES: Final = 8
INCARNATION_AT: Final = 1
"""The number of this word."""
INCARNATION_MAX: Final = 2**64 - 1
PATH_AT: Final = 2 * WORD_BYTES
PLACE_BYTES: Final = 4 * KIB


def next_incarnation(former: int) -> int:
    """Return the incarnation of the next board; a damaged file may hold any number."""
    return former % INCARNATION_MAX + 1


def incarnation_in(place: bytes) -> int:
    """Return the incarnation in the content of BOARD."""
    return int.from_bytes(place[INCARNATION_AT * WORD_BYTES : PATH_AT], "little")


def path_in(place: bytes) -> bytes:
    """Return the path in the content of BOARD; empty if there is no board."""
    return place[PATH_AT:].rstrip(b"\0")
