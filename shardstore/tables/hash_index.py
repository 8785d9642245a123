"""Hash index of a table: maps the hash of a key to the numbers of the few entries that may have this key.

    bits u32 | widest u32 | entries u32 | zero u32
    starts   u32 x (2 ** bits + 1)    first slot of each bucket; a bucket is the top `bits` bits of word 0 of the digest
    tags     u16 x (entries + widest) top 16 bits of word 1 of the digest, bucket after bucket, then padding
    numbers  u32 x entries            number of the entry (table_format.py), in the order of the tags

`widest` is the size of the largest bucket. A batch compares that many tags for each key, so it may include tags of the
following buckets. This is harmless: a candidate counts only if its key is the wanted one.
"""

from __future__ import annotations

import struct
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from shardstore.identifiers import Buffer
from shardstore.tables.column_items import windows
from shardstore.tables.digests import Digests
from shardstore.tables.table_format import Integers

_HEAD = struct.Struct("<IIII")
_BUCKET_ENTRIES = 4
_WORD_BITS = 64
_TAG_SHIFT = 48
_TAG = np.dtype("<u2")
_TAG_AT = 7
"""The tag is the last of the eight items of this type in a digest."""
EntryNumbers: TypeAlias = npt.NDArray[np.uint32]


def build_hash_index(digests: Digests, numbers: Integers) -> bytes:
    """Return the encoded index of entries with these digests and numbers."""
    bits = max(1, (len(digests) // _BUCKET_ENTRIES).bit_length() - 1)
    order = np.argsort(digests[:, 0], kind="stable")
    buckets = digests[order, 0] >> np.uint64(_WORD_BITS - bits)
    starts = np.searchsorted(buckets, np.arange(2**bits + 1, dtype=np.uint64)).astype("<u4")
    tags = (digests[order, 1] >> np.uint64(_TAG_SHIFT)).astype("<u2")
    widest = int(np.diff(starts).max())
    head = _HEAD.pack(bits, widest, len(digests), 0)
    padding = bytes(widest * tags.itemsize)
    return b"".join((head, starts.tobytes(), tags.tobytes(), padding, numbers[order].astype("<u4").tobytes()))


class HashIndex:
    """Reads an encoded index."""

    def __init__(self, data: Buffer) -> None:
        bits, self._widest, entries, _ = _HEAD.unpack_from(data)
        self._shift = _WORD_BITS - bits
        self._shift_of_many = np.uint64(self._shift)
        tags_at = _HEAD.size + 4 * (2**bits + 1)
        numbers_at = tags_at + 2 * (entries + self._widest)
        self._starts = np.frombuffer(data[_HEAD.size : tags_at], dtype="<u4")
        self._tags = np.frombuffer(data[tags_at:numbers_at], dtype="<u2")
        self._numbers: EntryNumbers = np.frombuffer(data[numbers_at:], dtype="<u4")
        self._start_items, self._tag_items = _items(self._starts, "I"), _items(self._tags, "H")
        self._number_items = _items(self._numbers, "I")
        self._last = entries - 1
        self._rows = windows(memoryview(data)[tags_at:numbers_at], np.dtype(f"V{2 * self._widest}"))[::2]

    def candidates(self, digests: Digests) -> tuple[Integers, Integers]:
        """Return pairs: the place of a digest, and the number of an entry that may have it. Few are false positives."""
        slots = self._starts[digests[:, 0] >> self._shift_of_many]
        rows = self._rows[slots].view(_TAG).reshape(-1, self._widest)
        tags = digests.view(_TAG)[:, _TAG_AT:]
        asked, place = np.divmod((rows == tags).ravel().nonzero()[0], self._widest)
        return asked, self._numbers[np.minimum(slots[asked] + place, self._last)].astype(np.int64)

    def candidates_of_one(self, digest: tuple[int, int]) -> list[int]:
        """Return the candidate entry numbers of one key. Avoids the fixed cost of array operations."""
        bucket, tag, tags, starts = (
            digest[0] >> self._shift,
            digest[1] >> _TAG_SHIFT,
            self._tag_items,
            self._start_items,
        )
        found = []
        for slot in range(starts[bucket], starts[bucket + 1]):
            if tags[slot] == tag:
                found.append(self._number_items[slot])  # for few slots a loop takes half the time
        return found


def _items(array: npt.NDArray[Any], kind: Literal["H", "I"]) -> memoryview:
    """Return the items of an array as a memoryview, which gives one item in less time than the array does."""
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    return native.view(np.uint8).data.cast(kind)
