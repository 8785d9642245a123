"""Makes calls from the arguments of a client's method, for both clients. Raises InvalidRequest.

put_many, get_many and delete_many take any iterable, even an endless one. It is read in chunks, each chunk is a call,
and a client has up to CALLS_OUTSTANDING of them under way. A mapping is read as two columns, anything else as pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from math import inf
from typing import Any, TypeAlias

from shardstore.client.calls.arguments import (
    WAIT,
    Items,
    checked_amount,
    checked_bound,
    checked_bounds,
    checked_end,
    checked_expected_and_new,
    checked_flag,
    checked_key,
    checked_keys,
    checked_on_busy,
    checked_timeout_ns,
    checked_value,
    checked_values,
)
from shardstore.client.calls.calls import Count, DeleteRange, Maintain, Many, Single, Take
from shardstore.client.calls.ends import MS, End, checked_end_of
from shardstore.client.calls.outcome_token import OutcomeToken
from shardstore.errors import InvalidRequest
from shardstore.identifiers import Expiring, Lasting
from shardstore.key_range import KeyRange, range_of_prefix
from shardstore.limits import KEY_BYTES_MAX, MIB, REQUEST_BYTES_MAX, REQUEST_ENTRIES_MAX, VALUE_BYTES_MAX
from shardstore.wire import counters
from shardstore.wire.columns import encode_variable
from shardstore.wire.expiring_items import encode_items
from shardstore.wire.lifetimes import NO_END, NO_VALUE
from shardstore.wire.messages import encode
from shardstore.wire.wire_format import WRITES, Flag, Op

CALLS_OUTSTANDING = 4
CHUNK_ENTRIES = 16_384
CHUNK_BYTES = 4 * MIB
"""A chunk ends with the step that reaches this size."""
STEP_ENTRIES = 256
"""Maximum number of entries read at once of an iterable, which may make them. Fewer are read after large ones."""
LIST_STEP_ENTRIES = 4_096
"""The same for a list, which has them all."""
STEP_BYTES = MIB
_GET, _PUT, _DELETE = Op.GET, Op.PUT, Op.DELETE
"""Looking up a member of an enumeration costs more than to check a key."""
_PUTS = frozenset((Op.PUT, Op.PUT_UNTIL))
_PAIR = 2
_A_PAIR = "a pair of key and value is wanted, both bytes"
_BYTE = range(256)
_Columns: TypeAlias = tuple[Sequence[Any], ...]
_Read: TypeAlias = Callable[[int], _Columns]
"""Reads up to this many more entries. Returns empty columns at the end."""

assert CHUNK_ENTRIES + LIST_STEP_ENTRIES <= REQUEST_ENTRIES_MAX
assert CHUNK_BYTES + VALUE_BYTES_MAX + MIB < REQUEST_BYTES_MAX


class BadEntry(InvalidRequest):
    """One of many entries is not allowed. The `first` entries, those before its chunk, are in earlier calls."""

    def __init__(self, op: Op, first: int, at: int, why: str) -> None:
        super().__init__(f"entry {first + at:,}: {why}")
        self.op = op
        self.first = first

    def error_after(self, ends: Sequence[Exception | None]) -> InvalidRequest:
        """The error for the caller. `ends`: the errors of the latest earlier calls, None for success."""
        if self.op not in WRITES:
            return InvalidRequest(str(self))
        failed = next((error for error in ends if error is not None), None)
        if failed is not None:
            return InvalidRequest(f"{self}; some of the {self.first:,} before its chunk may not be applied: {failed}")
        done = f"entries 0 to {self.first - 1:,} were applied, no other" if self.first else "nothing was applied"
        return InvalidRequest(f"{self}; {done}")


class _NoPair:
    """Stands for an item that is no pair, until the error for it is made."""

    def __init__(self, item: Any) -> None:
        self.item = item


def get(key: Any, timeout: float | None, flags: int = 0) -> Single:
    """Read the value of a key."""
    return Single(checked_timeout_ns(timeout), _GET, checked_key(key), flags=flags)


def contains(key: Any, timeout: float | None, flags: int = 0) -> Single:
    """Whether a key has a value, without the value."""
    return Single(checked_timeout_ns(timeout), _GET, checked_key(key), flags=flags | Flag.PRESENCE)


def put(
    key: Any, value: Any, timeout: float | None, on_busy: str = WAIT, ttl: Any = None, expires_at: Any = None
) -> Single:
    """Set a key."""
    if ttl is None and expires_at is None:
        call = Single(checked_timeout_ns(timeout), _PUT, checked_key(key), checked_value(value))
    else:
        item = encode_items([_ending(value, checked_end_of(ttl, expires_at))])
        call = Single(checked_timeout_ns(timeout), Op.PUT_UNTIL, checked_key(key), item)
    call.fails_when_busy = checked_on_busy(on_busy)
    return call


def delete(key: Any, timeout: float | None, on_busy: str = WAIT) -> Single:
    """Remove a key."""
    call = Single(checked_timeout_ns(timeout), _DELETE, checked_key(key))
    call.fails_when_busy = checked_on_busy(on_busy)
    return call


def put_if_absent(key: Any, value: Any, timeout: float | None, ttl: Any = None, expires_at: Any = None) -> Single:
    """Set a key that has no value."""
    return compare_and_set(key, None, checked_value(value), timeout, ttl, expires_at)


def compare_and_set(
    key: Any, expected: Any, value: Any, timeout: float | None, ttl: Any = None, expires_at: Any = None
) -> Single:
    """Set a key, or remove it (`value` None), if it has the expected value, or none (`expected` None)."""
    before, after = checked_expected_and_new(expected, value)
    end = checked_end_of(ttl, expires_at)
    if end is None:
        change = encode_variable((before, after))
    elif after is None:
        raise InvalidRequest("a key that is removed has neither ttl nor expires_at")
    else:
        change = encode_items([before, end.of(after)])
    return Single(checked_timeout_ns(timeout), Op.COMPARE_AND_SET, checked_key(key), change)


def increment(key: Any, by: Any, timeout: float | None) -> Single:
    """Add to a counter."""
    amount = counters.to_value(checked_amount(by))
    return Single(checked_timeout_ns(timeout), Op.INCREMENT, checked_key(key), amount)


def expire(key: Any, timeout: float | None, ttl: Any, expires_at: Any) -> Single:
    """Let the value of a key expire at another moment."""
    end = checked_end_of(ttl, expires_at)
    if end is None:
        raise InvalidRequest("expire needs a ttl or an expires_at; persist lets a value expire no more")
    return Single(checked_timeout_ns(timeout), Op.EXPIRE, checked_key(key), encode_items([end.of(b"")]))


def persist(key: Any, timeout: float | None) -> Single:
    """Let the value of a key expire no more."""
    return Single(checked_timeout_ns(timeout), Op.EXPIRE, checked_key(key), encode_items([None]))


def ttl(key: Any, timeout: float | None) -> Single:
    """Ask how long the value of a key is still there."""
    return Single(checked_timeout_ns(timeout), Op.TTL, checked_key(key))


def seconds_left(left_ms: int) -> float | None:
    """What `ttl` returns to its caller."""
    if left_ms == NO_VALUE:
        return None
    return inf if left_ms == NO_END else left_ms / MS


def take(start: Any, end: Any, prefix: Any, reverse: bool, timeout: float | None) -> Take | None:
    """Remove the first or the last entry within bounds; None if no key can lie there."""
    bounds = checked_bounds(start, end, prefix)
    timeout_ns = checked_timeout_ns(timeout)
    return Take(timeout_ns, bounds.start, bounds.end, reverse) if bounds else None


def outcome(token: OutcomeToken, timeout: float | None) -> Iterator[Single]:
    """Ask what became of each part in doubt of a write."""
    timeout_ns = checked_timeout_ns(timeout)
    for part in token.parts:
        yield Single(timeout_ns, Op.OUTCOME, checked_key(part.key), encode(part.question()))


def maintain(op: Op, start: Any, end: Any, wait: bool, timeout: float | None) -> Maintain:
    """FLUSH or COMPACT of the ranges with keys in [start, end)."""
    first, last = checked_bound("start", start), checked_end(end)
    if last is None or (last and first >= last):
        raise InvalidRequest(f"no key lies between start {first!r:.60} and end {end!r:.60}")
    return Maintain(checked_timeout_ns(timeout), op, first, last, 0 if checked_flag("wait", wait) else Flag.NO_WAIT)


def delete_range(start: Any, end: Any, prefix: Any, timeout: float | None) -> DeleteRange | None:
    """Remove all keys from `start` to `end` that begin with `prefix`; None if there can be none.

    A start behind the end is refused: nobody means it, and who reads nothing with it sees that, but who removes nothing
    does not.
    """
    if checked_bound("end", end) < checked_bound("start", start) and end is not None:
        raise InvalidRequest(f"start {start!r:.60} is behind end {end!r:.60}")
    timeout_ns, wanted = checked_timeout_ns(timeout), checked_bounds(start, end, prefix)
    first = wanted.start if wanted else b""
    if len(first) > KEY_BYTES_MAX:  # the first key that can be there: an outcome token names it
        first = range_of_prefix(first[:KEY_BYTES_MAX]).end
        wanted = wanted and (KeyRange(first).intersection(wanted) if first else None)
    return DeleteRange(timeout_ns, wanted.start, wanted.end) if wanted else None


def delete_prefix(prefix: Any, timeout: float | None) -> DeleteRange | None:
    """Remove all keys that begin with a prefix; None if there can be none."""
    if prefix is None:
        raise InvalidRequest("prefix is bytes; an empty one is that of all keys")
    return delete_range(None, None, prefix, timeout)


def count(start: Any, end: Any, prefix: Any, estimates: bool, timeout: float | None) -> Count | None:
    """Count the keys from `start` to `end` that begin with `prefix`; None if there can be none."""
    timeout_ns, wanted = checked_timeout_ns(timeout), checked_bounds(start, end, prefix)
    return Count(timeout_ns, wanted.start, wanted.end, estimates) if wanted else None


def put_many(
    pairs: Mapping[Any, Any] | Iterable[tuple[Any, Any]],
    timeout: float | None,
    on_busy: str = WAIT,
    ttl: Any = None,
    expires_at: Any = None,
) -> Iterator[Many]:
    """Set many keys."""
    end = checked_end_of(ttl, expires_at)
    timeout_ns, fails_when_busy = checked_timeout_ns(timeout), checked_on_busy(on_busy)
    if isinstance(pairs, Mapping):
        read = _read_columns(iter(pairs.keys()), iter(pairs.values()))
    else:
        read = _read_pairs(_iterator("pairs", "a mapping, or an iterable of pairs of key and value", pairs))
    return _many_calls(timeout_ns, Op.PUT if end is None else Op.PUT_UNTIL, fails_when_busy, read, end=end)


def put_until(entries: Sequence[tuple[bytes, Expiring]], timeout: float | None) -> Iterator[Many]:
    """Set the values of keys that may be written, each with its own moment."""
    timeout_ns, begin, size = checked_timeout_ns(timeout), 0, 0
    for number, (key, value) in enumerate(entries, 1):
        size += len(key) + len(value.value)
        if size >= CHUNK_BYTES or number - begin >= CHUNK_ENTRIES or number == len(entries):
            keys, values = zip(*entries[begin:number], strict=True)
            yield Many(timeout_ns, Op.PUT_UNTIL, checked_keys(keys), Items(values, None, 0))
            begin, size = number, 0


def get_many(keys: Iterable[Any], timeout: float | None) -> Iterator[Many]:
    """Read the values of many keys."""
    return _of_keys(Op.GET, keys, timeout)


def delete_many(keys: Iterable[Any], timeout: float | None, on_busy: str = WAIT) -> Iterator[Many]:
    """Remove many keys."""
    return _of_keys(Op.DELETE, keys, timeout, on_busy)


def _of_keys(op: Op, keys: Iterable[Any], timeout: float | None, on_busy: str = WAIT) -> Iterator[Many]:
    timeout_ns, fails_when_busy = checked_timeout_ns(timeout), checked_on_busy(on_busy)
    if type(keys) is list:
        return _many_calls(timeout_ns, op, fails_when_busy, _read_list(keys), LIST_STEP_ENTRIES)
    return _many_calls(timeout_ns, op, fails_when_busy, _read_columns(_iterator("keys", "an iterable of keys", keys)))


def _many_calls(
    timeout_ns: int,
    op: Op,
    fails_when_busy: bool,
    read: _Read,
    step_entries: int = STEP_ENTRIES,
    end: End | None = None,
) -> Iterator[Many]:
    """The calls for all chunks; values get the end. Raises BadEntry after the calls for the chunks before."""
    first = 0
    for chunk in _chunks(read, step_entries):
        try:
            keys = checked_keys(chunk[0])
            values = checked_values(chunk[1]) if op in _PUTS else None
        except InvalidRequest as error:
            raise BadEntry(op, first, *_first_bad(chunk, error)) from None
        if end is not None and values is not None:
            values = Items(end.of_each(values.items), None, 0)
        call = Many(timeout_ns, op, keys, values)
        call.fails_when_busy = fails_when_busy
        yield call
        first += len(chunk[0])


def _ending(value: Any, end: End | None) -> Expiring | Lasting:
    assert end is not None, "a value without an end is put in another way"
    return end.of(checked_value(value))


def _first_bad(chunk: _Columns, error: InvalidRequest) -> tuple[int, str]:
    """The position in a chunk of the first entry that is not allowed, and why it is not."""
    for at, entry in enumerate(zip(*chunk, strict=True)):
        if isinstance(entry[0], _NoPair):
            return at, f"{_A_PAIR}, not {entry[0].item!r:.60}"
        if len(entry) == _PAIR and all(type(item) is int and item in _BYTE for item in entry):
            return at, f"{_A_PAIR}, not {entry!r}, which is also how {bytes(entry)!r} is read"
        try:
            checked_key(entry[0])
            for value in entry[1:]:
                checked_value(value)
        except InvalidRequest as bad:
            return at, str(bad)
    return 0, str(error)


def _iterator(name: str, what: str, items: Any) -> Iterator[Any]:
    if isinstance(items, str | bytes | bytearray | memoryview):
        raise InvalidRequest(f"{name} is {what}, not {type(items).__name__}")
    try:
        return iter(items)
    except TypeError:
        raise InvalidRequest(f"{name} is {what}, not {type(items).__name__}") from None


def _read_list(keys: list[Any]) -> _Read:
    """As _read_columns, by slices, which take less time."""
    begin = 0

    def read(width: int) -> _Columns:
        nonlocal begin
        step = keys[begin : begin + width]
        begin += len(step)
        return (step,)

    return read


def _read_columns(*iterators: Iterator[Any]) -> _Read:
    return lambda width: tuple(list(islice(iterator, width)) for iterator in iterators)


def _read_pairs(pairs: Iterator[Any]) -> _Read:
    def read(width: int) -> _Columns:
        step = list(islice(pairs, width))
        try:
            keys, values = zip(*step, strict=True) if step else ((), ())
        except (TypeError, ValueError):
            keys, values = zip(*map(_as_pair, step), strict=True)
        return keys, values

    return read


def _as_pair(pair: Any) -> tuple[Any, Any]:
    """A pair, or a _NoPair that is refused when the chunk is checked."""
    try:
        key, value = pair
    except (TypeError, ValueError):
        return _NoPair(pair), b""
    return key, value


def _chunks(read: _Read, step_entries: int) -> Iterator[_Columns]:
    """Columns with about as many entries as one call takes, read step by step."""
    chunk: list[list[Any]] = []
    chunk_bytes = 0
    for step, step_bytes in _steps(read, step_entries):
        if not chunk:
            chunk = [[] for _ in step]
        for column, more in zip(chunk, step, strict=True):
            column.extend(more)
        chunk_bytes += step_bytes
        if len(chunk[0]) >= CHUNK_ENTRIES or chunk_bytes >= CHUNK_BYTES:
            yield tuple(chunk)
            chunk, chunk_bytes = [], 0
    if chunk:
        yield tuple(chunk)


def _steps(read: _Read, step_entries: int) -> Iterator[tuple[_Columns, int]]:
    """Steps and their sizes in bytes. A step larger than a chunk is passed on entry by entry."""
    width = step_entries
    while (step := read(width))[0]:
        step_bytes = sum(map(_size, step))
        if step_bytes <= CHUNK_BYTES:
            yield step, step_bytes
        else:
            for entry in zip(*step, strict=True):
                yield tuple((item,) for item in entry), _size(entry)
        width = max(1, min(step_entries, STEP_BYTES * len(step[0]) // (step_bytes + 1)))


def _size(items: Sequence[Any]) -> int:
    try:
        return sum(map(len, items))
    except TypeError:  # an item without a length is refused when the chunk is checked
        return 0
