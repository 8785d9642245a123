"""Codecs for values of one Python type."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from struct import Struct
from typing import Any

from shardstore.errors import InvalidRequest

_FLOAT = Struct(">d")
_first = itemgetter(0)


class RawCodec:
    """Stores bytes as they are."""

    name = "Raw"
    version = 1

    def encode(self, value: bytes) -> bytes:
        """Return the value itself. Raises InvalidRequest for anything but bytes."""
        check_types([value], bytes, self.name)
        return value

    def decode(self, data: bytes) -> bytes:
        """Return the bytes themselves."""
        return data

    def encode_many(self, values: Sequence[bytes]) -> list[bytes]:
        """Return the values themselves. Raises InvalidRequest for anything but bytes."""
        check_types(values, bytes, self.name)
        return list(values)

    def decode_many(self, datas: Sequence[bytes]) -> list[bytes]:
        """Return the bytes themselves."""
        return list(datas)


class StrCodec:
    """Stores strings as UTF-8."""

    name = "Str"
    version = 1

    def encode(self, value: str) -> bytes:
        """Return UTF-8. Raises InvalidRequest for anything but a str, and for lone surrogates."""
        return self.encode_many([value])[0]

    def decode(self, data: bytes) -> str:
        """Return the string. Raises ValueError for bytes that are no UTF-8."""
        return data.decode()

    def encode_many(self, values: Sequence[str]) -> list[bytes]:
        """Return UTF-8 of each. Raises InvalidRequest as `encode` does."""
        check_types(values, str, self.name)
        try:
            return list(map(str.encode, values))
        except UnicodeEncodeError as error:
            raise InvalidRequest(f"a value of Str has no UTF-8: {error}") from None

    def decode_many(self, datas: Sequence[bytes]) -> list[str]:
        """Return the strings. Raises ValueError as `decode` does."""
        return list(map(bytes.decode, datas))


class IntCodec:
    """Stores ints as decimal text, which `increment` counts up. Python writes at most 4300 digits so."""

    name = "Int"
    version = 1

    def encode(self, value: int) -> bytes:
        """Return decimal text. Raises InvalidRequest for anything but an int, and for one with too many digits."""
        return self.encode_many([value])[0]

    def decode(self, data: bytes) -> int:
        """Return the int. Raises ValueError for other bytes than `encode` writes."""
        return self.decode_many([data])[0]

    def encode_many(self, values: Sequence[int]) -> list[bytes]:
        """Return decimal text of each. Raises InvalidRequest as `encode` does."""
        check_types(values, int, self.name)
        try:
            return _decimal(values)
        except ValueError as error:
            raise InvalidRequest(f"a value of Int is too large: {error}") from None

    def decode_many(self, datas: Sequence[bytes]) -> list[int]:
        """Return the ints. Raises ValueError as `decode` does."""
        values = list(map(int, datas))
        if _decimal(values) != datas:
            raise ValueError("an int has a sign, a zero, a space or a mark too much")
        return values


class FloatCodec:
    """Stores floats as their 8 bytes, big endian: every bit of them is read back, also of -0.0 and NaN."""

    name = "Float"
    version = 1

    def encode(self, value: float) -> bytes:
        """Return 8 bytes. Raises InvalidRequest for anything but a float."""
        return self.encode_many([value])[0]

    def decode(self, data: bytes) -> float:
        """Return the float. Raises ValueError unless there are 8 bytes."""
        return self.decode_many([data])[0]

    def encode_many(self, values: Sequence[float]) -> list[bytes]:
        """Return the 8 bytes of each. Raises InvalidRequest as `encode` does."""
        check_types(values, float, self.name)
        return list(map(_FLOAT.pack, values))

    def decode_many(self, datas: Sequence[bytes]) -> list[float]:
        """Return the floats. Raises ValueError as `decode` does."""
        if not set(map(len, datas)) <= {_FLOAT.size}:
            raise ValueError(f"a float has {_FLOAT.size} bytes")
        return list(map(_first, map(_FLOAT.unpack, datas)))


def check_types(values: Sequence[Any], kind: type, codec: str) -> None:
    """Raise InvalidRequest unless all values are of exactly this type."""
    if not set(map(type, values)) <= {kind}:
        wrong = next(value for value in values if type(value) is not kind)
        raise InvalidRequest(f"{codec} takes {kind.__name__}, not {type(wrong).__name__}: {wrong!r:.60}")


def _decimal(values: Sequence[int]) -> list[bytes]:
    return list(map(b"%d".__mod__, values))
