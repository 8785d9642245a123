"""Values as JSON, so that they can be read, and are read back exactly.

A value is shown as its codec decodes it, if JSON gives the same value back: text for Str, a number for Int and Float,
anything for Json and MsgPack; for Raw, bytes that are UTF-8 as text. All others, such as those of Pickle or of a codec
of a program, are shown as the bytes in the store.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from shardstore import values
from shardstore.errors import InvalidRequest
from shardstore.values import Raw, Values

_RAW = Values(Raw()).description


def to_json(value: Any) -> str:
    """Return a value as JSON in one line. Raises ValueError or TypeError for what JSON has not."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


class JsonValues:
    """Turns the values of a section, as they are stored, into JSON, and back."""

    def __init__(self, description: str) -> None:
        self._values: Values[Any] | None = None
        self._bare: Values[Any] | None = None
        self._is_raw = description == _RAW
        if not self._is_raw:
            try:
                self._values = values.from_description(description)
                self._bare = values.from_description(description.partition("+")[0])
            except InvalidRequest:
                self._values = None

    def shown(self, stored: Sequence[bytes]) -> list[str | None]:
        """Return values as JSON; None for those that are shown as they are stored."""
        if self._is_raw:
            return list(map(_text, stored))
        if self._values is None or self._bare is None:
            return [None] * len(stored)
        try:
            decoded = self._values.decode_many(stored)
            shown: list[str | None] = list(map(to_json, decoded))
            if self._bare.encode_many(map(json.loads, shown)) == self._bare.encode_many(decoded):  # type: ignore[arg-type]
                return shown
        except (ValueError, TypeError, InvalidRequest):
            pass
        return [self._shown(each) for each in stored]

    def _shown(self, stored: bytes) -> str | None:
        assert self._values is not None and self._bare is not None  # noqa: PT018
        try:
            decoded = self._values.decode(stored)
            shown = to_json(decoded)
            return shown if self._bare.encode(json.loads(shown)) == self._bare.encode(decoded) else None
        except (ValueError, TypeError, InvalidRequest):
            return None

    def stored(self, shown: Sequence[Any]) -> list[bytes]:
        """Return the bytes in the store of values that were read from JSON. Raises ValueError."""
        if self._is_raw:
            if not all(isinstance(each, str) for each in shown):
                raise ValueError("a value is no text")
            return list(map(str.encode, shown))
        if not shown:
            return []
        if self._values is None:
            raise ValueError("values of this codec are read as they are stored only")
        try:
            return self._values.encode_many(shown)
        except InvalidRequest as error:
            raise ValueError(str(error)) from None


def _text(data: bytes) -> str | None:
    try:
        return to_json(data.decode())
    except UnicodeDecodeError:
        return None
