"""Ints of any size, without the zero bytes at their front: short ones are short, and a longer one is further from 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from shardstore.keys.elements.batch import EncodedKeys, Places
from shardstore.keys.elements.codes import NEGATIVE_BIG, NEGATIVE_HUGE, POSITIVE_BIG, POSITIVE_HUGE, ZERO
from shardstore.keys.elements.element import Element, Malformed, Mismatch
from shardstore.lazy_numpy import np
from shardstore.limits import KEY_BYTES_MAX

if TYPE_CHECKING:
    import numpy.typing as npt

_WORD = 8
_BIG_MAX = 0xFF
"""The most bytes of an int whose length is one byte."""


class IntElement(Element[int]):
    """Writes the code and the magnitude; of negative ints with all bits flipped, so that more bytes sort lower."""

    kind = int
    name = "int"

    def accepts(self, kind: type) -> bool:
        """Whether it is int or a subclass; bool is a type of its own."""
        return issubclass(kind, int) and kind is not bool

    def encode(self, value: int) -> bytes:
        """Return the bytes of an int."""
        size = (value.bit_length() + 7) // 8
        if size > KEY_BYTES_MAX:
            raise Mismatch(f"int of at most {KEY_BYTES_MAX} bytes", value)
        if value >= 0:
            return _head(size) + value.to_bytes(size, "big")
        head = _head(size)
        return bytes([2 * ZERO - head[0], *(0xFF - byte for byte in head[1:])]) + _flipped(-value, size)

    def encode_column(self, values: Sequence[int]) -> list[bytes]:
        """Return the bytes of each int; at once if all fit 64 bits."""
        try:
            numbers = np.array(values, dtype=np.int64)
        except OverflowError:
            return super().encode_column(values)
        sizes = np.searchsorted(_bounds(), numbers, side="right") - _WORD
        shifts = (8 * (_WORD - np.abs(sizes))).astype(np.uint64)
        magnitudes_or_flipped = (numbers - (sizes < 0)).view(np.uint64)
        rows = np.empty((len(numbers), 1 + _WORD), dtype=np.uint8)
        rows[:, 0] = ZERO + sizes
        rows[:, 1:] = (magnitudes_or_flipped << shifts).astype(">u8").view(np.uint8).reshape(-1, _WORD)
        return _cut(rows, np.abs(sizes))

    def decode(self, data: bytes, at: int, end: int) -> tuple[int, int]:
        """Return the int at a place."""
        code = data[at]
        if not NEGATIVE_HUGE <= code <= POSITIVE_HUGE:
            raise Malformed(f"no int at byte {at}")
        mask = 0xFF * (code < ZERO)
        distance = abs(code - ZERO)
        length_bytes = max(distance - _WORD, 0)
        begin = at + 1 + length_bytes
        flipped_length = int.from_bytes(data[at + 1 : begin], "big")
        length = flipped_length ^ ((1 << 8 * length_bytes) - 1 if mask else 0)
        size = length if length_bytes else distance
        shortest = (0, _WORD + 1, _BIG_MAX + 1)[length_bytes]
        if begin + size > end or size < shortest or (size and data[begin] == mask):
            raise Malformed(f"no int as encoding writes it at byte {at}")
        body = int.from_bytes(data[begin : begin + size], "big")
        return body - (1 << 8 * size) + 1 if mask else body, begin + size

    def decode_column(self, batch: EncodedKeys, places: Places) -> tuple[list[int], Places]:
        """Return the ints at these places; at once if all fit 64 bits."""
        signed_sizes = batch.codes(places).astype(np.int64) - ZERO
        sizes = np.abs(signed_sizes)
        after = places + 1 + sizes
        if sizes.max() > _WORD or (after > batch.ends).any():
            return super().decode_column(batch, places)
        words = batch.words(places + 1)
        negative = signed_sizes < 0
        words[negative] ^= np.uint64(0xFFFF_FFFF_FFFF_FFFF)
        magnitudes = np.where(sizes == 0, np.uint64(0), words >> (8 * (_WORD - sizes) & 63).astype(np.uint64))
        has_zero_in_front = (words >> np.uint64(56) == 0) & (sizes > 0)
        if has_zero_in_front.any() or magnitudes.max() >> np.uint64(63):
            return super().decode_column(batch, places)
        numbers = magnitudes.astype(np.int64)
        numbers[negative] *= -1
        values: list[int] = numbers.tolist()
        return values, after


def _head(size: int) -> bytes:
    """The code, and the length if it has bytes of its own, of a positive int or zero."""
    if size <= _WORD:
        return bytes([ZERO + size])
    if size <= _BIG_MAX:
        return bytes([POSITIVE_BIG, size])
    return bytes([POSITIVE_HUGE]) + size.to_bytes(2, "big")


def _flipped(magnitude: int, size: int) -> bytes:
    return ((1 << 8 * size) - 1 - magnitude).to_bytes(size, "big")


def _bounds() -> npt.NDArray[np.int64]:
    """The ints from which the signed size is one more: from -7 bytes up to 8 bytes; below the first it is -8."""
    powers = [1 << 8 * size for size in range(1, _WORD)]
    return np.array([*(1 - power for power in reversed(powers)), 0, 1, *powers], dtype=np.int64)


def _cut(rows: npt.NDArray[np.uint8], sizes: npt.NDArray[np.int64]) -> list[bytes]:
    """Return of each row the code and as many bytes as the size says."""
    present = np.flatnonzero(np.bincount(sizes)).tolist()
    if len(present) == 1:
        return _items(rows, present[0])
    elements = np.empty(len(rows), dtype=object)
    for size in present:
        chosen = sizes == size
        elements[chosen] = _items(rows[chosen], size)
    cut: list[bytes] = elements.tolist()
    return cut


def _items(rows: npt.NDArray[np.uint8], size: int) -> list[bytes]:
    items: list[bytes] = np.ascontiguousarray(rows[:, : 1 + size]).view(f"V{1 + size}").ravel().tolist()
    return items


assert NEGATIVE_BIG == 2 * ZERO - POSITIVE_BIG
assert NEGATIVE_HUGE == 2 * ZERO - POSITIVE_HUGE
assert KEY_BYTES_MAX < 1 << 16, "the longest length has two bytes"
