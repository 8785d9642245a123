"""The values of a space as they are stored: a codec, checked, perhaps with compression."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final, Generic, TypeVar

from shardstore.errors import InvalidRequest
from shardstore.values.codec import ValueCodec
from shardstore.values.compressed import ALGORITHMS, expanded
from shardstore.values.json_text import JsonCodec
from shardstore.values.msgpack_data import MsgPackCodec
from shardstore.values.pickled import PickleCodec
from shardstore.values.plain import FloatCodec, IntCodec, RawCodec, StrCodec

V = TypeVar("V")

CODECS: Final[dict[str, type[Any]]] = {
    codec.name: codec for codec in (RawCodec, StrCodec, IntCodec, FloatCodec, JsonCodec, MsgPackCodec, PickleCodec)
}
"""The codecs of shardstore, by name."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")


class StoredValues(Generic[V]):
    """Turns the values of a space into the bytes that are stored, and back.

    Args:
        codec: One of this package, or your own: see ValueCodec.
        compression: "zstd", "lz4" or None. Values of less than 64 bytes, and those that do not shrink, are stored as
            they are, behind one byte.

    Raises:
        InvalidRequest: The codec lacks something or has a name of shardstore, or there is no such compression.
    """

    def __init__(self, codec: ValueCodec[V], compression: str | None = None) -> None:
        _check_codec(codec)
        if compression is not None and compression not in ALGORITHMS:
            raise InvalidRequest(f"compression is {', '.join(ALGORITHMS)} or None, not {compression!r:.60}")
        self.description = f"{codec.name}/{codec.version}" + (f"+{compression}" if compression else "")
        self._algorithm = ALGORITHMS[compression] if compression else None
        self._encode_many = getattr(codec, "encode_many", None) or partial(_one_by_one, codec.encode)
        self._decode_many = getattr(codec, "decode_many", None) or partial(_one_by_one, codec.decode)

    def __repr__(self) -> str:
        """Return the description."""
        return self.description

    def encode(self, value: V) -> bytes:
        """Return what is stored of a value.

        Args:
            value: A value that the codec takes.

        Returns:
            The bytes. The client checks their length.

        Raises:
            InvalidRequest: The codec does not take it. A codec of your own may raise anything.
        """
        return self.encode_many([value])[0]

    def decode(self, data: bytes) -> V:
        """Return the value of which this is stored.

        Args:
            data: What `encode` has returned.

        Returns:
            The value.

        Raises:
            ValueError: It cannot be decoded. A space raises UndecodableValue instead, which has the key.
        """
        return self.decode_many([data])[0]

    def encode_many(self, values: Iterable[V]) -> list[bytes]:
        """Return what is stored of each value, as `encode` does.

        Args:
            values: Values that the codec takes.

        Returns:
            The bytes of each, in the same order.

        Raises:
            InvalidRequest: The codec does not take one of them. A codec of your own may raise anything.
        """
        encoded: list[bytes] = self._encode_many(list(values))
        if not set(map(type, encoded)) <= {bytes}:
            raise InvalidRequest(f"the codec {self.description} encodes values as something else than bytes")
        return encoded if self._algorithm is None else list(map(self._algorithm.stored, encoded))

    def decode_many(self, datas: Iterable[bytes]) -> list[V]:
        """Return the value of each item, as `decode` does.

        Args:
            datas: What `encode` has returned, for each value.

        Returns:
            The values, in the same order.

        Raises:
            ValueError: One cannot be decoded; `decode` says which.
        """
        try:
            encoded = list(datas) if self._algorithm is None else list(map(expanded, datas))
            values: list[V] = self._decode_many(encoded)
        except (ValueError, MemoryError):
            raise
        except Exception as error:  # a codec of a user, or a pickle, may raise anything
            raise ValueError(f"{type(error).__name__}: {error}") from error
        return values


def _one_by_one(convert: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
    return list(map(convert, items))


def _check_codec(codec: Any) -> None:
    """Raise InvalidRequest for what is no codec, or pretends to be one of shardstore."""
    name, version = getattr(codec, "name", None), getattr(codec, "version", None)
    if isinstance(codec, type) or not all(callable(getattr(codec, each, None)) for each in ("encode", "decode")):
        raise InvalidRequest(f"a codec has name, version, encode and decode; {codec!r:.60} does not")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidRequest(f"the name of a codec is 1 to 64 letters, digits, '_', '.' and '-', not {name!r:.60}")
    if type(version) is not int or not 1 <= version < 1 << 16:
        raise InvalidRequest(f"the version of a codec is 1 to 65535, not {version!r:.60}")
    if name in CODECS and type(codec) is not CODECS[name]:
        raise InvalidRequest(f"{name} is a codec of shardstore: give yours another name")
