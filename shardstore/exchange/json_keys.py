"""Typed keys as JSON, so that they can be read, and are read back exactly.

bytes of a space of Bytes()          "text" if they are UTF-8, else {"bytes": "00ff"}
str, int, bool, None                 as in JSON
a tuple                              a list
bytes in a tuple                     {"bytes": "00ff"}
float                                a number with a point or an exponent; {"float": "nan"}, "inf", "-inf"
UUID, date, datetime                 {"uuid": "..."}, {"date": "2026-01-31"}, {"datetime": "2026-01-31T12:00:00+00:00"}
what is no key of the type           {"stored": "00ff"}: the bytes in the store
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from math import isfinite
from typing import Any, Final
from uuid import UUID

from shardstore import keys
from shardstore.errors import InvalidRequest, UndecodableKey
from shardstore.keys import KeyType

STORED: Final = "stored"


class JsonKeys:
    """Turns the keys of a section, as they are stored, into what `json.dumps` takes, and back."""

    def __init__(self, description: str) -> None:
        self._type: KeyType[Any] | None = None
        if description != keys.Bytes().description:
            self._type = keys.from_description(description)

    def shown(self, key: bytes) -> Any:
        """Return a key as JSON."""
        if self._type is None:
            return text_or_bytes(key)
        try:
            return _shown(self._type.decode(key))
        except UndecodableKey:
            return {STORED: key.hex()}

    def bound(self, shown: Any) -> bytes:
        """Return the first key that is not below a key, or below the beginning of a tuple key. Raises ValueError."""
        range_of = getattr(self._type, "range_of", None)
        if range_of is None or not isinstance(shown, list):
            return self.stored(shown)
        try:
            start: bytes = range_of(_read(shown))[0]
        except InvalidRequest as error:
            raise ValueError(str(error)) from None
        return start

    def stored(self, shown: Any) -> bytes:
        """Return the key that is shown so. Raises ValueError."""
        if isinstance(shown, dict) and STORED in shown:
            return bytes.fromhex(shown[STORED])
        if self._type is None:
            return bytes_of(shown)
        try:
            return self._type.encode(_read(shown))
        except InvalidRequest as error:
            raise ValueError(str(error)) from None


def text_or_bytes(data: bytes) -> Any:
    """Return bytes as text if they are UTF-8, else by their digits."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"bytes": data.hex()}


def bytes_of(shown: Any) -> bytes:
    """Return the bytes that `text_or_bytes` shows so. Raises ValueError."""
    if isinstance(shown, str):
        return shown.encode()
    if isinstance(shown, dict) and isinstance(shown.get("bytes"), str) and len(shown) == 1:
        return bytes.fromhex(shown["bytes"])
    raise ValueError(f'{shown!r:.60} is neither text nor {{"bytes": "digits"}}')


def _shown(element: Any) -> Any:
    kind = type(element)
    if kind is tuple:
        return list(map(_shown, element))
    if kind is bytes:
        return {"bytes": element.hex()}
    if kind is float and not isfinite(element):
        return {"float": str(element)}
    if kind in _NAMES:
        return {_NAMES[kind]: element.isoformat() if kind is not UUID else str(element)}
    return element


def _read(shown: Any) -> Any:
    if isinstance(shown, list):
        return tuple(map(_read, shown))
    if not isinstance(shown, dict):
        return shown
    if len(shown) != 1:
        raise ValueError(f"{shown!r:.60} is no element of a key")
    ((name, text),) = shown.items()
    if name not in _READ or not isinstance(text, str):
        raise ValueError(f"{shown!r:.60} is no element of a key")
    return _READ[name](text)


_NAMES: dict[type, str] = {UUID: "uuid", date: "date", datetime: "datetime"}
_READ: dict[str, Callable[[str], Any]] = {
    "bytes": bytes.fromhex,
    "float": float,
    "uuid": UUID,
    "date": date.fromisoformat,
    "datetime": datetime.fromisoformat,
}
