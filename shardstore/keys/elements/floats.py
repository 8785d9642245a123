"""Floats of 64 bits in their numeric order. Equal floats are one key: -0.0 is 0.0, and every NaN is the same NaN.

NaN is written as the NaN without a sign that Python makes, so it sorts above infinity.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from struct import Struct

from shardstore.keys.elements.batch import EncodedKeys, Places, encoded_rows
from shardstore.keys.elements.codes import DOUBLE
from shardstore.keys.elements.element import Element, Malformed, checked_fixed
from shardstore.lazy_numpy import np

_NAN = 0x7FF8_0000_0000_0000
_SIGN = 1 << 63
_ALL = (1 << 64) - 1
_BITS = Struct(">Q")
_NUMBER = Struct(">d")
_ENCODED = Struct(">BQ")


class FloatElement(Element[float]):
    """Flips the sign bit, and for negative numbers all other bits too, so that the bits sort as the numbers do."""

    kind = float
    name = "float"

    def encode(self, value: float) -> bytes:
        """Return the bytes of a number."""
        (bits,) = (_NAN,) if isnan(value) else _BITS.unpack(_NUMBER.pack(value + 0.0))  # -0.0 + 0.0 is 0.0
        return _ENCODED.pack(DOUBLE, bits ^ (_ALL if bits & _SIGN else _SIGN))

    def encode_column(self, values: Sequence[float]) -> list[bytes]:
        """Return the bytes of each number."""
        numbers = np.array(values, dtype=np.float64) + 0.0
        bits = np.where(np.isnan(numbers), np.uint64(_NAN), numbers.view(np.uint64))
        flips = np.where(bits >= _SIGN, np.uint64(_ALL), np.uint64(_SIGN))
        return encoded_rows(DOUBLE, np.bitwise_xor(bits, flips))

    def decode(self, data: bytes, at: int, end: int) -> tuple[float, int]:
        """Return the number at a place."""
        element = checked_fixed(data, at, end, DOUBLE, 8, self.name)
        (flipped,) = _BITS.unpack(element)
        value: float
        (value,) = _NUMBER.unpack(_BITS.pack(flipped ^ (_SIGN if flipped & _SIGN else _ALL)))
        if self.encode(value)[1:] != element:
            raise Malformed(f"no float as encoding writes it at byte {at}")
        return value, at + 9

    def decode_column(self, batch: EncodedKeys, places: Places) -> tuple[list[float], Places]:
        """Return the numbers at these places."""
        flipped = batch.words(places + 1)
        bits = flipped ^ np.where(flipped >= _SIGN, np.uint64(_SIGN), np.uint64(_ALL))
        numbers = bits.view(np.float64)
        is_other_nan = np.isnan(numbers) & (bits != _NAN)
        is_not_ours = is_other_nan | (bits == _SIGN) | (batch.codes(places) != DOUBLE) | (places + 9 > batch.ends)
        if is_not_ours.any():
            return super().decode_column(batch, places)
        values: list[float] = numbers.tolist()
        return values, places + 9
