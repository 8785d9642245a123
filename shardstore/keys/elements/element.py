"""An element of a tuple key: how values of one Python type are written and read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from shardstore.keys.elements.batch import EncodedKeys, Places
from shardstore.lazy_numpy import np

T = TypeVar("T")
_HEX_FROM_BITS = 256


class Mismatch(ValueError):
    """A value is not of the wanted type. `path` says where it is in the key, from outside to inside."""

    def __init__(self, wanted: str, value: object, path: tuple[int, ...] = ()) -> None:
        super().__init__(wanted, value, path)
        self.wanted = wanted
        self.value = value
        self.path = path

    def within(self, position: int) -> Mismatch:
        """The same mismatch, as the tuple around it sees it."""
        return Mismatch(self.wanted, self.value, (position, *self.path))

    def text(self, description: str) -> str:
        """What is wrong with a key of the described type, in words."""
        place = f" as key{''.join(f'[{position}]' for position in self.path)}" if self.path else ""
        return f"{description} takes {self.wanted}{place}, not {type(self.value).__name__}: {_shown(self.value)}"


class Malformed(ValueError):
    """Bytes are not what encoding writes."""


class Element(Protocol[T]):
    """Writes and reads the values of one Python type. An element starts with its code and shows its own end.

    The methods on columns do the same for many values, and fall back on the others for values that are rare.
    """

    kind: type
    """The Python type."""
    name: str
    """As in descriptions of key types."""

    def accepts(self, kind: type) -> bool:
        """Whether values of this Python type are written: subclasses are, if they add nothing to what is written."""
        return issubclass(kind, self.kind)

    def encode(self, value: T) -> bytes:
        """Return the bytes of a value of an accepted type. Raises Mismatch if it is not encodable all the same."""
        ...

    def encode_column(self, values: Sequence[T]) -> list[bytes]:
        """Return the bytes of each value. Raises Mismatch."""
        return list(map(self.encode, values))

    def decode(self, data: bytes, at: int, end: int) -> tuple[T, int]:
        """Return the value that starts at a place of a key, and the place behind it. Raises Malformed."""
        ...

    def decode_column(self, batch: EncodedKeys, places: Places) -> tuple[list[T], Places]:
        """Return the values that start at these places, one in each key, and the places behind them."""
        ends = batch.ends.tolist()
        read = [self.decode(batch.data, at, end) for at, end in zip(places.tolist(), ends, strict=True)]
        return [value for value, _ in read], np.array([after for _, after in read], dtype=np.int64)


def checked_fixed(data: bytes, at: int, end: int, code: int, size: int, name: str) -> bytes:
    """Return what follows the code of an element of a fixed size. Raises Malformed."""
    if data[at] != code or at + 1 + size > end:
        raise Malformed(f"no {name} at byte {at}")
    return data[at + 1 : at + 1 + size]


def _shown(value: Any) -> str:
    """The beginning of a value as a program would write it. Python refuses to write very large ints in decimal."""
    is_large = isinstance(value, int) and value.bit_length() > _HEX_FROM_BITS
    return f"{hex(value) if is_large else repr(value):.60}"
