"""Columns: many keys or many values as one frame. The same bytes are used in messages, in the log and in table blocks.

A column of `count` items has one of two layouts. A flag outside the frame (in the header or record) says which:

    fixed      every item has the same length:  item 0 | item 1 | ...      stride = len(frame) / count
    variable   a msgpack array of bin; nil means "no value" where the message type allows it, and a value that is
               to expire is an ext (expiring_items.py)

So a column of one item is the item itself: a single operation is a batch of one, and the router finds the key of a
single-key request without decoding anything. Nothing here runs bytecode per item.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress, repeat
from operator import is_, is_not
from struct import unpack
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import msgpack

from shardstore.identifiers import Buffer, Expiring, Lasting
from shardstore.key_range import KeyRange
from shardstore.lazy_numpy import np
from shardstore.wire.bounded_msgpack import FLAWS, unpack_array
from shardstore.wire.expiring_items import NUMBER_BYTES, encode_items, item_of, items_alike

if TYPE_CHECKING:
    import numpy.typing as npt

ITEM_HEAD_BYTES = 5 + 1 + NUMBER_BYTES
"""What an item with an end takes at most besides its value."""
_WITH_END = {Expiring, Lasting}
Prefixes: TypeAlias = "npt.NDArray[np.uint64]"
PREFIX_BYTES = 8
FEW_ITEMS = 16
"""Up to this many items are cut out of a frame faster than numpy makes an array of them."""


class InvalidColumn(ValueError):
    """The frame is not a column of the expected layout, count and item lengths."""


class Column(NamedTuple):
    """An encoded column: its bytes, and whether the layout is fixed."""

    frame: bytes
    fixed: bool


def encode(items: Sequence[bytes | Expiring | Lasting | None]) -> Column:
    """Encode items (bytes, or None for "no value") in the denser layout that fits them."""
    if len(items) == 1 and type(items[0]) is bytes:
        return Column(items[0], True)
    try:
        lengths = set(map(len, items))  # type: ignore[arg-type]
    except TypeError:  # a None has no length, nor has a value that is to expire
        return Column(encode_items(items), False)
    return Column(b"".join(items), True) if len(lengths) == 1 else Column(encode_variable(items), False)  # type: ignore[arg-type]


def encode_variable(items: Sequence[bytes | None]) -> bytes:
    """Encode items of any length in the variable layout."""
    packed: bytes = msgpack.packb(items)
    return packed


def decode(
    frame: Buffer,
    fixed: bool,
    count: int,
    shortest: int,
    longest: int,
    nullable: bool = False,
) -> list[Any]:
    """Decode the `count` items of a column, each of `shortest` to `longest` bytes, or None if `nullable`.

    Raises InvalidColumn before it allocates memory for more items than the frame can hold.
    """
    if fixed and count == 1:
        if not shortest <= len(frame) <= longest:
            raise InvalidColumn(f"an item of {len(frame)} bytes, allowed are {shortest} to {longest}")
        return [bytes(frame)]
    if fixed:
        stride = stride_of(len(frame), count)
        if not shortest <= stride <= longest:
            raise InvalidColumn(f"items of {stride} bytes, allowed are {shortest} to {longest}")
        return split_items(frame, stride, count)
    return _unpack(frame, count, shortest, longest, nullable, ends=False)[0]


def decode_ending(frame: Buffer, count: int, longest: int, nullable: bool) -> tuple[list[Any], set[type]]:
    """Decode a variable column of values, some of which may have an end: Expiring or Lasting.

    Returns also the types of the items. Raises InvalidColumn, as `decode`.
    """
    if count > FEW_ITEMS and len(frame) <= count * (longest + ITEM_HEAD_BYTES):
        try:
            alike = items_alike(frame, count)
        except FLAWS as error:
            raise InvalidColumn(str(error)) from None
        if alike is not None:
            return alike, {type(alike[0])}
    return _unpack(frame, count, 0, longest, nullable, ends=True)


def stride_of(frame_bytes: int, count: int) -> int:
    """Return the length of each item of a fixed column. Raises InvalidColumn if there is none."""
    if count < 1 or frame_bytes % count:
        raise InvalidColumn(f"{frame_bytes} bytes are no {count} items of one length")
    return frame_bytes // count


def split_items(frame: Buffer, stride: int, count: int) -> list[bytes]:
    """Return the items of a fixed column."""
    if stride == 0:
        return [b""] * count
    if count <= FEW_ITEMS:
        return list(unpack(f"{stride}s" * count, frame))
    items: list[bytes] = np.frombuffer(frame, dtype=f"V{stride}").tolist()
    return items


def prefixes_of_fixed(frame: Buffer, stride: int) -> Prefixes:
    """Return the first 8 bytes of each item of a fixed column as an integer; integers sort as the bytes do.

    Shorter items are padded with zero bytes. Items with equal prefixes get equal integers: callers must then compare
    the items themselves.
    """
    rows = np.frombuffer(frame, dtype=np.uint8).reshape(-1, stride)
    first = np.zeros((len(rows), PREFIX_BYTES), dtype=np.uint8)
    first[:, :stride] = rows[:, :PREFIX_BYTES]
    return first.view(">u8").ravel().astype(np.uint64)


def prefix_of(key: bytes) -> int:
    """Return the first 8 bytes of one key as an integer, padded with zero bytes."""
    return int.from_bytes(key[:PREFIX_BYTES].ljust(PREFIX_BYTES, b"\0"), "big")


def fixed_within(frame: Buffer, count: int, key_range: KeyRange) -> bool:
    """Whether the first 8 bytes of its keys prove that a fixed column lies in the range. False means: not known."""
    prefixes = prefixes_of_fixed(frame, len(frame) // count)
    above_start = not key_range.start or int(prefixes.min()) > prefix_of(key_range.start)
    return above_start and (not key_range.end or int(prefixes.max()) < prefix_of(key_range.end))


def all_within(keys: Sequence[bytes], key_range: KeyRange) -> bool:
    """Whether every key lies in the range."""
    return min(keys) >= key_range.start and (not key_range.end or max(keys) < key_range.end)


def _unpack(
    frame: Buffer, count: int, shortest: int, longest: int, nullable: bool, ends: bool
) -> tuple[list[Any], set[type]]:
    try:
        items = unpack_array(frame, count, longest, *((longest + NUMBER_BYTES, item_of) if ends else ()))
    except FLAWS as error:
        raise InvalidColumn(f"no msgpack array of {count} byte strings: {error}") from None
    if type(items) is not list or len(items) != count:
        raise InvalidColumn(f"no array of {count} items")
    kinds = set(map(type, items))
    if not kinds <= ({bytes, type(None)} if nullable else {bytes}) | (_WITH_END if ends else set()):
        raise InvalidColumn("items that are not byte strings")
    present = compress(items, map(is_not, items, repeat(None))) if nullable else items
    if shortest and bytes in kinds and min(map(len, present)) < shortest:
        raise InvalidColumn(f"an item is shorter than {shortest} bytes")
    return items, kinds


def count_of_variable(frame: Buffer) -> int:
    """The number of items that a variable column says it has. Raises InvalidColumn if it is no array."""
    head = bytes(frame[:5])
    if head and head[0] & 0xF0 == 0x90:
        return head[0] & 0x0F
    lengths = {0xDC: slice(1, 3), 0xDD: slice(1, 5)}
    if not head or head[0] not in lengths:
        raise InvalidColumn("no msgpack array")
    return int.from_bytes(head[lengths[head[0]]], "big")


def positions_of(items: Sequence[object], wanted: object) -> list[int]:
    """Return the positions of the items that are `wanted` (the same object)."""
    return list(compress(range(len(items)), map(is_, items, repeat(wanted))))
