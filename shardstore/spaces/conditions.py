"""Changes of a space that depend on what is there, step by step. Each is made at one moment, whoever else writes.

A value is compared as a value, not by its bytes: the same dict may have been written in another order, or compressed
by another version.
"""

from __future__ import annotations

from operator import methodcaller
from typing import Any, Final, TypeVar

from shardstore.errors import InvalidRequest, UndecodableKey, UndecodableValue
from shardstore.spaces.key_bounds import Bounds
from shardstore.spaces.space_codec import SpaceCodec
from shardstore.spaces.steps import Steps
from shardstore.values import Int, Values

K = TypeVar("K")
V = TypeVar("V")
NO_DEFAULT: Final = object()
_COUNTED = Values(Int()).description


def compare_and_set_value(
    codec: SpaceCodec[K, V], key: K, expected: V | None, value: V | None, timeout: float | None
) -> Steps[bool]:
    """Set or remove the value of a key if it has an expected one; None is no value. Returns whether it had."""
    place = codec.key(key)
    after = None if value is None else codec.values.encode(value)
    ttl = None if value is None else codec.ttl
    if expected is None:
        return bool((yield methodcaller("compare_and_set", place, None, after, ttl=ttl, timeout=timeout)))
    before = codec.values.encode(expected)
    while not (yield methodcaller("compare_and_set", place, before, after, ttl=ttl, timeout=timeout)):
        before = yield methodcaller("get", place, timeout=timeout)
        if before is None or codec.decoded_value(key, before) != expected:
            return False
    return True


def pop_value(codec: SpaceCodec[K, V], key: K, default: Any, timeout: float | None) -> Steps[Any]:
    """Remove a key, and return the value that it had; `default` if it had none. Raises KeyError for NO_DEFAULT."""
    place = codec.key(key)
    while (data := (yield methodcaller("get", place, timeout=timeout))) is not None:
        value = codec.decoded_value(key, data)
        if (yield methodcaller("compare_and_set", place, data, None, timeout=timeout)):
            return value
    if default is NO_DEFAULT:
        raise KeyError(key)
    return default


def remove_value(codec: SpaceCodec[K, Any], key: K) -> Steps[None]:
    """Remove a key, whatever its value is. Raises KeyError if it has none."""
    place = codec.key(key)
    while (data := (yield methodcaller("get", place))) is not None:
        if (yield methodcaller("compare_and_set", place, data, None)):
            return
    raise KeyError(key)


def pop_end(method: str, codec: SpaceCodec[K, V], bounds: Bounds, timeout: float | None) -> Steps[tuple[K, V] | None]:
    """Remove the first or the last key, as `pop_first` or `pop_last` of the client does, and return it with its value.

    What cannot be decoded is put back, unless somebody has written the key meanwhile.
    """
    start, end = bounds
    found = (yield methodcaller(method, start, end, timeout=timeout)) if start < end else None
    if found is None:
        return None
    try:
        key = codec.decoded_key(found[0])
        return key, codec.decoded_value(key, found[1])
    except (UndecodableKey, UndecodableValue):
        yield methodcaller("put_if_absent", *found, timeout=timeout)
        raise


def set_default(codec: SpaceCodec[K, V], key: K, default: Any, timeout: float | None) -> Steps[Any]:
    """Return the value of a key, after setting it to `default` if it had none."""
    place, data = codec.key(key), codec.values.encode(default)
    while (found := (yield methodcaller("get", place, timeout=timeout))) is None:
        if (yield methodcaller("put_if_absent", place, data, ttl=codec.ttl, timeout=timeout)):
            return default
    return codec.decoded_value(key, found)


def check_counts(codec: SpaceCodec[Any, Any]) -> None:
    """Raise InvalidRequest unless the values of a space can be counted up."""
    if codec.values.description != _COUNTED:
        raise InvalidRequest(f"increment needs values of the type {_COUNTED}, not {codec.values.description}")
