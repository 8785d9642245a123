"""From msgpack to plain values, with what it may cost bounded by what came: a byte of input can stand for a list.

Size is checked before anything is decoded, and arrays and maps are counted while they are, in C but for one call for
each of them. A map is made only of keys whose hashes nobody can choose: thousands of floats of one hash take minutes.
"""

from __future__ import annotations

from operator import itemgetter
from typing import Any

import msgpack

from shardstore.identifiers import Buffer
from shardstore.limits import CONTAINERS_MAX

FLAWS = (ValueError, TypeError, msgpack.UnpackException)
"""What decoding raises for bytes that are no msgpack, or break a bound."""
_KEY_KINDS = frozenset((int, str, bytes))
_first = itemgetter(0)


class _Containers:
    """Lets a bounded number of arrays and maps be made."""

    __slots__ = ("_left",)

    def __init__(self, most: int) -> None:
        self._left = most

    def array(self, items: list[Any]) -> list[Any]:
        """An array is complete."""
        self._left -= 1
        if self._left < 0:
            raise ValueError("too many arrays and maps")
        return items

    def map(self, pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
        """A map is complete."""
        self.array(pairs)
        if not set(map(type, map(_first, pairs))) <= _KEY_KINDS:
            raise ValueError("the keys of a map are integers or strings")
        made = dict(pairs)
        if len(made) < len(pairs):
            raise ValueError("a key of a map comes twice")
        return made


def unpack(frame: Buffer, bytes_max: int) -> Any:
    """The value in a frame of at most so many bytes. Raises one of FLAWS."""
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


def unpack_array(frame: Buffer, count: int, bin_bytes_max: int) -> Any:
    """The value in a frame that is to be an array of so many items, none of them an array. Raises one of FLAWS."""
    return msgpack.unpackb(
        frame,
        max_array_len=min(count, len(frame)),
        max_bin_len=bin_bytes_max,
        max_str_len=0,
        max_map_len=0,
        max_ext_len=0,
        list_hook=_Containers(1).array,
    )
