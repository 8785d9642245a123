"""Where keys of a space lie in the store, as a start and an end, which is exclusive.

No key lies there if the end is not behind the start. A bound of tuple keys may be the beginning of a key.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from shardstore.errors import InvalidRequest
from shardstore.key_range import range_of_prefix
from shardstore.spaces.space_codec import SpaceCodec

Bounds: TypeAlias = tuple[bytes, bytes]
AnySpaceCodec: TypeAlias = SpaceCodec[Any, Any]


def whole(codec: AnySpaceCodec) -> Bounds:
    """Return the bounds of all keys of a space."""
    return codec.key_range.start, codec.key_range.end


def bounds_of(codec: AnySpaceCodec, start: Any = None, end: Any = None, prefix: Any = None) -> Bounds:
    """Return the bounds of the keys from a start on, before an end, and with a prefix. Raises InvalidRequest."""
    first, last = whole(codec) if prefix is None else _with_prefix(codec, prefix)
    if start is not None:
        first = max(first, codec.place(start))
    if end is not None:
        last = min(last, codec.place(end))
    return first, last


def bounds_to_remove(codec: AnySpaceCodec, start: Any, end: Any, prefix: Any) -> Bounds:
    """Return the bounds as `bounds_of` does. Raises InvalidRequest, also for a start behind the end."""
    if start is not None and end is not None and codec.place(start) > codec.place(end):
        raise InvalidRequest(f"start {start!r:.60} is behind end {end!r:.60}")
    return bounds_of(codec, start, end, prefix)


def bounds_behind(codec: AnySpaceCodec, key: Any) -> Bounds:
    """Return the bounds of the keys behind another. Raises InvalidRequest."""
    return bounds_between(codec, key, None, (False, True))


def bounds_between(codec: AnySpaceCodec, minimum: Any, maximum: Any, inclusive: tuple[bool, bool]) -> Bounds:
    """Return the bounds of the keys from a minimum to a maximum, each with or without itself. Raises InvalidRequest."""
    first, last = whole(codec)
    if minimum is not None:
        first = max(first, codec.place(minimum) + (b"" if inclusive[0] else b"\0"))
    if maximum is not None:
        last = min(last, codec.place(maximum) + (b"\0" if inclusive[1] else b""))
    return first, last


def is_slice(index: object) -> bool:
    """Whether `space[index]` means many keys: `space["a":"c"]`, or `space["user", 42, :]`."""
    return isinstance(index, slice) or (isinstance(index, tuple) and index[-1:] != () and isinstance(index[-1], slice))


def bounds_of_slice(codec: AnySpaceCodec, index: Any) -> Bounds:
    """Return the bounds of the keys that a slice means. Raises InvalidRequest."""
    *beginning, part = index if isinstance(index, tuple) else (index,)
    if part.step is not None:
        raise InvalidRequest(f"a slice of keys has no step, such as {part.step!r:.60}")
    if not beginning:
        return bounds_of(codec, part.start, part.stop)
    prefix = tuple(beginning)
    start, end = (None if each is None else (*prefix, each) for each in (part.start, part.stop))
    return bounds_of(codec, start, end, prefix)


def _with_prefix(codec: AnySpaceCodec, prefix: Any) -> Bounds:
    """Return the bounds of keys that begin with a bytes, a str, or the first elements of a tuple."""
    range_of = getattr(codec.key_type, "range_of", None)
    if range_of is not None:
        first, last = range_of(prefix)
        return codec.prefix + first, codec.prefix + last
    if codec.key_type.description not in _BEGIN_AS_THEY_ARE:
        raise InvalidRequest(f"keys of the type {codec.key_type.description} have no prefix, such as {prefix!r:.60}")
    wanted = range_of_prefix(codec.place(prefix))
    return wanted.start, min(wanted.end or codec.key_range.end, codec.key_range.end)


_BEGIN_AS_THEY_ARE = ("Bytes()", "Str()")
