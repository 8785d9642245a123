"""Decodes msgpack with bounded time and memory, although one byte of input may stand for a whole list.

The size is checked before decoding. Arrays and maps are counted while they are decoded; all else is done in C. Keys of
maps must be of types whose hashes nobody can choose: a map of thousands of floats with the same hash takes minutes.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any, TypeAlias

import msgpack

from shardstore.identifiers import Buffer
from shardstore.limits import CONTAINERS_MAX

FLAWS = (ValueError, TypeError, msgpack.UnpackException)
"""The exceptions that decoding raises if bytes are not msgpack or exceed a bound."""
ExtHook: TypeAlias = Callable[[int, bytes], Any]
_KEY_KINDS = frozenset((int, str, bytes))
_first = itemgetter(0)


class _Containers:
    """Limits the number of arrays and maps that one decoding makes. Its methods are msgpack's hooks."""

    __slots__ = ("_left",)

    def __init__(self, most: int) -> None:
        self._left = most

    def array(self, items: list[Any]) -> list[Any]:
        """Count a decoded array and return it. Raises ValueError if there are too many."""
        self._left -= 1
        if self._left < 0:
            raise ValueError("too many arrays and maps")
        return items

    def map(self, pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
        """Count a decoded map and return it as a dict. Raises ValueError for too many maps or unsuitable keys."""
        self.array(pairs)
        if not set(map(type, map(_first, pairs))) <= _KEY_KINDS:
            raise ValueError("the keys of a map are integers or strings")
        made = dict(pairs)
        if len(made) < len(pairs):
            raise ValueError("a key of a map comes twice")
        return made


def unpack(frame: Buffer, bytes_max: int) -> Any:
    """Decode a frame of at most `bytes_max` bytes. Raises one of FLAWS."""
    if len(frame) > bytes_max:
        raise ValueError(f"{len(frame)} bytes, allowed are {bytes_max}")
    containers = _Containers(CONTAINERS_MAX)
    return msgpack.unpackb(
        frame,
        strict_map_key=False,
        max_array_len=min(len(frame), CONTAINERS_MAX),
        max_map_len=min(len(frame), CONTAINERS_MAX),
        max_ext_len=0,
        list_hook=containers.array,
        object_pairs_hook=containers.map,
    )


def unpack_array(
    frame: Buffer, count: int, bin_bytes_max: int, ext_bytes_max: int = 0, ext_hook: ExtHook = msgpack.ExtType
) -> Any:
    """Decode a frame that must be an array of at most `count` items, none of them an array. Raises one of FLAWS.

    `ext_hook` makes an item of the code and the data of an ext of at most `ext_bytes_max` bytes.
    """
    return msgpack.unpackb(
        frame,
        max_array_len=min(count, len(frame)),
        max_bin_len=bin_bytes_max,
        max_str_len=0,
        max_map_len=0,
        max_ext_len=ext_bytes_max,
        ext_hook=ext_hook,
        list_hook=_Containers(1).array,
    )
