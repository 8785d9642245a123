"""Checks the arguments of a caller against the limits, and makes keys and values bytes.

A bytearray or memoryview is copied. Text is refused, because only the caller knows its encoding. A column whose items
have one length is joined here, which also checks the types of the items.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from shardstore.errors import InvalidRequest
from shardstore.key_range import KeyRange, range_of_prefix
from shardstore.limits import (
    BOUND_BYTES_MAX,
    COMPARE_AND_SET_BYTES_MAX,
    DEADLINE_DEFAULT_NS,
    DEADLINE_MS_MAX,
    KEY_BYTES_MAX,
    KEY_BYTES_MIN,
    MILLISECOND_NS,
    SECOND_NS,
    VALUE_BYTES_MAX,
)
from shardstore.options import parse_size
from shardstore.wire.counters import COUNTER_MAX, COUNTER_MIN, is_within

_BYTES_LIKE = (bytes, bytearray, memoryview)
_TIMEOUT_MAX = DEADLINE_MS_MAX // 1000
_NUMBERS = (int, float)
_JOINED_BYTES_MAX = 512
"""Items of one length that is longer are joined when they are cut by range."""


WAIT, FAIL = "wait", "fail"
"""What a write does if there is no room for it."""


class Items(NamedTuple):
    """A checked column. `frame` is the column encoded if all items have one length (`stride`) that is short, else None.

    A column of long items is not joined before it is cut by range, so that they are copied once. Values that are to
    expire are Expiring or Lasting.
    """

    items: Sequence[Any]
    frame: bytes | None
    stride: int


def checked_key(key: Any, longest: int = KEY_BYTES_MAX) -> bytes:
    """One key as bytes. Raises InvalidRequest."""
    if type(key) is not bytes:
        key = _as_bytes("key", key)
    if not KEY_BYTES_MIN <= len(key) <= longest:
        raise _wrong_length("key", len(key), KEY_BYTES_MIN, longest)
    return key  # type: ignore[no-any-return]


def checked_on_busy(on_busy: Any) -> bool:
    """Whether a write fails at once if there is no room for it, instead of waiting. Raises InvalidRequest."""
    if on_busy not in (WAIT, FAIL):
        raise InvalidRequest(f"on_busy is {WAIT!r} or {FAIL!r}, not {on_busy!r}")
    return bool(on_busy == FAIL)


def checked_flag(name: str, flag: Any) -> bool:
    """An option that is on or off. Raises InvalidRequest."""
    if type(flag) is not bool:
        raise InvalidRequest(f"{name} is True or False, not {flag!r:.60}")
    return flag


def checked_memory(memory: Any) -> int:
    """A size in bytes, given as a number or as text. Raises InvalidRequest."""
    try:
        size = parse_size(memory)
    except InvalidRequest as error:
        raise InvalidRequest(f"memory: {error}") from None
    if size < 0:
        raise InvalidRequest(f"memory is a number of bytes, not {memory!r:.60}")
    return size


def checked_bound(name: str, bound: Any) -> bytes:
    """A start or a prefix of keys; empty for None. Raises InvalidRequest.

    A bound may be one byte longer than a key, so that `key + b"\\0"`, the bound right after a key, is allowed.
    """
    if bound is None:
        return b""
    checked = _as_bytes(name, bound)
    if len(checked) > BOUND_BYTES_MAX:
        raise _wrong_length(name, len(checked), 0, BOUND_BYTES_MAX)
    return checked


def checked_end(end: Any) -> bytes | None:
    """The checked end of a scan: b"" for None, which is no end; None for b"", before which no key lies.

    Raises InvalidRequest.
    """
    if end is None:
        return b""
    return checked_bound("end", end) or None


def checked_bounds(start: Any, end: Any, prefix: Any) -> KeyRange | None:
    """The keys in [start, end) with the prefix, None for no bound. None if there are none. Raises InvalidRequest."""
    first, last = checked_bound("start", start), checked_end(end)
    wanted = range_of_prefix(checked_bound("prefix", prefix))
    if last is None or (last and first >= last):
        return None
    return KeyRange(first, last).intersection(wanted)


def checked_value(value: Any, name: str = "value") -> bytes:
    """One value as bytes. Raises InvalidRequest."""
    if type(value) is not bytes:
        value = _as_bytes(name, value)
    if len(value) > VALUE_BYTES_MAX:
        raise _wrong_length(name, len(value), 0, VALUE_BYTES_MAX)
    return value  # type: ignore[no-any-return]


def checked_expected_and_new(expected: Any, value: Any) -> tuple[bytes | None, bytes | None]:
    """The value that a key must have and the one that it gets, None for no value. Raises InvalidRequest."""
    before = None if expected is None else checked_value(expected, "expected value")
    after = None if value is None else checked_value(value)
    total = len(before or b"") + len(after or b"")
    if total > COMPARE_AND_SET_BYTES_MAX:
        raise InvalidRequest(
            f"the expected value and the new one have at most {COMPARE_AND_SET_BYTES_MAX:,} bytes, not {total:,}"
        )
    return before, after


def checked_amount(by: Any) -> int:
    """The amount to add to a counter. Raises InvalidRequest."""
    if type(by) is not int or not is_within(by):
        raise InvalidRequest(
            f"by, which is added to a counter, is an int from {COUNTER_MIN} to {COUNTER_MAX}, not {by!r:.40}"
        )
    return int(by)


def checked_keys(keys: Sequence[Any]) -> Items:
    """A column of one or more keys. Raises InvalidRequest."""
    return _checked("key", keys, KEY_BYTES_MIN, KEY_BYTES_MAX)


def checked_values(values: Sequence[Any]) -> Items:
    """A column of one or more values. Raises InvalidRequest."""
    return _checked("value", values, 0, VALUE_BYTES_MAX)


def checked_timeout_ns(timeout: float | None) -> int:
    """The nanoseconds of a timeout in seconds, at least 1 ms; the default for None. Raises InvalidRequest."""
    if timeout is None:
        return DEADLINE_DEFAULT_NS
    if type(timeout) not in _NUMBERS or not 0 <= timeout <= _TIMEOUT_MAX:
        raise InvalidRequest(f"timeout is 0 to {_TIMEOUT_MAX} seconds or None, not {timeout!r:.60}")
    return max(int(timeout * SECOND_NS), MILLISECOND_NS)


def _checked(what: str, items: Sequence[Any], shortest: int, longest: int) -> Items:
    try:
        lengths = set(map(len, items))
        frame = b"".join(items) if len(lengths) == 1 and max(lengths) <= _JOINED_BYTES_MAX else None
    except TypeError:
        items = _all_as_bytes(what, items)
        return _checked(what, items, shortest, longest)
    if min(lengths) < shortest or max(lengths) > longest:
        wrong = next(length for length in map(len, items) if not shortest <= length <= longest)
        raise _wrong_length(what, wrong, shortest, longest)
    stride = 0 if frame is None else len(frame) // len(items)
    lengths_count_bytes = set(map(type, items)) == {bytes} if frame is None else stride in lengths
    if not lengths_count_bytes:
        return _checked(what, _all_as_bytes(what, items), shortest, longest)
    return Items(items, frame, stride)


def _all_as_bytes(what: str, items: Sequence[Any]) -> list[bytes]:
    return [_as_bytes(what, item) for item in items]


def _as_bytes(what: str, item: Any) -> bytes:
    if isinstance(item, memoryview) and item.itemsize != 1:
        raise InvalidRequest(f"{_a(what)} is bytes, not a memoryview of {item.format!r}: cast it with .cast('B')")
    if isinstance(item, _BYTES_LIKE):
        return bytes(item)
    hint = f'; encode it, for example with .encode("utf-8"): {item[:40]!r}' if isinstance(item, str) else ""
    raise InvalidRequest(f"{_a(what)} is bytes, not {type(item).__name__}{hint}")


def _wrong_length(what: str, length: int, shortest: int, longest: int) -> InvalidRequest:
    return InvalidRequest(f"{_a(what)} has {shortest:,} to {longest:,} bytes, not {length:,}")


def _a(what: str) -> str:
    return f"an {what}" if what[0] in "aeiou" else f"a {what}"
