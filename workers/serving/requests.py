"""Decodes requests and checks them: every limit is checked here again, whoever sent the frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shardstore.errors import InvalidRequest
from shardstore.identifiers import Expiring, Stored
from shardstore.key_range import KeyRange
from shardstore.limits import (
    BOUND_BYTES_MAX,
    KEY_BYTES_MAX,
    KEY_BYTES_MIN,
    REQUEST_BYTES_MAX,
    REQUEST_ENTRIES_MAX,
    VALUE_BYTES_MAX,
)
from shardstore.options import ScanMode
from shardstore.wire import counters
from shardstore.wire.columns import InvalidColumn, all_within, count_of_variable, decode, decode_ending, fixed_within
from shardstore.wire.messages import CountRequest, OutcomeQuestion, ScanRequest, TakeRequest
from shardstore.wire.messages import decode as decode_message
from shardstore.wire.wire_format import Flag, Header, MalformedMessage
from shardstore.workers.serving.hybrid_clock import HybridClock
from shardstore.workers.wal.batch_values import begun, requested_values

_KEYS_FIXED = int(Flag.KEYS_FIXED)
_KEY_BYTES = KEY_BYTES_MIN, KEY_BYTES_MAX
_VALUES_FIXED = int(Flag.VALUES_FIXED)
_SCAN_MODES = tuple(mode.value for mode in ScanMode)


def keys_of(header: Header, frames: Sequence[bytes], key_range: KeyRange) -> list[bytes]:
    """The keys of a GET, PUT or DELETE, all of them in the range. Raises InvalidRequest."""
    if header.entries == 1 and header.flags & _KEYS_FIXED:  # `is_single`, which every put and get asks
        return [key_of(frames, key_range)]
    _check_size(header, frames)
    fixed = bool(header.flags & Flag.KEYS_FIXED)
    keys = _column(frames[1], fixed, header.entries, KEY_BYTES_MIN, KEY_BYTES_MAX)
    if not (fixed and fixed_within(frames[1], header.entries, key_range)) and not all_within(keys, key_range):
        raise InvalidRequest("a key lies outside the range of the segment")
    return keys


def is_single(header: Header) -> bool:
    """Whether the request has one key, and the key frame is that key."""
    return header.entries == 1 and header.flags & _KEYS_FIXED != 0


def key_of(frames: Sequence[bytes], key_range: KeyRange) -> bytes:
    """The key of a request for one key, which is the key frame, in the range. Raises InvalidRequest."""
    key = frames[1]
    if not KEY_BYTES_MIN <= len(key) <= KEY_BYTES_MAX:
        raise InvalidRequest(f"a key of {len(key)} bytes, allowed are {KEY_BYTES_MIN} to {KEY_BYTES_MAX}")
    if key < key_range.start or (key_range.end and key >= key_range.end):  # `in` would cost more than all else here
        raise InvalidRequest("a key lies outside the range of the segment")
    return key


def lone_key_of(header: Header, frames: Sequence[bytes], key_range: KeyRange) -> bytes:
    """The key of a request that must be for one key only, in the range. Raises InvalidRequest."""
    if not is_single(header):
        raise InvalidRequest("the operation is for one key, in a fixed column")
    return key_of(frames, key_range)


def expected_and_new(frames: Sequence[bytes], clock: HybridClock) -> tuple[bytes | None, Stored | None]:
    """The expected and the new value of a COMPARE_AND_SET, each None for no value. Raises InvalidRequest."""
    try:
        (expected, value), _ = decode_ending(frames[2], 2, VALUE_BYTES_MAX, nullable=True)
    except InvalidColumn as error:
        raise InvalidRequest(str(error)) from None
    if type(expected) not in (bytes, type(None)):
        raise InvalidRequest("an expected value has no end")
    return expected, begun(value, clock.reading_ms())


def end_of_request(frames: Sequence[bytes], clock: HybridClock) -> int | None:
    """The moment that an EXPIRE sets; None if the key is not to expire any more. Raises InvalidRequest."""
    try:
        [item], _ = decode_ending(frames[2], 1, 0, nullable=True)
    except InvalidColumn as error:
        raise InvalidRequest(str(error)) from None
    end = begun(item, clock.reading_ms())
    if end is not None and type(end) is not Expiring:
        raise InvalidRequest("an end is a moment, a lifetime or nil")
    return None if end is None else end.moment


def changed_keys_of(header: Header, frames: Sequence[bytes], key_range: KeyRange) -> list[bytes]:
    """The keys that a BATCH changes, all of them in the range. Raises InvalidRequest."""
    _check_size(header, frames, entries_min=0)
    keys = _column(frames[1], bool(header.flags & Flag.KEYS_FIXED and header.entries), header.entries, *_KEY_BYTES)
    _check_within(keys, key_range)
    return keys


def values_of_batch(header: Header, frames: Sequence[bytes], clock: HybridClock) -> tuple[list[Stored], bool]:
    """What a BATCH stores for each key, and whether some of it expires. Raises InvalidRequest."""
    if header.flags & _VALUES_FIXED:
        return _column(frames[2], True, header.entries, 0, VALUE_BYTES_MAX), False
    return _ending(frames[2], header.entries, clock, nullable=True)


def values_until(header: Header, frames: Sequence[bytes], clock: HybridClock) -> tuple[list[Stored], bool]:
    """What a PUT_UNTIL stores for each key, and whether some of it expires. Raises InvalidRequest."""
    return _ending(frames[2], header.entries, clock, nullable=False)


def conditions_of(frames: Sequence[bytes], key_range: KeyRange) -> tuple[list[bytes], list[bytes | None]]:
    """The keys that a BATCH requires, all of them in the range, and the value that each must have; None for no value.

    Raises InvalidRequest.
    """
    try:
        count = count_of_variable(frames[3])
        if count > REQUEST_ENTRIES_MAX:
            raise InvalidRequest(f"a request requires at most {REQUEST_ENTRIES_MAX} keys, not {count}")
        keys = decode(frames[3], False, count, *_KEY_BYTES)
        expected = decode(frames[4], False, count, 0, VALUE_BYTES_MAX, nullable=True)
    except InvalidColumn as error:
        raise InvalidRequest(str(error)) from None
    _check_within(keys, key_range)
    return keys, expected


def amount_of(frames: Sequence[bytes]) -> int:
    """The amount that an INCREMENT adds. Raises InvalidRequest."""
    try:
        return counters.of_value(frames[2])
    except counters.NoCounter as error:
        raise InvalidRequest(str(error)) from None


def question_of(frames: Sequence[bytes]) -> OutcomeQuestion:
    """The question in an OUTCOME. Raises InvalidRequest."""
    try:
        question = decode_message(OutcomeQuestion, frames[2])
    except MalformedMessage as error:
        raise InvalidRequest(str(error)) from None
    if not question.client:
        raise InvalidRequest("no request has the client id 0")
    return question


def values_of_request(header: Header, frames: Sequence[bytes]) -> list[bytes]:
    """The values of a PUT. Raises InvalidRequest."""
    if header.entries == 1 and header.flags & _VALUES_FIXED and len(frames[2]) <= VALUE_BYTES_MAX:
        return [frames[2]]
    return _column(frames[2], bool(header.flags & Flag.VALUES_FIXED), header.entries, 0, VALUE_BYTES_MAX)


def scan_request_of(frames: Sequence[bytes]) -> ScanRequest:
    """The checked request in a SCAN or END_SCAN. Raises InvalidRequest."""
    try:
        request = decode_message(ScanRequest, frames[1])
    except MalformedMessage as error:
        raise InvalidRequest(str(error)) from None
    if request.mode not in _SCAN_MODES:
        raise InvalidRequest(f"a scan is one of {', '.join(_SCAN_MODES)}, not {request.mode!r}")
    if max(len(request.start), len(request.end)) > BOUND_BYTES_MAX:
        raise InvalidRequest(f"a bound of a scan has at most {BOUND_BYTES_MAX} bytes")
    return request


def take_request_of(frames: Sequence[bytes]) -> TakeRequest:
    """The checked request in a TAKE. Raises InvalidRequest."""
    try:
        request = decode_message(TakeRequest, frames[1])
    except MalformedMessage as error:
        raise InvalidRequest(str(error)) from None
    if max(len(request.start), len(request.end)) > BOUND_BYTES_MAX:
        raise InvalidRequest(f"a bound of a take has at most {BOUND_BYTES_MAX} bytes")
    return request


def count_request_of(frames: Sequence[bytes]) -> CountRequest:
    """The request in a COUNT. Raises InvalidRequest."""
    try:
        return decode_message(CountRequest, frames[1])
    except MalformedMessage as error:
        raise InvalidRequest(str(error)) from None


def range_within(start: bytes, end: bytes, key_range: KeyRange) -> KeyRange:
    """The range of keys with these bounds, all of it in the range of the segment. Raises InvalidRequest."""
    if max(len(start), len(end)) > BOUND_BYTES_MAX:
        raise InvalidRequest(f"a bound of a range has at most {BOUND_BYTES_MAX} bytes")
    try:
        wanted = KeyRange(start, end)
    except ValueError as error:
        raise InvalidRequest(str(error)) from None
    if wanted.intersection(key_range) != wanted:
        raise InvalidRequest("the range lies outside the range of the segment")
    return wanted


def has_cursor(frames: Sequence[bytes]) -> bool:
    """Whether a SCAN or END_SCAN continues a scan. Raises InvalidRequest."""
    return bool(scan_request_of(frames).cursor)


def wanted_of(request: ScanRequest, key_range: KeyRange) -> KeyRange | None:
    """The part of the range that the page is to show; None if that is empty. Raises InvalidRequest."""
    return within_range(request.start, request.end, key_range)


def within_range(start: bytes, end: bytes, key_range: KeyRange) -> KeyRange | None:
    """The part of the range between two bounds; None if that is empty. Raises InvalidRequest."""
    try:
        return KeyRange(start, end).intersection(key_range)
    except ValueError as error:
        raise InvalidRequest(str(error)) from None


def _column(frame: bytes, fixed: bool, entries: int, shortest: int, longest: int) -> list[Any]:
    try:
        return decode(frame, fixed, entries, shortest, longest)
    except InvalidColumn as error:
        raise InvalidRequest(str(error)) from None


def _ending(frame: bytes, entries: int, clock: HybridClock, nullable: bool) -> tuple[list[Stored], bool]:
    try:
        return requested_values(frame, entries, clock.reading_ms(), nullable)
    except InvalidColumn as error:
        raise InvalidRequest(str(error)) from None


def _check_within(keys: Sequence[bytes], key_range: KeyRange) -> None:
    if keys and not all_within(keys, key_range):
        raise InvalidRequest("a key lies outside the range of the segment")


def _check_size(header: Header, frames: Sequence[bytes], entries_min: int = 1) -> None:
    if not entries_min <= header.entries <= REQUEST_ENTRIES_MAX:
        raise InvalidRequest(f"a request has {entries_min} to {REQUEST_ENTRIES_MAX} entries, not {header.entries}")
    total = sum(map(len, frames))
    if total > REQUEST_BYTES_MAX:
        raise InvalidRequest(f"a request has at most {REQUEST_BYTES_MAX} bytes, not {total}")
