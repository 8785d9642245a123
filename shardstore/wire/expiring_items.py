"""Values with an end in columns: in messages, in the log and in tables. A column with one has the variable layout.

Such an item is a msgpack ext. Its data is a number of milliseconds, 8 bytes in big-endian order, and then the value:

    code 1    expiring: the number is a moment, in milliseconds since the epoch
    code 2    lasting: the number is a lifetime, which begins when a worker takes the request; in requests only
"""

from __future__ import annotations

from collections.abc import Sequence

import msgpack

from shardstore.identifiers import TOMBSTONE, Expiring, Lasting, Stored, new_expiring, new_lasting
from shardstore.limits import MOMENT_MS_MAX

EXPIRING_CODE = 1
LASTING_CODE = 2
NUMBER_BYTES = 8


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
    packed: bytes = msgpack.packb(list(items), default=_ext_or_nil, strict_types=True)
    return packed


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
