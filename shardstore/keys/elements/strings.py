"""Strings of bytes or characters of any length: a zero byte ends them, and zero bytes in them are escaped."""

from __future__ import annotations

from collections.abc import Sequence

from shardstore.keys.elements.batch import EncodedKeys, Places
from shardstore.keys.elements.codes import BYTES, ESCAPE, ESCAPED_ZERO, STR
from shardstore.keys.elements.element import Element, Malformed, Mismatch
from shardstore.lazy_numpy import np

_ZERO = b"\x00"
_BYTES_CODE = bytes([BYTES])
_STR_CODE = bytes([STR])
_BETWEEN_BYTES, _BETWEEN_STRS = b"\x02", b"\x01"
"""Stand between the elements of a column while all are one string. Strings that contain them are encoded one by one."""


class BytesElement(Element[bytes]):
    """Writes the bytes as they are, but for the escapes."""

    kind = bytes
    name = "bytes"

    def encode(self, value: bytes) -> bytes:
        """Return the element of a string."""
        return b"\x01%b\x00" % value.replace(_ZERO, ESCAPED_ZERO)

    def encode_column(self, values: Sequence[bytes]) -> list[bytes]:
        """Return the element of each string."""
        joined = (_ZERO + _BETWEEN_BYTES + _BYTES_CODE).join(values)
        return _split(_BYTES_CODE + joined + _ZERO, _BETWEEN_BYTES, len(values)) or super().encode_column(values)

    def decode(self, data: bytes, at: int, end: int) -> tuple[bytes, int]:
        """Return the string at a place."""
        return _decode(data, at, end, BYTES, self.name)

    def decode_column(self, batch: EncodedKeys, places: Places) -> tuple[list[bytes], Places]:
        """Return the strings at these places; at once if none has a zero byte in it."""
        after = _ends(batch, places, BYTES)
        if after is None:
            return super().decode_column(batch, places)
        return _bodies(batch, places, after).split(_ZERO)[:-1], after


class StrElement(Element[str]):
    """Writes UTF-8, whose bytes sort as the characters do."""

    kind = str
    name = "str"

    def encode(self, value: str) -> bytes:
        """Return the element of a string."""
        return b"\x02%b\x00" % utf8(value).replace(_ZERO, ESCAPED_ZERO)

    def encode_column(self, values: Sequence[str]) -> list[bytes]:
        """Return the element of each string."""
        joined = "\x00\x01\x02".join(values)
        return _split(_STR_CODE + utf8(joined) + _ZERO, _BETWEEN_STRS, len(values)) or super().encode_column(values)

    def decode(self, data: bytes, at: int, end: int) -> tuple[str, int]:
        """Return the string at a place."""
        body, after = _decode(data, at, end, STR, self.name)
        return text_of(body), after

    def decode_column(self, batch: EncodedKeys, places: Places) -> tuple[list[str], Places]:
        """Return the strings at these places; at once if none has a zero character in it."""
        after = _ends(batch, places, STR)
        if after is None:
            return super().decode_column(batch, places)
        return text_of(_bodies(batch, places, after)).split("\0")[:-1], after


def utf8(value: str) -> bytes:
    """Return the UTF-8 of a string. Raises Mismatch for a lone surrogate, which has none."""
    try:
        return str.encode(value)
    except UnicodeEncodeError:
        raise Mismatch("str without lone surrogates", value) from None


def text_of(data: bytes) -> str:
    """Return the string of UTF-8. Raises Malformed."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise Malformed(f"no UTF-8: {error.reason}") from None


def _split(joined: bytes, between: bytes, count: int) -> list[bytes]:
    """Split the elements of a column, each with its code and its end; empty if a string holds one of these bytes."""
    if joined.count(between) != count - 1 or joined.count(_ZERO) != count:
        return []
    return joined.split(between)


def _decode(data: bytes, at: int, end: int, code: int, name: str) -> tuple[bytes, int]:
    if data[at] != code:
        raise Malformed(f"no {name} at byte {at}")
    stop = data.find(_ZERO, at + 1, end)
    while 0 <= stop < end - 1 and data[stop + 1] == ESCAPE:
        stop = data.find(_ZERO, stop + 2, end)
    if stop < 0:
        raise Malformed(f"the {name} at byte {at} does not end")
    return data[at + 1 : stop].replace(ESCAPED_ZERO, _ZERO), stop + 1


def _ends(batch: EncodedKeys, places: Places, code: int) -> Places | None:
    """Return the places behind the strings at these places; None if they must be read one by one."""
    zeros = batch.zeros
    stops: Places = zeros[np.searchsorted(zeros, places)]
    follows = batch.codes(stops + 1)
    is_plain = (batch.codes(places) == code) & (stops < batch.ends) & (follows != ESCAPE)
    return stops + 1 if is_plain.all() else None


def _bodies(batch: EncodedKeys, places: Places, after: Places) -> bytes:
    """Return all strings, each with the zero byte that ends it and without its code."""
    steps = np.zeros(len(batch.octets), dtype=np.int8)
    steps[places + 1] = 1
    steps[after] = -1
    return batch.octets[steps.cumsum(dtype=np.int8).view(np.bool_)].tobytes()
