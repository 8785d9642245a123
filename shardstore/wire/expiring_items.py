"""Values with an end in columns: in messages, in the log and in tables. A column with one has the variable layout.

Such an item is a msgpack ext. Its data is a number of milliseconds, 8 bytes in big-endian order, and then the value:

    code 1    expiring: the number is a moment, in milliseconds since the epoch
    code 2    lasting: the number is a lifetime, which begins when a worker takes the request; in requests only
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, repeat
from operator import itemgetter
from typing import Any

import msgpack

from shardstore.identifiers import TOMBSTONE, Buffer, Expiring, Lasting, Stored, new_expiring, new_lasting
from shardstore.lazy_numpy import np
from shardstore.limits import MOMENT_MS_MAX

EXPIRING_CODE = 1
LASTING_CODE = 2
NUMBER_BYTES = 8
FEW_ITEMS = 16
"""Up to this many items are encoded and decoded one by one."""
_HEAD_BYTES_OF = {0xD7: 2, 0xD8: 2, 0xC7: 3, 0xC8: 4, 0xC9: 6}
"""The size of the head of an ext item, with its code, by its first byte."""
_PACKER = msgpack.Packer()
_first, _second = itemgetter(0), itemgetter(1)


def item_of(code: int, data: bytes) -> Expiring | Lasting:
    """Return the value of an ext item; msgpack's hook. Raises ValueError."""
    number = int.from_bytes(data[:NUMBER_BYTES], "big")
    if len(data) < NUMBER_BYTES or number > MOMENT_MS_MAX:
        raise ValueError("an ext item without a moment")
    if code == EXPIRING_CODE:
        return new_expiring((number, data[NUMBER_BYTES:]))
    if code == LASTING_CODE:
        return new_lasting((number, data[NUMBER_BYTES:]))
    raise ValueError(f"ext code {code} is not known")


def encode_items(items: Sequence[Stored | Lasting | None]) -> bytes:
    """Encode items in the variable layout. A tombstone is stored as nil."""
    together = _encode_alike(items) if len(items) > FEW_ITEMS else None
    if together is not None:
        return together
    packed: bytes = msgpack.packb(list(items), default=_ext_or_nil, strict_types=True)
    return packed


def items_alike(frame: Buffer, count: int) -> list[Any] | None:
    """Decode items that are all of one kind, end and length, as most of one call are; None if these are not.

    The frame must be an array of `count` items. This takes a tenth of the time that msgpack takes with a hook.
    """
    begin = len(_array_head(count))
    stride, rest = divmod(len(frame) - begin, count)
    if rest or bytes(frame[:begin]) != _array_head(count):
        return None
    first = bytes(frame[begin : begin + stride])
    head_bytes = _HEAD_BYTES_OF.get(first[0], 0) + NUMBER_BYTES if first else 0
    if not NUMBER_BYTES < head_bytes <= stride:
        return None
    rows = np.frombuffer(frame, np.uint8, offset=begin).reshape(count, stride)
    if (rows[:, :head_bytes] != rows[0, :head_bytes]).any():
        return None
    item = msgpack.unpackb(first, ext_hook=item_of)
    value_bytes = stride - head_bytes
    if len(item.value) != value_bytes:
        return None
    values = rows[:, head_bytes:].tobytes()
    kind = new_expiring if type(item) is Expiring else new_lasting
    cut = np.frombuffer(values, f"V{value_bytes}").tolist() if value_bytes else [b""] * count
    return list(map(kind, zip(repeat(item[0]), cut, strict=False)))


def _encode_alike(items: Sequence[Any]) -> bytes | None:
    """Encode items of one kind and end without a step for each; None if they are not alike."""
    kinds = set(map(type, items))
    kind = kinds.pop()
    if kinds or (kind is not Expiring and kind is not Lasting):
        return None
    numbers = set(map(_first, items))
    if len(numbers) > 1:
        return None
    code, number = (EXPIRING_CODE if kind is Expiring else LASTING_CODE), numbers.pop().to_bytes(NUMBER_BYTES, "big")
    values: list[bytes] = list(map(_second, items))
    heads = {length: _ext_head(length + NUMBER_BYTES, code) + number for length in set(map(len, values))}
    of_each = map(heads.__getitem__, map(len, values))
    return _array_head(len(items)) + b"".join(chain.from_iterable(zip(of_each, values, strict=True)))


def _array_head(count: int) -> bytes:
    head: bytes = _PACKER.pack_array_header(count)
    return head


def _ext_head(data_bytes: int, code: int) -> bytes:
    """The head of an ext item with so much data, as msgpack makes it."""
    item: bytes = msgpack.packb(msgpack.ExtType(code, bytes(data_bytes)))
    return item[:-data_bytes]


def encode_item(item: Stored) -> bytes:
    """Encode one item."""
    packed: bytes = msgpack.packb(item, default=_ext_or_nil, strict_types=True)
    return packed


def _ext_or_nil(item: object) -> msgpack.ExtType | None:
    """What msgpack stores for an item that is no bytes object."""
    if isinstance(item, Expiring):
        return msgpack.ExtType(EXPIRING_CODE, item.moment.to_bytes(NUMBER_BYTES, "big") + item.value)
    if isinstance(item, Lasting):
        return msgpack.ExtType(LASTING_CODE, item.lifetime.to_bytes(NUMBER_BYTES, "big") + item.value)
    assert item is TOMBSTONE, "a column has values, deletions and values with an end"
    return None
