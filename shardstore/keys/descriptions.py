"""Reads the descriptions of key types. There is one description of each type, and nothing else is read.

description   Bytes() | Str() | Int() | Uuid() | tuple
tuple         AnyTuple() | Tuple(position, ...)
position      type | tuple, each perhaps with " | None" behind it
type          bytes | str | int | float | bool | UUID | date | datetime
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from shardstore.errors import InvalidRequest
from shardstore.keys.elements.tuple_form import ELEMENTS, Position
from shardstore.keys.key_type import KeyType
from shardstore.keys.plain import BytesKeys, IntKeys, StrKeys, UuidKeys
from shardstore.keys.tuples import AnyTupleKeys, OrNone, TupleKeys
from shardstore.limits import DESCRIPTION_CHARACTERS_MAX

_PLAIN = {str(made): made for made in (BytesKeys(), StrKeys(), IntKeys(), UuidKeys(), AnyTupleKeys())}
_POSITIONS = {element.name: Position(element) for element in ELEMENTS}
_TOKEN = re.compile(r"AnyTuple\(\)|Tuple\(|\)|, | \| None|[A-Za-z]+")


def key_type_from_description(description: str) -> KeyType[Any]:
    """Return the type of keys with this description.

    Args:
        description: `description` of a type of keys.

    Returns:
        A type of keys with the same description.

    Raises:
        InvalidRequest: This version knows no such type.
    """
    if isinstance(description, str) and len(description) <= DESCRIPTION_CHARACTERS_MAX:
        known = _PLAIN.get(description) or _tuple_of(description)
        if known is not None and known.description == description:
            return known
    raise InvalidRequest(f"this version of shardstore knows no keys of the type {description!r:.60}")


def _tuple_of(description: str) -> KeyType[Any] | None:
    """Return a tuple type; None, or one with another description, if the description is of none."""
    tokens = iter(_TOKEN.findall(description))
    return _rest_of_tuple(tokens) if next(tokens, "") == "Tuple(" else None


def _rest_of_tuple(tokens: Iterator[str]) -> TupleKeys[Any] | None:
    """Return the tuple type of which the first token was read; None if there is something else in it."""
    types: list[Any] = []
    for token in tokens:
        match token:
            case "Tuple(":
                types.append(_rest_of_tuple(tokens))
            case "AnyTuple()":
                types.append(AnyTupleKeys())
            case " | None" if types:
                last = types.pop()
                types.append(last._replace(or_none=True) if isinstance(last, Position) else OrNone(last))
            case ", ":
                pass
            case ")":
                return TupleKeys(*types) if types and None not in types else None
            case _:
                types.append(_POSITIONS.get(token))
    return None
