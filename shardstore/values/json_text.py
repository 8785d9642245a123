"""Values as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from json import JSONDecoder, JSONEncoder
from operator import methodcaller
from typing import Any, NoReturn

from shardstore.errors import InvalidRequest


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"JSON has no {constant}")


_stripped = methodcaller("strip", b" \t\n\r")
_ENCODER = JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_DECODER = JSONDecoder(parse_constant=_refuse_constant)


class JsonCodec:
    """Stores compact JSON in UTF-8: None, bool, int, float, str, lists, and dicts whose keys are strings.

    The order of a dict is kept. As with Python's own module, a tuple is read back as a list, and a number as a key of
    a dict is read back as a string. NaN and infinities are refused, as JSON has none.
    """

    name = "Json"
    version = 1

    def encode(self, value: Any) -> bytes:
        """Return JSON. Raises InvalidRequest for values that JSON does not have."""
        return self.encode_many([value])[0]

    def decode(self, data: bytes) -> Any:
        """Return the value. Raises ValueError for bytes that are no JSON."""
        return self.decode_many([data])[0]

    def encode_many(self, values: Sequence[Any]) -> list[bytes]:
        """Return JSON of each. Raises InvalidRequest as `encode` does."""
        try:
            return list(map(str.encode, map(_ENCODER.encode, values)))
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidRequest(f"a value of Json is no JSON: {error}") from None

    def decode_many(self, datas: Sequence[bytes]) -> list[Any]:
        """Return the values. Raises ValueError as `decode` does."""
        texts = list(map(bytes.decode, map(_stripped, datas)))
        read = list(map(_DECODER.raw_decode, texts))
        if [end for _, end in read] != list(map(len, texts)):
            raise ValueError("something follows the JSON of a value")
        return [value for value, _ in read]
